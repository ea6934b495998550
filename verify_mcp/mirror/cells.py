"""Sums of the stored sessions for the detection of anomalies: by time, place, prefix and recipient.

The database adds up; no session leaves it but those named as examples. Attempts are counted in the
text of a session's attempts (`sms failed; voice answer`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from verify_mcp.database.base import Connection, Row, Value
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.attempt_sql import CONVERSION, DELIVERY, FAILURES
from verify_mcp.mirror.scope import AccountScope, instant, micros

MAX_NUMBERS = 5_000
"""Numbers of a finding that are compared with each other."""
MAX_EXAMPLES = 5
PLACE_COLUMNS = ("country", "network", "app", "brand", "first_channel")


PlaceCell = tuple[int, str, str, str, str, str, int, int, int, int, int, int, int, int, int, int]
"""The sessions of a step that have the same place, as the database returns them.

The step, a value for each of PLACE_COLUMNS, the sessions that were reached and verified, those that
were reached and ended, and for each of COUNTED_CHANNELS the failed attempts and all.
"""


@dataclass(frozen=True, slots=True)
class PrefixCount:
    """The sessions of a prefix in a step; `ended` were reached and ended."""

    prefix: str
    country: str
    step: int
    sessions: int
    verified: int
    ended: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Sessions of a scope that a filter admits, and of these those that a condition names.

    `values` are the condition's parameters.
    """

    account_scope: AccountScope
    session_filter: SessionFilter
    condition: str = ""
    values: tuple[tuple[str, Value], ...] = ()

    def where(self, window: Window) -> tuple[str, dict[str, Value]]:
        """The condition on the sessions of a window, and its parameters."""
        where, values = self.account_scope.where(self.session_filter, window)
        return where + self.condition, {**values, **dict(self.values)}

    def narrowed(self, condition: str, values: dict[str, Value]) -> "Selection":
        """The sessions that fulfil a further condition, too."""
        more = (*self.values, *values.items())
        return Selection(
            self.account_scope, self.session_filter, f"{self.condition} AND {condition}", more
        )


def read_place_cells(
    connection: Connection,
    selection: Selection,
    windows: Iterable[Window],
    origin: datetime,
    step: timedelta,
) -> list[PlaceCell]:
    """The sessions of some windows by step from an origin and by place."""
    columns = ", ".join(PLACE_COLUMNS)
    sql = (
        f"SELECT (created - :origin) / :step, {columns}, {CONVERSION}, {DELIVERY} "  # noqa: S608 - fixed names
        "FROM verify_sessions WHERE {where} GROUP BY 1, 2, 3, 4, 5, 6"
    )
    values: dict[str, Value] = {"origin": micros(origin), "step": step // MICROSECOND}
    return cast("list[PlaceCell]", _read_parts(connection, selection, windows, sql, values))


def read_prefix_counts(
    connection: Connection,
    selection: Selection,
    windows: Iterable[Window],
    *,
    tail: int,
    step: timedelta,
    least: int,
) -> list[PrefixCount]:
    """The prefixes with so many sessions in a step, which is counted from 1970.

    A prefix leaves out the last `tail` digits.
    """
    sql = (
        "SELECT substr(recipient, 1, length(recipient) - :tail), min(country), created / :step, "  # noqa: S608 - fixed names
        f"count(*), {CONVERSION} FROM verify_sessions "
        "WHERE {where} AND length(recipient) >= 8 GROUP BY 1, 3 HAVING count(*) >= :least"
    )
    values: dict[str, Value] = {"tail": tail, "step": step // MICROSECOND, "least": least}
    return [
        PrefixCount(str(row[0]), str(row[1]), *(int(number) for number in row[2:]))
        for row in _read_parts(connection, selection, windows, sql, values)
    ]


def _read_parts(
    connection: Connection,
    selection: Selection,
    windows: Iterable[Window],
    sql: str,
    values: dict[str, Value],
) -> list[Row]:
    """The rows of a statement for each window."""
    rows: list[Row] = []
    for window in windows:
        where, parameters = selection.where(window)
        rows += connection.fetch_all(sql.replace("{where}", where), {**parameters, **values})
    return rows


@dataclass(frozen=True, slots=True)
class RecipientCounts:
    """How many recipients had so many sessions, and those with the most: number, country, count."""

    histogram: dict[int, int]
    top: tuple[tuple[str, str, int], ...]


def read_recipient_counts(
    connection: Connection, selection: Selection, window: Window, *, top: int
) -> RecipientCounts:
    """The sessions of each recipient in a window."""
    where, values = selection.where(window)
    rows = connection.fetch_all(
        "WITH counted AS (SELECT recipient, min(country) AS country, count(*) AS sessions "  # noqa: S608 - fixed names
        f"FROM verify_sessions WHERE {where} GROUP BY recipient), most AS "
        "(SELECT * FROM counted ORDER BY sessions DESC, recipient LIMIT :top) "
        "SELECT '', '', sessions, count(*) FROM counted GROUP BY sessions "
        "UNION ALL SELECT recipient, country, sessions, 0 FROM most ORDER BY 3 DESC, 1",
        {**values, "top": top},
    )
    return RecipientCounts(
        {int(sessions): int(many) for _, _, sessions, many in rows if many},
        tuple(
            (str(one), str(country), int(count)) for one, country, count, many in rows if not many
        ),
    )


def count_old(
    connection: Connection, selection: Selection, windows: Iterable[Window], age: timedelta
) -> tuple[int, int]:
    """The sessions that were so old when they were read last, and those of them in progress."""
    sql = (
        "SELECT count(*), coalesce(sum(CASE WHEN status = 'in-progress' THEN 1 ELSE 0 END), 0) "
        "FROM verify_sessions WHERE {where} AND fetched - created >= :age"
    )
    values: dict[str, Value] = {"age": age // MICROSECOND}
    rows = _read_parts(connection, selection, windows, sql, values)
    return sum(int(row[0]) for row in rows), sum(int(row[1]) for row in rows)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Some sessions in numbers, costs in billionths, and the ids of a few."""

    sessions: int = 0
    recipients: int = 0
    verified: int = 0
    cost: int = 0
    expired_cost: int = 0
    window: Window | None = None
    """From the first of them to the last, None without any."""
    network: str = ""
    """The network of all of them, "" where they have several."""
    examples: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    """Their recipients, at most MAX_NUMBERS, each once."""


def read_evidence(
    connection: Connection, selection: Selection, window: Window, *, with_numbers: bool = False
) -> Evidence:
    """The sessions of a window in numbers, with examples.

    Its examples are those that were not verified, and of these those with failed attempts, first.
    """
    totals = read_totals(connection, selection, window)
    if totals.window is None:
        return totals
    where, values = selection.where(totals.window)
    examples = connection.fetch_all(
        f"SELECT session FROM verify_sessions WHERE {where} "  # noqa: S608 - fixed names
        f"ORDER BY CASE WHEN status = 'verified' THEN 1 ELSE 0 END, {FAILURES} DESC, created, "
        "session LIMIT :few",
        {**values, "few": MAX_EXAMPLES},
    )
    return replace(
        totals,
        examples=tuple(str(row[0]) for row in examples),
        numbers=_read_numbers(connection, where, values) if with_numbers else (),
    )


def read_totals(connection: Connection, selection: Selection, window: Window) -> Evidence:
    """The sessions of a window in numbers, without examples."""
    where, values = selection.where(window)
    ((sessions, recipients, verified, cost, expired, first, last, low, high),) = (
        connection.fetch_all(
            "SELECT count(*), count(DISTINCT recipient), "  # noqa: S608 - fixed names
            "sum(CASE WHEN status = 'verified' THEN 1 ELSE 0 END), sum(cost), "
            "sum(CASE WHEN status = 'expired' THEN cost ELSE 0 END), min(created), max(created), "
            f"min(network), max(network) FROM verify_sessions WHERE {where}",
            values,
        )
    )
    if not sessions:
        return Evidence()
    return Evidence(
        int(sessions),
        int(recipients),
        int(verified),
        int(cost or 0),
        int(expired or 0),
        Window(instant(first), instant(last) + MICROSECOND),
        str(low) if low == high else "",
    )


def _read_numbers(connection: Connection, where: str, values: dict[str, Value]) -> tuple[str, ...]:
    rows = connection.fetch_all(
        f"SELECT DISTINCT recipient FROM verify_sessions WHERE {where} "  # noqa: S608 - fixed names
        "ORDER BY recipient LIMIT :most",
        {**values, "most": MAX_NUMBERS},
    )
    return tuple(str(row[0]) for row in rows)


def count_sessions(connection: Connection, selection: Selection, windows: Iterable[Window]) -> int:
    """How many sessions there are in some windows."""
    sql = "SELECT count(*) FROM verify_sessions WHERE {where}"
    return sum(int(row[0]) for row in _read_parts(connection, selection, windows, sql, {}))


def of_prefixes(prefixes: Sequence[str]) -> tuple[str, dict[str, Value]]:
    """The condition on recipients that begin so, and its parameters."""
    values: dict[str, Value] = {}
    parts = []
    for number, prefix in enumerate(prefixes):
        # Recipients are digits, at most 15. Digits alone are in the same order in any collation.
        values |= {f"prefix{number}": prefix, f"prefix{number}_end": prefix + 15 * "9"}
        parts.append(f"(recipient >= :prefix{number} AND recipient <= :prefix{number}_end)")
    return f"({' OR '.join(parts)})", values


def of_place(where: Iterable[tuple[str, str]]) -> tuple[str, dict[str, Value]]:
    """The condition on a finding's place, and its parameters.

    A channel is that of the first attempt.
    """
    columns = {"channel": "first_channel"}
    values: dict[str, Value] = {}
    parts = ["1 = 1"]
    for name, value in where:
        values[f"of_{name}"] = value
        parts.append(f"{columns.get(name, name)} = :of_{name}")
    return " AND ".join(parts), values


IS_OLD_AND_OPEN = "status = 'in-progress' AND fetched - created >= :age"
"""The condition that a session stayed in progress; its parameter is `age` in microseconds."""


def except_prefixes(
    selection: Selection, number: int, prefixes: Sequence[str], window: Window
) -> Selection:
    """The sessions that are not of these prefixes in a window; `number` tells calls apart."""
    inside, values = of_prefixes(prefixes)
    renamed = {f"not{number}_{name}": value for name, value in values.items()}
    condition = inside.replace(":prefix", f":not{number}_prefix")
    bounds: dict[str, Value] = {
        f"not{number}_starts": micros(window.start), f"not{number}_ends": micros(window.end),
    }  # fmt: skip
    return selection.narrowed(
        f"NOT ({condition} AND created >= :not{number}_starts AND created < :not{number}_ends)",
        {**renamed, **bounds},
    )
