"""Success rates: their intervals, and whether two of them differ by more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, hypot, sqrt

from verify_mcp.analysis.distributions import normal_two_sided, z_of

CONFIDENCE = 0.95
"""How often an interval holds the true value, in the long run."""
MAX_EXACT_TRIALS = 1000
"""Below so many trials together, the chance of a difference is computed exactly."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """So many successes in so many independent trials; there is at least one trial."""

    successes: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.trials or not self.trials:
            raise ValueError("A proportion has a trial, and as many successes at most as trials.")

    @property
    def rate(self) -> Fraction:
        """The share of successes, exactly."""
        return Fraction(self.successes, self.trials)


@dataclass(frozen=True, slots=True)
class Interval:
    """The interval that holds a true value with the stated confidence."""

    low: float
    high: float


def wilson_interval(proportion: Proportion, confidence: float = CONFIDENCE) -> Interval:
    """The score interval of a success rate, without continuity correction (Wilson 1927).

    It holds the rates r with |p - r| ≤ z·√(r(1-r)/n), for the z of the confidence.
    """
    z = z_of(confidence)
    n, p = proportion.trials, proportion.successes / proportion.trials
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At no success the low end is 0, and at nothing but successes the high end is 1.
    low = max(0.0, middle - half) if proportion.successes else 0.0
    high = min(1.0, middle + half) if proportion.successes < n else 1.0
    return Interval(low, high)


def newcombe_interval(
    before: Proportion, after: Proportion, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of a difference of rates, `after` minus `before`, of two independent samples.

    Newcombe 1998 (Statistics in Medicine 17, 873-890), method 10: the ends are d - √((p₂-l₂)² +
    (u₁-p₁)²) and d + √((u₂-p₂)² + (p₁-l₁)²), with the Wilson intervals (l, u) of both rates.
    """
    p, q = before.successes / before.trials, after.successes / after.trials
    low = wilson_interval(before, confidence)
    high = wilson_interval(after, confidence)
    below = hypot(q - high.low, low.high - p)
    above = hypot(high.high - q, p - low.low)
    return Interval(max(-1.0, q - p - below), min(1.0, q - p + above))


def chance_of_difference(before: Proportion, after: Proportion) -> float:
    """The two-sided chance of a difference at least so unlikely if both have the same true rate.

    By Fisher's exact test below MAX_EXACT_TRIALS trials together, else by N-1 chi-square.
    """
    is_small = before.trials + after.trials < MAX_EXACT_TRIALS
    return fisher_exact(before, after) if is_small else chi_square(before, after)


def fisher_exact(before: Proportion, after: Proportion) -> float:
    """Fisher's exact test, two-sided: the sum of all tables at most as likely as this one.

    With the margins fixed, a table's weight is C(n₁, k)·C(n₂, r-k). The weights are integers, so
    that ties are ties.
    """
    n, m = before.trials, after.trials
    successes = before.successes + after.successes
    first = max(0, successes - m)
    weight = comb(n, first) * comb(m, successes - first)
    weights = [weight]
    for k in range(first, min(n, successes)):
        weight = weight * (n - k) * (successes - k) // ((k + 1) * (m - successes + k + 1))
        weights.append(weight)
    observed = weights[before.successes - first]
    return sum(weight for weight in weights if weight <= observed) / sum(weights)


def chi_square(before: Proportion, after: Proportion) -> float:
    """The N-1 chi-square test of two rates, with one degree of freedom.

    χ² = (N-1)(ad-bc)²/(n₁·n₂·r·(N-r)) (E. S. Pearson 1947; Campbell 2007 recommends it where
    every expected number is at least 1). The chance is 1 where all succeeded, or none.
    """
    trials = before.trials + after.trials
    successes = before.successes + after.successes
    margins = before.trials * after.trials * successes * (trials - successes)
    if not margins:
        return 1.0
    cross = before.successes * after.trials - after.successes * before.trials
    return normal_two_sided(sqrt((trials - 1) * cross * cross / margins))


def adjusted_chances(chances: Sequence[float], looked_at: int | None = None) -> list[float]:
    """Chances corrected for the number of things looked at (Benjamini and Hochberg 1995).

    Of the findings with an adjusted chance of at most q, a share of q at most is false in the long
    run, if the tests are independent or depend positively. The i-th smallest of m becomes the
    least of p·m/j over all j ≥ i. `looked_at` is m where not every chance is given; those left
    out must be the larger ones.
    """
    count = len(chances) if looked_at is None else looked_at
    adjusted = [1.0] * len(chances)
    least = 1.0
    order = sorted(range(len(chances)), key=lambda index: chances[index])
    for rank in range(len(order), 0, -1):
        index = order[rank - 1]
        least = min(least, chances[index] * count / rank)
        adjusted[index] = least
    return adjusted
