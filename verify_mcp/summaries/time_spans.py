"""The local days, weeks or hours of a window."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from verify_mcp.domain.groups import time_group
from verify_mcp.domain.windows import Window

MAX_SPANS = 100
"""Days, weeks or hours that are counted one by one."""
UNITS = ("day", "week", "hour")
"""The groups that are spans of time."""
_QUARTER = timedelta(minutes=15)
"""The time zones in use differ from UTC by multiples of it, so no day begins in between."""
_SHORTEST = {"day": timedelta(hours=22), "week": timedelta(days=6, hours=22), "hour": _QUARTER}
"""How long a local day, week or hour is at least, whatever the clocks do."""


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """The part of a window that lies in one local day, week or hour, `label` as in an answer."""

    label: str
    window: Window


def time_unit(group_by: Sequence[str]) -> str | None:
    """What is counted one by one, where that is the group, alone or by status: one of UNITS."""
    units = [group for group in group_by if group != "status"]
    return units[0] if len(units) == 1 and units[0] in UNITS else None


def local_spans(window: Window, by: str, zone: tzinfo) -> tuple[TimeSpan, ...]:
    """The spans of a window, oldest first; none when they are more than MAX_SPANS."""
    spans: list[TimeSpan] = []
    start = window.start
    while start < window.end and len(spans) <= MAX_SPANS:
        end = min(_end_of(start, by, zone, is_first=not spans), window.end)
        spans.append(TimeSpan(time_group(start, by, zone), Window(start, end)))
        start = end
    return tuple(spans) if len(spans) <= MAX_SPANS else ()


def _end_of(start: datetime, by: str, zone: tzinfo, *, is_first: bool) -> datetime:
    """Where the day, week or hour of an instant ends; it begins there but for the first one."""
    label = time_group(start, by, zone)
    earliest = start if is_first else start + _SHORTEST[by] - _QUARTER
    return next(moment for moment in _quarters(earliest) if time_group(moment, by, zone) != label)


def _quarters(moment: datetime) -> Iterator[datetime]:
    """The quarters of an hour after an instant."""
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    moment = midnight + ((moment - midnight) // _QUARTER) * _QUARTER
    while True:
        moment += _QUARTER
        yield moment
