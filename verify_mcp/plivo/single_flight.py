"""Identical questions asked at the same time share one answer."""

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
    """Work under way by its key, done in `tasks`, so that no single asker can cancel it."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._calls: dict[Hashable, _Call] = {}

    async def run(self, key: Hashable, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `work` gives or raises, done once for all who ask for `key` meanwhile.

        The work is cancelled when the last of them is.
        """
        flight = self._calls.get(key)
        if flight is None:
            flight = self._calls[key] = _Call()
            self._tasks.start_soon(self._execute, key, flight, work)
        flight.waiters += 1
        try:
            await flight.done.wait()
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.done.is_set():
                self._forget(key, flight)
                flight.scope.cancel()
        if flight.failure is not None:
            raise flight.failure
        answer: Answer = flight.answer
        return answer

    async def _execute(
        self, key: Hashable, flight: _Call, work: Callable[[], Awaitable[Any]]
    ) -> None:
        with flight.scope:
            try:
                flight.answer = await work()
            except Exception as error:  # noqa: BLE001 - raised again for each passenger
                flight.failure = error
            self._forget(key, flight)
            flight.done.set()

    def _forget(self, key: Hashable, flight: _Call) -> None:
        if self._calls.get(key) is flight:
            del self._calls[key]
