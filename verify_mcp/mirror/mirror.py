"""The local copy of an account's sessions: read from the store, otherwise fetched and saved."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import anyio

from verify_mcp.domain.api_limits import is_uuid
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.receipts import CLOCK_TOLERANCE, ReplyTime
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, covers, merge, overlap
from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.mirror.recent import RecentSessions
from verify_mcp.mirror.session_source import SessionSource
from verify_mcp.mirror.store import Store
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.page_request import PageRequest
from verify_mcp.settings import Settings

PURGE_INTERVAL = timedelta(hours=6)
"""Time between two removals of sessions that are older than the retention."""
MAX_TURN_WAIT = 3.0
"""Seconds that a walk waits for its turn at most."""
MAX_STALENESS = timedelta(minutes=1)
"""How old sessions that may still change can be in an answer."""


class Mirror:
    """An account's sessions, read through the store; without a store, every page is fetched."""

    def __init__(
        self,
        gateway: SessionSource,
        store: Store | None,
        recent: RecentSessions,
        settings: Settings,
    ) -> None:
        self.gateway = gateway
        self.store = store
        self.settings = settings
        self._recent = recent
        self._next_purge = gateway.api_clock.now()
        self._turn = anyio.Lock()

    async def list_page(
        self, session_filter: SessionFilter, *, limit: int, offset: int, call: CallContext
    ) -> Page:
        """One page of the filtered sessions, from the store if it provably has the API's page.

        Raises QuotaExhausted or ApiError.
        """
        cached = await self._cached_page(session_filter, limit, offset)
        if cached is not None:
            return cached
        return await self.fetch_and_save(session_filter, limit=limit, offset=offset, call=call)

    async def fetch_and_save(
        self, session_filter: SessionFilter, *, limit: int, offset: int, call: CallContext
    ) -> Page:
        """One page from the API, which is saved later. Raises QuotaExhausted or ApiError."""
        page = await self.fetch(PageRequest(session_filter, limit, offset), call=call)
        if self.store is not None:
            await self.store.database.saves.put_off(lambda: self._save_page(session_filter, page))
        return page

    async def fetch(self, request: PageRequest, *, call: CallContext) -> Page:
        """One page from the API, which the caller saves. Raises QuotaExhausted or ApiError."""
        page = await self.gateway.list_sessions(request, call=call)
        for session in page.sessions:
            self._recent.remember(session)
        return page

    @asynccontextmanager
    async def take_turn(self) -> AsyncIterator[None]:
        """Let the walks of this process take turns, so that each sees what the others saved.

        Nobody waits for long: a walk whose requests are slow only loses the others' company.
        """
        has_turn = False
        with anyio.move_on_after(MAX_TURN_WAIT):
            await self._turn.acquire()
            has_turn = True
        try:
            yield
        finally:
            if has_turn:
                self._turn.release()

    async def save(
        self,
        sessions: Sequence[Session],
        scope: str,
        complete_window: Window | None,
        receipt: ReplyTime | None,
        fetched_at: datetime | None = None,
    ) -> None:
        """Save sessions, and claim coverage of the window in which they are all sessions.

        `receipt` is the time of the oldest reply that had one of them. `fetched_at` is the instant
        at which all of the window was seen: for a while that covers its unsettled part, too. An
        unavailable database saves nothing.
        """
        if self.store is None or receipt is None or (not sessions and complete_window is None):
            return
        complete_window = _provable_part(complete_window, receipt)
        now = self.now()
        try:
            await self.store.save(
                sessions, scope, complete_window, receipt.settled_before, fetched_at
            )
            if self.settings.retention and now >= self._next_purge:
                self._next_purge = now + PURGE_INTERVAL
                await self.store.purge(now - self.settings.retention)
        except DatabaseUnavailable:
            return  # the database reports it once; answers go on without the mirror

    async def get_session(self, reference: str, *, call: CallContext) -> Session:
        """The session with this UUID, or the only session seen whose UUID begins with `reference`.

        Raises InvalidArgument, SessionNotFound, QuotaExhausted or ApiError.
        """
        uuid = reference if is_uuid(reference) else await self._recent.expand_id(reference)
        cached = await self._cached_final(uuid)
        if cached is not None:
            return cached
        session = await self.gateway.get_session(uuid, call=call)
        self._recent.remember(session)
        return session

    def now(self) -> datetime:
        """The API's time, aware UTC, by which every window is decided."""
        return self.gateway.api_clock.now()

    async def confirmed_now(self) -> datetime:
        """The latest instant that the API's clock is known to have reached, aware UTC.

        Until a reply shows the API's time, it is the instant of the latest fetch that is stored:
        this machine's clock may be ahead.
        """
        if self.store is None or self.gateway.api_clock.is_compared:
            return self.now()
        try:
            latest = await self.store.latest_fetch()
        except DatabaseUnavailable:
            latest = None
        return self.now() if latest is None else min(latest, self.now())

    async def cached_windows(
        self, scope: str, within: Window, max_staleness: timedelta
    ) -> tuple[tuple[Window, ...], datetime]:
        """The parts of a window that the store answers, and when the oldest of them was fetched.

        A part is final, or was fetched completely at most `max_staleness` ago.
        """
        now = self.now()
        if self.store is None:
            return (), now
        try:
            settled = await self.store.cached_windows(scope, within)
            recent = await self.store.recently_fetched(scope, within, now - max_staleness)
        except DatabaseUnavailable:
            return (), now
        # A later time than now was written by a clock that was wrong.
        recent = [(window, at) for window, at in recent if at <= now + CLOCK_TOLERANCE]
        needed = [
            (part, at)
            for window, at in recent
            if (part := overlap(window, within)) and not covers(part, settled)
        ]
        parts = merge([*settled, *(part for part, _ in needed)])
        return parts, min((at for _, at in needed), default=now)

    async def windows_of_known_text(
        self, scope: str, session_filter: SessionFilter, parts: Sequence[Window]
    ) -> tuple[Window, ...]:
        """The parts of covered windows in which the brand of every session is known."""
        if self.store is None:
            return ()
        try:
            return await self.store.windows_of_known_text(scope, session_filter, parts)
        except DatabaseUnavailable:
            return ()

    async def _save_page(self, session_filter: SessionFilter, page: Page) -> None:
        claim = provable_window(page) if session_filter.is_unfiltered() else None
        await self.save(page.sessions, session_filter.subaccount or "", claim, page.receipt)

    async def _cached_page(
        self, session_filter: SessionFilter, limit: int, offset: int
    ) -> Page | None:
        """A page from the store, None unless the API would provably return the same one.

        The API's order of sessions created in the same instant is not known, so a page that begins
        or ends among such sessions is fetched.
        """
        window = session_filter.window()
        if self.store is None or window is None or not session_filter.answerable_from_mirror():
            return None
        scope, before = session_filter.subaccount or "", min(offset, 1)
        try:
            found = await self.store.list_page(
                session_filter, scope, window, limit=before + limit + 1, offset=offset - before
            )
        except DatabaseUnavailable:
            return None
        if found is None:
            return None
        rows = found.sessions
        if _is_tied(rows, before) or _is_tied(rows, before + limit):
            return None
        sessions = tuple(rows[before : before + limit])
        more = len(rows) > before + limit
        times = tuple(session.created for session in sessions)
        return Page(sessions, received=len(sessions), more=more, times=times, total=found.total)

    async def _cached_final(self, uuid: str) -> Session | None:
        if self.store is None:
            return None
        try:
            return await self.store.get_final(uuid)
        except DatabaseUnavailable:
            return None


def _is_tied(sessions: Sequence[Session], index: int) -> bool:
    """Whether the sessions before and at `index` were created in the same instant."""
    if not 0 < index < len(sessions):
        return False
    return sessions[index - 1].created == sessions[index].created


def provable_window(page: Page) -> Window | None:
    """The window in which an unfiltered page has every session.

    Its first and last instant are left out: sessions of the same microsecond may lie beyond them.
    """
    created = [session.created for session in page.sessions]
    if page.skipped or not created or created != sorted(created, reverse=True):
        return None
    newest, oldest = created[0], created[-1]
    return Window(oldest + MICROSECOND, newest) if oldest + MICROSECOND < newest else None


def _provable_part(claim: Window | None, receipt: ReplyTime) -> Window | None:
    """The part of a claim that lies within the API's reach and before its clock at that reply."""
    if claim is None:
        return None
    start = max(claim.start, receipt.reach)
    end = min(claim.end, receipt.earliest)
    return Window(start, end) if start < end else None
