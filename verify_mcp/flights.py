"""Identical questions asked at the same time share one answer."""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup

Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Flight:
    passengers: int = 0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    landed: anyio.Event = field(default_factory=anyio.Event)
    answer: Any = None
    failure: Exception | None = None


class Flights:
    """Work under way by its key, done in `tasks`, so that no single asker can cancel it."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._flying: dict[Hashable, _Flight] = {}

    async def shared(self, key: Hashable, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `work` gives or raises, done once for all who ask for `key` meanwhile.

        The work is cancelled when the last of them is.
        """
        flight = self._flying.get(key)
        if flight is None:
            flight = self._flying[key] = _Flight()
            self._tasks.start_soon(self._fly, key, flight, work)
        flight.passengers += 1
        try:
            await flight.landed.wait()
        finally:
            flight.passengers -= 1
            if not flight.passengers and not flight.landed.is_set():
                self._gone(key, flight)
                flight.scope.cancel()
        if flight.failure is not None:
            raise flight.failure
        answer: Answer = flight.answer
        return answer

    async def _fly(
        self, key: Hashable, flight: _Flight, work: Callable[[], Awaitable[Any]]
    ) -> None:
        with flight.scope:
            try:
                flight.answer = await work()
            except Exception as error:  # noqa: BLE001 - raised again for each passenger
                flight.failure = error
            self._gone(key, flight)
            flight.landed.set()

    def _gone(self, key: Hashable, flight: _Flight) -> None:
        if self._flying.get(key) is flight:
            del self._flying[key]
