"""The rate limit's rules as arithmetic over slots and tickets, and the protocol of their store.

A request takes one of `rate.requests` slots, and the slot comes back `rate.window` seconds after
the request *completed*. Counting from completion keeps the API's own sliding window intact: a
latency that differs from request to request lies between the grant of a slot and the arrival of
its request. Waiters have tickets, which are served by priority and then in order of arrival.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from math import inf

from verify_mcp.settings import Rate

RESERVE_DIVISOR = 5
"""Background requests leave one in this many slots free."""
SLOT_LEASE_SECONDS = 90.0
"""Seconds that a request may take before its slot counts as abandoned."""


class Priority(IntEnum):
    """Which waiters are served first: the lower number."""

    INTERACTIVE = 0
    """Somebody waits for the answer."""
    BACKGROUND = 1
    """Nobody waits for the answer."""


@dataclass(order=True, slots=True)
class Ticket:
    """A place in the queue: the lower priority number first, then the earlier arrival."""

    priority: Priority
    arrival: float
    key: str = field(compare=False, default="")


@dataclass(slots=True)
class Slot:
    """Permission for one request. The sender sets `sent`: an unsent request costs nothing."""

    key: str
    sent: bool = False


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """Requests that may be sent now (`left`), and seconds until the next one may (`eta_s`).

    `processes` is the number of processes that used the rate limit in the last window, and
    `refused_ago` the seconds since the API last answered "too many requests" (inf: not known to).
    """

    left: int
    eta_s: float
    processes: int = 1
    refused_ago: float = field(default=inf, compare=False)


def reserved_slots(priority: Priority, rate: Rate) -> int:
    """Slots that a request of this priority leaves free for interactive requests."""
    return 0 if priority is Priority.INTERACTIVE else rate.requests // RESERVE_DIVISOR


def seconds_until_slot(
    free_at: Sequence[float], ahead: int, blocked_until: float, rate: Rate, now: float
) -> float:
    """Seconds until a request behind `ahead` others may be sent; 0 when it may be sent now.

    `free_at` has the time at which each taken slot comes back, and no request may be sent before
    `blocked_until`. A request that has not completed counts as if it completed now.
    """
    taken = sorted(min(at, now + rate.window) for at in free_at if at > now)
    # More slots than exist can be taken: under a higher rate, or while the store was unavailable.
    opening = [now] * max(0, rate.requests - len(taken)) + taken[-rate.requests :]
    wave, place = divmod(ahead, rate.requests)
    return max(opening[place] + wave * rate.window, blocked_until) - now


def rate_limit_status(
    free_at: Sequence[float], waiting: int, blocked_until: float, rate: Rate, now: float
) -> RateLimitStatus:
    """The status that follows from taken slots, interactive tickets `waiting`, and the block.

    Background tickets do not count: every interactive request goes before them.
    """
    left = 0 if blocked_until > now else rate.requests - len(free_at) - waiting
    return RateLimitStatus(
        max(0, left), seconds_until_slot(free_at, waiting, blocked_until, rate, now)
    )


class RateLimitStore(ABC):
    """Stores slots and tickets; every method is one atomic step."""

    rate: Rate

    @abstractmethod
    async def enqueue(self, priority: Priority) -> Ticket:
        """Join the queue."""

    @abstractmethod
    async def try_acquire(self, ticket: Ticket) -> Slot | float:
        """The slot, once the ticket left the queue for it; else seconds until one may be free."""

    @abstractmethod
    async def dequeue(self, ticket: Ticket) -> None:
        """Leave the queue without a slot."""

    @abstractmethod
    async def release(self, slot: Slot) -> None:
        """Record that the slot's request completed, or was never sent."""

    @abstractmethod
    async def block(self, seconds: float) -> None:
        """Grant no slot for this many seconds."""

    @abstractmethod
    async def import_recent(self, ages: Mapping[str, float]) -> None:
        """Count requests that this store does not know: slot keys, and seconds since completion."""

    @abstractmethod
    async def status(self) -> RateLimitStatus:
        """The rate limit's status now."""
