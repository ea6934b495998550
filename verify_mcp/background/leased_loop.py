"""A loop of small steps that one process of all runs: the one that has a lease."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import anyio.lowlevel

from verify_mcp.background.lease import Lease
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
    """Repeats `work` while this process has the lease; `work` returns the seconds to wait then."""

    def __init__(self, lease: Lease, work: Callable[[], Awaitable[float]], clock: Clock) -> None:
        self._lease = lease
        self._work = work
        self._clock = clock
        self._wake = anyio.Event()

    async def run(self) -> None:
        """Take steps until cancelled, and then release the lease."""
        try:
            await self._pause(START_SECONDS)
            while True:
                await self._pause(await self.step())
        finally:
            with (
                anyio.move_on_after(RELEASE_SECONDS, shield=True),
                suppress(DatabaseUnavailable),
            ):
                await self._lease.release()

    async def step(self) -> float:
        """One step if this process has the lease; the seconds until the next one."""
        try:
            return await self._work() if await self._lease.acquire() else STANDBY_SECONDS
        except QuotaExhausted:
            return BUSY_SECONDS
        except DatabaseUnavailable:
            return STANDBY_SECONDS
        except ApiError as error:
            logger.info("Background work waits: %s", error)
            return RETRY_SECONDS
        except Exception:
            logger.exception("Background work failed")
            return RETRY_SECONDS

    def wake(self) -> None:
        """Take the next step now."""
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
