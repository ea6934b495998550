"""Daily totals: sessions of complete days, added up in advance by the database.

A day of UTC gets its totals as soon as every session of it is stored and final: by its columns, by
quarter of an hour (every zone's offset is a multiple of it), the gaps between attempts, and the
totals of `cell_totals`. The transactions that change rows also write and delete totals, so the
totals of a day equal the sum of its rows.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from verify_mcp.database.base import Connection
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, covers
from verify_mcp.mirror import cell_totals
from verify_mcp.mirror.group_sql import (
    CHARGES,
    DAY_COLUMNS,
    DAY_SUMS,
    QUARTER,
    QUARTER_COLUMNS,
    QUARTER_SUMS,
    ROWS,
)
from verify_mcp.mirror.scope import DAY, EPOCH, OF_DAY, AccountScope

MAX_SUM = 2**63 - 1
"""The largest integer of a database."""
TABLES = (
    "verify_total_days",
    "verify_day_totals",
    "verify_quarter_totals",
    "verify_gap_totals",
    *cell_totals.TABLES,
)
"""The days that have totals, then the tables that hold them."""
_SPAN = ("first_created", "last_created")


def _insert(table: str, columns: Sequence[str], selected: Sequence[str], names: int) -> str:
    """The statement that adds up a day's rows by the first `names` columns."""
    sums = [
        *(f"sum({column})" for column in columns[names : -len(_SPAN)]),
        "min(first_created)",
        "max(last_created)",
    ]
    return (
        f"INSERT INTO {table} (account, scope, day, {', '.join(columns)}) "  # noqa: S608 - fixed names
        f"SELECT account, scope, :day, {', '.join([*selected, *sums])} FROM {ROWS} "
        f"WHERE {{where}} GROUP BY account, scope, {', '.join(selected)}"
    )


_QUARTER = f"created - created % {QUARTER // MICROSECOND}"
_ADD_DAY = _insert(
    "verify_day_totals", (*DAY_COLUMNS, *DAY_SUMS, *_SPAN), DAY_COLUMNS, len(DAY_COLUMNS)
)
_ADD_QUARTERS = _insert(
    "verify_quarter_totals",
    ("created", *QUARTER_COLUMNS, *QUARTER_SUMS, *_SPAN),
    (_QUARTER, *QUARTER_COLUMNS),
    len(QUARTER_COLUMNS) + 1,
)
GAP_SECONDS = "(gap + 500000) / 1000000"
"""The SQL of the whole seconds between the first and the second attempt."""
_ADD_GAPS = (
    "INSERT INTO verify_gap_totals (account, scope, day, seconds, sessions) "  # noqa: S608 - fixed names
    f"SELECT account, scope, :day, {GAP_SECONDS}, count(*) FROM verify_sessions "
    f"WHERE {{where}} AND gap IS NOT NULL GROUP BY account, scope, {GAP_SECONDS}"
)


def delete(connection: Connection, account_scope: AccountScope, numbers: Iterable[int]) -> None:
    """Delete the totals of days whose rows have changed; days are numbered from 1970."""
    params = [account_scope.day_params(number) for number in numbers]
    for table in TABLES:
        connection.execute_many(f"DELETE FROM {table} WHERE {OF_DAY}", params)  # noqa: S608 - fixed names


def delete_before(connection: Connection, account: str, edge: int) -> None:
    """Delete the totals of an account's days that begin before an instant in microseconds."""
    for table in TABLES:
        connection.execute(
            f"DELETE FROM {table} WHERE account = :account AND day < :day",  # noqa: S608 - fixed names
            {"account": account, "day": -(-edge // (DAY // MICROSECOND))},
        )


def add_complete_days(
    connection: Connection,
    account_scope: AccountScope,
    numbers: Iterable[int],
    complete: Sequence[Window],
) -> None:
    """Add up those of some days that lie in the complete windows and have no totals."""
    for number in numbers:
        day = day_window(number)
        if covers(day, complete) and not days_with_totals(connection, account_scope, day):
            _add_day(connection, account_scope, day)


def days_with_totals(
    connection: Connection, account_scope: AccountScope, window: Window
) -> list[int]:
    """The days that lie in a window and have totals, oldest first."""
    first, last = -((EPOCH - window.start) // DAY), (window.end - EPOCH) // DAY
    rows = connection.fetch_all(
        "SELECT day FROM verify_total_days WHERE account = :account AND scope = :scope "
        "AND day >= :first AND day < :last ORDER BY day",
        {**account_scope.day_params(0), "first": first, "last": last},
    )
    return [int(row[0]) for row in rows]


def day_number(moment: datetime) -> int:
    """The number of an instant's day, counted from 1970."""
    return (moment - EPOCH) // DAY


def day_window(number: int) -> Window:
    """The day that has a number."""
    return Window(EPOCH + number * DAY, EPOCH + (number + 1) * DAY)


def _add_day(connection: Connection, account_scope: AccountScope, day: Window) -> None:
    where, values = account_scope.where(SessionFilter(), day)
    most = ", ".join(f"max({column})" for column in ("cost", *CHARGES))
    ((count, *largest),) = connection.fetch_all(
        f"SELECT count(*), {most} FROM verify_sessions WHERE {where}",  # noqa: S608 - fixed names
        values,
    )
    if count * max(number or 0 for number in largest) > MAX_SUM:
        return  # a sum could be too large for the database; rows are added up in parts
    number = {"day": day_number(day.start)}
    connection.execute(
        "INSERT INTO verify_total_days (account, scope, day) VALUES (:account, :scope, :day)",
        account_scope.day_params(number["day"]),
    )
    for statement in (_ADD_DAY, _ADD_QUARTERS, _ADD_GAPS):
        connection.execute(statement.format(where=where), {**values, **number})
    cell_totals.add_day(connection, account_scope, number["day"])
