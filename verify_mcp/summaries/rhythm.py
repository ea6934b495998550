"""How much busier some hours and weekdays are than others, by the pages read.

The rate of an account is one and a few sines: one of a day, fitted to the rates that single pages
show, and three of a week, fitted to the numbers of sessions between known places of the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from math import cos, hypot, pi, sin, sqrt
from statistics import median

DAY = timedelta(days=1)
_EPOCH = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
_MAX_AMPLITUDE = 0.9
_DAILY_PRIOR = 0.4
"""Pages that speak for no rhythm, before any was read."""
_CHANCE = 1 / 19
"""The variance of a rate that 20 rows show, where sessions come by chance alone."""
_OF_NORMAL = 1.48
"""The standard deviation of what is normally distributed, in middle deviations."""
_MAX_RATE = 3.0
"""A page of a burst, with a higher rate, says nothing of the rhythm."""

_WEEKLY = (1 / 7, 2 / 7, 3 / 7)
"""Turns a day: with fewer, a weekend is too blurred."""
_WEEKLY_PRIOR = 20.0
"""The inverse variance of an amplitude, before any gap is known."""
_GAP_DRIFT = 0.1
"""The standard deviation of a gap's sessions beside that of chance, as a part of them."""
_MAX_GAP_RATE = 1.6
"""A gap of a burst, with a higher rate, says nothing of the rhythm."""
_MIN_GAP = 0.2
"""The length of a gap at least, in average days."""
_MIN_GAPS = 10
_MIN_WINDOW = timedelta(days=14)
"""What shows a rhythm of a week: fewer gaps, or less time, could show anything."""
_MAX_UNEXPLAINED = 0.5
"""The part of the gaps' deviations that weekly sines may leave; else they are taken for chance."""


@dataclass(frozen=True, slots=True)
class Wave:
    """A sine of the rate with so many turns a day."""

    turns: float
    cosine: float
    sine: float

    def rate(self, days: float) -> float:
        """Its value so many days after the fixed instant."""
        turn = 2 * pi * self.turns * days
        return self.cosine * cos(turn) + self.sine * sin(turn)

    def passed(self, days: float) -> float:
        """Its integral from the fixed instant on, in average days."""
        turn = 2 * pi * self.turns * days
        return (self.cosine * sin(turn) - self.sine * (cos(turn) - 1)) / (2 * pi * self.turns)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The rate of sessions relative to its average, over days and weeks."""

    waves: tuple[Wave, ...] = ()
    unevenness: float = 0.0
    """The standard deviation of the rates around it, as a part of them, beyond that of chance."""

    def passed(self, moment: datetime) -> float:
        """How many average days of sessions lie between a fixed instant and this one."""
        days = _days(moment)
        return days + sum(wave.passed(days) for wave in self.waves)

    def rate(self, moment: datetime) -> float:
        """How busy an instant is, relative to the average."""
        days = _days(moment)
        return max(1 - _MAX_AMPLITUDE, 1 + sum(wave.rate(days) for wave in self.waves))


NO_RHYTHM = Rhythm()
"""Every hour is as busy as any other."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The time between two rows of the list, with the number of sessions that lie in it.

    `usual` is how many sessions come in a day around it.
    """

    newer: datetime
    older: datetime
    sessions: int
    usual: float


def fit_rhythm(rates: Sequence[tuple[datetime, float]], gaps: Sequence[Gap]) -> Rhythm:
    """The rhythm that fits best.

    `rates` are those of pages, each relative to the rate of the days around it.
    """
    daily = Rhythm((_fit_daily(rates),))
    rhythm = Rhythm((*daily.waves, *_fit_weekly(daily, gaps)))
    return replace(rhythm, unevenness=_unevenness(rhythm, rates))


def _fit_daily(rates: Sequence[tuple[datetime, float]]) -> Wave:
    cc, cs, ss, c1, s1 = _DAILY_PRIOR, 0.0, _DAILY_PRIOR, 0.0, 0.0
    for moment, rate in rates:
        turn = 2 * pi * _days(moment)
        c, s, apart = cos(turn), sin(turn), min(rate, _MAX_RATE) - 1
        cc, cs, ss, c1, s1 = cc + c * c, cs + c * s, ss + s * s, c1 + c * apart, s1 + s * apart
    whole = cc * ss - cs * cs
    cosine, sine = (ss * c1 - cs * s1) / whole, (cc * s1 - cs * c1) / whole
    scale = min(1.0, _MAX_AMPLITUDE / max(hypot(cosine, sine), _MAX_AMPLITUDE))
    return Wave(1.0, cosine * scale, sine * scale)


def _fit_weekly(daily: Rhythm, gaps: Sequence[Gap]) -> tuple[Wave, ...]:
    """The weekly sines by ridge regression; none where they explain little."""
    rows: list[list[float]] = []
    targets: list[float] = []
    for gap in gaps:
        expected, seen = daily.passed(gap.newer) - daily.passed(gap.older), gap.sessions / gap.usual
        if expected < _MIN_GAP or seen > _MAX_GAP_RATE * expected:
            continue
        std_dev = sqrt(expected / gap.usual + (_GAP_DRIFT * expected) ** 2)
        start, end = _days(gap.older), _days(gap.newer)
        parts = chain.from_iterable((Wave(turns, 1, 0), Wave(turns, 0, 1)) for turns in _WEEKLY)
        rows.append([(part.passed(end) - part.passed(start)) / std_dev for part in parts])
        targets.append((seen - expected) / std_dev)
    if len(rows) < _MIN_GAPS or gaps[0].newer - gaps[-1].older < _MIN_WINDOW:
        return ()
    found = _ridge_regression(rows, targets, _WEEKLY_PRIOR)
    left = sum((y - _dot(row, found)) ** 2 for row, y in zip(rows, targets, strict=True))
    freedom = 1 - len(found) / len(rows)
    if left > _MAX_UNEXPLAINED * freedom * _dot(targets, targets):
        return ()
    return tuple(
        Wave(turns, *pair)
        for turns, pair in zip(_WEEKLY, zip(found[::2], found[1::2], strict=True), strict=True)
    )


def _ridge_regression(
    rows: Sequence[Sequence[float]], targets: Sequence[float], prior: float
) -> list[float]:
    """The coefficients that minimise the squared errors and `prior` times their own squares."""
    columns = list(zip(*rows, strict=True))
    size = range(len(columns))
    equations = [
        [_dot(columns[i], columns[j]) + prior * (i == j) for j in size]
        + [_dot(columns[i], targets)]
        for i in size
    ]
    for index, pivot in enumerate(equations):  # Gauss; the matrix is positive definite
        for other in equations[index + 1 :]:
            factor = other[index] / pivot[index]
            other[index:] = [a - factor * b for a, b in zip(other, pivot, strict=True)][index:]
    found: list[float] = []
    for index in reversed(size):
        *left, right = equations[index][index + 1 :]
        found.insert(0, (right - _dot(left, found)) / equations[index][index])
    return found


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _unevenness(rhythm: Rhythm, rates: Sequence[tuple[datetime, float]]) -> float:
    """By the middle deviation, to which a few pages of bursts do not matter."""
    if not rates:
        return 0.0
    middle = median(abs(rate / rhythm.rate(moment) - 1) for moment, rate in rates)
    return sqrt(max(0.0, (_OF_NORMAL * middle) ** 2 - _CHANCE))


def rhythm_error(newer: datetime, moment: datetime, older: datetime, share: float) -> float:
    """How many days of sessions a daily rhythm of amplitude one may move between parts of a gap."""
    ends = (1 - share, newer), (-1.0, moment), (share, older)
    turns = [(part, 2 * pi * _days(at)) for part, at in ends]
    real = sum(part * cos(turn) for part, turn in turns)
    imaginary = sum(part * sin(turn) for part, turn in turns)
    return hypot(real, imaginary) / (2 * pi)


def _days(moment: datetime) -> float:
    return (moment - _EPOCH) / DAY
