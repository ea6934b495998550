"""The groups that explain most of a difference between two windows, beyond chance."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from verify_mcp.analysis.effects import (
    Breakdown,
    ConversionEffect,
    CostEffect,
    conversion_effects,
    cost_effects,
    ended,
)
from verify_mcp.analysis.proportions import (
    Proportion,
    adjusted_chances,
    chance_of_changes,
    chance_of_difference,
)
from verify_mcp.domain.tallies import Tally

DIMENSIONS = (
    "country",
    "channel",
    "first_channel",
    "app",
    "brand",
    "network",
    "tries",
    "hour_of_day",
)
"""What sessions are grouped by to find drivers."""
CONSEQUENCES = ("channel", "tries")
"""Dimensions that a fault changes by itself: more tries, and another last channel."""
MIN_ENDED = 30
"""Sessions of a group that ended, in both windows together, from which on it can be a driver."""
MAX_CHANCE = 0.05
"""The share of drivers that may be none: their corrected chance is at most so large."""
MIN_SHARE, MIN_EFFECT = Fraction(1, 10), Fraction(1, 1000)
"""The least effect of a driver: a tenth of the difference, and a tenth of a percentage point."""
MAX_PER_DIMENSION = 2
"""Drivers of one dimension where several dimensions were looked at."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A group with its effect, and the corrected chance of the larger part of that effect."""

    effect: ConversionEffect
    chance: float

    @property
    def is_rate(self) -> bool:
        """Whether the group's conversion changed, rather than its share of the sessions."""
        return abs(self.effect.rate) >= abs(self.effect.mix)


@dataclass(frozen=True, slots=True)
class DriverSearch:
    """The drivers found, the largest first, and how many groups were looked at."""

    drivers: tuple[Driver, ...]
    looked_at: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A group's effect with the chances of its change of conversion, and of its share."""

    effect: ConversionEffect
    rate_chance: float
    share_chance: float


def find_drivers(
    breakdowns: Sequence[Breakdown], before: Tally, after: Tally, *, limit: int
) -> DriverSearch:
    """The groups of any dimension that drive the difference of conversion of these totals.

    Of each group with MIN_ENDED sessions two things are tested: whether its conversion changed,
    and otherwise than that of all other sessions; and whether its share changed. A change that all
    groups share has no drivers. The chances are corrected together (Benjamini and Hochberg). The
    groups of different dimensions are the same sessions seen from different sides: their effects
    do not add up.
    """
    candidates = [
        _candidate(effect, before, after)
        for breakdown in breakdowns
        for effect in conversion_effects(breakdown)
        if ended(effect.before) + ended(effect.after) >= MIN_ENDED
    ]
    chances = [
        chance
        for candidate in candidates
        for chance in (candidate.rate_chance, candidate.share_chance)
    ]
    corrected = adjusted_chances(chances)
    drivers = [
        _driver(candidate.effect, corrected[2 * index], corrected[2 * index + 1])
        for index, candidate in enumerate(candidates)
    ]
    least = max(abs(_difference(before, after)) * MIN_SHARE, MIN_EFFECT)
    found = [
        driver
        for driver in drivers
        if driver.chance <= MAX_CHANCE and abs(driver.effect.total) >= least
    ]
    per_dimension = MAX_PER_DIMENSION if len(breakdowns) > 1 else limit
    return DriverSearch(tuple(_largest(found, per_dimension))[:limit], len(candidates))


def cost_drivers(breakdown: Breakdown, limit: int) -> list[CostEffect]:
    """The groups of one dimension whose cost changed most, the largest change first."""
    effects = [effect for effect in cost_effects(breakdown) if effect.total]
    return sorted(effects, key=lambda effect: (-abs(effect.total), effect.group))[:limit]


def total_cost_effect(breakdown: Breakdown) -> CostEffect | None:
    """Volume, mix and price over all groups of one dimension; None without sessions before."""
    effects = cost_effects(breakdown)
    if not effects:
        return None
    return replace(
        effects[0],
        group="",
        before=sum((effect.before for effect in effects), Tally()),
        after=sum((effect.after for effect in effects), Tally()),
        volume=sum((effect.volume for effect in effects), Fraction(0)),
        mix=sum((effect.mix for effect in effects), Fraction(0)),
        price=sum((effect.price for effect in effects), Fraction(0)),
    )


def _difference(before: Tally, after: Tally) -> Fraction:
    return Fraction(after.verified, ended(after) or 1) - Fraction(
        before.verified, ended(before) or 1
    )


def _candidate(effect: ConversionEffect, before: Tally, after: Tally) -> _Candidate:
    share_chance = chance_of_difference(
        Proportion(ended(effect.before), ended(before)),
        Proportion(ended(effect.after), ended(after)),
    )
    return _Candidate(effect, _rate_chance(effect, before, after), share_chance)


def _rate_chance(effect: ConversionEffect, before: Tally, after: Tally) -> float:
    """The chance of a group's change of conversion, and of its difference from the others'.

    Both have to be unlikely, so the larger chance counts. It is 1 where there are no others.
    """
    group = _conversions(effect.before, effect.after)
    rest = _conversions(_minus(before, effect.before), _minus(after, effect.after))
    if group is None or rest is None:
        return 1.0
    return max(chance_of_difference(*group), chance_of_changes(group, rest))


def _conversions(before: Tally, after: Tally) -> tuple[Proportion, Proportion] | None:
    if not ended(before) or not ended(after):
        return None
    earlier, later = (Proportion(side.verified, ended(side)) for side in (before, after))
    return earlier, later


def _minus(total: Tally, part: Tally) -> Tally:
    """The sessions of a total that are not in a part, as far as conversion is about them."""
    return Tally(verified=total.verified - part.verified, expired=total.expired - part.expired)


def _driver(effect: ConversionEffect, rate_chance: float, share_chance: float) -> Driver:
    driver = Driver(effect, rate_chance)
    return driver if driver.is_rate else replace(driver, chance=share_chance)


def _largest(drivers: Sequence[Driver], per_dimension: int) -> Iterator[Driver]:
    """The drivers by effect, consequences last, and so many of each dimension at most."""
    ranked = sorted(drivers, key=_rank)
    seen: Counter[str] = Counter()
    for driver in ranked:
        seen[driver.effect.dimension] += 1
        if seen[driver.effect.dimension] <= per_dimension:
            yield driver


def _rank(driver: Driver) -> tuple[bool, Fraction, str]:
    effect = driver.effect
    return effect.dimension in CONSEQUENCES, -abs(effect.total), effect.group
