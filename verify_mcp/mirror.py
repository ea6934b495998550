"""The account's sessions as this process can tell them: held, or asked of the API and kept."""

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import anyio
import anyio.abc

from verify_mcp import phones
from verify_mcp.api import open_api
from verify_mcp.api_clock import CLOCK_TOLERANCE, Receipt
from verify_mcp.callers import MOST_LOOKUPS, LookUps, asker
from verify_mcp.database import Access
from verify_mcp.errors import DatabaseUnavailable, InvalidArgument, SessionNotFound
from verify_mcp.exchange import Effort, Exchange, World
from verify_mcp.filters import MICROSECOND, SessionFilter
from verify_mcp.flights import Flights
from verify_mcp.ledger import SharedLedger
from verify_mcp.masks import open_key
from verify_mcp.quota import MemoryLedger, Quota
from verify_mcp.sessions import Page, Session, is_uuid
from verify_mcp.settings import IN_MEMORY, Rate, Settings
from verify_mcp.store import Store
from verify_mcp.summary import UNKNOWN
from verify_mcp.windows import Window, covered, merged, overlap

MOST_UNFINISHED = 20
"""Questions whose unfinished work is remembered."""
MOST_SEEN = 5_000
"""Sessions remembered for their short ids."""
SPARE_SHARE = 4
"""Without the shared ledger a process keeps to this fraction of the rate: others may be there."""
TIDY_EVERY = timedelta(hours=6)
"""Between two removals of what is older than the retention."""
MAX_STALENESS = timedelta(minutes=1)
"""How old what is not settled may be in an answer."""

logger = logging.getLogger(__name__)


class Unfinished(OrderedDict[Hashable, object]):
    """Work that the same question asked again goes on with; the oldest is forgotten first."""

    def __setitem__(self, key: Hashable, work: object) -> None:
        super().__setitem__(key, work)
        self.move_to_end(key)
        if len(self) > MOST_UNFINISHED:
            self.popitem(last=False)


class _Trace(NamedTuple):
    """What is remembered of a session seen; whole ones take far more memory."""

    recipient: str
    country: str | None


class Mirror:
    """The account's sessions as this process can tell them."""

    def __init__(
        self,
        exchange: Exchange,
        access: Access,
        settings: Settings,
        world: World,
        key: bytes | None,
    ) -> None:
        self.exchange = exchange
        self.access = access
        self.settings = settings
        self.world = world
        self.key = key
        self._seen: OrderedDict[str, _Trace] = OrderedDict()
        self.lookups = LookUps(world.clock)
        self.unfinished = Unfinished()
        self._tidy_at = exchange.clock.now()
        account = settings.credentials
        self.store = (
            Store(access, account.auth_id, settle=settings.settle)
            if settings.mirror and account
            else None
        )

    async def page(self, wanted: SessionFilter, *, limit: int, offset: int, effort: Effort) -> Page:
        """One page of the sessions wanted, from what is held if that is provably the same.

        Raises QuotaExhausted or ApiError.
        """
        held = await self._held_page(wanted, limit, offset)
        if held is not None:
            return held
        return await self.fetched(wanted, limit=limit, offset=offset, effort=effort)

    async def fetched(
        self, wanted: SessionFilter, *, limit: int, offset: int, effort: Effort
    ) -> Page:
        """One page asked of the API, and kept."""
        page = await self.asked(wanted, limit=limit, offset=offset, effort=effort)
        claim = between(page) if wanted.is_open() else None
        await self.keep(page.sessions, wanted.subaccount or "", claim, page.receipt)
        return page

    async def asked(
        self,
        wanted: SessionFilter,
        *,
        limit: int,
        offset: int,
        effort: Effort,
        cursor: str | None = None,
    ) -> Page:
        """One page asked of the API, which the caller keeps."""
        page = await self.exchange.page(
            wanted, limit=limit, offset=offset, cursor=cursor, effort=effort
        )
        for session in page.sessions:
            self._remember(session)
        return page

    async def keep(
        self,
        sessions: Sequence[Session],
        scope: str,
        claim: Window | None,
        receipt: Receipt | None,
        walked: datetime | None = None,
    ) -> None:
        """Keep sessions, and claim the window in which they are all there are.

        `receipt` is that of the oldest page they came on. `walked` is the instant at which all of
        that window was seen: for a while its unsettled part will do, too.
        """
        if self.store is None or receipt is None or (not sessions and claim is None):
            return
        claim = _provable(claim, receipt)
        now = self.now()
        try:
            await self.store.keep(sessions, scope, claim, receipt.settled_by, walked)
            if self.settings.retention and now >= self._tidy_at:
                self._tidy_at = now + TIDY_EVERY
                await self.store.purge(now - self.settings.retention)
        except DatabaseUnavailable:
            return  # said once by the access; answers go on without the mirror

    async def session(self, reference: str, *, effort: Effort) -> Session:
        """The session with this UUID, or whose UUID starts so and was seen before.

        Raises InvalidArgument, SessionNotFound, QuotaExhausted or ApiError.
        """
        uuid = reference if is_uuid(reference) else await self._resolved(reference)
        held = await self._final(uuid)
        if held is not None:
            return held
        session = await self.exchange.session(uuid, effort=effort)
        self._remember(session)
        return session

    async def seen(self, prefix: str) -> list[str]:
        """UUIDs seen that start so: by this process, the latest first, then in the store."""
        found = [uuid for uuid in reversed(self._seen) if uuid.startswith(prefix)]
        if self.store is not None and prefix:
            try:
                found += await self.store.starting(prefix)
            except DatabaseUnavailable:
                return found
        return list(dict.fromkeys(found))

    def countries(self, prefix: str) -> list[str]:
        """Countries seen by this process that start so."""
        told = {each.country or phones.country(each.recipient) for each in self._seen.values()}
        return sorted(each for each in told if each and each.startswith(prefix))

    def now(self) -> datetime:
        """The API's time, aware UTC: it decides what a window holds."""
        return self.exchange.clock.now()

    async def is_behind_store(self, scope: str) -> bool:
        """Whether stored sessions were fetched at a time that is still to come by this clock."""
        if self.store is None or self.exchange.clock.is_compared:
            return False
        try:
            latest = await self.store.latest(scope)
        except DatabaseUnavailable:
            return False
        return latest is not None and latest > self.now() + CLOCK_TOLERANCE

    async def covered(
        self, scope: str, wanted: Window, max_staleness: timedelta
    ) -> tuple[tuple[Window, ...], datetime]:
        """The parts of a window that need not be asked again, and how old the oldest part is.

        A part is final, or was seen whole at most `max_staleness` ago.
        """
        now = self.now()
        if self.store is None:
            return (), now
        try:
            settled = await self.store.covered(scope, wanted)
            recent = await self.store.walked(scope, wanted, now - max_staleness)
        except DatabaseUnavailable:
            return (), now
        # A later time than now was written by a clock that was wrong.
        recent = [(window, at) for window, at in recent if at <= now + CLOCK_TOLERANCE]
        needed = [
            (part, at)
            for window, at in recent
            if (part := overlap(window, wanted)) and not covered(part, settled)
        ]
        parts = merged([*settled, *(part for part, _ in needed)])
        return parts, min((at for _, at in needed), default=now)

    async def decided(
        self, scope: str, wanted: SessionFilter, parts: Sequence[Window]
    ) -> tuple[Window, ...]:
        """What of parts that need not be asked again is enough to answer a filter."""
        if self.store is None:
            return ()
        try:
            return await self.store.decided(scope, wanted, parts)
        except DatabaseUnavailable:
            return ()

    def shown(self, number: str) -> str:
        """How a recipient is written in answers; an unknown one stays unknown."""
        if number in ("", UNKNOWN):
            return number
        return phones.pseudonym(number, self.key) if self.key else phones.shown(number)

    async def with_number(self, wanted: SessionFilter) -> SessionFilter:
        """The filter with a pseudonym turned back into its number. Raises InvalidArgument.

        With masking, a caller's look-ups are bounded.
        """
        if wanted.recipient is None:
            return wanted
        self._count_lookup(wanted.recipient)
        parts = phones.mask_parts(wanted.recipient)
        if parts is None:
            return wanted
        seen = {each.recipient for each in self._seen.values()}
        try:
            held = await self.store.numbers_like(*parts) if self.store else []
        except DatabaseUnavailable:
            held = []
        found = phones.unmasked(wanted.recipient, sorted(seen | set(held)), self.key or b"")
        if len(found) != 1:
            raise InvalidArgument(
                "recipient is a pseudonym that this server has not shown. Give the whole number, "
                "or list sessions first."
            )
        return replace(wanted, recipient=found[0])

    def _count_lookup(self, recipient: str) -> None:
        """Count one of the caller's look-ups; raises InvalidArgument beyond their bound."""
        if self.key is None:
            return
        caller = asker.get()
        if seconds := self.lookups.wait(caller, recipient):
            raise InvalidArgument(
                f"recipient: {MOST_LOOKUPS} of them were looked up in the last hour, as many as "
                "may be while recipients are masked. Ask again in about "
                f"{int(seconds) // 60 + 1} min, or group a summary by recipient."
            )
        self.lookups.note(caller, recipient)

    async def _held_page(self, wanted: SessionFilter, limit: int, offset: int) -> Page | None:
        """A page from the store, None unless it is provably the one that the API would give.

        The API's order of sessions created in the same instant is not known, so a page that begins
        or ends among such sessions is asked of the API.
        """
        window = wanted.window()
        if self.store is None or window is None or not wanted.on_what_is_kept():
            return None
        scope, before = wanted.subaccount or "", min(offset, 1)
        try:
            found = await self.store.page(
                wanted, scope, window, limit=before + limit + 1, offset=offset - before
            )
        except DatabaseUnavailable:
            return None
        if found is None or _is_tied(found, before) or _is_tied(found, before + limit):
            return None
        sessions = tuple(found[before : before + limit])
        more = len(found) > before + limit
        times = tuple(session.created for session in sessions)
        return Page(sessions, received=len(sessions), more=more, times=times)

    async def _final(self, uuid: str) -> Session | None:
        if self.store is None:
            return None
        try:
            return await self.store.final(uuid)
        except DatabaseUnavailable:
            return None

    async def _resolved(self, prefix: str) -> str:
        found = await self.seen(prefix)
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
        self._seen[session.uuid] = _Trace(session.recipient, session.told_country)
        self._seen.move_to_end(session.uuid)
        if len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)


def _is_tied(sessions: Sequence[Session], index: int) -> bool:
    """Whether the sessions before and at `index` were created in the same instant."""
    if not 0 < index < len(sessions):
        return False
    return sessions[index - 1].created == sessions[index].created


def between(page: Page) -> Window | None:
    """The window in which an unfiltered page's sessions are all there are.

    Its first and last instant are left out: sessions of the same microsecond may lie beyond them.
    """
    created = [session.created for session in page.sessions]
    if page.skipped or not created or created != sorted(created, reverse=True):
        return None
    newest, oldest = created[0], created[-1]
    return Window(oldest + MICROSECOND, newest) if oldest + MICROSECOND < newest else None


def _provable(claim: Window | None, receipt: Receipt) -> Window | None:
    """The part of a claim that lies within the API's reach and before its clock at that reply."""
    if claim is None:
        return None
    start = max(claim.start, receipt.reach)
    end = min(claim.end, receipt.earliest)
    return Window(start, end) if start < end else None


@asynccontextmanager
async def open_mirror(
    settings: Settings, *, world: World | None = None, app: Callable[..., Any] | None = None
) -> AsyncIterator[Mirror]:
    """The mirror and the doors behind it, for as long as the block.

    `app` is an ASGI application asked in process instead of the API, such as the emulator.
    """
    # Before any task: its error would otherwise come out as a group of them.
    key = open_key(settings) if settings.masked else None
    world = world or World()
    access = Access(settings.database_url, clock=world.clock, say=_say)
    try:
        async with (
            open_api(settings, now=world.now, monotonic=world.clock, app=app) as api,
            _tasks() as tasks,
        ):
            exchange = Exchange(
                api,
                lists=_quota("list", settings.rate_limit, access, settings, world),
                retrieves=_quota("get", settings.retrieve_rate_limit, access, settings, world),
                flights=Flights(tasks),
                settings=settings,
                world=world,
            )
            yield Mirror(exchange, access, settings, world, key)
    finally:
        access.close()


@asynccontextmanager
async def _tasks() -> AsyncIterator[anyio.abc.TaskGroup]:
    """Work that outlives a single call, but not the mirror."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:  # noqa: BLE001 - raised below, as it is and not in a group
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _quota(endpoint: str, rate: Rate, access: Access, settings: Settings, world: World) -> Quota:
    """An endpoint's quota, shared through the database unless that is in memory."""
    clock, sleep = world.clock, world.sleep
    if settings.database_url == IN_MEMORY or settings.credentials is None:
        return Quota(MemoryLedger(rate, clock=clock), clock=clock, sleep=sleep)
    spare = Rate(max(1, rate.requests // SPARE_SHARE), rate.window)
    return Quota(
        SharedLedger(access, f"{settings.credentials.auth_id}:{endpoint}", rate),
        spare=MemoryLedger(spare, clock=clock),
        clock=clock,
        sleep=sleep,
    )


def _say(problem: str) -> None:
    logger.warning("%s", problem)
