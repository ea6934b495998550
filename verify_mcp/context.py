"""The composition root: opens the API client and the database, and composes the parts of a call."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import anyio
import anyio.abc

from verify_mcp.background.background import Background
from verify_mcp.clock import Clock
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.database.status import DatabaseStatus
from verify_mcp.deferred import DeferredWork
from verify_mcp.mirror.deliveries import Deliveries
from verify_mcp.mirror.lookups import RecipientLookups
from verify_mcp.mirror.masking import load_or_create_key
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.mirror.recent import RecentSessions
from verify_mcp.mirror.recipients import Recipients
from verify_mcp.mirror.resumable_jobs import ResumableJobs
from verify_mcp.mirror.session_source import SessionSource
from verify_mcp.mirror.store import Store
from verify_mcp.plivo.api_clock import ApiClock
from verify_mcp.plivo.client import VerifyClient, open_client
from verify_mcp.plivo.gateway import ApiGateway
from verify_mcp.plivo.memory_rate_limit import InMemoryRateLimitStore
from verify_mcp.plivo.rate_limiter import RateLimiter
from verify_mcp.plivo.shared_rate_limit import DatabaseRateLimitStore
from verify_mcp.plivo.single_flight import SingleFlight
from verify_mcp.settings import IN_MEMORY, Rate, Settings

logger = logging.getLogger(__name__)
MAX_REBUILD_SECONDS = 25.0
"""Seconds that a server's call completes rows of an earlier version: clients wait about sixty."""
OFFLINE_RATE_DIVISOR = 4
"""Without the shared state of the rate limit a process uses this part of the rate: other processes
may be running."""

RECORD_RATE = Rate(5, 1.0)
"""Requests for records of single messages and calls: a twelfth of the 300 in 5 s that an account
may send to all endpoints together. Source: the page "Account limits" of Plivo's reference."""


@dataclass(frozen=True, slots=True)
class AppContext:
    """The parts that answer a call, as its caller may use them."""

    clock: Clock
    settings: Settings
    gateway: SessionSource
    """The API's endpoints, their rate limits and the API's clock."""
    database: DatabaseStatus
    mirror: Mirror
    deliveries: Deliveries
    recent: RecentSessions
    recipients: Recipients
    resumable_jobs: ResumableJobs
    background: Background
    """The work between two calls, which only a server does: see `open_serving_context`."""

    @property
    def api_clock(self) -> ApiClock:
        """The API's clock, which decides what a window has."""
        return self.gateway.api_clock

    def now(self) -> datetime:
        """The API's time, aware UTC."""
        return self.api_clock.now()


def compose(
    *,
    clock: Clock,
    settings: Settings,
    gateway: SessionSource,
    database: DatabaseStatus,
    store: Store | None,
    recent: RecentSessions,
    recipients: Recipients,
) -> AppContext:
    """A context of these parts, with a mirror and resumable jobs for it alone."""
    mirror = Mirror(gateway, store, recent, settings)
    return AppContext(
        clock=clock,
        settings=settings,
        gateway=gateway,
        database=database,
        mirror=mirror,
        deliveries=Deliveries(gateway, store, settings),
        recent=recent,
        recipients=recipients,
        resumable_jobs=ResumableJobs(),
        background=Background(mirror, clock, settings),
    )


@asynccontextmanager
async def open_context(
    settings: Settings, *, clock: Clock | None = None, app: Callable[..., Any] | None = None
) -> AsyncIterator[AppContext]:
    """The context of a process, whose API client and database are open as long as the block.

    `app` is an ASGI application that is called in process instead of the API, such as the emulator.
    Raises InvalidSetting when recipients are masked and their key cannot be used.
    """
    # Before any task: its error would otherwise come out as a group of them.
    key = load_or_create_key(settings) if settings.masked else None
    clock = clock or Clock()
    database = ResilientDatabase(settings.database_url, clock=clock.monotonic, on_problem=_warn)
    try:
        async with (
            open_client(settings, now=clock.now, monotonic=clock.monotonic, app=app) as client,
            _background_tasks() as tasks,
        ):
            database.saves = DeferredWork(tasks)
            store = _open_store(database, settings)
            recent = RecentSessions(store)
            yield compose(
                clock=clock,
                settings=settings,
                gateway=_open_gateway(client, database, tasks, settings, clock),
                database=database,
                store=store,
                recent=recent,
                recipients=Recipients(key, RecipientLookups(clock.monotonic), recent),
            )
    finally:
        database.close()


@asynccontextmanager
async def open_serving_context(
    settings: Settings, *, clock: Clock | None = None, app: Callable[..., Any] | None = None
) -> AsyncIterator[AppContext]:
    """The context of a server, which also works in the background. Raises InvalidSetting."""
    async with (
        open_context(settings, clock=clock, app=app) as context,
        _background_tasks() as tasks,
    ):
        if context.mirror.store is not None:
            context.mirror.store.max_rebuild = MAX_REBUILD_SECONDS
        tasks.start_soon(context.background.run)
        yield context


def _open_store(database: ResilientDatabase, settings: Settings) -> Store | None:
    """The account's sessions; None without an account, or when the mirror is off."""
    account = settings.credentials
    if account is None or not settings.mirror:
        return None
    return Store(database, account.auth_id, settle=settings.settle)


def _open_gateway(
    client: VerifyClient,
    database: ResilientDatabase,
    tasks: anyio.abc.TaskGroup,
    settings: Settings,
    clock: Clock,
) -> ApiGateway:
    def limiter(endpoint: str, rate: Rate) -> RateLimiter:
        return _rate_limiter(endpoint, rate, database, tasks, settings, clock)

    return ApiGateway(
        client,
        list_limiter=limiter("list", settings.rate_limit),
        get_limiter=limiter("get", settings.retrieve_rate_limit),
        record_limiter=limiter("record", RECORD_RATE),
        flights=SingleFlight(tasks),
        settings=settings,
        clock=clock,
    )


@asynccontextmanager
async def _background_tasks() -> AsyncIterator[anyio.abc.TaskGroup]:
    """Tasks that outlive a single call, but not the context."""
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
    endpoint: str,
    rate: Rate,
    database: ResilientDatabase,
    tasks: anyio.abc.TaskGroup,
    settings: Settings,
    clock: Clock,
) -> RateLimiter:
    """An endpoint's quota, shared through the database unless that is in memory."""
    monotonic, sleep, now = clock.monotonic, clock.sleep, clock.now
    if settings.database_url == IN_MEMORY or settings.credentials is None:
        return RateLimiter(
            InMemoryRateLimitStore(rate, clock=monotonic), clock=monotonic, sleep=sleep, now=now
        )
    fallback_rate = Rate(max(1, rate.requests // OFFLINE_RATE_DIVISOR), rate.window)
    return RateLimiter(
        DatabaseRateLimitStore(database, f"{settings.credentials.auth_id}:{endpoint}", rate),
        fallback=InMemoryRateLimitStore(fallback_rate, clock=monotonic),
        releases=DeferredWork(tasks),
        clock=monotonic,
        sleep=sleep,
        now=now,
    )


def _warn(problem: str) -> None:
    logger.warning("%s", problem)
