"""The statistics against scipy and statsmodels, and their claims against simulated series."""

from itertools import product
from math import exp, log

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from verify_mcp.analysis.change_point import Cell, ChangePoint, change_point
from verify_mcp.analysis.distributions import (
    binomial_lower_tail,
    binomial_upper_tail,
    log_binomial_upper_tail,
    normal_cdf,
    normal_quantile,
)
from verify_mcp.analysis.proportions import (
    Proportion,
    adjusted_chances,
    chance_of_difference,
    chi_square,
    fisher_exact,
    newcombe_interval,
    wilson_interval,
)
from verify_mcp.analysis.robust import spread

PAIRS = [
    (Proportion(*before), Proportion(*after))
    for before, after in product(
        [(0, 9), (7, 9), (9, 9), (56, 70), (480, 900)], [(0, 12), (1, 1), (48, 80), (400, 900)]
    )
]


def as_interval(low: float, high: float) -> object:
    return pytest.approx((low, high), abs=1e-9)


def test_the_normal_distribution_is_that_of_scipy() -> None:
    for x in (-37.0, -8.0, -1.0, 0.0, 0.3, 5.0):
        assert normal_cdf(x) == pytest.approx(stats.norm.cdf(x), rel=1e-11)
    for p in (1e-300, 1e-9, 0.025, 0.5, 0.999):
        assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("successes", "trials", "rate"),
    [
        *[(k, 40, 0.7) for k in (0, 1, 20, 28, 29, 40)],
        *[(k, 1_000_000, 0.0031) for k in (2_000, 3_099, 3_101, 4_000)],
        (500_000, 1_000_000, 0.5),
    ],
)
def test_binomial_tails_are_those_of_scipy(successes: int, trials: int, rate: float) -> None:
    expected = stats.binom(trials, rate)
    lower, upper = expected.cdf(successes), expected.sf(successes - 1)
    assert binomial_lower_tail(successes, trials, rate) == pytest.approx(lower, rel=1e-7)
    assert binomial_upper_tail(successes, trials, rate) == pytest.approx(upper, rel=1e-7)


def test_a_binomial_tail_is_right_down_to_1e_300() -> None:
    assert binomial_lower_tail(0, 500, 0.75) == pytest.approx(0.25**500, rel=1e-9)
    both = exp(log(1000) + 999 * log(0.5) + log(0.5)) + 0.5**1000
    assert binomial_upper_tail(999, 1000, 0.5) == pytest.approx(both, rel=1e-9)
    assert log_binomial_upper_tail(5000, 5000, 0.5) == pytest.approx(5000 * log(0.5))


def test_a_binomial_tail_without_a_doubt_is_1_or_0() -> None:
    assert binomial_upper_tail(0, 10, 0.2) == binomial_lower_tail(10, 10, 0.2) == 1
    assert binomial_upper_tail(11, 10, 0.2) == binomial_lower_tail(-1, 10, 0.2) == 0
    assert binomial_upper_tail(1, 10, 0.0) == 0
    assert binomial_lower_tail(9, 10, 1.0) == 0


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_intervals_are_those_of_statsmodels(before: Proportion, after: Proportion) -> None:
    for proportion in (before, after):
        wilson = proportion_confint(proportion.successes, proportion.trials, method="wilson")
        found = wilson_interval(proportion)
        assert (found.low, found.high) == as_interval(*wilson)
    newcombe = confint_proportions_2indep(
        after.successes, after.trials, before.successes, before.trials, method="newcomb"
    )
    found = newcombe_interval(before, after)
    assert (found.low, found.high) == as_interval(*newcombe)


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_tests_of_a_difference_are_those_of_scipy(before: Proportion, after: Proportion) -> None:
    table = [
        [before.successes, before.trials - before.successes],
        [after.successes, after.trials - after.successes],
    ]
    assert fisher_exact(before, after) == pytest.approx(stats.fisher_exact(table)[1], rel=1e-9)
    if all(map(sum, zip(*table, strict=True))):
        statistic = stats.chi2_contingency(table, correction=False)[0]
        trials = before.trials + after.trials
        expected = stats.chi2.sf(statistic * (trials - 1) / trials, 1)
        assert chi_square(before, after) == pytest.approx(expected, rel=1e-9)
    is_exact = before.trials + after.trials < 1000
    test = fisher_exact if is_exact else chi_square
    assert chance_of_difference(before, after) == test(before, after)


def test_nothing_but_successes_twice_is_no_difference() -> None:
    assert chance_of_difference(Proportion(3, 3), Proportion(4, 4)) == 1
    assert chance_of_difference(Proportion(3000, 3000), Proportion(4, 4)) == 1
    with pytest.raises(ValueError, match="has a trial"):
        Proportion(0, 0)


def test_adjusted_chances_are_those_of_statsmodels() -> None:
    chances = [0.04, 1e-8, 0.2, 0.03, 0.9, 1e-8, 0.011]
    expected = multipletests(chances, method="fdr_bh")[1]
    assert adjusted_chances(chances) == pytest.approx(list(expected))
    assert adjusted_chances([0.01, 0.001], looked_at=50) == pytest.approx([0.25, 0.05])


def test_a_spread_is_that_of_scipy_and_odd_values_do_not_move_it() -> None:
    values = [3.0, 4.0, 4.5, 5.0, 7.0, 900.0]
    expected = stats.median_abs_deviation(values, scale="normal")
    assert spread(values).scale == pytest.approx(expected, rel=1e-7)
    assert spread(values).median == 4.75
    assert spread([1.0, 1.0, 1.0, 9.0]).deviations(2.0) == float("inf")
    assert spread([1.0, 1.0, 1.0, 9.0]).deviations(1.0) == 0
    assert spread(values).deviations(4.75 - expected) == pytest.approx(-1, rel=1e-7)


def test_newcombe_intervals_hold_the_true_difference_as_often_as_they_claim() -> None:
    # At one rate and one size it is more or less often; the claim is about many of them.
    random = np.random.default_rng(1)
    rounds = 4_000
    holding = 0
    for p, q in random.uniform(0.05, 0.98, (rounds, 2)):
        n, m = (int(trials) for trials in random.integers(10, 400, 2))
        before = Proportion(random.binomial(n, p), n)
        interval = newcombe_interval(before, Proportion(random.binomial(m, q), m))
        holding += interval.low <= q - p <= interval.high
    assert 0.945 <= holding / rounds <= 0.965


def series(random: np.random.Generator, rates: list[float], trials: float) -> list[Cell]:
    counts = random.poisson(trials, len(rates))
    successes = random.binomial(counts, rates)
    return [Cell(int(k), int(n)) for k, n in zip(successes, counts, strict=True)]


def test_change_points_are_found_where_they_are() -> None:
    random = np.random.default_rng(2)
    found = [
        change_point(series(random, [0.75] * at + [0.55] * (48 - at), 25))
        for at in [5, 24, 40] * 70
    ]
    points = [point for point in found if point]
    assert len(points) == 210
    holding = [
        point.first <= at <= point.last for point, at in zip(points, [5, 24, 40] * 70, strict=True)
    ]
    assert sum(holding) / len(holding) >= 0.95
    assert np.mean([point.last - point.first for point in points]) < 8
    assert sum(point.chance < 0.01 for point in points) / len(points) >= 0.9


def test_a_quiet_series_seldom_seems_to_change() -> None:
    random = np.random.default_rng(3)
    found = [change_point(series(random, [0.7] * 48, 12)) for _ in range(400)]
    assert sum(point is not None and point.chance < 0.05 for point in found) <= 400 * 0.05


def test_a_change_point_is_told_with_both_sides() -> None:
    cells = [Cell(90, 100), Cell(91, 100), Cell(0, 0), Cell(30, 100), Cell(32, 100)]
    point = change_point(cells)
    assert point == ChangePoint(
        2, 2, 3, point.chance if point else 0, Proportion(181, 200), Proportion(62, 200)
    )
    assert point.chance == pytest.approx(
        3 * stats.fisher_exact([[181, 19], [62, 138]])[1], rel=1e-9
    )


def test_a_series_in_one_cell_has_no_change_point() -> None:
    assert change_point([Cell(0, 0), Cell(5, 9), Cell(0, 0)]) is None
    assert change_point([]) is None
