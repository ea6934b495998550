"""Work that follows an answer: it begins after the answer and ends before the server does."""

import logging
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

logger = logging.getLogger(__name__)
MAX_UNFINISHED = 16
"""Pieces of work that are put off at a time; the caller does what is more."""
MAX_DELAY = 0.005
"""Seconds after which work begins, so that the answer is written by then."""


class DeferredWork:
    """Work that is put off in `tasks`; without them it is done at once.

    Work goes on when the tasks are cancelled, so whoever waits for them waits for it, too.
    """

    def __init__(self, tasks: TaskGroup | None = None) -> None:
        self._tasks = tasks
        self._unfinished = 0
        self._is_needed, self._is_finished = anyio.Event(), anyio.Event()

    async def put_off(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` later. An error of it is logged."""
        if self._tasks is None or self._unfinished >= MAX_UNFINISHED:
            await work()
            return
        self._unfinished += 1
        self._tasks.start_soon(self._do_later, work)

    async def wait_finished(self) -> None:
        """Wait until all work that was put off is done; it begins now."""
        while self._unfinished:
            self._is_needed.set()
            await self._is_finished.wait()

    async def _do_later(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            with anyio.move_on_after(MAX_DELAY):
                await self._is_needed.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await self._do(work)

    async def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception:
            logger.exception("Work that was put off failed")
        finally:
            self._unfinished -= 1
            if not self._unfinished:
                self._is_finished.set()
                self._is_needed, self._is_finished = anyio.Event(), anyio.Event()
