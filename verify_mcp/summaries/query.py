"""The query for a summary, and its result."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from verify_mcp.domain.api_limits import REACH
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.ranking import Ranking
from verify_mcp.domain.reach import explain_reach
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.tallies import Tallies, Tally
from verify_mcp.domain.windows import Window
from verify_mcp.settings import Settings

if TYPE_CHECKING:  # counting is not needed to start
    from verify_mcp.mirror.placed_pages import ReadPages
    from verify_mcp.summaries.count_result import CountResult

DEFAULT_MAX_REQUESTS = 20
"""Requests that a summary may take at most unless the caller says otherwise."""
RESERVED_REQUESTS = 4
"""Requests of the quota that a summary leaves for the next question unless the caller says how
many it may take."""
RESUME_TOLERANCE = timedelta(seconds=2)
"""How far a relative window of a repeated call may be from where the clock moved it."""


def default_max_requests(settings: Settings) -> int:
    """Requests that a summary may take where the caller does not say."""
    if settings.default_max_requests is not None:
        return settings.default_max_requests
    rate = settings.rate_limit
    share = max(rate.requests - RESERVED_REQUESTS, rate.requests // 2, 1)
    return min(DEFAULT_MAX_REQUESTS, share)


@dataclass(frozen=True, slots=True)
class SummaryQuery:
    """Which figures about which sessions; `session_filter` holds no times, `window` does.

    `is_end_pinned` says that the caller named the window's end; otherwise it is now, and an answer
    may be a little older.
    """

    session_filter: SessionFilter
    window: Window
    is_end_pinned: bool
    group_by: tuple[str, ...] = ()
    zone: tzinfo = UTC
    max_requests: int | None = None
    """Requests that the caller allows; None leaves a few of the quota for the next question."""
    other_requests: int = 0
    """Requests of the call that are kept for another query of it."""
    counts_only: bool = False
    """Whether a count leaves out what takes a sample: money and groups."""
    count_name: str = ""
    """Tells counts of the same filter apart, each of which later calls continue."""
    ranking: Ranking | None = None
    """Which groups are shown, so that the database need not return millions; None for all."""

    @property
    def is_generous(self) -> bool:
        """Whether the caller allows more requests than the default."""
        return self.max_requests is not None and self.max_requests > DEFAULT_MAX_REQUESTS


@dataclass(frozen=True, slots=True)
class SummaryResult:
    """The figures: `tallies` of all sessions in `window` but those in `missing`."""

    basis: str
    window: Window
    tallies: Tallies
    as_of: datetime
    missing: tuple[Window, ...] = ()
    why: str = ""
    eta_s: float | None = None
    eta_exact_s: float | None = None
    """Seconds until repeated calls can have an exact answer, at the present quota."""
    pages_left: float | None = None
    """Requests that an exact answer still takes; None when that is not known."""
    skipped: int = 0
    parts: tuple[Window, ...] = ()
    """The windows of it that were read from the mirror."""
    sessions: tuple[Session, ...] = ()
    """The sessions of it that were fetched."""
    other_groups: int = 0
    """How many groups of the mirror were not read one by one."""
    rest: Tally = field(default_factory=Tally)
    """The tally of those groups."""
    count: "CountResult | None" = None
    """The count of a part; `tallies` then has one tally, of no group, of the sessions around it."""
    read: "ReadPages | None" = None
    """The pages of that part that were read, where they are all of its sessions' pages."""
    groups_around: Tallies | None = None
    """The groups of the sessions around that part; None when they are not known."""
    groups_inside: Tallies = field(default_factory=dict)
    """The groups of the cached sessions inside the part counted, which has these at least."""

    @property
    def is_exact(self) -> bool:
        """Whether the figures are about every session of the window, none left out."""
        return not self.missing and not self.skipped and self.count is None


def out_of_reach_result(window: Window, now: datetime) -> SummaryResult:
    """The result for a window that lies before the API's reach: no figure is known."""
    why = explain_reach(now - REACH)
    return SummaryResult("", window, {}, now, (window,), why)
