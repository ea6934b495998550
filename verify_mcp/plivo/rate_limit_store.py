"""The rate limit's rules as arithmetic over slots and tickets, and the protocol of their store.

A request takes one of `rate.requests` slots, and the slot comes back `rate.window` seconds after
the request *completed*. Counting from completion keeps the API's own sliding window intact: a
latency that differs from request to request lies between the grant of a slot and the arrival of
its request. Waiters have tickets, which are served by priority and then in order of arrival.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from math import inf

from verify_mcp.settings import Rate

RESERVE_DIVISOR = 5
"""Background requests leave one in this many slots free."""
SLOT_LEASE_SECONDS = 20.0
"""Seconds after which the slot of an unfinished request counts as a dead process's.

A request ends within 15 seconds (`Settings.request_timeout`).
"""
TRAVEL_SECONDS = 5.0
"""Seconds that a request may take from this process to the API at most.

A slot that expires earlier than that is too old to be used, and a request without a reply counts as
completed when it must have arrived.
"""


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


class SlotExpired(Exception):
    """The slot was not used in time, so others may use it soon; the request needs another one."""


@dataclass(slots=True)
class Slot:
    """Permission for one request. The sender sets `sent`: an unsent request costs nothing.

    `arrives_by` is the time, in monotonic seconds, until which a request that left and has no reply
    may still arrive at the API. `check` raises SlotExpired when it is too late to send the request.
    """

    key: str
    sent: bool = False
    arrives_by: float = -inf
    check: Callable[[], None] = field(default=lambda: None, compare=False)


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
    background_eta_s: float = field(default=0.0, compare=False)
    """Seconds until the next background request may be sent."""


def reserved_slots(priority: Priority, rate: Rate) -> int:
    """Slots that a request of this priority leaves free for interactive requests."""
    return 0 if priority is Priority.INTERACTIVE else rate.requests // RESERVE_DIVISOR


@dataclass(frozen=True, slots=True)
class TakenSlots:
    """The slots that are taken: how many, and the time at which each comes back, by rank.

    Rank 0 is the slot that comes back first. A store looks up single ranks, because a high rate has
    many slots.
    """

    count: int
    free_at: Callable[[int], float]

    @classmethod
    def at(cls, times: Iterable[float]) -> "TakenSlots":
        """The slots that come back at these times."""
        ordered = sorted(times)
        return cls(len(ordered), ordered.__getitem__)


def seconds_until_slot(
    taken: TakenSlots, ahead: int, blocked_until: float, rate: Rate, now: float
) -> float:
    """Seconds until a request behind `ahead` others may be sent; 0 when it may be sent now.

    No request may be sent before `blocked_until`. A request that has not completed counts as if it
    completed now.
    """
    wave, place = divmod(ahead, rate.requests)
    # More slots than exist can be taken: under a higher rate, or while the store was unavailable.
    rank = taken.count + place - rate.requests
    opening = now if rank < 0 else min(taken.free_at(rank), now + rate.window)
    return max(opening + wave * rate.window, blocked_until) - now


def slots_left(
    taken: TakenSlots, waiting: int, blocked_until: float, rate: Rate, now: float
) -> int:
    """Requests that may be sent now, while `waiting` interactive tickets are served first.

    Background tickets do not count: every interactive request goes before them.
    """
    return 0 if blocked_until > now else max(0, rate.requests - taken.count - waiting)


class RateLimitStore(ABC):
    """Stores slots and tickets; every method is one atomic step."""

    rate: Rate
    lease: float
    """Seconds after its grant at which an unused slot begins to count as completed."""

    async def open(self) -> int:
        """Open the store; another number each time when it may lack requests that it knew."""
        return 0

    @abstractmethod
    async def acquire_or_enqueue(self, priority: Priority) -> Slot | Ticket:
        """A slot if one is free and nobody waits for it; else join the queue."""

    @abstractmethod
    async def try_acquire(self, ticket: Ticket, alive: Sequence[Ticket] = ()) -> Slot | float:
        """The slot, once the ticket left the queue for it; else seconds until one may be free.

        The other tickets of this process that are `alive` stay in the queue.
        """

    @abstractmethod
    async def dequeue(self, ticket: Ticket) -> None:
        """Leave the queue without a slot."""

    @abstractmethod
    async def release(self, slot: Slot, completed_at: float) -> None:
        """Record when the slot's request completed, in monotonic seconds, or was never sent."""

    @abstractmethod
    async def block(self, seconds: float) -> None:
        """Grant no slot for this many seconds."""

    @abstractmethod
    async def import_recent(self, ages: Mapping[str, float]) -> None:
        """Count requests that this store does not know: slot keys, and seconds since completion."""

    @abstractmethod
    async def count_left(self) -> int:
        """Requests that may be sent now."""

    @abstractmethod
    async def status(self) -> RateLimitStatus:
        """The rate limit's status now."""
