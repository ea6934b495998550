"""The stored sessions of a window: a page with the number of all sessions there, or all of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from verify_mcp.database.base import Connection
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.windows import Window, gaps, merge
from verify_mcp.mirror import session_rows
from verify_mcp.mirror.daily_totals import day_window, days_with_totals
from verify_mcp.mirror.group_sql import DAY_COLUMNS, QUARTER_COLUMNS
from verify_mcp.mirror.scope import DAY, AccountScope, conditions
from verify_mcp.mirror.tally_queries import StoredQuery

MAX_COUNTED = 2 * DAY
"""The time whose sessions are counted one by one for a total: more needs totals of days."""


@dataclass(frozen=True, slots=True)
class StoredPage:
    """Sessions of a window, newest first, and how many the filter admits there in all.

    `total` is None where counting would take long.
    """

    sessions: list[Session]
    total: int | None


def read_page(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    window: Window,
    *,
    limit: int,
    offset: int,
) -> tuple[list[bytes], int | None]:
    """The bodies of a page, newest first, and the number of all sessions that a filter admits.

    The number is that of the first page or the last one, None of a page between them or where
    counting would take long. Raises ValueError for a filter that has no column.
    """
    bodies = session_rows.read_page(
        connection, account_scope, session_filter, window, limit=limit, offset=offset
    )
    if len(bodies) < limit and (bodies or not offset):
        return bodies, offset + len(bodies)
    if offset:
        return bodies, None
    return bodies, _count(connection, account_scope, session_filter, window)


def read_newest(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    windows: Sequence[Window],
    *,
    limit: int,
) -> list[bytes]:
    """The bodies of the newest sessions of some windows, the oldest window first."""
    bodies: list[bytes] = []
    for window in reversed(windows):
        bodies += session_rows.read_page(
            connection, account_scope, session_filter, window, limit=limit - len(bodies), offset=0
        )
        if len(bodies) >= limit:
            break
    return bodies


def _count(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    window: Window,
) -> int | None:
    if session_filter.recipient is not None:  # few rows, found by their index
        return session_rows.count_where(connection, account_scope, session_filter, window)
    columns = StoredQuery(account_scope, session_filter).columns()
    is_added_up = columns <= set(DAY_COLUMNS)
    days = days_with_totals(connection, account_scope, window) if is_added_up else []
    rest = gaps(window, merge(map(day_window, days)))
    if sum((part.length for part in rest), timedelta()) > MAX_COUNTED:
        return None
    of_days = _count_days(connection, account_scope, session_filter, days) if days else 0
    return of_days + sum(
        session_rows.count_where(connection, account_scope, session_filter, part) for part in rest
    )


def _count_days(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    days: Sequence[int],
) -> int:
    """How many sessions of days in a row, of which those without totals count as empty."""
    columns = StoredQuery(account_scope, session_filter).columns()
    is_coarse = columns <= set(QUARTER_COLUMNS)  # fewer rows to add up
    table = "verify_quarter_totals" if is_coarse else "verify_day_totals"
    condition, values = conditions(session_filter)
    rows = connection.fetch_all(
        f"SELECT sum(sessions) FROM {table} WHERE account = :account AND scope = :scope "  # noqa: S608 - fixed names
        f"AND day BETWEEN :first AND :last{condition}",
        {**account_scope.day_params(0), **values, "first": days[0], "last": days[-1]},
    )
    return int(rows[0][0] or 0)


async def scan(
    database: ResilientDatabase,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    window: Window,
    *,
    limit: int,
) -> AsyncIterator[list[Session]]:
    """All stored sessions of a window that a filter admits, oldest first, `limit` at a time.

    Raises DatabaseUnavailable, and ValueError for a filter that has no column.
    """
    after = ""
    while True:
        read = partial(
            session_rows.read_after,
            account_scope=account_scope,
            session_filter=session_filter,
            window=window,
            after=after,
            limit=limit,
        )
        bodies = await database.read(read)
        sessions = [session_rows.parse_body(body) for body in bodies]
        if sessions:
            yield sessions
        if len(sessions) < limit:
            return
        window, after = Window(sessions[-1].created, window.end), sessions[-1].uuid
