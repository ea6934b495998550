"""Instants: read from text and written for the API and for people."""

import re
from datetime import UTC, datetime, timedelta

from verify_mcp.errors import InvalidArgument

MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)

TIME_EXAMPLES = "24h, 7d, 2026-11-01, 2026-11-01 09:30 (UTC) or 2026-11-01T09:30+05:30"
_AGO = re.compile(r"([0-9]{1,6})\s?(s|m|h|d|w)", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_API_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:(?<=:[0-9]{2}:[0-9]{2})[.:]([0-9]{1,9}))?"
    r"\s?(Z|[+-][0-9]{2}:?[0-9]{2})?)?",
    re.ASCII | re.IGNORECASE,
)
"""A date, then a time, its fraction (the API's documents write a colon before it) and offset."""
_YEARS = range(1900, 2201)
"""The years of times that are accepted; beyond them windows could not be computed."""


def parse_time(text: str, *, now: datetime) -> datetime:
    """The instant that `text` means, aware UTC.

    Understands how long before `now` (`15m`, `24h`, `7d`), the API's documented form
    `YYYY-MM-DD HH:MM[:ss[.uuuuuu]]` in UTC, ISO 8601 with an offset or `Z`, and a bare date
    (midnight UTC). Raises InvalidArgument for anything else.
    """
    written = text.strip()
    read = _parse_age(written, now) if len(written) <= 40 else None
    read = read or (_parse_date(written) if len(written) <= 40 else None)
    if read is None or read.year not in _YEARS:
        raise InvalidArgument(f"is not a time. Write {TIME_EXAMPLES}.")
    return read


def is_relative_time(text: str) -> bool:
    """Whether `text` is so long before now (`24h`), so that its instant moves with now."""
    return _AGO.fullmatch(text.strip().lower()) is not None


def _parse_age(text: str, now: datetime) -> datetime | None:
    match = _AGO.fullmatch(text.lower())
    if match is None:
        return None
    try:
        return (now - timedelta(**{_UNITS[match[2]]: int(match[1])})).replace(microsecond=0)
    except OverflowError:
        return None


def _parse_date(text: str) -> datetime | None:
    match = _API_TIME.fullmatch(text)
    if match is None:
        return None
    date, time, fraction, offset = match.groups("")
    written = f"{date}T{time or '00:00'}{fraction and '.' + fraction}{offset.upper() or 'Z'}"
    try:
        return datetime.fromisoformat(written).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_api_time(instant: datetime) -> str:
    """An instant in the API's documented form, UTC, with microseconds only where there are any."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")


def format_time(moment: datetime) -> str:
    """An instant to the second, `2026-11-21 09:30:00`, UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat(sep=" ")


def format_time_short(moment: datetime) -> str:
    """An instant to the second without its year, `11-21 09:30:00`, UTC."""
    return format_time(moment)[len("2026-") :]
