"""How many sessions were created at certain instants or later, from pages at any offset.

The list is in order of time, so a row's place in it is the number of sessions that are newer. A
page that shows an instant between two of its rows gives the number exactly, and every other page
bounds it. The numbers of two instants differ by the sessions of the time between them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from math import hypot, sqrt

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.rhythm import DAY, NO_RHYTHM, Gap, Rhythm, fit_rhythm

_DRIFT = 0.25
"""How far the sessions of a gap may be from evenly spread, as a part of them, in the middle."""
_MIN_ROWS = 10
"""Rows of a page that show a rate."""
_DAYS_AROUND_PAGE = 3
_DAYS_AROUND_GAP = 11
"""Instants on either side between which the usual rate is taken: a gap's around three weeks."""
_MIN_SHARE = 0.02
"""The part of a gap that a probe leaves on either side, so that a burst does not stop a search."""


@dataclass(frozen=True, slots=True)
class BoundaryRank:
    """So many sessions were created at `moment` or later: at least `low`, at most `high`.

    `low_at` is the creation time of the session before place `low`, `high_at` of that at `high`,
    or the end and the start of the window where there is none.
    """

    moment: datetime
    low: int
    high: int
    low_at: datetime
    high_at: datetime

    @property
    def is_exact(self) -> bool:
        """Whether the number is known."""
        return self.low == self.high

    def with_row(self, place: int, created: datetime) -> "BoundaryRank":
        """With one row of the list, which has so many sessions before it."""
        if created >= self.moment:
            if place + 1 <= self.low:
                return self
            return replace(self, low=place + 1, low_at=created)
        return replace(self, high=place, high_at=created) if place < self.high else self

    def moved(self, *, low: int, high: int) -> "BoundaryRank":
        """With bounds that are known from elsewhere, where they are closer."""
        return replace(self, low=max(self.low, low), high=min(self.high, high))


@dataclass(frozen=True, slots=True)
class Pace:
    """The average days of sessions passed at certain instants; between them by the rhythm."""

    moments: tuple[datetime, ...]
    days: tuple[float, ...]
    rhythm: Rhythm

    def passed(self, moment: datetime) -> float:
        """The average days of sessions passed at an instant."""
        after = min(max(1, bisect_right(self.moments, moment)), len(self.moments) - 1)
        start, end = (self.rhythm.passed(self.moments[index]) for index in (after - 1, after))
        part = (self.rhythm.passed(moment) - start) / (end - start) if end > start else 0.5
        return self.days[after - 1] + part * (self.days[after] - self.days[after - 1])


@dataclass(frozen=True, slots=True)
class BoundaryRanks:
    """The ranks of instants of a window in which one filter has `total` sessions, oldest first."""

    total: int
    ranks: tuple[BoundaryRank, ...]
    rates: tuple[tuple[datetime, float], ...] = ()
    """For each page read, an instant of it and the sessions per day that it shows."""
    rhythm: Rhythm = NO_RHYTHM
    pace: Pace | None = None
    """How the sessions of a filter that takes these in come, where that is known better."""

    @classmethod
    def begun(
        cls, window: Window, total: int, moments: Iterable[datetime], pace: Pace | None = None
    ) -> "BoundaryRanks":
        """Before any page is read: the ends of the window have their ranks."""
        ranks = [
            BoundaryRank(moment, 0, total, window.end, window.start)
            for moment in moments
            if window.start < moment < window.end
        ]
        first = BoundaryRank(window.start, total, total, window.start, window.start)
        last = BoundaryRank(window.end, 0, 0, window.end, window.end)
        return cls(total, (first, *ranks, last), pace=pace)

    def with_page(self, offset: int, times: Sequence[datetime | None]) -> "BoundaryRanks":
        """With one page: the creation times of its rows, newest first; others say nothing."""
        rows = [(offset + index, time) for index, time in enumerate(times) if time]
        if not rows or any(newer[1] < older[1] for newer, older in pairwise(rows)):
            return self
        span = (rows[0][1] - rows[-1][1]) / DAY
        rates = self.rates
        if span > 0 and len(rows) >= _MIN_ROWS:
            rates = (*rates, (rows[len(rows) // 2][1], (len(rows) - 1) / span))
        ranks = tuple(_with_rows(rank, rows) for rank in self.ranks)
        return replace(self, ranks=ranks, rates=rates)

    def with_rhythm(self) -> "BoundaryRanks":
        """With the daily and weekly rhythm that the pages read show."""
        ends = [(rank.moment, self.value(rank)) for rank in self.ranks]
        usual = ((at, rate, _usual_rate(at, ends, _DAYS_AROUND_PAGE)) for at, rate in self.rates)
        rates = [(at, rate / mean) for at, rate, mean in usual if mean > 0]
        return replace(self, rhythm=fit_rhythm(rates, self._gaps(ends)))

    def _gaps(self, ends: Sequence[tuple[datetime, float]]) -> list[Gap]:
        """The gaps between rows that are known."""
        gaps: list[Gap] = []
        for (newer, before), (older, after) in pairwise(self.known_rows()):
            usual = _usual_rate(newer + (older - newer) / 2, ends, _DAYS_AROUND_GAP)
            if usual > 0:
                gaps.append(Gap(newer, older, max(0, after - before), usual))
        return gaps

    def known_rows(self) -> list[tuple[datetime, int]]:
        """The rows next to an instant, newest first: the creation time, and its place."""
        rows = {
            row
            for rank in self.ranks
            for row in ((rank.low_at, rank.low), (rank.high_at, rank.high))
        }
        return sorted(rows, key=lambda row: (-row[0].timestamp(), row[1]))

    def share(self, rank: BoundaryRank) -> float:
        """Which part of the sessions between a rank's two neighbours is likely to be newer."""
        newer, older = map(self.passed, (rank.low_at, rank.high_at))
        length = newer - older
        passed = (newer - self.passed(rank.moment)) / length if length > 0 else 0.5
        return min(1.0, max(0.0, passed))

    def passed(self, moment: datetime) -> float:
        """How many average days of sessions lie between a fixed instant and this one."""
        return self.pace.passed(moment) if self.pace else self.rhythm.passed(moment)

    def as_pace(self) -> Pace | None:
        """How these sessions come, as far as it is known; None where there are none."""
        if not self.total:
            return None
        days = (self.ranks[-1].moment - self.ranks[0].moment) / DAY
        moments = tuple(rank.moment for rank in self.ranks)
        older = tuple((1 - self.value(rank) / self.total) * days for rank in self.ranks)
        return Pace(moments, older, self.rhythm)

    def value(self, rank: BoundaryRank) -> float:
        """The likely rank."""
        return rank.low + self.share(rank) * (rank.high - rank.low)

    def std_dev(self, rank: BoundaryRank) -> float:
        """How far the true rank may be from the likely one."""
        share = self.share(rank)
        uneven = (rank.high - rank.low) * share * (1 - share)
        return hypot(sqrt(max(0.0, uneven)), _DRIFT * uneven)

    def with_known_spans(self, sessions: Sequence[int | None]) -> "BoundaryRanks":
        """With the number of sessions between each two neighbours, None where it is not known."""
        ranks = list(self.ranks)
        for older in reversed(range(len(sessions))):
            known = sessions[older]
            if known is not None:
                newer = ranks[older + 1]
                ranks[older] = ranks[older].moved(low=newer.low + known, high=newer.high + known)
        for older, known in enumerate(sessions):
            if known is not None:
                rank = ranks[older]
                ranks[older + 1] = ranks[older + 1].moved(
                    low=rank.low - known, high=rank.high - known
                )
        return replace(self, ranks=tuple(ranks))

    @property
    def is_contradictory(self) -> bool:
        """Whether no number fits all rows: sessions came or went between two pages."""
        return any(rank.low > rank.high for rank in self.ranks)

    @property
    def is_exact(self) -> bool:
        """Whether every rank is known."""
        return all(rank.is_exact for rank in self.ranks)

    def next_offset(self, read: Collection[int]) -> int | None:
        """The page that narrows most of those not `read`; None when none narrows anything."""
        for rank in sorted(self.ranks, key=lambda rank: -self.std_dev(rank)):
            if rank.low < rank.high:
                offset = _probe(rank, self.share(rank), read)
                if offset is not None:
                    return offset
        return None


def _with_rows(rank: BoundaryRank, rows: Sequence[tuple[int, datetime]]) -> BoundaryRank:
    """The rank with those of some rows that are next to it."""
    if rows[-1][1] >= rank.moment:
        return rank.with_row(*rows[-1])
    if rows[0][1] < rank.moment:
        return rank.with_row(*rows[0])
    first_older = next(index for index, row in enumerate(rows) if row[1] < rank.moment)
    return rank.with_row(*rows[first_older - 1]).with_row(*rows[first_older])


def _usual_rate(moment: datetime, ends: Sequence[tuple[datetime, float]], around: int) -> float:
    """Sessions per day between the ends that are so many before and after an instant."""
    after = bisect_left(ends, (moment, 0.0))
    first, last = max(0, after - around), min(len(ends) - 1, after + around - 1)
    length = (ends[last][0] - ends[first][0]) / DAY
    return (ends[first][1] - ends[last][1]) / length if length > 0 else 0.0


def _probe(rank: BoundaryRank, share: float, read: Collection[int]) -> int | None:
    """The page not read yet that is nearest to the likely place of an instant."""
    between = rank.high - rank.low
    share = min(max(share, _MIN_SHARE), 1 - _MIN_SHARE)
    target = int(rank.low + share * between) // PAGE_SIZE
    first, last = rank.low // PAGE_SIZE, (rank.high - 1) // PAGE_SIZE
    for step in range(last - first + 1):
        for page in (target - step, target + step):
            if first <= page <= last and page * PAGE_SIZE not in read:
                return page * PAGE_SIZE
    return None
