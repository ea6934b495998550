"""How many recipients a caller may look up while they are masked."""

from collections.abc import Callable
from contextvars import ContextVar

from cachetools import LRUCache

HOUR = 3600.0
MAX_CALLERS = 10_000
"""Callers whose calls of the last minute are remembered."""
MAX_LOOKUPS = 60
"""Recipients that a caller may look up in an hour while recipients are masked."""


current_caller: ContextVar[str] = ContextVar("current_caller", default=" local")
"""The key of the caller whose message is answered; by default that of `LOCAL_CALLER`."""


class RecipientLookups:
    """Recipients that each caller looked up in the last hour; `clock` is monotonic seconds.

    A pseudonym shows a number's ends, so whoever may try every number between them finds the one
    behind it. The same recipient again is no further try. Each process counts for itself.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._callers: LRUCache[str, dict[str, float]] = LRUCache(MAX_CALLERS)

    def seconds_until_lookup(self, caller: str, recipient: str) -> float:
        """Seconds until this caller may look up this recipient, 0 when they may now."""
        recent = self._recent(caller)
        if recipient in recent or len(recent) < MAX_LOOKUPS:
            return 0.0
        return min(recent.values()) + HOUR - self._clock()

    def record(self, caller: str, recipient: str) -> None:
        """Count a look-up."""
        self._recent(caller).setdefault(recipient, self._clock())

    def _recent(self, caller: str) -> dict[str, float]:
        edge = self._clock() - HOUR
        recent = self._callers.get(caller, {})
        recent = {name: at for name, at in recent.items() if at > edge}
        self._callers[caller] = recent
        return recent
