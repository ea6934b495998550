"""The rate limit's slots of one process, in memory."""

from collections.abc import Callable, Mapping
from itertools import count
from uuid import uuid4

from verify_mcp.plivo.rate_limiter import (
    SLOT_LEASE_SECONDS,
    RateLimitStatus,
    RateLimitStore,
    Slot,
    Ticket,
    rate_limit_status,
    reserved_slots,
    seconds_until_slot,
)
from verify_mcp.settings import Rate


class InMemoryRateLimitStore(RateLimitStore):
    """The ledger of one process alone; `clock` is monotonic seconds."""

    def __init__(self, rate: Rate, *, clock: Callable[[], float]) -> None:
        self.rate = rate
        self._clock = clock
        self._numbers = count()
        self._free_at: dict[str, float] = {}
        self._tickets: list[Ticket] = []
        self._blocked_until = clock()

    async def enqueue(self, priority: int) -> Ticket:
        ticket = Ticket(priority, next(self._numbers))
        self._tickets.append(ticket)
        self._tickets.sort()
        return ticket

    async def try_acquire(self, ticket: Ticket) -> Slot | float:
        ahead = self._tickets.index(ticket)
        seconds = self._wait(ahead + reserved_slots(ticket.priority, self.rate))
        if seconds > 0 or ahead:
            return seconds
        self._tickets.remove(ticket)
        slot = Slot(uuid4().hex)
        self._free_at[slot.key] = self._clock() + SLOT_LEASE_SECONDS + self.rate.window
        return slot

    async def dequeue(self, ticket: Ticket) -> None:
        if ticket in self._tickets:
            self._tickets.remove(ticket)

    async def release(self, slot: Slot) -> None:
        self._free_at[slot.key] = self._clock() + (self.rate.window if slot.sent else 0.0)

    async def block(self, seconds: float) -> None:
        self._blocked_until = max(self._blocked_until, self._clock() + seconds)

    async def import_recent(self, ages: Mapping[str, float]) -> None:
        now = self._clock()
        for key, age in ages.items():
            self._free_at.setdefault(key, now - age + self.rate.window)

    async def status(self) -> RateLimitStatus:
        free_at = list(self._taken().values())
        return rate_limit_status(
            free_at, len(self._tickets), self._blocked_until, self.rate, self._clock()
        )

    def _wait(self, ahead: int) -> float:
        return seconds_until_slot(
            list(self._taken().values()), ahead, self._blocked_until, self.rate, self._clock()
        )

    def _taken(self) -> dict[str, float]:
        now = self._clock()
        self._free_at = {key: at for key, at in self._free_at.items() if at > now}
        return self._free_at
