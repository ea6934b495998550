"""Which window a follower fetches next, so that the newest days stay covered with few requests.

A session is fetched when it is new, again when it has had the time to end, and once more when it is
settled. Each of these costs a page for twenty sessions, so each waits until it fills pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, gaps, merge

MIN_INTERVAL, MAX_INTERVAL = timedelta(seconds=40), timedelta(minutes=5)
"""The time between two fetches of the newest sessions: as long as a page of them takes to come,
within these. An answer may be a minute old.
"""
TIME_TO_END = timedelta(minutes=6)
"""How long after its creation a session has usually ended: its code expires after five minutes."""
SETTLING_PAGES, MAX_SETTLING_WAIT = 16, timedelta(minutes=5)
"""What just settled is fetched again when it fills so many pages, or after so long."""
FRONTIER = timedelta(hours=2)
"""What settled within so long goes before older gaps."""


@dataclass(frozen=True, slots=True)
class FollowView:
    """What is stored of the period that is followed, at an instant.

    The sessions of `covered` windows are final, those of `known` ones were fetched not long ago.
    `rate` is how many sessions come in a second, None while that is not known.
    """

    period: Window
    covered: Sequence[Window]
    known: Sequence[Window]
    settle: timedelta
    rate: float | None = None

    @property
    def known_until(self) -> datetime:
        """The end of the newest window of which anything is known."""
        newest = merge([*self.covered, *self.known])
        return newest[-1].end if newest else self.period.start

    @property
    def behind(self) -> timedelta:
        """How old the newest known session may be."""
        return self.period.end - self.known_until

    @property
    def stored_share(self) -> float:
        """The share of the period of which all sessions are stored."""
        missing = gaps(self.period, [*self.covered, *self.known])
        length = sum((window.length for window in missing), timedelta())
        return 1 - length / self.period.length if self.period.length else 1.0

    @property
    def interval(self) -> timedelta:
        """The time between two fetches of the newest sessions."""
        if self.rate is None:
            return MIN_INTERVAL
        page = timedelta(seconds=min(PAGE_SIZE / max(self.rate, 1e-9), 1e6))
        return min(max(page, MIN_INTERVAL), MAX_INTERVAL)

    @property
    def time_to_settle(self) -> timedelta:
        """How long after its creation a session is nearly always final."""
        return self.settle + TIME_TO_END

    @property
    def settled_until(self) -> datetime:
        """The instant before which nearly all sessions are final by now."""
        return max(self.period.start, self.period.end - self.time_to_settle)


def newest_window(view: FollowView) -> Window | None:
    """The newest part, when it is time to fetch it."""
    if view.behind < view.interval:
        return None
    return Window(view.known_until, view.period.end)


def settled_window(view: FollowView) -> Window | None:
    """A part that settled lately and is not covered, when it is time to fetch it.

    What is known of it is soon too old to be told, so the oldest of that goes first.
    """
    edge = view.settled_until
    frontier = Window(max(view.period.start, edge - FRONTIER), edge)
    unknown = gaps(frontier, [*view.covered, *view.known])
    known = _spans(gaps(frontier, [*view.covered, *unknown]))
    for window in (*known, *reversed(_spans(unknown))):
        if window.end < edge or _is_full(view, window):
            return _first_part(view, window) if window in known else window
    return None


def _first_part(view: FollowView, window: Window) -> Window:
    """The oldest part of a window that is enough for one backfill, which begins at its end."""
    if not view.rate:
        return window
    pages = timedelta(seconds=min(SETTLING_PAGES * PAGE_SIZE / view.rate, 1e6))
    return Window(window.start, min(window.end, window.start + max(MAX_SETTLING_WAIT, pages)))


def recent_gap(view: FollowView) -> Window | None:
    """The newest gap among the sessions that may still change: a fetch that was not finished."""
    edge = view.settled_until
    recent = Window(edge, max(edge, view.known_until))
    return _newest(gaps(recent, [*view.covered, *view.known]))


def older_gap(view: FollowView) -> Window | None:
    """The newest gap of the past."""
    frontier = max(view.period.start, view.settled_until - FRONTIER)
    return _newest(gaps(Window(view.period.start, frontier), view.covered))


def _newest(windows: Sequence[Window]) -> Window | None:
    spans = _spans(windows)
    return spans[-1] if spans else None


def unsettled_instants(view: FollowView) -> tuple[datetime, ...]:
    """When the sessions were created that were not final though their neighbours were."""
    left = gaps(Window(view.period.start, view.settled_until), view.covered)
    return tuple(window.start for window in left if window.length == MICROSECOND)


def _spans(windows: Sequence[Window]) -> list[Window]:
    """The windows that are longer than the instant of a session that is not final."""
    return [window for window in windows if window.length > MICROSECOND]


def _is_full(view: FollowView, window: Window) -> bool:
    """Whether the sessions of a window that grows fill enough pages by now."""
    if window.length >= MAX_SETTLING_WAIT or view.rate is None:
        return True
    return window.length.total_seconds() * view.rate >= SETTLING_PAGES * PAGE_SIZE


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """Windows whose pages hold several sessions that may have changed, and single sessions."""

    windows: tuple[Window, ...]
    singles: tuple[datetime, ...]


def plan_refresh(instants: Sequence[datetime], rate: float | None) -> RefreshPlan:
    """How to fetch the sessions created at these instants with the fewest requests.

    Sessions that a page probably holds together are one window, and windows with hardly a session
    between them are joined: a page takes those of both.
    """
    groups: list[Window] = []
    singles: list[datetime] = []
    newest_first = sorted(set(instants), reverse=True)
    index = 0
    while index < len(newest_first):
        newest = newest_first[index]
        page = [at for at in newest_first[index : index + PAGE_SIZE] if _fits(at, newest, rate)]
        if len(page) > 1:
            groups.append(Window(page[-1], newest + MICROSECOND))
        else:
            singles.append(newest)
        index += len(page)
    return RefreshPlan(_join_near(groups, rate), tuple(singles))


def _fits(older: datetime, newer: datetime, rate: float | None) -> bool:
    """Whether a page that begins with one session probably has the other one, too."""
    return (newer - older).total_seconds() * (rate or 0.0) < PAGE_SIZE


def _join_near(newest_first: Sequence[Window], rate: float | None) -> tuple[Window, ...]:
    joined: list[Window] = []
    for window in newest_first:
        between = (joined[-1].start - window.end).total_seconds() if joined else 0.0
        if joined and between * (rate or 0.0) < PAGE_SIZE / 4:
            joined[-1] = Window(window.start, joined[-1].end)
        else:
            joined.append(window)
    return tuple(joined)
