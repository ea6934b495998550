"""The rate limit's slots and tickets of one process, in memory."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from math import inf
from uuid import uuid4

from verify_mcp.plivo.rate_limit_store import (
    SLOT_LEASE_SECONDS,
    Priority,
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
    """The slots and tickets of one process alone; `clock` is monotonic seconds."""

    def __init__(self, rate: Rate, *, clock: Callable[[], float]) -> None:
        self.rate = rate
        self._clock = clock
        self._arrivals = count()
        self._free_at: dict[str, float] = {}
        self._tickets: list[Ticket] = []
        self._blocked_until = clock()
        self._refused_at = -inf

    async def enqueue(self, priority: Priority) -> Ticket:
        ticket = Ticket(priority, next(self._arrivals))
        self._tickets.append(ticket)
        self._tickets.sort()
        return ticket

    async def try_acquire(self, ticket: Ticket) -> Slot | float:
        ahead = self._tickets.index(ticket)
        seconds = self._seconds_until_slot(ahead + reserved_slots(ticket.priority, self.rate))
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
        self._refused_at = self._clock()
        self._blocked_until = max(self._blocked_until, self._refused_at + seconds)

    async def import_recent(self, ages: Mapping[str, float]) -> None:
        now = self._clock()
        for key, age in ages.items():
            self._free_at.setdefault(key, now - age + self.rate.window)

    async def status(self) -> RateLimitStatus:
        free_at, now = list(self._taken_slots().values()), self._clock()
        waiting = sum(ticket.priority is Priority.INTERACTIVE for ticket in self._tickets)
        status = rate_limit_status(free_at, waiting, self._blocked_until, self.rate, now)
        return replace(status, refused_ago=now - self._refused_at)

    def _seconds_until_slot(self, ahead: int) -> float:
        free_at = list(self._taken_slots().values())
        return seconds_until_slot(free_at, ahead, self._blocked_until, self.rate, self._clock())

    def _taken_slots(self) -> dict[str, float]:
        now = self._clock()
        self._free_at = {key: at for key, at in self._free_at.items() if at > now}
        return self._free_at
