"""Differences split among groups: exactly, and without groups that changed as all did."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from verify_mcp.analysis.contrasts import RateChange, chances_of_changes
from verify_mcp.analysis.drivers import Driver, DriverSearch, find_drivers, total_cost_effect
from verify_mcp.analysis.effects import Breakdown, conversion_effects, cost_effects, ended
from verify_mcp.analysis.onset import TimeStep, onset
from verify_mcp.analysis.proportions import Proportion
from verify_mcp.domain.tallies import Tallies, Tally, total

counts = st.integers(0, 500)


def tally(verified: int, expired: int, cost: int = 0, open_: int = 0) -> Tally:
    sessions = verified + expired + open_
    return Tally(sessions=sessions, verified=verified, expired=expired, cost=cost)


tallies = st.dictionaries(
    st.sampled_from(["IN", "US", "FR", "?"]).map(lambda name: (name,)),
    st.builds(tally, counts, counts, st.integers(0, 10**12), st.integers(0, 3)),
)


@settings(max_examples=200, deadline=None)
@given(before=tallies, after=tallies)
def test_the_parts_of_all_groups_add_up_to_the_difference_exactly(
    before: Tallies, after: Tallies
) -> None:
    breakdown = Breakdown("country", before, after)
    was, now = total(before.values()), total(after.values())
    effects = conversion_effects(breakdown)
    if ended(was) and ended(now):
        difference = Fraction(now.verified, ended(now)) - Fraction(was.verified, ended(was))
        assert sum(effect.rate + effect.mix for effect in effects) == difference
    else:
        assert effects == []
    costs, everything = cost_effects(breakdown), total_cost_effect(breakdown)
    for effect in costs:
        assert effect.total == effect.after.cost - effect.before.cost
    if was.sessions:
        average = Fraction(was.cost, was.sessions)
        assert sum(effect.total for effect in costs) == now.cost - was.cost
        assert everything is not None
        assert everything.total == now.cost - was.cost
        assert everything.volume == (now.sessions - was.sessions) * average


def test_a_group_that_is_new_and_bad_has_all_of_the_fall_as_mix() -> None:
    before: Tallies = {("IN",): tally(300, 100), ("US",): tally(75, 25)}
    after: Tallies = {**before, ("AZ",): tally(0, 125)}
    effects = {
        effect.group: effect for effect in conversion_effects(Breakdown("country", before, after))
    }
    assert effects["AZ"].mix == Fraction(125, 625) * (0 - Fraction(3, 4))
    assert [effects[name].total for name in ("IN", "US")] == [0, 0]


def search(before: Tallies, after: Tallies) -> DriverSearch:
    breakdowns = [Breakdown("country", before, after)]
    return find_drivers(breakdowns, total(before.values()), total(after.values()), limit=5)


def test_only_the_group_that_changed_is_a_driver_and_all_alike_are_none() -> None:
    before: Tallies = {("IN",): tally(750, 250), ("US",): tally(750, 250), ("FR",): tally(20, 5)}
    found = search(before, {**before, ("IN",): tally(550, 450)})
    assert [(driver.effect.group, driver.is_rate) for driver in found.drivers] == [("IN", True)]
    assert (found.looked_at, found.drivers[0].chance < 1e-9) == (3, True)
    alike: Tallies = {("IN",): tally(550, 450), ("US",): tally(545, 455), ("FR",): tally(20, 5)}
    assert search(before, alike) == DriverSearch((), 3)
    assert search({("IN",): tally(750, 250)}, {("IN",): tally(500, 500)}) == DriverSearch((), 1)
    assert search({}, before) == DriverSearch((), 0)


def test_windows_without_a_change_seldom_have_a_driver() -> None:
    random = np.random.default_rng(4)
    names, sizes = ["IN", "US", "FR", "ID", "BR", "NG"], [400, 250, 150, 100, 60, 40]
    rates = [0.8, 0.7, 0.9, 0.6, 0.75, 0.5]

    def window() -> Tallies:
        found: Tallies = {}
        for name, size, rate in zip(names, sizes, rates, strict=True):
            trials = int(random.poisson(size))
            verified = int(random.binomial(trials, rate))
            found[name,] = tally(verified, trials - verified)
        return found

    assert sum(bool(search(window(), window()).drivers) for _ in range(300)) <= 300 * 0.06


def test_equal_changes_of_all_groups_seldom_look_different() -> None:
    random = np.random.default_rng(5)

    def change(trials: int, before: float, after: float) -> RateChange:
        was, now = random.binomial(trials, [before, after])
        return RateChange(Proportion(int(was), trials), Proportion(int(now), trials))

    found = [
        chances_of_changes(
            [change(40, 0.9, 0.7), change(500, 0.8, 0.6), change(200, 0.75, 0.55), None]
        )
        for _ in range(1000)
    ]
    assert {chances[3] for chances in found} == {1.0}
    for group in range(3):
        assert sum(chances[group] < 0.05 for chances in found) <= 1000 * 0.07


def test_groups_that_changed_do_not_hide_each_other() -> None:
    fell = RateChange(Proportion(160, 200), Proportion(60, 200))
    fell_less = RateChange(Proportion(160, 200), Proportion(90, 200))
    stayed = RateChange(Proportion(160, 200), Proportion(158, 200))
    chances = chances_of_changes([fell, stayed, fell_less])
    assert (chances[0] < 1e-6, chances[1] > 0.5, chances[2] < 1e-6) == (True, True, True)
    assert chances_of_changes([fell]) == [1.0]


def test_an_onset_within_an_hour_lies_in_its_interval() -> None:
    random = np.random.default_rng(6)
    start = datetime(2026, 11, 19, tzinfo=UTC)
    holding = 0
    for _ in range(100):
        began = float(random.uniform(20, 44))
        groups = []
        for hour in range(48):
            share = min(1.0, max(0.0, began - hour))
            rate = 0.75 * share + 0.5 * (1 - share)
            trials = int(random.poisson(30))
            verified = int(random.binomial(trials, rate))
            groups.append(tally(verified, trials - verified))
        before: Tallies = {("IN",): sum(groups[:24], Tally()), ("US",): tally(400, 100)}
        after: Tallies = {("IN",): sum(groups[24:], Tally()), ("US",): tally(400, 100)}
        (effect, _) = conversion_effects(Breakdown("country", before, after))
        driver = Driver(effect, chance=0.0)
        steps = [
            TimeStep(start + timedelta(hours=hour), timedelta(hours=1), group, group)
            for hour, group in enumerate(groups)
        ]
        found = onset(driver, steps, looked_at=1)
        assert found is not None
        holding += found.earliest <= start + timedelta(hours=began) <= found.latest
    assert holding >= 94
