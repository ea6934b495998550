"""How far a rank that is not exact may be from the likely one.

Between two rows known to be neighbours of an instant lies a gap of time with a known number of
sessions. If sessions came there as on the days around it, few could be elsewhere than expected. Any
more than there were on the quietest of those days may all have come at once (a burst), and any
fewer than on the busiest may all be missing at once (an outage). A gap that has no days around it
to compare it with leaves all of it open.
"""

from dataclasses import dataclass
from datetime import datetime
from math import hypot, sqrt

from verify_mcp.summaries.boundary_ranks import BoundaryRank, BoundaryRanks
from verify_mcp.summaries.rhythm import rhythm_error

_DEVIATIONS = 3.3
"""Standard deviations of chance that an interval has room for: it is to hold for every day."""
_UNEVEN_DEVIATIONS = 3.0
"""The same of days that differ as much as the hours seen do."""
_RHYTHM_LEFT = 0.4
"""The amplitude of a daily rhythm that the one found may leave."""
_PIECES_AROUND = 3
"""Stretches of time on either side with which a gap is compared."""
_MIN_PIECE = 1.0
"""The length of a stretch at least, in average days."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many sessions more and fewer than is likely there may be."""

    above: float
    below: float

    def __add__(self, other: "Room") -> "Room":
        return Room(self.above + other.above, self.below + other.below)

    @property
    def mirrored(self) -> "Room":
        """The same of a number that is taken off."""
        return Room(self.below, self.above)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of time between two rows: its ends, and how many sessions a day came."""

    newer: float
    older: float
    sessions: int

    @property
    def rate(self) -> float:
        return self.sessions / (self.newer - self.older)


class RoomFinder:
    """Finds the room of ranks by comparing gaps with the stretches around them."""

    def __init__(self, ranks: BoundaryRanks) -> None:
        self._ranks = ranks
        self._pieces = _pieces(ranks)

    def of_rank(self, rank: BoundaryRank) -> Room:
        """The room of a rank."""
        return self.of_part(rank, self._ranks.share(rank), rank.moment)

    def of_part(self, gap: BoundaryRank, share: float, moment: datetime) -> Room:
        """The room of a part of the gap around a rank that is likely to have this share of it."""
        between = gap.high - gap.low
        if between <= 0:
            return Room(0, 0)
        rates = self._rates_around(gap)
        if len(rates) < _PIECES_AROUND:
            return Room(between, between)
        days = self._days(gap.low_at) - self._days(gap.high_at)
        excess = max(0.0, between - min(rates) * days)
        lack = max(0.0, max(rates) * days - between)
        noise = _DEVIATIONS * hypot(
            sqrt(between * share * (1 - share)) + 1,
            _RHYTHM_LEFT
            * between
            / days
            * rhythm_error(gap.low_at, moment, gap.high_at, share)
            / 2,
        )
        uneven = self._ranks.rhythm.unevenness * between
        uneven *= min(sqrt(share * (1 - share) / days), share * (1 - share))
        noise += _UNEVEN_DEVIATIONS * uneven
        return Room(
            max(excess * (1 - share), lack * share) + noise,
            max(excess * share, lack * (1 - share)) + noise,
        )

    def _rates_around(self, gap: BoundaryRank) -> list[float]:
        newer, older = self._days(gap.low_at), self._days(gap.high_at)
        after = [piece for piece in self._pieces if piece.older >= newer][-_PIECES_AROUND:]
        before = [piece for piece in self._pieces if piece.newer <= older][:_PIECES_AROUND]
        return [piece.rate for piece in (*after, *before)]

    def _days(self, moment: datetime) -> float:
        return self._ranks.passed(moment)


def _pieces(ranks: BoundaryRanks) -> list[_Piece]:
    """The time between the rows known, newest first, in stretches that are not too short."""
    knots = sorted({(-ranks.passed(at), place) for at, place in ranks.known_rows()})
    pieces: list[_Piece] = []
    start = knots[0]
    for knot in knots[1:]:
        if knot[0] - start[0] >= _MIN_PIECE:
            pieces.append(_Piece(-start[0], -knot[0], max(0, knot[1] - start[1])))
            start = knot
    return pieces
