"""The rate limit's slots and tickets of one process, in memory."""

from bisect import bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from math import inf
from uuid import uuid4

from verify_mcp.plivo.rate_limit_store import (
    SLOT_LEASE_SECONDS,
    Priority,
    RateLimitStatus,
    RateLimitStore,
    Slot,
    TakenSlots,
    Ticket,
    reserved_slots,
    seconds_until_slot,
    slots_left,
)
from verify_mcp.settings import Rate


class InMemoryRateLimitStore(RateLimitStore):
    """The slots and tickets of one process alone; `clock` is monotonic seconds."""

    def __init__(self, rate: Rate, *, clock: Callable[[], float]) -> None:
        self.rate = rate
        self.lease = SLOT_LEASE_SECONDS
        self._clock = clock
        self._arrivals = count()
        self._free_at: dict[str, float] = {}
        self._taken: list[tuple[float, str]] = []
        """The taken slots, and the time at which each comes back, in that order."""
        self._tickets: list[Ticket] = []
        self._blocked_until = clock()
        self._refused_at = -inf

    async def acquire_or_enqueue(self, priority: Priority) -> Slot | Ticket:
        ticket = Ticket(priority, next(self._arrivals))
        insort(self._tickets, ticket)
        result = await self.try_acquire(ticket)
        return result if isinstance(result, Slot) else ticket

    async def try_acquire(self, ticket: Ticket, _alive: Sequence[Ticket] = ()) -> Slot | float:
        ahead = self._tickets.index(ticket)
        seconds = self._seconds_until_slot(ahead + reserved_slots(ticket.priority, self.rate))
        if seconds > 0 or ahead:
            return seconds
        self._tickets.remove(ticket)
        slot = Slot(uuid4().hex)
        self._take(slot.key, self._clock() + self.lease + self.rate.window)
        return slot

    async def dequeue(self, ticket: Ticket) -> None:
        if ticket in self._tickets:
            self._tickets.remove(ticket)

    async def release(self, slot: Slot, completed_at: float) -> None:
        if slot.key in self._free_at:
            self._taken.remove((self._free_at.pop(slot.key), slot.key))
        if slot.sent:
            self._take(slot.key, completed_at + self.rate.window)

    async def block(self, seconds: float) -> None:
        self._refused_at = self._clock()
        self._blocked_until = max(self._blocked_until, self._refused_at + seconds)

    async def import_recent(self, ages: Mapping[str, float]) -> None:
        now = self._clock()
        for key, age in ages.items():
            if key not in self._free_at:
                self._take(key, now - age + self.rate.window)

    async def count_left(self) -> int:
        return slots_left(
            self._taken_slots(), self._waiting, self._blocked_until, self.rate, self._clock()
        )

    async def status(self) -> RateLimitStatus:
        return RateLimitStatus(
            await self.count_left(),
            self._seconds_until_slot(self._waiting),
            refused_ago=self._clock() - self._refused_at,
            background_eta_s=self._seconds_until_slot(
                self._waiting + reserved_slots(Priority.BACKGROUND, self.rate)
            ),
        )

    @property
    def _waiting(self) -> int:
        return sum(ticket.priority is Priority.INTERACTIVE for ticket in self._tickets)

    def _seconds_until_slot(self, ahead: int) -> float:
        return seconds_until_slot(
            self._taken_slots(), ahead, self._blocked_until, self.rate, self._clock()
        )

    def _take(self, key: str, free_at: float) -> None:
        self._free_at[key] = free_at
        insort(self._taken, (free_at, key))

    def _taken_slots(self) -> TakenSlots:
        expired = bisect_right(self._taken, self._clock(), key=lambda slot: slot[0])
        for _, key in self._taken[:expired]:
            del self._free_at[key]
        del self._taken[:expired]
        return TakenSlots(len(self._taken), lambda rank: self._taken[rank][0])
