"""How much busier some hours of a day are than others, by the times of the pages read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import cos, hypot, pi, sin, sqrt
from statistics import median

DAY = timedelta(days=1)
_EPOCH = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
_MAX_AMPLITUDE = 0.9
_PRIOR_WEIGHT = 0.4
"""Pages that speak for no rhythm, before any was read."""
_CHANCE = 1 / 19
"""The variance of a rate that 20 rows show, where sessions come by chance alone."""
_OF_NORMAL = 1.48
"""The standard deviation of what is normally distributed, in middle deviations."""
_MAX_RATE = 3.0
"""A page of a burst, with a higher rate, says nothing of the rhythm."""


@dataclass(frozen=True, slots=True)
class DailyRhythm:
    """The rate of sessions over a day: one and a sine of this phase and amplitude."""

    cosine: float = 0.0
    sine: float = 0.0
    unevenness: float = 0.0
    """The standard deviation of the rates around it, as a part of them, beyond that of chance."""

    def passed(self, moment: datetime) -> float:
        """How many average days of sessions lie between a fixed instant and this one."""
        days = (moment - _EPOCH) / DAY
        turn = 2 * pi * days
        return days + (self.cosine * sin(turn) - self.sine * (cos(turn) - 1)) / (2 * pi)

    def rate(self, moment: datetime) -> float:
        """How busy an instant is, relative to the average."""
        turn = 2 * pi * ((moment - _EPOCH) / DAY)
        return 1 + self.cosine * cos(turn) + self.sine * sin(turn)


NO_RHYTHM = DailyRhythm()
"""Every hour is as busy as any other."""


def fit_rhythm(rates: Sequence[tuple[datetime, float]]) -> DailyRhythm:
    """The rhythm that fits rates best, each relative to the rate of the days around it."""
    cc, cs, ss, c1, s1 = _PRIOR_WEIGHT, 0.0, _PRIOR_WEIGHT, 0.0, 0.0
    for moment, rate in rates:
        turn = 2 * pi * ((moment - _EPOCH) / DAY)
        c, s, apart = cos(turn), sin(turn), min(rate, _MAX_RATE) - 1
        cc, cs, ss, c1, s1 = cc + c * c, cs + c * s, ss + s * s, c1 + c * apart, s1 + s * apart
    whole = cc * ss - cs * cs
    cosine, sine = (ss * c1 - cs * s1) / whole, (cc * s1 - cs * c1) / whole
    scale = min(1.0, _MAX_AMPLITUDE / max(hypot(cosine, sine), _MAX_AMPLITUDE))
    found = DailyRhythm(cosine * scale, sine * scale)
    return replace(found, unevenness=_unevenness(found, rates))


def _unevenness(rhythm: DailyRhythm, rates: Sequence[tuple[datetime, float]]) -> float:
    """By the middle deviation, to which a few pages of bursts do not matter."""
    if not rates:
        return 0.0
    middle = median(abs(rate / rhythm.rate(moment) - 1) for moment, rate in rates)
    return sqrt(max(0.0, (_OF_NORMAL * middle) ** 2 - _CHANCE))


def rhythm_error(newer: datetime, moment: datetime, older: datetime, share: float) -> float:
    """How many days of sessions a rhythm of amplitude one may move between parts of a gap."""
    ends = (1 - share, newer), (-1.0, moment), (share, older)
    turns = [(part, 2 * pi * ((at - _EPOCH) / DAY)) for part, at in ends]
    real = sum(part * cos(turn) for part, turn in turns)
    imaginary = sum(part * sin(turn) for part, turn in turns)
    return hypot(real, imaginary) / (2 * pi)
