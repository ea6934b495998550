"""Arrivals counted in a sliding window, per account and endpoint."""

from __future__ import annotations

from collections import deque


class SlidingWindow:
    """Remembers when requests came, and says how long one too many would have to wait."""

    def __init__(self) -> None:
        self._arrivals: dict[object, deque[float]] = {}

    def wait(
        self, key: object, now: float, *, limit: int | None, window: float, counts_refused: bool
    ) -> float:
        """Seconds until there is room again, or 0.0 if this request is let in."""
        if limit is None:
            return 0.0
        arrivals = self._arrivals.setdefault(key, deque())
        while arrivals and arrivals[0] <= now - window:
            arrivals.popleft()
        refused = len(arrivals) >= limit
        wait = _room_at(arrivals, limit, now) + window - now if refused else 0.0
        if counts_refused or not refused:
            arrivals.append(now)
        return wait


def _room_at(arrivals: deque[float], limit: int, now: float) -> float:
    return arrivals[-limit] if limit > 0 else now
