"""Rows that an earlier version wrote: their newer columns are filled from their bodies, by day.

A migration that did so at once would lock the database for minutes. Until a day is rebuilt, no
figure is read from it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from verify_mcp.database.base import Connection, Value
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, overlap
from verify_mcp.mirror import apps, coverage, daily_totals, session_rows
from verify_mcp.mirror.daily_totals import day_window
from verify_mcp.mirror.scope import DAY, AccountScope
from verify_mcp.mirror.session_rows import DERIVED_COLUMNS

_UPDATE = (
    "UPDATE verify_sessions SET "  # noqa: S608 - fixed names
    f"{', '.join(f'{name} = :{name}' for name in DERIVED_COLUMNS)} "
    "WHERE account = :account AND scope = :scope AND created = :created AND session = :session "
    "AND fetched = :fetched"
)


def days_to_rebuild(
    connection: Connection, account_scope: AccountScope, windows: Sequence[Window]
) -> list[int]:
    """The days of some windows that have rows to rebuild, the newest first."""
    # Compared as expressions, so that SQLite reads the index of such rows, not the account.
    rows = connection.fetch_all(
        f"SELECT DISTINCT created / {DAY // MICROSECOND} FROM verify_sessions "  # noqa: S608 - fixed names
        "WHERE derived = 0 AND account || '' = :account AND scope || '' = :scope",
        account_scope.day_params(0),
    )
    days = sorted((int(row[0]) for row in rows), reverse=True)
    return [day for day in days if any(overlap(day_window(day), window) for window in windows)]


def without_days_to_rebuild(
    connection: Connection, account_scope: AccountScope, days: Collection[int]
) -> list[int]:
    """Those of some days that need not be rebuilt, in order."""
    left = days_to_rebuild(connection, account_scope, [day_window(day) for day in days])
    return sorted(set(days) - set(left))


@dataclass(frozen=True, slots=True)
class RebuiltDay:
    """A day's rows as their keys and the values that they lack, and the apps of its sessions."""

    rows: Sequence[Mapping[str, Value]]
    apps: Sequence[Mapping[str, Value]]


def read_day(connection: Connection, account_scope: AccountScope, day: int) -> RebuiltDay:
    """What the rows of a day lack, from their bodies."""
    where, values = account_scope.where(SessionFilter(), day_window(day))
    found = connection.fetch_all(
        "SELECT created, session, fetched, body FROM verify_sessions "  # noqa: S608 - fixed names
        "JOIN verify_bodies USING (account, scope, created, session) "
        f"WHERE {where} AND derived = 0",
        values,
    )
    sessions = [session_rows.decode_body(bytes(row[3])) for row in found]
    rows = [
        {
            "account": account_scope.account,
            "scope": account_scope.scope,
            "created": row[0],
            "session": row[1],
            "fetched": row[2],
            **session_rows.derived_params(session),
        }
        for row, session in zip(found, sessions, strict=True)
    ]
    return RebuiltDay(rows, apps.app_params(account_scope.account, sessions))


def write_day(connection: Connection, day: RebuiltDay) -> None:
    """Fill the columns of a day's rows, but of those that were replaced since they were read."""
    connection.execute_many(_UPDATE, day.rows)
    apps.upsert_apps(connection, day.apps)


def add_totals(connection: Connection, account_scope: AccountScope, days: Collection[int]) -> None:
    """Add up those of some days that are complete and have no totals."""
    hull = Window(day_window(min(days)).start, day_window(max(days)).end)
    covered = coverage.read_covered(connection, account_scope, hull)
    days = without_days_to_rebuild(connection, account_scope, days)
    daily_totals.add_complete_days(connection, account_scope, days, covered)
