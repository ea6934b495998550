"""Spans of time, and which parts of them are missing."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """From `start` up to, but not including, `end`; both aware and in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if any(bound.utcoffset() != timedelta(0) for bound in (self.start, self.end)):
            raise ValueError("A window's bounds are aware datetimes in UTC.")
        if self.end < self.start:
            raise ValueError("A window cannot end before it starts.")

    @property
    def length(self) -> timedelta:
        """How long the window lasts; a window of no length holds nothing."""
        return self.end - self.start

    def __str__(self) -> str:
        """Both bounds to the second, for people."""
        start, end = (bound.strftime("%Y-%m-%d %H:%M:%S") for bound in (self.start, self.end))
        return f"{start} to {end}"

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


def merge(windows: Iterable[Window]) -> tuple[Window, ...]:
    """The same instants in the fewest windows, oldest first: those that touch are joined."""
    joined: list[Window] = []
    for window in sorted(window for window in windows if window.length):
        if joined and window.start <= joined[-1].end:
            joined[-1] = Window(joined[-1].start, max(joined[-1].end, window.end))
        else:
            joined.append(window)
    return tuple(joined)


def join_closest(windows: Iterable[Window], limit: int) -> tuple[Window, ...]:
    """All these instants in at most `limit` (at least 1) windows, oldest first.

    The windows with the least time between them are joined, which adds the fewest other instants.
    """
    apart = merge(windows)
    if len(apart) <= limit:
        return apart
    widest = sorted(pairwise(apart), key=_gap_between, reverse=True)[: limit - 1]
    starts = [apart[0].start, *sorted(later.start for _, later in widest)]
    ends = [*sorted(earlier.end for earlier, _ in widest), apart[-1].end]
    return tuple(Window(start, end) for start, end in zip(starts, ends, strict=True))


def _gap_between(neighbours: tuple[Window, Window]) -> timedelta:
    earlier, later = neighbours
    return later.start - earlier.end


def overlap(a: Window, b: Window) -> Window | None:
    """The instants that both windows hold, None when there are none."""
    start, end = max(a.start, b.start), min(a.end, b.end)
    return Window(start, end) if start < end else None


def gaps(window: Window, windows: Iterable[Window]) -> tuple[Window, ...]:
    """The parts of `window` that none of `windows` holds, oldest first."""
    inside = merge(shared for part in windows if (shared := overlap(window, part)))
    starts = [window.start, *(part.end for part in inside)]
    ends = [*(part.start for part in inside), window.end]
    between = zip(starts, ends, strict=True)
    return tuple(Window(start, end) for start, end in between if start < end)


def covers(window: Window, windows: Iterable[Window]) -> bool:
    """Whether `windows` together hold every instant of `window`; they do if it has no length."""
    return not gaps(window, windows)
