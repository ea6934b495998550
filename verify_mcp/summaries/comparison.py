"""The query for a comparison of two windows, and its result."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from math import ceil
from typing import TYPE_CHECKING, Literal

from verify_mcp.analysis.drivers import DriverSearch
from verify_mcp.analysis.effects import Breakdown
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import REACH_TOLERANCE
from verify_mcp.domain.times import SECOND
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.query import SummaryQuery, SummaryResult

if TYPE_CHECKING:  # not needed to start
    from verify_mcp.analysis.onset import Onset

DAY, WEEK = timedelta(days=1), timedelta(days=7)
HOURS_TOLERANCE = timedelta(hours=1)
"""How far apart the times of day of two windows may be: clocks are set forward and back."""

Baseline = datetime | Literal["before", "week"]
"""Where the earlier window starts: directly before, seven days earlier, or at an instant."""


def baseline_window(window: Window, baseline: Baseline) -> Window:
    """The earlier window that a window is compared with, of the same length.

    Raises ValueError if the two overlap.
    """
    match baseline:
        case "before":
            start = window.start - window.length
        case "week":
            start = window.start - WEEK
        case datetime():
            start = baseline
    if start + window.length > window.start:
        raise ValueError("the windows overlap")
    return Window(start, start + window.length)


def within_reach(window: Window, baseline: Baseline, edge: datetime) -> tuple[Window, Baseline]:
    """Both windows without the seconds by which the earlier one begins before the reach.

    They are the same where it begins at `edge` or later, or more than REACH_TOLERANCE before it.
    """
    late = edge - baseline_window(window, baseline).start
    if not timedelta() < late <= min(REACH_TOLERANCE, window.length / 2):
        return window, baseline
    # A later start moves the window directly before by twice as much.
    cut = -(-late // (2 * SECOND)) * SECOND if baseline == "before" else late
    start = edge if isinstance(baseline, datetime) else baseline
    return Window(window.start + cut, window.end), start


def have_same_hours(before: Window, after: Window) -> bool:
    """Whether two windows begin at the same time of day, so that their hours can be compared."""
    apart = (after.start - before.start) % DAY
    return min(apart, DAY - apart) <= HOURS_TOLERANCE


@dataclass(frozen=True, slots=True)
class ComparisonQuery:
    """Which windows of which sessions are compared, and by which dimensions.

    `name` is the same when a call is repeated, so that its unfinished counts go on.
    """

    session_filter: SessionFilter
    window: Window
    is_end_pinned: bool
    baseline: Baseline
    dimensions: tuple[str, ...]
    zone: tzinfo = UTC
    max_requests: int | None = None
    name: Hashable = ""

    def later(self) -> SummaryQuery:
        """The query for the window asked about."""
        return SummaryQuery(
            self.session_filter,
            self.window,
            self.is_end_pinned,
            zone=self.zone,
            max_requests=self.max_requests,
            counts_only=True,
            count_name="later window",
        )

    def earlier(self, window: Window) -> SummaryQuery:
        """The query for the window before, given the window that was answered for the later one."""
        return replace(
            self.later(),
            window=baseline_window(window, self.baseline),
            is_end_pinned=True,
            count_name="earlier window",
        )


@dataclass(frozen=True, slots=True)
class ComparisonResult:
    """Both windows' figures, and what explains their difference where both are exact.

    `before` is None when nothing was done for it yet. `search` is None when no drivers could be
    looked for; `onsets` belong to its drivers. `why` says what is left open besides the windows.
    """

    before_window: Window
    after: SummaryResult
    before: SummaryResult | None = None
    breakdowns: tuple[Breakdown, ...] = ()
    search: DriverSearch | None = None
    onsets: "tuple[Onset | None, ...]" = ()
    why: str = ""
    is_completed_later: bool = False
    """Whether what is missing is fetched in the background."""

    @property
    def is_exact(self) -> bool:
        """Whether the figures of both windows are about all of their sessions."""
        return self.before is not None and self.before.is_exact and self.after.is_exact

    @property
    def requests_left(self) -> int | None:
        """About how many requests both windows take until they are exact; None if not known."""
        if self.before is None:
            return None
        parts = [_requests_left(side) for side in (self.before, self.after)]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None


def _requests_left(side: SummaryResult) -> int | None:
    if side.is_exact:
        return 0
    if side.count is not None:
        return max(1, side.count.pages - side.count.sampled_pages)
    return None if side.pages_left is None else ceil(side.pages_left)
