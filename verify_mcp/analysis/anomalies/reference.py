"""The usual success rate of a series, and the chance of a fall below it.

A rate that was measured in the past is not known exactly, and days differ from each other. So the
number of successes that is expected follows a beta-binomial distribution: its mean is the usual
rate, and its precision is what the past trials and their spread over time allow.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, inf, lgamma, log
from statistics import median

from verify_mcp.analysis.anomalies.timeline import BLOCKS_OF_DAY
from verify_mcp.analysis.change_point import Cell
from verify_mcp.analysis.distributions import binomial_upper_tail

PRIOR_TRIALS = 20.0
"""How many trials the rate of the larger group counts for a part of it."""
BLOCK_PRIOR_TRIALS = 200.0
"""How many trials a series' rate counts for one block of the day."""
MIN_BLOCK_TRIALS = 8
"""The fewest trials of a block from which its deviation is taken."""
MIN_BLOCKS = 12
_MEDIAN_OF_SQUARE = 0.4549364231195724
"""The median of a squared standard normal variable (chi-square with one degree of freedom)."""
_NEGLIGIBLE = 1e-18


@dataclass(frozen=True, slots=True)
class Reference:
    """The usual success rate by block of the day, and the number of trials that it is worth."""

    rates: tuple[float, ...]
    trials: float

    def chance(self, cell: Cell, rate: float) -> float:
        """The chance of at most so many successes where `rate` is the usual one."""
        failures = cell.trials - cell.successes
        if self.trials == inf:
            return binomial_upper_tail(failures, cell.trials, 1 - rate)
        return beta_binomial_upper_tail(
            failures, cell.trials, (1 - rate) * self.trials, rate * self.trials
        )


def reference(
    blocks: Sequence[tuple[int, Cell]], parent: Sequence[float], dispersion: float
) -> Reference:
    """The reference of a series from its past blocks, each with its index in the day.

    `parent` has the rates of the larger group by block of the day.
    """
    rates = _rates(blocks, parent)
    known = sum(cell.trials for _, cell in blocks) + PRIOR_TRIALS
    own = _own_dispersion(blocks, rates)
    spread = max(dispersion, own)
    return Reference(rates, 1 / (1 / known + spread / (1 - spread)))


def _rates(blocks: Sequence[tuple[int, Cell]], parent: Sequence[float]) -> tuple[float, ...]:
    total = _sum(cell for _, cell in blocks)
    prior = sum(parent) / len(parent)
    rate = (total.successes + PRIOR_TRIALS * prior) / (total.trials + PRIOR_TRIALS)
    by_block = [
        _sum(cell for index, cell in blocks if index == block) for block in range(BLOCKS_OF_DAY)
    ]
    return tuple(
        _inside((cell.successes + BLOCK_PRIOR_TRIALS * rate) / (cell.trials + BLOCK_PRIOR_TRIALS))
        for cell in by_block
    )


def _inside(rate: float) -> float:
    """A rate that leaves room for both outcomes."""
    return min(0.9999, max(0.0001, rate))


def _sum(cells: Iterable[Cell]) -> Cell:
    successes = trials = 0
    for cell in cells:
        successes += cell.successes
        trials += cell.trials
    return Cell(successes, trials)


def pooled_rates(series: Iterable[Sequence[tuple[int, Cell]]]) -> tuple[float, ...]:
    """The rates of several series together, by block of the day; a half where nothing is known."""
    blocks = [block for one in series for block in one]
    return _rates(blocks, [0.5] * BLOCKS_OF_DAY)


def dispersion(
    series: Iterable[tuple[Sequence[tuple[int, Cell]], Sequence[float]]],
) -> float:
    """How much rates vary from block to block beyond chance: the intraclass correlation.

    With the correlation rho, the variance of the successes in n trials is 1 + (n - 1)·rho times the
    binomial one (Williams 1982, Applied Statistics 31, 144-148). It is chosen so that the median of
    the squared standardized deviations is that of the normal distribution, which single incidents
    do not move.
    """
    deviations = [
        (deviation * deviation, cell.trials)
        for blocks, rates in series
        for deviation, cell in _deviations(blocks, rates)
    ]
    if len(deviations) < MIN_BLOCKS:
        return 0.0
    return _solve_dispersion(deviations)


def _own_dispersion(blocks: Sequence[tuple[int, Cell]], rates: Sequence[float]) -> float:
    """The dispersion of one series, 0 where chance alone may have made it."""
    squares = [
        (deviation * deviation, cell.trials) for deviation, cell in _deviations(blocks, rates)
    ]
    if len(squares) < MIN_BLOCKS:
        return 0.0
    # The median of so many squares varies by about 2.3/√n of itself.
    noise = 3 * 2.3 / len(squares) ** 0.5
    if median(square for square, _ in squares) <= _MEDIAN_OF_SQUARE * (1 + noise):
        return 0.0
    return _solve_dispersion(squares)


def _deviations(
    blocks: Sequence[tuple[int, Cell]], rates: Sequence[float]
) -> list[tuple[float, Cell]]:
    """Each block's deviation from the usual rate in binomial standard deviations."""
    found = []
    for index, cell in blocks:
        rate = rates[index]
        variance = cell.trials * rate * (1 - rate)
        if cell.trials >= MIN_BLOCK_TRIALS and variance >= 1:
            found.append(((cell.successes - cell.trials * rate) / variance**0.5, cell))
    return found


def _solve_dispersion(squares: Sequence[tuple[float, int]]) -> float:
    """The rho at which the squares over 1 + (n - 1)·rho have the median of a squared normal one."""

    def middle(rho: float) -> float:
        return median(square / (1 + (trials - 1) * rho) for square, trials in squares)

    if middle(0.0) <= _MEDIAN_OF_SQUARE:
        return 0.0
    low, high = 0.0, 0.5
    for _ in range(24):
        rho = (low + high) / 2
        low, high = (rho, high) if middle(rho) > _MEDIAN_OF_SQUARE else (low, rho)
    return high


def beta_binomial_upper_tail(hits: int, trials: int, a: float, b: float) -> float:
    """The chance of at least so many hits in trials whose rate has a beta distribution.

    The terms C(n, k)·B(k + a, n - k + b)/B(a, b) are summed from `hits` on by their ratio
    (n - k)(k + a)/((k + 1)(n - k - 1 + b)).
    """
    if hits <= 0:
        return 1.0
    if hits > trials:
        return 0.0
    log_first = (
        lgamma(trials + 1) - lgamma(hits + 1) - lgamma(trials - hits + 1)
        + _log_beta(hits + a, trials - hits + b) - _log_beta(a, b)
    )  # fmt: skip
    term = total = 1.0
    for k in range(hits, trials):
        term *= (trials - k) * (k + a) / ((k + 1) * (trials - k - 1 + b))
        total += term
        if term < total * _NEGLIGIBLE:
            break
    return min(1.0, exp(log_first + log(total)))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
