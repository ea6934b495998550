"""The sessions of each day or hour of a window, from the pages read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from verify_mcp.domain.sessions import Page
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.boundary_ranks import BoundaryRank, BoundaryRanks
from verify_mcp.summaries.estimate import Estimate
from verify_mcp.summaries.time_spans import TimeSpan


@dataclass(frozen=True, slots=True)
class SpanFigures:
    """The sessions of one span: all, the verified and those that ended; None while not known."""

    sessions: Estimate
    verified: Estimate | None = None
    ended: Estimate | None = None

    @property
    def is_exact(self) -> bool:
        """Whether every figure is known exactly."""
        return all(
            figure is not None and figure.exact
            for figure in (self.sessions, self.verified, self.ended)
        )


def rank_boundaries(
    window: Window, total: int, spans: Sequence[TimeSpan], pages: Mapping[int, Page]
) -> BoundaryRanks:
    """The ranks of the spans' ends, from every page of the window that was read."""
    ranks = BoundaryRanks.begun(window, total, [span.window.start for span in spans])
    for offset, page in pages.items():
        if not page.repeats:
            ranks = ranks.with_page(offset, page.times)
    return ranks


def span_estimates(ranks: BoundaryRanks) -> list[Estimate]:
    """The sessions between each two neighbouring instants, with bounds that hold for certain."""
    return [_between(older, newer) for older, newer in pairwise(ranks.ranks)]


def _between(older: BoundaryRank, newer: BoundaryRank) -> Estimate:
    if older.is_exact and newer.is_exact:
        return Estimate.certain(older.low - newer.low)
    bounds = sorted((older.low - newer.high, older.high - newer.low))
    low, high = (Decimal(max(0, bound)) for bound in bounds)
    value = Decimal(older.value - newer.value).quantize(Decimal(1), ROUND_HALF_EVEN)
    return Estimate(min(max(value, low), high), low, high)


def ended_estimate(
    sessions: Estimate, verified: Estimate, in_progress: Estimate, others: int
) -> Estimate:
    """The sessions of a span that ended; up to `others` have a status that is not documented."""
    low = max(verified.low, sessions.low - in_progress.high - others)
    high = max(low, sessions.high - in_progress.low)
    value = min(max(sessions.value - in_progress.value, low), high)
    exact = sessions.exact and in_progress.exact and not others
    return Estimate(value, low, high, exact)
