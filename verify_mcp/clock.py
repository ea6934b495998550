"""Time, sleep and randomness of this process."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

import anyio


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, the sleep and the random numbers of this process, which a test replaces."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    random: Callable[[], float] = random.random
