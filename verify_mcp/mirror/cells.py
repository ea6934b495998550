"""Sums of the stored sessions for the detection of anomalies: by time, place, prefix and recipient.

The database adds up; no session leaves it but those named as examples. Attempts are counted in the
text of a session's attempts (`sms failed; voice answer`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from verify_mcp.database.base import Connection, Row, Value
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, gaps
from verify_mcp.mirror.attempt_sql import CONVERSION, DELIVERY, FAILURES
from verify_mcp.mirror.cell_totals import (
    BLOCK,
    MIN_PREFIX_SESSIONS,
    PLACE_COLUMNS,
    PLACE_SUMS,
    PREFIX_STEPS,
    spans_with_totals,
)
from verify_mcp.mirror.scope import DAY, EPOCH, conditions, instant, micros
from verify_mcp.mirror.selection import Selection

MAX_NUMBERS = 5_000
"""Numbers of a finding that are compared with each other."""
MAX_EXAMPLES = 5

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


def read_place_cells(
    connection: Connection,
    selection: Selection,
    windows: Iterable[Window],
    origin: datetime,
    step: timedelta,
) -> list[PlaceCell]:
    """The sessions of some windows by step from an origin and by place."""
    columns = ", ".join(PLACE_COLUMNS)
    start = "(created - :origin) / :step"
    values: dict[str, Value] = {"origin": micros(origin), "step": step // MICROSECOND}
    rows: list[Row] = []
    for window in windows:
        spans: tuple[Window, ...] = ()
        if step == BLOCK and not (origin - EPOCH) % BLOCK:
            spans = spans_with_totals(connection, selection, window, PLACE_COLUMNS)
        rows += _read_totals(
            connection,
            selection,
            spans,
            f"SELECT {start}, {columns}, {', '.join(PLACE_SUMS)} FROM verify_place_totals "  # noqa: S608 - fixed names
            "WHERE {where}",
            values,
        )
        rows += _read_parts(
            connection,
            selection,
            gaps(window, spans),
            f"SELECT {start}, {columns}, {CONVERSION}, {DELIVERY} "  # noqa: S608 - fixed names
            "FROM verify_sessions WHERE {where} GROUP BY 1, 2, 3, 4, 5, 6",
            values,
        )
    return cast("list[PlaceCell]", rows)


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
    values: dict[str, Value] = {"tail": tail, "step": step // MICROSECOND, "least": least}
    rows: list[Row] = []
    for window in windows:
        spans: tuple[Window, ...] = ()
        if (tail, step) in PREFIX_STEPS and least >= MIN_PREFIX_SESSIONS:
            spans = spans_with_totals(connection, selection, window, ())
        found = _read_totals(
            connection,
            selection,
            spans,
            "SELECT prefix, country, created / :step, sessions, verified, ended "
            "FROM verify_prefix_totals "
            "WHERE {where} AND tail = :tail AND step = :step AND sessions >= :least",
            values,
        )
        found += _read_parts(
            connection,
            selection,
            gaps(window, spans),
            "SELECT substr(recipient, 1, length(recipient) - :tail), min(country), "  # noqa: S608 - fixed names
            f"created / :step, count(*), {CONVERSION} FROM verify_sessions "
            "WHERE {where} AND length(recipient) >= 8 GROUP BY 1, 3 HAVING count(*) >= :least",
            values,
        )
        rows += sorted(found, key=lambda row: (row[0], row[2]))
    return [
        PrefixCount(str(row[0]), str(row[1]), *(int(number) for number in row[2:])) for row in rows
    ]


def _read_totals(
    connection: Connection,
    selection: Selection,
    spans: Iterable[Window],
    sql: str,
    values: dict[str, Value],
) -> list[Row]:
    """The rows of a statement about totals for each span of days."""
    condition, filtered = conditions(selection.session_filter)
    where = f"account = :account AND scope = :scope AND day >= :first AND day < :last{condition}"
    rows: list[Row] = []
    for span in spans:
        days = {"first": (span.start - EPOCH) // DAY, "last": (span.end - EPOCH) // DAY}
        keys = selection.account_scope.day_params(0)
        rows += connection.fetch_all(
            sql.replace("{where}", where), {**keys, **days, **filtered, **values}
        )
    return rows


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
