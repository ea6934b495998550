"""The account's sessions as this process can tell them: held, or asked of the API and kept."""

import logging
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from verify_mcp.clock import Clock
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain import phones
from verify_mcp.domain.api_limits import is_uuid
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.receipts import CLOCK_TOLERANCE, ReplyTime
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.tallies import UNKNOWN
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, covers, merge, overlap
from verify_mcp.errors import DatabaseUnavailable, InvalidArgument, SessionNotFound
from verify_mcp.mirror import masking
from verify_mcp.mirror.lookups import MAX_LOOKUPS, RecipientLookups, current_caller
from verify_mcp.mirror.store import Store
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.gateway import ApiGateway
from verify_mcp.settings import Settings

MAX_RESUMABLE_JOBS = 20
"""Questions whose unfinished work is remembered."""
MAX_SEEN_SESSIONS = 5_000
"""Sessions remembered for their short ids."""
PURGE_INTERVAL = timedelta(hours=6)
"""Between two removals of what is older than the retention."""
MAX_STALENESS = timedelta(minutes=1)
"""How old what is not settled may be in an answer."""

logger = logging.getLogger(__name__)


class ResumableJobs(OrderedDict[Hashable, object]):
    """Work that the same question asked again goes on with; the oldest is forgotten first."""

    def __setitem__(self, key: Hashable, work: object) -> None:
        super().__setitem__(key, work)
        self.move_to_end(key)
        if len(self) > MAX_RESUMABLE_JOBS:
            self.popitem(last=False)


class _SeenSession(NamedTuple):
    """What is remembered of a session seen; whole ones take far more memory."""

    recipient: str
    country: str | None


class Mirror:
    """The account's sessions as this process can tell them."""

    def __init__(
        self,
        gateway: ApiGateway,
        database: ResilientDatabase,
        settings: Settings,
        clock: Clock,
        mask_key: bytes | None,
    ) -> None:
        self.gateway = gateway
        self.database = database
        self.settings = settings
        self.clock = clock
        self.mask_key = mask_key
        self._seen: OrderedDict[str, _SeenSession] = OrderedDict()
        self.lookups = RecipientLookups(clock.monotonic)
        self.resumable_jobs = ResumableJobs()
        self._next_purge = gateway.api_clock.now()
        account = settings.credentials
        self.store = (
            Store(database, account.auth_id, settle=settings.settle)
            if settings.mirror and account
            else None
        )

    async def list_page(
        self, session_filter: SessionFilter, *, limit: int, offset: int, effort: CallContext
    ) -> Page:
        """One page of the sessions wanted, from what is held if that is provably the same.

        Raises QuotaExhausted or ApiError.
        """
        cached = await self._cached_page(session_filter, limit, offset)
        if cached is not None:
            return cached
        return await self.fetch_and_save(session_filter, limit=limit, offset=offset, effort=effort)

    async def fetch_and_save(
        self, session_filter: SessionFilter, *, limit: int, offset: int, effort: CallContext
    ) -> Page:
        """One page asked of the API, and kept."""
        page = await self.fetch(session_filter, limit=limit, offset=offset, effort=effort)
        claim = provable_window(page) if session_filter.is_unfiltered() else None
        await self.save(page.sessions, session_filter.subaccount or "", claim, page.receipt)
        return page

    async def fetch(
        self,
        session_filter: SessionFilter,
        *,
        limit: int,
        offset: int,
        effort: CallContext,
        cursor: str | None = None,
    ) -> Page:
        """One page asked of the API, which the caller keeps."""
        page = await self.gateway.list_sessions(
            session_filter, limit=limit, offset=offset, cursor=cursor, effort=effort
        )
        for session in page.sessions:
            self._remember(session)
        return page

    async def save(
        self,
        sessions: Sequence[Session],
        scope: str,
        complete_window: Window | None,
        receipt: ReplyTime | None,
        fetched_at: datetime | None = None,
    ) -> None:
        """Keep sessions, and claim the window in which they are all there are.

        `receipt` is that of the oldest page they came on. `walked` is the instant at which all of
        that window was seen: for a while its unsettled part will do, too.
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
            return  # said once by the access; answers go on without the mirror

    async def get_session(self, reference: str, *, effort: CallContext) -> Session:
        """The session with this UUID, or whose UUID starts so and was seen before.

        Raises InvalidArgument, SessionNotFound, QuotaExhausted or ApiError.
        """
        uuid = reference if is_uuid(reference) else await self._expand_id(reference)
        cached = await self._cached_final(uuid)
        if cached is not None:
            return cached
        session = await self.gateway.get_session(uuid, effort=effort)
        self._remember(session)
        return session

    async def ids_starting_with(self, prefix: str) -> list[str]:
        """UUIDs seen that start so: by this process, the latest first, then in the store."""
        found = [uuid for uuid in reversed(self._seen) if uuid.startswith(prefix)]
        if self.store is not None and prefix:
            try:
                found += await self.store.ids_starting_with(prefix)
            except DatabaseUnavailable:
                return found
        return list(dict.fromkeys(found))

    def countries_starting_with(self, prefix: str) -> list[str]:
        """Countries seen by this process that start so."""
        countries = {
            each.country or phones.country_of(each.recipient) for each in self._seen.values()
        }
        return sorted(each for each in countries if each and each.startswith(prefix))

    def now(self) -> datetime:
        """The API's time, aware UTC: it decides what a window holds."""
        return self.gateway.api_clock.now()

    async def is_behind_store(self, scope: str) -> bool:
        """Whether stored sessions were fetched at a time that is still to come by this clock."""
        if self.store is None or self.gateway.api_clock.is_compared:
            return False
        try:
            latest = await self.store.latest_fetch(scope)
        except DatabaseUnavailable:
            return False
        return latest is not None and latest > self.now() + CLOCK_TOLERANCE

    async def cached_windows(
        self, scope: str, session_filter: Window, max_staleness: timedelta
    ) -> tuple[tuple[Window, ...], datetime]:
        """The parts of a window that need not be asked again, and how old the oldest part is.

        A part is final, or was seen whole at most `max_staleness` ago.
        """
        now = self.now()
        if self.store is None:
            return (), now
        try:
            settled = await self.store.cached_windows(scope, session_filter)
            recent = await self.store.recently_fetched(scope, session_filter, now - max_staleness)
        except DatabaseUnavailable:
            return (), now
        # A later time than now was written by a clock that was wrong.
        recent = [(window, at) for window, at in recent if at <= now + CLOCK_TOLERANCE]
        needed = [
            (part, at)
            for window, at in recent
            if (part := overlap(window, session_filter)) and not covers(part, settled)
        ]
        parts = merge([*settled, *(part for part, _ in needed)])
        return parts, min((at for _, at in needed), default=now)

    async def windows_of_known_brand(
        self, scope: str, session_filter: SessionFilter, parts: Sequence[Window]
    ) -> tuple[Window, ...]:
        """What of parts that need not be asked again is enough to answer a filter."""
        if self.store is None:
            return ()
        try:
            return await self.store.windows_of_known_brand(scope, session_filter, parts)
        except DatabaseUnavailable:
            return ()

    def format_recipient(self, number: str) -> str:
        """How a recipient is written in answers; an unknown one stays unknown."""
        if number in ("", UNKNOWN):
            return number
        return (
            masking.pseudonym(number, self.mask_key)
            if self.mask_key
            else phones.format_number(number)
        )

    async def resolve_recipient(self, session_filter: SessionFilter) -> SessionFilter:
        """The filter with a pseudonym turned back into its number. Raises InvalidArgument.

        With masking, a caller's look-ups are bounded.
        """
        if session_filter.recipient is None:
            return session_filter
        self._count_lookup(session_filter.recipient)
        parts = masking.parse_pseudonym(session_filter.recipient)
        if parts is None:
            return session_filter
        seen = {each.recipient for each in self._seen.values()}
        try:
            cached = await self.store.recipients_like(*parts) if self.store else []
        except DatabaseUnavailable:
            cached = []
        found = masking.match_pseudonym(
            session_filter.recipient, sorted(seen | set(cached)), self.mask_key or b""
        )
        if len(found) != 1:
            raise InvalidArgument(
                "recipient is a pseudonym that this server has not shown. Give the whole number, "
                "or list sessions first."
            )
        return replace(session_filter, recipient=found[0])

    def _count_lookup(self, recipient: str) -> None:
        """Count one of the caller's look-ups; raises InvalidArgument beyond their bound."""
        if self.mask_key is None:
            return
        caller = current_caller.get()
        if seconds := self.lookups.seconds_until_lookup(caller, recipient):
            raise InvalidArgument(
                f"recipient: {MAX_LOOKUPS} of them were looked up in the last hour, as many as "
                "may be while recipients are masked. Ask again in about "
                f"{int(seconds) // 60 + 1} min, or group a summary by recipient."
            )
        self.lookups.record(caller, recipient)

    async def _cached_page(
        self, session_filter: SessionFilter, limit: int, offset: int
    ) -> Page | None:
        """A page from the store, None unless it is provably the one that the API would give.

        The API's order of sessions created in the same instant is not known, so a page that begins
        or ends among such sessions is asked of the API.
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
        if found is None or _is_tied(found, before) or _is_tied(found, before + limit):
            return None
        sessions = tuple(found[before : before + limit])
        more = len(found) > before + limit
        times = tuple(session.created for session in sessions)
        return Page(sessions, received=len(sessions), more=more, times=times)

    async def _cached_final(self, uuid: str) -> Session | None:
        if self.store is None:
            return None
        try:
            return await self.store.get_final(uuid)
        except DatabaseUnavailable:
            return None

    async def _expand_id(self, prefix: str) -> str:
        found = await self.ids_starting_with(prefix)
        if not found:
            raise SessionNotFound(
                f"No session starting with {prefix} was seen here. Give the full UUID, or find "
                "it with list_verify_sessions first."
            )
        if len(found) > 1:
            raise InvalidArgument(
                f"session_uuid: {prefix} fits {len(found)} sessions: {', '.join(found[:3])}. "
                "Give the full UUID."
            )
        return found[0]

    def _remember(self, session: Session) -> None:
        self._seen[session.uuid] = _SeenSession(session.recipient, session.api_country)
        self._seen.move_to_end(session.uuid)
        if len(self._seen) > MAX_SEEN_SESSIONS:
            self._seen.popitem(last=False)


def _is_tied(sessions: Sequence[Session], index: int) -> bool:
    """Whether the sessions before and at `index` were created in the same instant."""
    if not 0 < index < len(sessions):
        return False
    return sessions[index - 1].created == sessions[index].created


def provable_window(page: Page) -> Window | None:
    """The window in which an unfiltered page's sessions are all there are.

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
