"""The stored sessions of one account, and the windows in which every session is stored.

A session is *final* once it ended and its last attempt lies a settling time back: it will not
change any more. A window is claimed only if each of its sessions is stored and final, in the
transaction that stores the last of them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from verify_mcp.database.base import Connection
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain.filters import TEXT_FILTERS, SessionFilter
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, covers, gaps, overlap
from verify_mcp.mirror import apps, coverage, daily_totals, delivery_rows, rebuild, session_rows
from verify_mcp.mirror.daily_totals import day_number
from verify_mcp.mirror.figure_store import FigureStore
from verify_mcp.mirror.scope import DAY, END_OF_TIME, EPOCH, AccountScope, micros
from verify_mcp.mirror.session_rows import SessionRow, is_storable
from verify_mcp.mirror.stored_pages import StoredPage, read_newest, read_page
from verify_mcp.mirror.unknown_texts import windows_of_unknown_text

RECENT_FETCHES = timedelta(minutes=90)
"""How long the fetch of a window is remembered that may still change."""


class Store(FigureStore):
    """One account's sessions; `scope` is a subaccount's id, or "" for the account itself.

    Methods raise DatabaseUnavailable.
    """

    def __init__(self, database: ResilientDatabase, account: str, *, settle: timedelta) -> None:
        super().__init__(database, account)
        self._settle = settle

    async def save(
        self,
        sessions: Sequence[Session],
        scope: str,
        window: Window | None,
        fetched: datetime,
        walked: datetime | None = None,
    ) -> None:
        """Store sessions, and claim the settled part of `window` if they are all it holds.

        `walked` is the instant at which the rest of the window, too, was complete.
        """
        account_scope = self.account_scope(scope)
        stored = [session for session in sessions if is_storable(session)]
        rows = [self._row(session, fetched) for session in stored]
        params = [row.params(account_scope) for row in rows]
        bodies = [row.body_params(account_scope) for row in rows]
        named = apps.app_params(self.account, stored)
        claims = self._settled_part(sessions, window, fetched)
        fetches = _without_unstorable(sessions, window) if walked else ()

        def work(connection: Connection) -> None:
            self.lock(connection)
            if session_rows.upsert(connection, params, bodies):
                days = {day_number(session.created) for session in stored}
                daily_totals.delete(connection, account_scope, days)
                apps.upsert_apps(connection, named)
            if claims:
                coverage.add_covered(connection, account_scope, claims)
            _update_daily_totals(connection, account_scope, stored, claims)
            if fetches and walked:
                coverage.delete_fetches_before(connection, self.account, fetched - RECENT_FETCHES)
                coverage.add_fetches(connection, account_scope, fetches, walked)

        await self.database.write(work)

    async def cached_windows(self, scope: str, window: Window) -> tuple[Window, ...]:
        """The parts of a window in which every session is stored and final."""
        covered = await self.database.read_batched(
            lambda connection: coverage.read_covered(connection, self.account_scope(scope), window)
        )
        return tuple(shared for part in covered if (shared := overlap(part, window)))

    async def windows_of_known_text(
        self, scope: str, session_filter: SessionFilter, windows: Sequence[Window]
    ) -> tuple[Window, ...]:
        """What of some windows is enough for a filter: each brand and app hash is known there.

        All from the oldest unknown one on is left out: one gap costs the fewest requests.
        """
        if TEXT_FILTERS.keys().isdisjoint(session_filter.set_filters()) or not windows:
            return tuple(windows)
        await self.rebuild(scope, windows)

        def work(connection: Connection) -> tuple[Window, ...]:
            account_scope = self.account_scope(scope)
            unknown = [
                part
                for window in windows
                for part in windows_of_unknown_text(
                    connection, account_scope, session_filter, window
                )
            ]
            hull = [Window(unknown[0].start, windows[-1].end)] if unknown else []
            return tuple(part for window in windows for part in gaps(window, hull))

        return await self.database.read(work)

    async def latest_fetch(self) -> datetime | None:
        """The latest instant by the API's clock that any window was fetched at or ends at."""
        return await self.database.read(
            lambda connection: coverage.latest_fetch(connection, self.account)
        )

    async def recently_fetched(
        self, scope: str, window: Window, since: datetime
    ) -> list[tuple[Window, datetime]]:
        """The windows that overlap a window and were fetched as a whole since then, and when."""
        return await self.database.read(
            lambda connection: coverage.read_fetches(
                connection, self.account_scope(scope), window, since
            )
        )

    async def list_page(
        self, session_filter: SessionFilter, scope: str, window: Window, *, limit: int, offset: int
    ) -> StoredPage | None:
        """Sessions of a window, newest first; None unless all of it is final, and enough."""
        account_scope = self.account_scope(scope)

        def work(connection: Connection) -> tuple[list[bytes], int | None] | None:
            if not covers(window, coverage.read_covered(connection, account_scope, window)):
                return None
            if windows_of_unknown_text(connection, account_scope, session_filter, window):
                return None
            return read_page(
                connection, account_scope, session_filter, window, limit=limit, offset=offset
            )

        # A batch is as slow as its slowest read, so a query without an index is not batched.
        by_index = session_filter.recipient is not None or session_filter.is_unfiltered()
        is_quick = by_index or window.length <= DAY
        read = self.database.read_batched if is_quick else self.database.read
        found = await read(work)
        if found is None:
            return None
        bodies, count = found
        return StoredPage([session_rows.parse_body(body) for body in bodies], count)

    async def list_newest(
        self,
        session_filter: SessionFilter,
        scope: str,
        windows: Sequence[Window],
        *,
        since: datetime,
        limit: int,
    ) -> list[Session]:
        """The newest sessions of some windows, oldest window first, since an instant."""
        account_scope = self.account_scope(scope)
        parts = [Window(max(part.start, since), part.end) for part in windows if part.end > since]
        bodies = await self.database.read(
            lambda connection: read_newest(
                connection, account_scope, session_filter, parts, limit=limit
            )
        )
        return [session_rows.parse_body(body) for body in bodies]

    async def ids_starting_with(self, prefix: str, *, limit: int = 5) -> list[str]:
        """The UUIDs of stored sessions that start so."""
        return await self.database.read(
            lambda connection: session_rows.ids_starting_with(
                connection, self.account, prefix, limit=limit
            )
        )

    async def get_final(self, uuid: str) -> Session | None:
        """The session, None if it is not stored or may still change."""
        body = await self.database.read(
            lambda connection: session_rows.get_final_body(connection, self.account, uuid)
        )
        return session_rows.parse_body(body) if body else None

    async def recipients_like(self, start: str, end: str) -> list[str]:
        """The stored recipients whose digits start and end so."""
        return await self.database.read(
            lambda connection: session_rows.recipients_like(connection, self.account, start, end)
        )

    async def read_apps(self) -> dict[str, str]:
        """The alias of each app of the account, "" where none is known."""
        return await self.database.read_batched(
            lambda connection: apps.read_apps(connection, self.account)
        )

    async def stats(self, scope: str) -> tuple[int, tuple[Window, ...]]:
        """How many sessions of the account are stored, and every covered window of the scope."""

        def work(connection: Connection) -> tuple[int, tuple[Window, ...]]:
            covered = coverage.read_covered(
                connection, self.account_scope(scope), Window(EPOCH, END_OF_TIME)
            )
            return session_rows.count(connection, self.account), tuple(covered)

        return await self.database.read(work)

    async def count_unsettled(self) -> int:
        """How many stored sessions of the account may still change."""
        return await self.database.read(
            lambda connection: session_rows.count_unsettled(connection, self.account)
        )

    def for_account(self, account: str) -> "Store":
        """The sessions of another account in the same database."""
        other = Store(self.database, account, settle=self._settle)
        other.max_rebuild = self.max_rebuild
        return other

    async def for_each_account(self) -> list["Store"]:
        """A store for each account of which this database holds anything."""
        rows = await self.database.read(
            lambda connection: connection.fetch_all(
                "SELECT account FROM verify_sessions UNION SELECT account FROM verify_coverage "
                "UNION SELECT account FROM verify_deliveries"
            )
        )
        return [self.for_account(str(row[0])) for row in rows]

    async def purge(self, before: datetime | None) -> int:
        """Delete sessions created before then, or all of them; how many there were."""
        edge = micros(before or END_OF_TIME)

        def work(connection: Connection) -> int:
            self.lock(connection)
            coverage.delete_before(connection, self.account, edge)
            daily_totals.delete_before(connection, self.account, edge)
            apps.delete_before(connection, self.account, edge)
            delivery_rows.delete_before(connection, self.account, edge)
            return session_rows.delete_before(connection, self.account, edge)

        return await self.database.write(work)

    def _settled_part(
        self, sessions: Sequence[Session], window: Window | None, fetched: datetime
    ) -> tuple[Window, ...]:
        """The settled part of a window whose sessions these are: holes where one may change."""
        end = min(window.end, fetched - self._settle) if window else fetched
        if window is None or end <= window.start:
            return ()
        changing = [
            session
            for session in sessions
            if not (self._is_final(session, fetched) and is_storable(session))
        ]
        return gaps(Window(window.start, end), map(_instant_of, changing))

    def _is_final(self, session: Session, fetched: datetime) -> bool:
        last = session.updated or session.created
        return session.ended and last <= fetched - self._settle

    def _row(self, session: Session, fetched: datetime) -> SessionRow:
        return SessionRow(session, self._is_final(session, fetched), fetched)


def _instant_of(session: Session) -> Window:
    """The window of the one instant at which a session was created."""
    return Window(session.created, session.created + MICROSECOND)


def _without_unstorable(sessions: Sequence[Session], window: Window | None) -> tuple[Window, ...]:
    """A window without the instants of sessions that cannot be stored."""
    unstorable = [session for session in sessions if not is_storable(session)]
    return gaps(window, map(_instant_of, unstorable)) if window else ()


def _update_daily_totals(
    connection: Connection,
    account_scope: AccountScope,
    stored: Sequence[Session],
    claims: Sequence[Window],
) -> None:
    """Add up the days that are complete now: those of these sessions, or where a claim ends."""
    moments = [session.created for session in stored]
    moments += [edge for claim in claims for edge in (claim.start, claim.end)]
    if not moments:
        return
    rebuild.add_totals(connection, account_scope, {day_number(moment) for moment in moments})
