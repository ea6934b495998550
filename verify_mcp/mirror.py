"""The account's sessions as this process can tell them: asked of the API, kept, found again."""

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc

from verify_mcp.api import open_api
from verify_mcp.database import Access
from verify_mcp.errors import InvalidArgument, SessionNotFound
from verify_mcp.exchange import Effort, Exchange, World
from verify_mcp.filters import SessionFilter
from verify_mcp.flights import Flights
from verify_mcp.ledger import SharedLedger
from verify_mcp.quota import MemoryLedger, Quota
from verify_mcp.sessions import Page, Session, is_uuid
from verify_mcp.settings import IN_MEMORY, Rate, Settings

MOST_SEEN = 5_000
"""Sessions remembered for their short ids."""
SPARE_SHARE = 4
"""Without the shared ledger a process keeps to this fraction of the rate: others may be there."""

logger = logging.getLogger(__name__)


class Mirror:
    """The account's sessions as this process can tell them."""

    def __init__(
        self, exchange: Exchange, access: Access, settings: Settings, world: World
    ) -> None:
        self.exchange = exchange
        self.access = access
        self.settings = settings
        self.world = world
        self._seen: OrderedDict[str, Session] = OrderedDict()

    async def page(self, wanted: SessionFilter, *, limit: int, offset: int, effort: Effort) -> Page:
        """One page of the sessions wanted. Raises QuotaExhausted or ApiError."""
        page = await self.exchange.page(wanted, limit=limit, offset=offset, effort=effort)
        for session in page.sessions:
            self._remember(session)
        return page

    async def session(self, reference: str, *, effort: Effort) -> Session:
        """The session with this UUID, or whose UUID starts so and was seen by this process.

        Raises InvalidArgument, SessionNotFound, QuotaExhausted or ApiError.
        """
        uuid = reference if is_uuid(reference) else self._resolved(reference)
        session = await self.exchange.session(uuid, effort=effort)
        self._remember(session)
        return session

    def seen(self, prefix: str) -> list[str]:
        """UUIDs seen by this process that start so, the latest first."""
        return [uuid for uuid in reversed(self._seen) if uuid.startswith(prefix)]

    def _resolved(self, prefix: str) -> str:
        found = self.seen(prefix)
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
        self._seen[session.uuid] = session
        self._seen.move_to_end(session.uuid)
        if len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)


@asynccontextmanager
async def open_mirror(
    settings: Settings, *, world: World | None = None, app: Callable[..., Any] | None = None
) -> AsyncIterator[Mirror]:
    """The mirror and the doors behind it, for as long as the block.

    `app` is an ASGI application asked in process instead of the API, such as the emulator.
    """
    world = world or World()
    access = Access(settings.database_url, clock=world.clock, say=_say)
    try:
        async with open_api(settings, now=world.now, app=app) as api, _tasks() as tasks:
            exchange = Exchange(
                api,
                lists=_quota("list", settings.rate_limit, access, settings, world),
                retrieves=_quota("get", settings.retrieve_rate_limit, access, settings, world),
                flights=Flights(tasks),
                settings=settings,
                world=world,
            )
            yield Mirror(exchange, access, settings, world)
    finally:
        access.close()


@asynccontextmanager
async def _tasks() -> AsyncIterator[anyio.abc.TaskGroup]:
    """Work that outlives a single call, but not the mirror."""
    async with anyio.create_task_group() as tasks:
        yield tasks
        tasks.cancel_scope.cancel()


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
    logger.warning("%s Going on without it.", problem)
