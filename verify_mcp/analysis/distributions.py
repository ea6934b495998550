"""Probabilities of the normal and the binomial distribution, also of very rare events.

A tail is right down to 1e-300: it is summed from the side on which its terms are small, and never
taken from 1.
"""

from math import erfc, exp, inf, lgamma, log, log1p, sqrt
from statistics import NormalDist

_STANDARD_NORMAL = NormalDist()
_NEGLIGIBLE = 1e-18
"""The share of a sum below which its next terms are left out."""


def normal_cdf(x: float) -> float:
    """The chance that a standard normal variable is at most `x`: erfc(-x/√2)/2."""
    return erfc(-x / sqrt(2)) / 2


def normal_two_sided(z: float) -> float:
    """The chance that a standard normal variable is at least as far from 0 as `z`."""
    return erfc(abs(z) / sqrt(2))


def normal_quantile(probability: float) -> float:
    """The x of which `normal_cdf` is `probability`, between 0 and 1 (Wichura 1988, AS 241)."""
    return _STANDARD_NORMAL.inv_cdf(probability)


def z_of(confidence: float) -> float:
    """How many standard errors a two-sided interval of this confidence reaches: 0.95 gives 1.96."""
    return normal_quantile((1 + confidence) / 2)


def binomial_lower_tail(successes: int, trials: int, rate: float) -> float:
    """The chance of at most so many successes in independent trials of one success rate."""
    return exp(log_binomial_lower_tail(successes, trials, rate))


def binomial_upper_tail(successes: int, trials: int, rate: float) -> float:
    """The chance of at least so many successes in independent trials of one success rate."""
    return exp(log_binomial_upper_tail(successes, trials, rate))


def log_binomial_lower_tail(successes: int, trials: int, rate: float) -> float:
    """The natural logarithm of `binomial_lower_tail`; -inf for a chance of none."""
    return log_binomial_upper_tail(trials - successes, trials, 1 - rate)


def log_binomial_upper_tail(successes: int, trials: int, rate: float) -> float:
    """The natural logarithm of `binomial_upper_tail`; -inf for a chance of none.

    Above the mean the terms fall from the first on, and are summed with their ratio
    P(k+1)/P(k) = (n-k)/(k+1) · p/(1-p). Below it, what is left of 1 is the larger part.
    """
    if successes <= 0 or rate >= 1:
        return 0.0 if successes <= trials else -inf
    if successes > trials or rate <= 0:
        return -inf
    if successes <= trials * rate:
        below = _log_falling_sum(trials - successes + 1, trials, 1 - rate)
        return log1p(-min(1.0, exp(below)))
    return _log_falling_sum(successes, trials, rate)


def _log_falling_sum(first: int, trials: int, rate: float) -> float:
    """The logarithm of P(first) + P(first+1) + …, where the terms fall."""
    odds = rate / (1 - rate)
    term = total = 1.0
    for k in range(first, trials):
        term *= (trials - k) / (k + 1) * odds
        total += term
        if term < total * _NEGLIGIBLE:
            break
    return _log_binomial(first, trials, rate) + log(total)


def _log_binomial(successes: int, trials: int, rate: float) -> float:
    """The logarithm of the chance of exactly so many successes."""
    failures = trials - successes
    ways = lgamma(trials + 1) - lgamma(successes + 1) - lgamma(failures + 1)
    return ways + successes * log(rate) + failures * log1p(-rate)
