"""The sessions of each day, week or hour of a window, from the pages read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from verify_mcp.domain.sessions import Page
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.boundary_ranks import BoundaryRank, BoundaryRanks, Pace
from verify_mcp.summaries.estimate import Estimate
from verify_mcp.summaries.rank_room import RoomFinder
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


def narrowed(figures: SpanFigures, earlier: SpanFigures | None) -> SpanFigures:
    """A span's figures with the closer bounds of an earlier answer."""
    if earlier is None:
        return figures
    pairs = (
        (figures.sessions, earlier.sessions),
        (figures.verified, earlier.verified),
        (figures.ended, earlier.ended),
    )
    sessions, verified, ended = (new.narrowed_by(old) if new and old else new for new, old in pairs)
    return SpanFigures(sessions or figures.sessions, verified, ended)


def rank_boundaries(
    window: Window,
    total: int,
    spans: Sequence[TimeSpan],
    pages: Mapping[int, Page],
    pace: Pace | None = None,
) -> BoundaryRanks:
    """The ranks of the spans' ends, from every page of the window that was read."""
    ranks = BoundaryRanks.begun(window, total, [span.window.start for span in spans], pace)
    for offset, page in pages.items():
        if not page.repeats:
            ranks = ranks.with_page(offset, page.times)
    return ranks


def span_estimates(ranks: BoundaryRanks) -> list[Estimate]:
    """The sessions between each two neighbouring instants, with the room that is left."""
    rooms = RoomFinder(ranks)
    return [_between(ranks, rooms, older, newer) for older, newer in pairwise(ranks.ranks)]


def _between(
    ranks: BoundaryRanks, rooms: RoomFinder, older: BoundaryRank, newer: BoundaryRank
) -> Estimate:
    if older.is_exact and newer.is_exact:
        return Estimate.certain(older.low - newer.low)
    bounds = sorted((older.low - newer.high, older.high - newer.low))
    low, high = (Decimal(max(0, bound)) for bound in bounds)
    likely = ranks.value(older) - ranks.value(newer)
    value = min(max(_rounded(likely), low), high)
    if (older.low, older.high) == (newer.low, newer.high):
        room = rooms.of_part(older, ranks.share(older) - ranks.share(newer), older.moment)
    else:
        room = rooms.of_rank(older) + rooms.of_rank(newer).mirrored
    return Estimate(
        value,
        min(value, max(low, _rounded(likely - room.below, ROUND_FLOOR))),
        max(value, min(high, _rounded(likely + room.above, ROUND_CEILING))),
    )


def _rounded(number: float, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    return Decimal(number).quantize(Decimal(1), rounding)


def ended_estimate(
    sessions: Estimate, verified: Estimate, in_progress: Estimate, others: int
) -> Estimate:
    """The sessions of a span that ended; up to `others` have a status that is not documented."""
    low = max(verified.low, sessions.low - in_progress.high - others)
    high = max(low, sessions.high - in_progress.low)
    value = min(max(sessions.value - in_progress.value, low), high)
    exact = sessions.exact and in_progress.exact and not others
    return Estimate(value, low, high, exact)
