"""The API's rate limit: arrivals in a sliding window, per account and endpoint."""

from __future__ import annotations

from collections import deque


class SlidingWindow:
    """The arrivals of the last window, by key."""

    def __init__(self) -> None:
        self._arrivals: dict[object, deque[float]] = {}

    def wait(
        self, key: object, now: float, *, limit: int | None, window: float, counts_refused: bool
    ) -> float:
        """Record a request. Returns 0.0 if it is accepted, else seconds until one would be."""
        if limit is None:
            return 0.0
        arrivals = self._arrivals.setdefault(key, deque())
        while arrivals and arrivals[0] <= now - window:
            arrivals.popleft()
        is_refused = len(arrivals) >= limit
        wait = _room_at(arrivals, limit, now) + window - now if is_refused else 0.0
        if counts_refused or not is_refused:
            arrivals.append(now)
        return wait


def _room_at(arrivals: deque[float], limit: int, now: float) -> float:
    return arrivals[-limit] if limit > 0 else now
