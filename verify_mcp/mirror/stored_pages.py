"""Pages of the stored sessions of a window, each with the number of all sessions there."""

from dataclasses import dataclass

from verify_mcp.database.base import Connection
from verify_mcp.domain import tallies
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.windows import Window
from verify_mcp.mirror import daily_totals, session_rows
from verify_mcp.mirror.scope import AccountScope


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


def _count(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    window: Window,
) -> int:
    if session_filter.recipient is not None:  # few rows, found by their index
        return session_rows.count_where(connection, account_scope, session_filter, window)
    found = daily_totals.tally(connection, account_scope, session_filter, [window], ())
    return tallies.total(found.values()).sessions
