"""The question what stands out in a window, and the answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from verify_mcp.analysis.anomalies.finding import KINDS, Finding
from verify_mcp.analysis.anomalies.levels import MIN_DAYS
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.windows import Window, gaps
from verify_mcp.mirror.cells import Evidence

DEFAULT_BASELINE = timedelta(days=28)
LEVEL_KINDS = ("spend", "volume")
"""The kinds that compare an hour with the same hour of other days."""


@dataclass(frozen=True, slots=True)
class AnomalyQuery:
    """Which sessions are looked at, which time before the window is usual, and for which kinds.

    `session_filter` has no times. `is_end_pinned` says that the caller named the window's end.
    """

    session_filter: SessionFilter
    window: Window
    is_end_pinned: bool
    baseline: timedelta = DEFAULT_BASELINE
    kinds: tuple[str, ...] = KINDS
    max_requests: int | None = None

    def past(self) -> Window:
        """The time that is the measure of what is usual."""
        return Window(self.window.start - self.baseline, self.window.start)


@dataclass(frozen=True, slots=True)
class ReportedFinding:
    """A finding and the sessions that it is made of."""

    finding: Finding
    evidence: Evidence
    neighbours: float | None = None
    """The share of numbers that follow each other closely; only of pumping."""


@dataclass(frozen=True, slots=True)
class LookedAt:
    """The part of a window that is known, and how much that is."""

    window: Window
    parts: tuple[Window, ...]

    @property
    def missing(self) -> tuple[Window, ...]:
        """The parts that are not known, oldest first."""
        return gaps(self.window, self.parts)

    @property
    def length(self) -> timedelta:
        """How long the known parts are together."""
        return sum((part.length for part in self.parts), timedelta())


@dataclass(frozen=True, slots=True)
class AnomalyResult:
    """The findings, clearest first, and what was looked at.

    `findings` is None where nothing could be looked at; `why` then says why not.
    """

    now: LookedAt
    past: LookedAt
    findings: tuple[ReportedFinding, ...] | None
    as_of: datetime
    kinds: tuple[str, ...]
    sessions: int = 0
    why: str = ""
    eta_s: float | None = None
    pages_left: float | None = None
    """The requests that the missing part may take; None when that is not known."""
    skipped: int = 0
    left_out: tuple[tuple[str, int], ...] = ()
    """Text filters, and how many sessions they leave out that do not tell the text."""

    @property
    def unjudged(self) -> tuple[str, ...]:
        """The kinds asked for that too few known days leave open."""
        has_days = self.past.length >= timedelta(days=MIN_DAYS)
        return () if has_days else tuple(kind for kind in self.kinds if kind in LEVEL_KINDS)

    @property
    def is_complete(self) -> bool:
        """Whether every kind was looked for in all of the window."""
        is_whole = self.findings is not None and not self.now.missing
        return is_whole and not self.skipped and not self.unjudged
