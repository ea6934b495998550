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

import anyio

from verify_mcp.errors import DatabaseUnavailable, QuotaExhausted
from verify_mcp.settings import Rate

PEOPLE, BACKGROUND = 0, 1
"""Priorities: somebody is waiting for the answer, or nobody is."""

MIN_POLL, FIRST_WAITER_POLL, OTHER_WAITERS_POLL = 0.01, 1.0, 2.0
"""Seconds between two looks at the ledger: of this process's first waiter when a slot is due and
before then, and of those behind it, whom the first one nudges. Looking keeps a ticket alive.
"""
RESERVE_SHARE = 5
"""Work that nobody waits for leaves one in so many slots free."""
SLOT_LEASE_SECONDS = 90.0
"""Seconds a request may be under way before its slot is taken for abandoned."""


def reserved_slots(priority: int, rate: Rate) -> int:
    """Slots that a request of this priority leaves for people who may come."""
    return 0 if priority == PEOPLE else rate.requests // RESERVE_SHARE


def seconds_until_slot(
    free_at: Sequence[float], ahead: int, gate: float, rate: Rate, now: float
) -> float:
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
class RateLimitStatus:
    """How the quota stands: requests that may leave now, and seconds until the next may.

    `processes` used it in the last window.
    """

    left: int
    eta_s: float
    processes: int = 1


def rate_limit_status(
    free_at: Sequence[float], waiting: int, gate: float, rate: Rate, now: float
) -> RateLimitStatus:
    """The standing that slots, waiters and the gate amount to."""
    left = 0 if gate > now else rate.requests - len(free_at) - waiting
    return RateLimitStatus(max(0, left), seconds_until_slot(free_at, waiting, gate, rate, now))


class RateLimitStore(ABC):
    """Where slots and tickets are kept; every method is one atomic step."""

    rate: Rate

    @abstractmethod
    async def enqueue(self, priority: int) -> Ticket:
        """Join the queue."""

    @abstractmethod
    async def try_acquire(self, ticket: Ticket) -> Slot | float:
        """The ticket's slot, for which it leaves the queue, or seconds until there may be one."""

    @abstractmethod
    async def dequeue(self, ticket: Ticket) -> None:
        """Leave the queue without a slot."""

    @abstractmethod
    async def release(self, slot: Slot) -> None:
        """Say that the slot's request is over, or was never sent."""

    @abstractmethod
    async def block(self, seconds: float) -> None:
        """Let nobody through for so long."""

    @abstractmethod
    async def import_recent(self, ages: Mapping[str, float]) -> None:
        """Count requests it does not know of; slots' keys, and seconds since they completed."""

    @abstractmethod
    async def status(self) -> RateLimitStatus:
        """How the quota stands."""


@dataclass(slots=True)
class _Waiter:
    ticket: Ticket
    wake: anyio.Event = field(default_factory=anyio.Event)


class RateLimiter:
    """One endpoint's quota as this process uses it: waits its turn, within a bound.

    `clock` is monotonic seconds and `sleep` waits them. While `ledger` is unavailable the `spare`
    one serves: this process's own, at a fraction of the rate.
    """

    def __init__(
        self,
        ledger: RateLimitStore,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        spare: RateLimitStore | None = None,
    ) -> None:
        self._store = ledger
        self._fallback = spare
        self._clock = clock
        self._sleep = sleep
        self._waiters: list[_Waiter] = []
        self._completed_at: dict[str, float] = {}
        self._refused_until = clock()
        """Until when the API asked for no request; the ledger may let one through before."""
        self._was_offline = False
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
        ledger, slot = await self._acquire(patience, priority, on_wait)
        try:
            yield slot
        finally:
            if slot.sent:
                self._completed_at = {**self._recent_requests(), slot.key: self._clock()}
            with anyio.CancelScope(shield=True), suppress(DatabaseUnavailable):
                await ledger.release(slot)
            self._wake()

    async def block_for(self, seconds: float, *, asked_for: float = 0.0) -> None:
        """Let nobody through for so long: the API said "too many requests".

        `asked_for` is the API's own wish in seconds, which answers name while it lasts.
        """
        self._refused_until = max(self._refused_until, self._clock() + asked_for)
        for ledger in filter(None, (self._store, self._fallback)):
            with suppress(DatabaseUnavailable):
                await ledger.block(seconds)

    def note_answer(self) -> None:
        """Note that the API answered: it refuses no more."""
        self._refused_until = self._clock()

    async def status(self) -> RateLimitStatus:
        """How the quota stands."""
        try:
            found = await self._store.status()
        except DatabaseUnavailable:
            if self._fallback is None:
                raise
            found = await self._fallback.status()
        return found if found.left else replace(found, eta_s=self._eta(found.eta_s))

    def _eta(self, seconds: float) -> float:
        """Seconds to wait, not less than the API asked for."""
        return max(seconds, self._refused_until - self._clock())

    async def _acquire(
        self, patience: float, priority: int, on_wait: Callable[[float], None]
    ) -> tuple[RateLimitStore, Slot]:
        deadline = self._clock() + patience
        try:
            if self._was_offline:
                await self._store.import_recent(self._ages())
                self._was_offline = False
            return self._store, await self._wait_in_queue(self._store, deadline, priority, on_wait)
        except DatabaseUnavailable:
            if self._fallback is None:
                raise
            self._was_offline = True
            await self._fallback.import_recent(self._ages())
            return self._fallback, await self._wait_in_queue(
                self._fallback, deadline, priority, on_wait
            )

    def _recent_requests(self) -> dict[str, float]:
        """When each of this process's requests of the last window completed."""
        since = self._clock() - self._store.rate.window
        return {key: at for key, at in self._completed_at.items() if at > since}

    def _ages(self) -> dict[str, float]:
        now = self._clock()
        return {key: now - at for key, at in self._recent_requests().items()}

    async def _wait_in_queue(
        self,
        ledger: RateLimitStore,
        deadline: float,
        priority: int,
        on_wait: Callable[[float], None],
    ) -> Slot:
        waiter = _Waiter(await ledger.enqueue(priority))
        self._waiters.append(waiter)
        self._waiters.sort(key=lambda each: each.ticket)
        try:
            return await self._poll(ledger, waiter, deadline, on_wait)
        except BaseException:
            with anyio.CancelScope(shield=True), suppress(DatabaseUnavailable):
                await ledger.dequeue(waiter.ticket)
            raise
        finally:
            self._waiters.remove(waiter)
            self._wake()

    async def _poll(
        self,
        ledger: RateLimitStore,
        waiter: _Waiter,
        deadline: float,
        on_wait: Callable[[float], None],
    ) -> Slot:
        while isinstance(turn := await ledger.try_acquire(waiter.ticket), float):
            if self._clock() + turn > deadline:
                raise QuotaExhausted(self._eta(turn))
            on_wait(turn)
            await self._sleep_or_wake(waiter, turn, deadline)
        return turn

    async def _sleep_or_wake(self, waiter: _Waiter, turn: float, deadline: float) -> None:
        """Sleep until it may be this waiter's turn, or something changed before it in the queue."""
        waiter.wake = anyio.Event()
        is_first = self._waiters[0] is waiter
        seconds = min(max(turn, MIN_POLL), FIRST_WAITER_POLL) if is_first else OTHER_WAITERS_POLL

        async def doze() -> None:
            await self._sleep(min(seconds, max(deadline - self._clock(), MIN_POLL)))
            waiter.wake.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(doze)
            await waiter.wake.wait()
            tasks.cancel_scope.cancel()

    def _wake(self) -> None:
        if self._waiters:
            self._waiters[0].wake.set()
