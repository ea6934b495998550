"""Identical requests made at the same time share one answer."""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup

Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Call:
    waiters: int = 0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    answer: Any = None
    failure: Exception | None = None


class SingleFlight:
    """Unfinished work by its key, run in `tasks` so that no caller alone cancels it."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._calls: dict[Hashable, _Call] = {}

    async def run(self, key: Hashable, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """The result or the error of `work`, run once for all callers of the same unfinished `key`.

        The work is cancelled when its last caller is.
        """
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = _Call()
            self._tasks.start_soon(self._execute, key, call, work)
        call.waiters += 1
        try:
            await call.done.wait()
        finally:
            call.waiters -= 1
            if not call.waiters and not call.done.is_set():
                self._forget(key, call)
                call.scope.cancel()
        if call.failure is not None:
            raise call.failure
        answer: Answer = call.answer
        return answer

    async def _execute(
        self, key: Hashable, call: _Call, work: Callable[[], Awaitable[Any]]
    ) -> None:
        with call.scope:
            try:
                call.answer = await work()
            except Exception as error:  # noqa: BLE001 - raised again for each waiter
                call.failure = error
            self._forget(key, call)
            call.done.set()

    def _forget(self, key: Hashable, call: _Call) -> None:
        if self._calls.get(key) is call:
            del self._calls[key]
