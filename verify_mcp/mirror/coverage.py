"""The windows in which every session is stored: those of final sessions, and recent fetches.

A window of `verify_coverage` holds final sessions only, for good. A window of `verify_walks` was
complete when it was fetched; its sessions may have changed since.
"""

from collections.abc import Sequence
from datetime import datetime

from verify_mcp.database.base import Connection, Value
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, gaps, merge
from verify_mcp.mirror.scope import EPOCH, AccountScope, instant, micros

_UPSERT_FETCH = """INSERT INTO verify_walks (account, scope, starts, ends, walked)
    VALUES (:account, :scope, :starts, :ends, :walked)
    ON CONFLICT (account, scope, starts, ends) DO UPDATE SET walked = excluded.walked
    WHERE excluded.walked > verify_walks.walked"""


def read_covered(
    connection: Connection, account_scope: AccountScope, window: Window
) -> list[Window]:
    """The covered windows that overlap a window, oldest first."""
    rows = connection.fetch_all(
        "SELECT starts, ends FROM verify_coverage WHERE account = :account AND scope = :scope "
        "AND ends > :starts AND starts < :ends ORDER BY starts",
        account_scope.params(window),
    )
    return [Window(instant(row[0]), instant(row[1])) for row in rows]


def add_covered(
    connection: Connection, account_scope: AccountScope, windows: Sequence[Window]
) -> None:
    """Add windows, oldest first and at least one, and join them with those that they touch."""
    hull = Window(windows[0].start - MICROSECOND, windows[-1].end + MICROSECOND)
    neighbours = read_covered(connection, account_scope, hull)
    connection.execute_many(
        "DELETE FROM verify_coverage WHERE account = :account AND scope = :scope "
        "AND starts = :starts",
        [account_scope.params(window) for window in neighbours],
    )
    connection.execute_many(
        "INSERT INTO verify_coverage (account, scope, starts, ends) "
        "VALUES (:account, :scope, :starts, :ends)",
        [account_scope.params(window) for window in merge([*neighbours, *windows])],
    )


def read_fetches(
    connection: Connection, account_scope: AccountScope, window: Window, since: datetime
) -> list[tuple[Window, datetime]]:
    """The windows that overlap a window and were fetched since then, each with its time."""
    rows = connection.fetch_all(
        "SELECT starts, ends, walked FROM verify_walks WHERE account = :account "
        "AND scope = :scope AND ends > :starts AND starts < :ends AND walked >= :since "
        "ORDER BY starts",
        {**account_scope.params(window), "since": micros(since)},
    )
    return [(Window(instant(row[0]), instant(row[1])), instant(row[2])) for row in rows]


def are_known(
    connection: Connection, account_scope: AccountScope, windows: Sequence[Window]
) -> bool:
    """Whether windows, oldest first, are covered or were fetched: a purge deletes both."""
    if not windows:
        return True
    hull = Window(windows[0].start, windows[-1].end)
    fetches = read_fetches(connection, account_scope, hull, EPOCH)
    known = [*read_covered(connection, account_scope, hull), *(window for window, _ in fetches)]
    return not any(gaps(window, known) for window in windows)


def add_fetches(
    connection: Connection,
    account_scope: AccountScope,
    windows: Sequence[Window],
    fetched_at: datetime,
) -> None:
    """Note that every session of these windows was fetched at an instant.

    Of each instant of time only the latest fetch is remembered.
    """
    for window in windows:
        hull = Window(window.start - MICROSECOND, window.end + MICROSECOND)
        present = read_fetches(connection, account_scope, hull, EPOCH)
        connection.execute_many(
            "DELETE FROM verify_walks WHERE account = :account AND scope = :scope "
            "AND starts = :starts AND ends = :ends",
            [account_scope.params(other) for other, _ in present],
        )
        connection.execute_many(
            _UPSERT_FETCH,
            [
                {**account_scope.params(part), "walked": micros(at)}
                for part, at in _with_fetch(present, window, fetched_at)
            ],
        )


def _with_fetch(
    present: Sequence[tuple[Window, datetime]], window: Window, fetched_at: datetime
) -> list[tuple[Window, datetime]]:
    """Fetches of a place with one more, none overlapping; those of one instant are joined."""
    later = [other for other, at in present if at > fetched_at]
    fresh = merge([*gaps(window, later), *(other for other, at in present if at == fetched_at)])
    older = [
        (part, at)
        for other, at in present
        if at != fetched_at
        for part in (gaps(other, [window]) if at < fetched_at else (other,))
    ]
    return [*older, *((part, fetched_at) for part in fresh)]


def delete_fetches_before(connection: Connection, account: str, edge: datetime) -> None:
    """Delete an account's windows that were fetched before an instant."""
    connection.execute(
        "DELETE FROM verify_walks WHERE account = :account AND walked < :edge",
        {"account": account, "edge": micros(edge)},
    )


def latest_fetch(connection: Connection, account: str) -> datetime | None:
    """The latest instant that any window of an account ends at or was fetched at, None without."""
    rows = connection.fetch_all(
        "SELECT max(ends) FROM verify_coverage WHERE account = :account "
        "UNION ALL SELECT max(walked) FROM verify_walks WHERE account = :account",
        {"account": account},
    )
    return max((instant(row[0]) for row in rows if row[0] is not None), default=None)


def delete_before(connection: Connection, account: str, edge: int) -> None:
    """Cut off what of an account's windows lies before an instant in microseconds."""
    values: dict[str, Value] = {"account": account, "edge": edge}
    connection.execute(
        "DELETE FROM verify_coverage WHERE account = :account AND ends <= :edge", values
    )
    connection.execute(
        "UPDATE verify_coverage SET starts = :edge WHERE account = :account AND starts < :edge",
        values,
    )
    connection.execute(
        "DELETE FROM verify_walks WHERE account = :account AND starts < :edge", values
    )
