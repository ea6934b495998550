"""How long requests in the background take, if nobody else asks meanwhile."""

from math import ceil

from verify_mcp.plivo.rate_limit_store import Priority, RateLimitStatus, reserved_slots
from verify_mcp.settings import Rate

PAUSE_AFTER_REFUSAL = 600.0
"""Seconds without background requests after a 429: another program uses the account."""


def seconds_paused(status: RateLimitStatus) -> float:
    """Seconds until background requests may be made again after a 429; 0 when they may."""
    return max(0.0, PAUSE_AFTER_REFUSAL - status.refused_ago)


def slots_for_background(status: RateLimitStatus, rate: Rate) -> int:
    """Background requests that may be sent now."""
    return max(0, status.left - reserved_slots(Priority.BACKGROUND, rate))


def seconds_for(requests: float, status: RateLimitStatus, rate: Rate) -> float:
    """Seconds that so many background requests take.

    Each wave uses every slot but the reserved ones, and the next wave comes a window later.
    """
    paused = seconds_paused(status)
    if paused:
        waves = ceil(requests / _wave(rate))
        return paused + max(0, waves - 1) * rate.window
    more = requests - slots_for_background(status, rate)
    if more <= 0:
        return 0.0
    first = status.background_eta_s or rate.window
    return first + (ceil(more / _wave(rate)) - 1) * rate.window


def _wave(rate: Rate) -> int:
    return max(1, rate.requests - reserved_slots(Priority.BACKGROUND, rate))
