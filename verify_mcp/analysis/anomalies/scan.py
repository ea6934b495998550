"""The interval of a series in which its success rate fell most clearly below the usual one.

A scan over intervals of many lengths (Kulldorff 1997): each is compared with what was usual at that
time of the day, and the clearest is taken. The intervals looked at are few enough to be corrected
for and close enough to be near any other (Walther 2010, Annals of Statistics 38, 1010-1033). The
ends of the clearest one are then moved to where the likelihood is greatest.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import exp, log, sqrt

from verify_mcp.analysis.anomalies.reference import Reference
from verify_mcp.analysis.anomalies.timeline import Timeline
from verify_mcp.analysis.change_point import Cell
from verify_mcp.analysis.proportions import CONFIDENCE

MIN_TRIALS = 10
"""The fewest trials of an interval that is looked at."""
MIN_Z = 3.0
"""Deviations below so many standard deviations are too likely to be computed exactly."""
LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
STEPS_PER_LENGTH = 6


@dataclass(frozen=True, slots=True)
class Fall:
    """The steps `first` up to `end`, in which fewer succeeded than `expected` of the trials.

    `earliest` and `latest` bound the step with which it began, with 95 % confidence.
    """

    first: int
    end: int
    cell: Cell
    expected: float
    chance: float
    earliest: int
    latest: int


class Scan:
    """The sums of a series over any interval of its steps."""

    def __init__(self, cells: Sequence[Cell], usual: Reference, steps: Timeline) -> None:
        self._usual = usual
        self._steps = len(cells)
        rates = [usual.rates[steps.block(index)] for index in range(len(cells))]
        pairs = list(zip(cells, rates, strict=True))
        self._trials = list(accumulate((cell.trials for cell in cells), initial=0))
        self._successes = list(accumulate((cell.successes for cell in cells), initial=0))
        self._expected = list(accumulate((c.trials * rate for c, rate in pairs), initial=0.0))

    def clearest_fall(self, min_fall: float, min_ratio: float) -> tuple[Fall | None, int]:
        """The clearest fall, None without one; and how many intervals were looked at.

        A fall makes the failure rate `min_fall` higher at least, and `min_ratio` times as high.
        """
        best: tuple[float, int, int] | None = None
        tests = 0
        for first, end in intervals(self._steps):
            trials = self._trials[end] - self._trials[first]
            if trials < MIN_TRIALS:
                continue
            tests += 1
            chance = self._chance(first, end, trials, min_fall, min_ratio)
            if chance is not None and (best is None or chance < best[0]):
                best = (chance, first, end)
        return (self._fall(*best) if best else None), tests

    def _chance(
        self, first: int, end: int, trials: int, min_fall: float, min_ratio: float
    ) -> float | None:
        """The chance of an interval's successes, None where they are no clear fall."""
        successes = self._successes[end] - self._successes[first]
        expected = self._expected[end] - self._expected[first]
        missing, usual_failures = expected - successes, trials - expected
        if missing < min_fall * trials or missing < (min_ratio - 1) * usual_failures:
            return None
        if missing < MIN_Z * sqrt(expected * usual_failures / trials):
            return None
        return self._usual.chance(Cell(successes, trials), expected / trials)

    def _fall(self, chance: float, first: int, end: int) -> Fall:
        first, end = self._likeliest(first, end)
        earliest, first, latest = self._begin(first, end)
        trials = self._trials[end] - self._trials[first]
        cell = Cell(self._successes[end] - self._successes[first], trials)
        expected = self._expected[end] - self._expected[first]
        return Fall(first, end, cell, expected, chance, earliest, latest)

    def _likeliest(self, first: int, end: int) -> tuple[int, int]:
        """The interval of the greatest likelihood ratio among those that begin and end nearby."""
        length = end - first
        candidates = [
            (begin, stop)
            for begin in range(max(0, first - length), end)
            for stop in range(max(begin, first) + 1, min(self._steps, end + length) + 1)
            if self._trials[stop] > self._trials[begin]
        ]
        return max(candidates, key=lambda ends: (self._gain(*ends), ends[0], -ends[1]))

    def _gain(self, first: int, end: int) -> float:
        """The logarithm of the likelihood ratio of a fall against the usual rate."""
        trials = self._trials[end] - self._trials[first]
        successes = self._successes[end] - self._successes[first]
        expected = self._expected[end] - self._expected[first]
        if successes >= expected:
            return 0.0
        failures = trials - successes
        gain = failures * log(failures / (trials - expected))
        return gain + (successes * log(successes / expected) if successes else 0.0)

    def _begin(self, first: int, end: int) -> tuple[int, int, int]:
        """The earliest, the middle and the latest step that may be the first of a fall.

        Each step is weighed with its likelihood; the middle one is the median, which is off by the
        least on average. The bounds are those of a single change point: their log-likelihood lies
        close below the greatest, by Ville's inequality for both ways to leave the true one.
        """
        steps = range(max(0, first - 2 * (end - first)), end)
        gains = [self._gain_from(begin, first, end) for begin in steps]
        best, slack = max(gains), -log(1 - sqrt(CONFIDENCE))
        likely = [step for step, gain in zip(steps, gains, strict=True) if gain >= best - slack]
        weights = list(accumulate(exp(gain - best) for gain in gains))
        middle = bisect_left(weights, weights[-1] / 2)
        trials = self._trials
        while middle < len(steps) - 1 and trials[steps[middle]] == trials[steps[middle] + 1]:
            middle += 1  # without trials a step says nothing
        return likely[0], steps[middle], likely[-1]

    def _gain_from(self, begin: int, first: int, end: int) -> float:
        """The log-likelihood of the fall's rates from `begin` on, compared with the usual ones."""
        trials = self._trials[end] - self._trials[first]
        expected = (self._expected[end] - self._expected[first]) / trials
        fallen = (self._successes[end] - self._successes[first] + 0.5) / (trials + 1)
        count = self._trials[end] - self._trials[begin]
        successes = self._successes[end] - self._successes[begin]
        return successes * log(fallen / expected) + (count - successes) * log(
            (1 - fallen) / (1 - expected)
        )


@cache
def intervals(steps: int) -> tuple[tuple[int, int], ...]:
    """The intervals that are looked at: of many lengths, each moved by a sixth of its length."""
    return tuple(
        (first, first + length)
        for length in LENGTHS
        if length <= steps
        for first in range(0, steps - length + 1, max(1, length // STEPS_PER_LENGTH))
    )
