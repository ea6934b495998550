"""A loop of small steps that one process of all runs: the one that has a lease."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn

import anyio
import anyio.lowlevel

from verify_mcp.background.lease import HEARTBEAT_SECONDS, Lease
from verify_mcp.clock import Clock
from verify_mcp.errors import ApiError, DatabaseUnavailable, QuotaExhausted

logger = logging.getLogger(__name__)

START_SECONDS = 5.0
"""Seconds between the start of a process and its first step: the first call goes first."""
STANDBY_SECONDS = 10.0
"""Seconds between two looks at a lease that another process has, or at a database that is away."""
RETRY_SECONDS = 60.0
"""Seconds after a fault until the next step."""
BUSY_SECONDS = 1.0
"""Seconds between two looks at the quota while it is used up."""
RELEASE_SECONDS = 0.5
"""Seconds that the release of the lease may take at the end of the process."""


class LeasedLoop:
    """Repeats `work` while this process has the lease; `work` returns the seconds to wait then.

    Without a lease each process does its work.
    """

    def __init__(
        self,
        lease: Lease | None,
        work: Callable[[], Awaitable[float]],
        clock: Clock,
        *,
        start: float = START_SECONDS,
        fatal: tuple[type[ApiError], ...] = (),
    ) -> None:
        """`start` is the seconds until the first step; `fatal` errors end the loop."""
        self._lease = lease
        self._start = start
        self._fatal = fatal
        self._work = work
        self._clock = clock
        self._wake = anyio.Event()
        self._due_at = clock.monotonic()

    async def run(self) -> NoReturn:
        """Take steps until cancelled, and then release the lease. Raises the `fatal` errors."""
        try:
            await self._pause(self._start)
            while True:
                await self._pause(await self.step())
        finally:
            with (
                anyio.move_on_after(RELEASE_SECONDS, shield=True),
                suppress(DatabaseUnavailable),
            ):
                if self._lease is not None:
                    await self._lease.release()

    async def step(self) -> float:
        """One step if this process has the lease; the seconds until the next one."""
        try:
            if self._lease is not None and not await self._lease.acquire():
                return STANDBY_SECONDS
            now = self._clock.monotonic()
            if now >= self._due_at:
                self._due_at = now + await self._work_once()
            return min(max(0.0, self._due_at - self._clock.monotonic()), HEARTBEAT_SECONDS)
        except DatabaseUnavailable:
            return STANDBY_SECONDS

    async def _work_once(self) -> float:
        """Seconds to wait after the work. Raises DatabaseUnavailable and the `fatal` errors."""
        try:
            return await self._work()
        except self._fatal:
            raise
        except QuotaExhausted:
            return BUSY_SECONDS
        except DatabaseUnavailable:
            raise
        except ApiError as error:
            logger.info("Background work waits: %s", error)
            return RETRY_SECONDS
        except Exception:
            logger.exception("Background work failed")
            return RETRY_SECONDS

    def wake(self) -> None:
        """Work at once."""
        self._due_at = self._clock.monotonic()
        self._wake.set()

    async def _pause(self, seconds: float) -> None:
        """Sleep for so long, or until `wake` is called, also if it was called before."""
        await anyio.lowlevel.checkpoint()

        async def wake_after_pause() -> None:
            await self._clock.sleep(seconds)
            self._wake.set()

        if seconds > 0 and not self._wake.is_set():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wake_after_pause)
                await self._wake.wait()
                tasks.cancel_scope.cancel()
        self._wake = anyio.Event()
