"""Backoff and Retry-After arithmetic, with time and randomness as arguments."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER = 300.0
"""Seconds at most for which a Retry-After blocks requests; the API's own window is 60 s.

Answers name the full Retry-After. A request that is sent before it is over shows whether the API
still refuses.
"""
MAX_ETA = 86_400.0
"""Seconds that a longer Retry-After is cut to."""


def retry_after(header: str | None, now: datetime) -> float | None:
    """The seconds of a Retry-After header (RFC 9110: seconds or an HTTP date), at most MAX_ETA.

    None for a header that is missing, unreadable, negative or in the past.
    """
    if header is None or len(header) > 64:
        return None
    seconds = _parse_seconds(header.strip()) if header.strip().isascii() else None
    if seconds is None:
        seconds = _parse_date(header, now)
    return min(seconds, MAX_ETA) if seconds is not None and seconds >= 0 else None


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
