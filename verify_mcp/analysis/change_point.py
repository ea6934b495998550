"""The point in a series at which its success rate changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log, sqrt

from verify_mcp.analysis.proportions import CONFIDENCE, Proportion, chance_of_difference


@dataclass(frozen=True, slots=True)
class Cell:
    """The trials of one step of a series, and how many of them succeeded; both may be 0."""

    successes: int
    trials: int


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """The cell with which another rate begins, and the first and last cell that it may be.

    `chance` is that of a change so clear somewhere in a series of one rate. `before` and `after`
    are what the cells on either side add up to.
    """

    index: int
    first: int
    last: int
    chance: float
    before: Proportion
    after: Proportion


def change_point(cells: Sequence[Cell], confidence: float = CONFIDENCE) -> ChangePoint | None:
    """The likeliest point of one change of rate; None where no two cells have trials.

    The point is where the likelihood of two binomial rates is greatest. `first` and `last` bound
    the points whose log-likelihood lies at most `c` below that. At the true point both ways to
    leave it are likelihood ratios with mean 1, which exceed e^c with a chance of at most e^-c
    (Ville's inequality), so (1-e^-c)² = `confidence`; compare Siegmund 1988 (International
    Statistical Review 56, 31-48). `chance` is that of the test of two rates, times the number of
    points (Bonferroni), which is never too small. Trials are taken to be independent: a rhythm of
    the day is a change, too.
    """
    sums = _prefix_sums(cells)
    total = sums[-1]
    points = [index for index in range(1, len(cells)) if 0 < sums[index].trials < total.trials]
    if not points:
        return None
    gains = [
        _log_likelihood(sums[index]) + _log_likelihood(_minus(total, sums[index]))
        for index in points
    ]
    best = max(gains)
    slack = -log(1 - sqrt(confidence))
    likely = [index for index, gain in zip(points, gains, strict=True) if gain >= best - slack]
    index = points[gains.index(best)]
    before, after = _proportion(sums[index]), _proportion(_minus(total, sums[index]))
    distinct = len({sums[point].trials for point in points})
    chance = min(1.0, chance_of_difference(before, after) * distinct)
    return ChangePoint(index, likely[0], likely[-1], chance, before, after)


def _prefix_sums(cells: Sequence[Cell]) -> list[Cell]:
    """The sum of the cells before each index, and of all at the end."""
    return list(accumulate(cells, _plus, initial=Cell(0, 0)))


def _plus(a: Cell, b: Cell) -> Cell:
    return Cell(a.successes + b.successes, a.trials + b.trials)


def _minus(a: Cell, b: Cell) -> Cell:
    return Cell(a.successes - b.successes, a.trials - b.trials)


def _proportion(cell: Cell) -> Proportion:
    return Proportion(cell.successes, cell.trials)


def _log_likelihood(cell: Cell) -> float:
    """The log-likelihood of cells at their joint rate: k·log(k/n) + (n-k)·log((n-k)/n)."""
    failures = cell.trials - cell.successes
    return sum(count * log(count / cell.trials) for count in (cell.successes, failures) if count)
