"""Daily totals: sessions added up by the database, per day in advance where that is possible.

A day of UTC gets its totals as soon as every session of it is stored and final. The transactions
that change rows also write and delete totals, so the totals of a day equal the sum of its rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

from verify_mcp.database.base import Connection, Row, Value
from verify_mcp.domain import tallies
from verify_mcp.domain.api_limits import STATUSES
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.tallies import Tallies, Tally
from verify_mcp.domain.text import clean
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, covers
from verify_mcp.mirror.scope import DAY, EPOCH, OF_DAY, AccountScope

HOUR = timedelta(hours=1)
MAX_SUM = 2**63 - 1
"""The largest integer of a database."""

_GROUP_COLUMNS = "app, status, channel, country, brand, outcomes"
_COUNT_COLUMNS = "sessions, attempts, cost, rescued, uncosted"
_COUNT_SUMS = "sum(sessions), sum(attempts), sum(cost), sum(rescued), sum(uncosted)"
# Rows with the columns of daily totals, so that the same SQL adds up both.
_ROWS = """(SELECT account, scope, created, app, status, recipient, channel, country, brand,
    outcomes, 1 AS sessions, attempts, coalesce(cost, 0) AS cost, rescued,
    CASE WHEN cost IS NULL THEN 1 ELSE 0 END AS uncosted FROM verify_sessions) AS sessions_held"""
_DOCUMENTED = ", ".join(f"'{status}'" for status in STATUSES)
_SUMS = f"""sum(sessions), sum(CASE WHEN status = 'verified' THEN sessions ELSE 0 END),
    sum(CASE WHEN status = 'expired' THEN sessions ELSE 0 END), sum(attempts), sum(cost),
    sum(CASE WHEN status = 'expired' THEN cost ELSE 0 END), sum(rescued), sum(uncosted),
    sum(CASE WHEN status IN ({_DOCUMENTED}) THEN 0 ELSE sessions END)"""
_COLUMNS = {
    "status": "status",
    "channel": "channel",
    "country": "country",
    "app": "app",
    "brand": "brand",
    "recipient": "recipient",
    "attempt_status": "outcomes",
    "day": f"(created + :shift) / {DAY // MICROSECOND}",
    "hour": f"(created + :shift) / {HOUR // MICROSECOND}",
}


def tally(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    windows: Iterable[Window],
    by: tuple[str, ...],
    zone: tzinfo = UTC,
) -> Tallies:
    """The tallies of the sessions stored in some windows, by up to two groups.

    Raises ValueError for a filter that has no column.
    """
    # Day by day: SQLite groups by sorting, which takes less time for many small sets.
    parts = [part for window in windows for part in split_by_day_and_offset(window, zone)]
    found = [
        _sum_part(connection, account_scope, session_filter, part, shift, by)
        for part, shift in parts
    ]
    return tallies.merge(*(_tallies(row, by) for rows in found for row in rows))


def windows_of_unknown_brand(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    window: Window,
) -> list[Window]:
    """The parts of a window, a day each at most, with sessions that may have the brand or not.

    The API gives a brand only with attempts that have one, and its documents do not say whether its
    filter distinguishes case and spaces.
    """
    name = session_filter.brand_name
    if name is None:
        return []
    others = replace(session_filter, brand_name=None)
    return [
        part
        for part, _ in split_by_day_and_offset(window, UTC)
        for brands in [_sum_part(connection, account_scope, others, part, timedelta(), ("brand",))]
        if any(_may_have_brand(str(row[0]), name) for row in brands)
    ]


def _may_have_brand(brand: str, name: str) -> bool:
    if brand == name:
        return False  # it certainly has the brand
    return brand == tallies.UNKNOWN or brand.casefold() == clean(name).casefold()


def delete(connection: Connection, account_scope: AccountScope, numbers: Iterable[int]) -> None:
    """Delete the totals of days whose rows have changed; days are numbered from 1970."""
    connection.execute_many(
        f"DELETE FROM verify_days WHERE {OF_DAY}",  # noqa: S608 - fixed names
        [account_scope.day_params(number) for number in numbers],
    )


def delete_before(connection: Connection, account: str, edge: int) -> None:
    """Delete the totals of an account's days that begin before an instant in microseconds."""
    connection.execute(
        "DELETE FROM verify_days WHERE account = :account AND day < :day",
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
        day = Window(EPOCH + number * DAY, EPOCH + (number + 1) * DAY)
        if covers(day, complete) and not _has_totals(connection, account_scope, number):
            _add_day(connection, account_scope, day)


def day_number(moment: datetime) -> int:
    """The number of an instant's day, counted from 1970."""
    return (moment - EPOCH) // DAY


def split_by_day_and_offset(window: Window, zone: tzinfo) -> list[tuple[Window, timedelta]]:
    """A window's parts, each within one day of UTC, and in each a zone's one offset from UTC."""
    first, last = day_number(window.start), day_number(window.end)
    midnights = (EPOCH + number * DAY for number in range(first + 1, last + 1))
    moments = sorted({window.start, *midnights, window.end})
    changes = [
        _next_offset_change(before, after, zone)
        for before, after in pairwise(moments)
        if _offset(before, zone) != _offset(after, zone)
    ]
    edges = sorted({*moments, *changes})
    return [(Window(start, end), _offset(start, zone)) for start, end in pairwise(edges)]


def _sum_part(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    part: Window,
    shift: timedelta,
    by: tuple[str, ...],
) -> list[Row]:
    """A part's tallies as rows: each group, then its sums."""
    columns = {
        *session_filter.stored_values(),
        *(_COLUMNS[group] for group in by if group != "day"),
    }
    has_columns = columns <= set(_GROUP_COLUMNS.split(", "))
    if part.length == DAY and has_columns and not (shift and "day" in by):
        rows = _sum_day(connection, account_scope, session_filter, day_number(part.start), by)
        if rows or _has_totals(connection, account_scope, day_number(part.start)):
            return rows
    where, values = account_scope.where(session_filter, part)
    if {"day", "hour"} & set(by):
        values["shift"] = shift // MICROSECOND
    return _sum_rows(
        connection, f"{_ROWS} WHERE {where}", values, [_COLUMNS[group] for group in by]
    )


def _sum_day(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    number: int,
    by: tuple[str, ...],
) -> list[Row]:
    """A full day's tallies from its totals; none when it has none."""
    where, values = account_scope.where_day(session_filter, number)
    columns = ["day" if group == "day" else _COLUMNS[group] for group in by]
    return _sum_rows(connection, f"verify_days WHERE {where}", values, columns)


def _sum_rows(
    connection: Connection, source: str, values: dict[str, Value], columns: Sequence[str]
) -> list[Row]:
    names = [f"g{place}" for place in range(len(columns))]
    groups = [f"{column} AS {name}" for column, name in zip(columns, names, strict=True)]
    sql = f"SELECT {', '.join([*groups, _SUMS])} FROM {source}"  # noqa: S608 - fixed names
    rows = connection.fetch_all(sql + (f" GROUP BY {', '.join(names)}" if names else ""), values)
    return [row for row in rows if row[len(columns)]]


def _has_totals(connection: Connection, account_scope: AccountScope, number: int) -> bool:
    sql = f"SELECT 1 FROM verify_days WHERE {OF_DAY} LIMIT 1"  # noqa: S608 - fixed names
    return bool(connection.fetch_all(sql, account_scope.day_params(number)))


def _add_day(connection: Connection, account_scope: AccountScope, day: Window) -> None:
    where, values = account_scope.where(SessionFilter(), day)
    ((count, max_cost),) = connection.fetch_all(
        f"SELECT count(*), max(cost) FROM verify_sessions WHERE {where}",  # noqa: S608 - fixed names
        values,
    )
    if count * (max_cost or 0) > MAX_SUM:
        return  # its sum could be too large for the database; rows are added up in parts
    connection.execute(
        f"INSERT INTO verify_days (account, scope, day, {_GROUP_COLUMNS}, {_COUNT_COLUMNS}) "  # noqa: S608 - fixed names
        f"SELECT account, scope, :day, {_GROUP_COLUMNS}, {_COUNT_SUMS} FROM {_ROWS} WHERE {where} "
        f"GROUP BY account, scope, {_GROUP_COLUMNS}",
        {**values, "day": day_number(day.start)},
    )


def _next_offset_change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The instant between two at which a zone's offset changes."""
    while after - before > MICROSECOND:
        middle = before + (after - before) // 2
        if _offset(middle, zone) == _offset(before, zone):
            before = middle
        else:
            after = middle
    return after


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _tallies(row: Row, by: tuple[str, ...]) -> Tallies:
    key = tuple(_group_label(value, group) for group, value in zip(by, row, strict=False))
    return tallies.expand_attempt_statuses(
        key, by, Tally(*(int(value) for value in row[len(by) :]))
    )


def _group_label(value: object, by: str) -> str:
    """A group's label: the database has days and hours as their numbers since 1970."""
    if by not in ("day", "hour"):
        return str(value)
    return tallies.time_group(EPOCH + int(str(value)) * (DAY if by == "day" else HOUR), by, UTC)
