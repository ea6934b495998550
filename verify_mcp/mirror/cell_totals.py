"""Totals of a day for the detection of anomalies: by block and place, and of busy prefixes.

They are added up with a day's other totals, and deleted with them. A day whose other totals are of
an earlier version gets them before it is searched.
"""

from collections.abc import Sequence
from datetime import timedelta

from verify_mcp.database.base import Connection
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, merge
from verify_mcp.mirror.attempt_sql import CONVERSION, COUNTED_CHANNELS, DELIVERY
from verify_mcp.mirror.scope import DAY, EPOCH, OF_DAY, AccountScope
from verify_mcp.mirror.selection import Selection

# Whoever changes what is added up adds a migration that sets `cells` of verify_total_days to 0.
BLOCK = timedelta(hours=6)
PLACE_COLUMNS = ("country", "network", "app", "brand", "first_channel")
PLACE_SUMS = (
    "verified",
    "ended",
    *(f"{channel}_{name}" for channel in COUNTED_CHANNELS for name in ("failed", "attempts")),
)
MIN_PREFIX_SESSIONS = 8
"""The fewest sessions of a prefix in a step that has totals."""
HOUR = timedelta(hours=1)
PREFIX_STEPS = ((4, HOUR), (6, HOUR), (4, DAY))
"""The last digits that a prefix leaves out, and the length of its steps."""
TABLES = ("verify_place_totals", "verify_prefix_totals")

_BLOCK_START = f"created - created % {BLOCK // MICROSECOND}"
_PLACES = ", ".join(PLACE_COLUMNS)
_ADD_PLACES = (
    "INSERT INTO verify_place_totals "  # noqa: S608 - fixed names
    f"(account, scope, day, created, {_PLACES}, {', '.join(PLACE_SUMS)}) "
    f"SELECT account, scope, :day, {_BLOCK_START}, {_PLACES}, {CONVERSION}, {DELIVERY} "
    f"FROM verify_sessions WHERE {{where}} GROUP BY account, scope, {_BLOCK_START}, {_PLACES}"
)


def _add_prefixes(tail: int, step: timedelta) -> str:
    """The statement that adds up a day's busy prefixes."""
    length = step // MICROSECOND
    start, prefix = (
        f"created - created % {length}",
        f"substr(recipient, 1, length(recipient) - {tail})",
    )
    return (
        "INSERT INTO verify_prefix_totals (account, scope, day, tail, step, created, prefix, "  # noqa: S608 - fixed names
        "country, sessions, verified, ended) "
        f"SELECT account, scope, :day, {tail}, {length}, {start}, {prefix}, min(country), "
        f"count(*), {CONVERSION} FROM verify_sessions WHERE {{where}} AND length(recipient) >= 8 "
        f"GROUP BY account, scope, {start}, {prefix} HAVING count(*) >= {MIN_PREFIX_SESSIONS}"
    )


_STATEMENTS = (_ADD_PLACES, *(_add_prefixes(*kind) for kind in PREFIX_STEPS))


def add_day(connection: Connection, account_scope: AccountScope, number: int) -> None:
    """Add up a day that has other totals; days are numbered from 1970."""
    day = account_scope.day_params(number)
    for table in TABLES:
        connection.execute(f"DELETE FROM {table} WHERE {OF_DAY}", day)  # noqa: S608 - fixed names
    window = Window(EPOCH + number * DAY, EPOCH + (number + 1) * DAY)
    where, values = account_scope.where(SessionFilter(), window)
    for statement in _STATEMENTS:
        connection.execute(statement.format(where=where), {**values, "day": number})
    connection.execute(f"UPDATE verify_total_days SET cells = 1 WHERE {OF_DAY}", day)  # noqa: S608 - fixed names


def days_without(
    connection: Connection, account_scope: AccountScope, windows: Sequence[Window]
) -> list[int]:
    """The days inside of some windows that have other totals only, oldest first."""
    return sorted(
        {
            number
            for window in windows
            for number in _days(connection, account_scope, window, has_cells=False)
        }
    )


def spans_with_totals(
    connection: Connection, selection: Selection, window: Window, columns: Sequence[str]
) -> tuple[Window, ...]:
    """The spans of days in a window that are read from totals; `columns` are those that these have.

    The others have sessions that are not stored completely, or that the selection leaves out.
    """
    filtered = {one.column for one in selection.session_filter.stored_conditions()}
    if not filtered <= set(columns):
        return ()
    days = _days(connection, selection.account_scope, window, has_cells=True)
    spans = [Window(EPOCH + number * DAY, EPOCH + (number + 1) * DAY) for number in days]
    return merge([span for span in spans if selection.is_whole(span)])


def _days(
    connection: Connection, account_scope: AccountScope, window: Window, *, has_cells: bool
) -> list[int]:
    """The days inside of a window that have totals, with cells or without."""
    first, last = -((EPOCH - window.start) // DAY), (window.end - EPOCH) // DAY
    rows = connection.fetch_all(
        "SELECT day FROM verify_total_days WHERE account = :account AND scope = :scope "
        "AND day >= :first AND day < :last AND cells = :cells ORDER BY day",
        {**account_scope.day_params(0), "first": first, "last": last, "cells": int(has_cells)},
    )
    return [int(row[0]) for row in rows]
