"""The account's requests per minute: who may ask now, and how long the others wait.

Policy: a request takes one of `rate.requests` slots, and the slot comes back `rate.window` seconds
after the request *completed*. Counting from completion is what keeps the API's own sliding window
whole: between the moment a request is granted and the moment it arrives lies a latency that
differs from request to request. Waiters hold tickets and are served by priority, then in order of
arrival. The policy is arithmetic over slots and tickets; a ledger keeps them.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from uuid import uuid4

import anyio

from verify_mcp.errors import DatabaseUnavailable, QuotaExhausted
from verify_mcp.settings import Rate

PEOPLE, BACKGROUND = 0, 1
"""Priorities: somebody is waiting for the answer, or nobody is."""

BRIEFLY, HEAD_POLL, TAIL_POLL = 0.01, 1.0, 2.0
"""Seconds between two looks at the ledger: of this process's first waiter when a slot is due and
before then, and of those behind it, whom the first one nudges. Looking keeps a ticket alive.
"""
RESERVE = 5
"""Work that nobody waits for leaves one in so many slots free."""
HOLD = 90.0
"""Seconds a request may be under way before its slot is taken for abandoned."""


def kept_back(priority: int, rate: Rate) -> int:
    """Slots that a request of this priority leaves for people who may come."""
    return 0 if priority == PEOPLE else rate.requests // RESERVE


def wait(free_at: Sequence[float], ahead: int, gate: float, rate: Rate, now: float) -> float:
    """Seconds until a request behind `ahead` others may leave; 0 when it may leave now.

    `free_at` tells when each taken slot comes back and `gate` when anybody may leave at all. A
    request under way is counted as if it completed now.
    """
    taken = sorted(min(at, now + rate.window) for at in free_at if at > now)
    # More may be taken than there are: under a higher rate, or while the ledger was out of reach.
    opening = [now] * max(0, rate.requests - len(taken)) + taken[-rate.requests :]
    wave, place = divmod(ahead, rate.requests)
    return max(opening[place] + wave * rate.window, gate) - now


@dataclass(order=True, slots=True)
class Ticket:
    """A place in the queue: the lower priority number first, then the earlier arrival."""

    priority: int
    arrival: float
    key: str = field(compare=False, default="")


@dataclass(slots=True)
class Slot:
    """A granted request; whoever sends it sets `sent`, because an unsent one costs nothing."""

    key: str
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How the quota stands: requests that may leave now, and seconds until the next may.

    `processes` used it in the last window.
    """

    left: int
    eta_s: float
    processes: int = 1


def standing(
    free_at: Sequence[float], waiting: int, gate: float, rate: Rate, now: float
) -> Standing:
    """The standing that slots, waiters and the gate amount to."""
    left = 0 if gate > now else rate.requests - len(free_at) - waiting
    return Standing(max(0, left), wait(free_at, waiting, gate, rate, now))


class Ledger(ABC):
    """Where slots and tickets are kept; every method is one atomic step."""

    rate: Rate

    @abstractmethod
    async def enter(self, priority: int) -> Ticket:
        """Join the queue."""

    @abstractmethod
    async def take(self, ticket: Ticket) -> Slot | float:
        """The ticket's slot, for which it leaves the queue, or seconds until there may be one."""

    @abstractmethod
    async def leave(self, ticket: Ticket) -> None:
        """Leave the queue without a slot."""

    @abstractmethod
    async def complete(self, slot: Slot) -> None:
        """Say that the slot's request is over, or was never sent."""

    @abstractmethod
    async def close(self, seconds: float) -> None:
        """Let nobody through for so long."""

    @abstractmethod
    async def restore(self, ages: Mapping[str, float]) -> None:
        """Count requests it does not know of; slots' keys, and seconds since they completed."""

    @abstractmethod
    async def standing(self) -> Standing:
        """How the quota stands."""


class MemoryLedger(Ledger):
    """The ledger of one process alone; `clock` is monotonic seconds."""

    def __init__(self, rate: Rate, *, clock: Callable[[], float]) -> None:
        self.rate = rate
        self._clock = clock
        self._numbers = count()
        self._free_at: dict[str, float] = {}
        self._tickets: list[Ticket] = []
        self._gate = clock()

    async def enter(self, priority: int) -> Ticket:
        ticket = Ticket(priority, next(self._numbers))
        self._tickets.append(ticket)
        self._tickets.sort()
        return ticket

    async def take(self, ticket: Ticket) -> Slot | float:
        ahead = self._tickets.index(ticket)
        seconds = self._wait(ahead + kept_back(ticket.priority, self.rate))
        if seconds > 0 or ahead:
            return seconds
        self._tickets.remove(ticket)
        slot = Slot(uuid4().hex)
        self._free_at[slot.key] = self._clock() + HOLD + self.rate.window
        return slot

    async def leave(self, ticket: Ticket) -> None:
        if ticket in self._tickets:
            self._tickets.remove(ticket)

    async def complete(self, slot: Slot) -> None:
        self._free_at[slot.key] = self._clock() + (self.rate.window if slot.sent else 0.0)

    async def close(self, seconds: float) -> None:
        self._gate = max(self._gate, self._clock() + seconds)

    async def restore(self, ages: Mapping[str, float]) -> None:
        now = self._clock()
        for key, age in ages.items():
            self._free_at.setdefault(key, now - age + self.rate.window)

    async def standing(self) -> Standing:
        free_at = list(self._taken().values())
        return standing(free_at, len(self._tickets), self._gate, self.rate, self._clock())

    def _wait(self, ahead: int) -> float:
        return wait(list(self._taken().values()), ahead, self._gate, self.rate, self._clock())

    def _taken(self) -> dict[str, float]:
        now = self._clock()
        self._free_at = {key: at for key, at in self._free_at.items() if at > now}
        return self._free_at


@dataclass(slots=True)
class _Waiter:
    ticket: Ticket
    nudge: anyio.Event = field(default_factory=anyio.Event)


class Quota:
    """One endpoint's quota as this process uses it: waits its turn, within a bound.

    `clock` is monotonic seconds and `sleep` waits them. While `ledger` is unavailable the `spare`
    one serves: this process's own, at a fraction of the rate.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        spare: Ledger | None = None,
    ) -> None:
        self._ledger = ledger
        self._spare = spare
        self._clock = clock
        self._sleep = sleep
        self._waiting: list[_Waiter] = []
        self._completed: dict[str, float] = {}
        self._refused_until = clock()
        """Until when the API asked for no request; the ledger may let one through before."""
        self._astray = False
        """Whether the ledger was out of reach, so that it may not know of our requests."""

    @asynccontextmanager
    async def slot(
        self,
        *,
        patience: float,
        priority: int = PEOPLE,
        on_wait: Callable[[float], None] = lambda _seconds: None,
    ) -> AsyncIterator[Slot]:
        """Hold one request's slot, after waiting for it at most `patience` seconds.

        `on_wait` hears how many seconds it may still take. Raises QuotaExhausted, at once when
        the estimate already exceeds the patience.
        """
        ledger, slot = await self._granted(patience, priority, on_wait)
        try:
            yield slot
        finally:
            if slot.sent:
                self._completed = {**self._recent(), slot.key: self._clock()}
            with anyio.CancelScope(shield=True), suppress(DatabaseUnavailable):
                await ledger.complete(slot)
            self._nudge()

    async def close(self, seconds: float, *, asked_for: float = 0.0) -> None:
        """Let nobody through for so long: the API said "too many requests".

        `asked_for` is the API's own wish in seconds, which answers name while it lasts.
        """
        self._refused_until = max(self._refused_until, self._clock() + asked_for)
        for ledger in filter(None, (self._ledger, self._spare)):
            with suppress(DatabaseUnavailable):
                await ledger.close(seconds)

    def note_answer(self) -> None:
        """Note that the API answered: it refuses no more."""
        self._refused_until = self._clock()

    async def standing(self) -> Standing:
        """How the quota stands."""
        try:
            found = await self._ledger.standing()
        except DatabaseUnavailable:
            if self._spare is None:
                raise
            found = await self._spare.standing()
        return found if found.left else replace(found, eta_s=self._eta(found.eta_s))

    def _eta(self, seconds: float) -> float:
        """Seconds to wait, not less than the API asked for."""
        return max(seconds, self._refused_until - self._clock())

    async def _granted(
        self, patience: float, priority: int, on_wait: Callable[[float], None]
    ) -> tuple[Ledger, Slot]:
        deadline = self._clock() + patience
        try:
            if self._astray:
                await self._ledger.restore(self._ages())
                self._astray = False
            return self._ledger, await self._queued(self._ledger, deadline, priority, on_wait)
        except DatabaseUnavailable:
            if self._spare is None:
                raise
            self._astray = True
            await self._spare.restore(self._ages())
            return self._spare, await self._queued(self._spare, deadline, priority, on_wait)

    def _recent(self) -> dict[str, float]:
        """When each of this process's requests of the last window completed."""
        since = self._clock() - self._ledger.rate.window
        return {key: at for key, at in self._completed.items() if at > since}

    def _ages(self) -> dict[str, float]:
        now = self._clock()
        return {key: now - at for key, at in self._recent().items()}

    async def _queued(
        self, ledger: Ledger, deadline: float, priority: int, on_wait: Callable[[float], None]
    ) -> Slot:
        waiter = _Waiter(await ledger.enter(priority))
        self._waiting.append(waiter)
        self._waiting.sort(key=lambda each: each.ticket)
        try:
            return await self._turn(ledger, waiter, deadline, on_wait)
        except BaseException:
            with anyio.CancelScope(shield=True), suppress(DatabaseUnavailable):
                await ledger.leave(waiter.ticket)
            raise
        finally:
            self._waiting.remove(waiter)
            self._nudge()

    async def _turn(
        self, ledger: Ledger, waiter: _Waiter, deadline: float, on_wait: Callable[[float], None]
    ) -> Slot:
        while isinstance(turn := await ledger.take(waiter.ticket), float):
            if self._clock() + turn > deadline:
                raise QuotaExhausted(self._eta(turn))
            on_wait(turn)
            await self._pause(waiter, turn, deadline)
        return turn

    async def _pause(self, waiter: _Waiter, turn: float, deadline: float) -> None:
        """Sleep until it may be this waiter's turn, or something changed before it in the queue."""
        waiter.nudge = anyio.Event()
        is_first = self._waiting[0] is waiter
        seconds = min(max(turn, BRIEFLY), HEAD_POLL) if is_first else TAIL_POLL

        async def doze() -> None:
            await self._sleep(min(seconds, max(deadline - self._clock(), BRIEFLY)))
            waiter.nudge.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(doze)
            await waiter.nudge.wait()
            tasks.cancel_scope.cancel()

    def _nudge(self) -> None:
        if self._waiting:
            self._waiting[0].nudge.set()
