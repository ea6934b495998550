"""When to try again: backoff and Retry-After arithmetic, with time and chance as arguments."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER = 300.0
"""Seconds that the gate stays closed at most for a Retry-After; the API's window is 60 s.

Answers name the whole Retry-After; a request that leaves before it is over finds out whether it
was meant.
"""
MAX_ETA = 86_400.0
"""Seconds: a Retry-After beyond this is given as this."""


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds asked for by a Retry-After header (seconds or HTTP date), None if it says nothing.

    Nonsense, negative numbers and dates in the past count as nothing; huge wishes are bounded.
    """
    if header is None or len(header) > 64:
        return None
    wish = _parse_seconds(header.strip()) if header.strip().isascii() else None
    if wish is None:
        wish = _parse_date(header, now)
    return min(wish, MAX_ETA) if wish is not None and wish >= 0 else None


def _parse_seconds(text: str) -> float | None:
    seconds, _, fraction = text.partition(".")
    return float(text) if seconds.isdigit() and (not fraction or fraction.isdigit()) else None


def _parse_date(header: str, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return (aware - now).total_seconds()


def backoff(attempt: int, chance: float, *, base: float = 0.5, most: float = 8.0) -> float:
    """Seconds before try number `attempt` (1, 2, …): full jitter over a doubling bound.

    `chance` is a random number in [0, 1); half the bound is always waited.
    """
    bound = min(most, base * 2.0 ** (attempt - 1))
    return bound * (0.5 + chance / 2)
