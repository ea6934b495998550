"""The stored sessions of a window: a page with the number of all sessions there, or all of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

from verify_mcp.database.base import Connection
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain import tallies
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.windows import Window
from verify_mcp.mirror import session_rows, tally_queries
from verify_mcp.mirror.scope import AccountScope
from verify_mcp.mirror.tally_queries import StoredQuery


@dataclass(frozen=True, slots=True)
class StoredPage:
    """Sessions of a window, newest first, and how many the filter admits there in all."""

    sessions: list[Session]
    total: int


def read_page(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    window: Window,
    *,
    limit: int,
    offset: int,
) -> tuple[list[bytes], int]:
    """The bodies of a page, newest first, and the number of all sessions that a filter admits.

    Raises ValueError for a filter that has no column.
    """
    bodies = session_rows.read_page(
        connection, account_scope, session_filter, window, limit=limit, offset=offset
    )
    if len(bodies) < limit and (bodies or not offset):
        return bodies, offset + len(bodies)
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
) -> int:
    if session_filter.recipient is not None:  # few rows, found by their index
        return session_rows.count_where(connection, account_scope, session_filter, window)
    found = tally_queries.tally(connection, StoredQuery(account_scope, session_filter), [window])
    return tallies.total(found.values()).sessions


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
