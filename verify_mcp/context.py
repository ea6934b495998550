"""The composition root: opens the API client, the database and the mirror."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc

from verify_mcp.clock import Clock
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.mirror.masking import load_or_create_key
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.client import open_client
from verify_mcp.plivo.gateway import ApiGateway
from verify_mcp.plivo.memory_rate_limit import InMemoryRateLimitStore
from verify_mcp.plivo.rate_limiter import RateLimiter
from verify_mcp.plivo.shared_rate_limit import DatabaseRateLimitStore
from verify_mcp.plivo.single_flight import SingleFlight
from verify_mcp.settings import IN_MEMORY, Rate, Settings

logger = logging.getLogger(__name__)
OFFLINE_RATE_DIVISOR = 4
"""Without the shared ledger a process keeps to this fraction of the rate: others may be there."""


@asynccontextmanager
async def open_mirror(
    settings: Settings, *, world: Clock | None = None, app: Callable[..., Any] | None = None
) -> AsyncIterator[Mirror]:
    """The mirror and the doors behind it, for as long as the block.

    `app` is an ASGI application asked in process instead of the API, such as the emulator.
    """
    # Before any task: its error would otherwise come out as a group of them.
    key = load_or_create_key(settings) if settings.masked else None
    world = world or Clock()
    access = ResilientDatabase(settings.database_url, clock=world.monotonic, say=_warn)
    try:
        async with (
            open_client(settings, now=world.now, monotonic=world.monotonic, app=app) as api,
            _background_tasks() as tasks,
        ):
            exchange = ApiGateway(
                api,
                list_limiter=_rate_limiter("list", settings.rate_limit, access, settings, world),
                get_limiter=_rate_limiter(
                    "get", settings.retrieve_rate_limit, access, settings, world
                ),
                flights=SingleFlight(tasks),
                settings=settings,
                clock=world,
            )
            yield Mirror(exchange, access, settings, world, key)
    finally:
        access.close()


@asynccontextmanager
async def _background_tasks() -> AsyncIterator[anyio.abc.TaskGroup]:
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


def _rate_limiter(
    endpoint: str, rate: Rate, access: ResilientDatabase, settings: Settings, world: Clock
) -> RateLimiter:
    """An endpoint's quota, shared through the database unless that is in memory."""
    clock, sleep = world.monotonic, world.sleep
    if settings.database_url == IN_MEMORY or settings.credentials is None:
        return RateLimiter(InMemoryRateLimitStore(rate, clock=clock), clock=clock, sleep=sleep)
    fallback_rate = Rate(max(1, rate.requests // OFFLINE_RATE_DIVISOR), rate.window)
    return RateLimiter(
        DatabaseRateLimitStore(access, f"{settings.credentials.auth_id}:{endpoint}", rate),
        fallback=InMemoryRateLimitStore(fallback_rate, clock=clock),
        clock=clock,
        sleep=sleep,
    )


def _warn(problem: str) -> None:
    logger.warning("%s", problem)
