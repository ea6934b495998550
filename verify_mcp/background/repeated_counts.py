"""Counts that go on between two calls, in the process that began them.

What a count has read is in the memory of its process, so no other process can go on with it.
"""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from verify_mcp.background.forecast import seconds_paused, slots_for_background
from verify_mcp.background.leased_loop import BUSY_SECONDS, STANDBY_SECONDS
from verify_mcp.background.walks import background_call
from verify_mcp.clock import Clock
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.call import CallContext

CountWork = Callable[[CallContext, int], Awaitable[int]]
"""Goes on with at most so many requests; about how many more it takes, 0 when it is done."""
IDLE_SECONDS = 5.0
"""Seconds between two looks for work."""
MIN_STEP = 8
"""Requests of a step at least: each begins and ends with a look for late rows."""
LOOKS = 2
"""Requests of a step that may only have looked for late rows: the count goes no further."""
MAX_COUNTS = 20
"""Counts that wait; further ones go on only when they are asked for again."""


@dataclass(slots=True)
class _Repeated:
    """A count, about how many requests it takes, and how many may be made for it."""

    work: CountWork
    expected: int
    allowed: int


class RepeatedCounts:
    """Goes on with one count after the other; `step` makes the requests that are free."""

    def __init__(self, mirror: Mirror, clock: Clock) -> None:
        self._mirror = mirror
        self._clock = clock
        self._counts: dict[Hashable, _Repeated] = {}

    def add(self, key: Hashable, work: CountWork, expected: int, allowed: int) -> bool:
        """Have a count go on; False when too many wait. The same one is not added twice."""
        if key not in self._counts and len(self._counts) >= MAX_COUNTS:
            return False
        self._counts.setdefault(key, _Repeated(work, expected, allowed)).expected = expected
        return True

    @property
    def waiting(self) -> int:
        """How many counts are not done."""
        return len(self._counts)

    @property
    def expected_requests(self) -> int:
        """About how many requests they take together."""
        return sum(min(count.expected, count.allowed) for count in self._counts.values())

    async def step(self) -> float:
        """Make the requests that are free; the seconds until there may be more to do.

        Raises QuotaExhausted or ApiError.
        """
        key, count = next(iter(self._counts.items()), (None, None))
        if count is None:
            return IDLE_SECONDS
        status = await self._mirror.gateway.list_limiter.status()
        if paused := seconds_paused(status):
            return min(paused, STANDBY_SECONDS)
        rate = self._mirror.settings.rate_limit
        slots = min(slots_for_background(status, rate), count.allowed)
        if slots < min(MIN_STEP, count.allowed, rate.requests // 2):
            return BUSY_SECONDS
        call = background_call(self._clock)
        try:
            count.expected = await count.work(call, slots)
        finally:
            count.allowed -= call.requests_sent
            if not count.expected or count.allowed <= 0 or call.requests_sent <= LOOKS:
                self._counts.pop(key, None)
        return 0.0
