"""The groups that explain most of a difference between two windows, beyond chance."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from verify_mcp.analysis.contrasts import RateChange, chances_of_changes
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
    chance_of_difference,
)
from verify_mcp.domain.groups import UNKNOWN
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
CONSEQUENCES = ("channel", "tries", "hour_of_day")
"""Dimensions that a fault changes by itself: another last channel, more tries, its own hours."""
MIN_ENDED = 30
"""Sessions of a group that ended, in both windows together, from which on it can be a driver."""
MAX_GROUPS = 200
"""Groups of one dimension that are looked at, those with the most sessions."""
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
    and otherwise than that of the other groups; and whether its share changed. A change that all
    groups share has no drivers. The chances are corrected together (Benjamini and Hochberg). The
    groups of different dimensions are the same sessions seen from different sides: their effects
    do not add up.
    """
    candidates = [
        candidate for breakdown in breakdowns for candidate in _candidates(breakdown, before, after)
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
        if driver.chance <= MAX_CHANCE
        and abs(driver.effect.total) >= least
        and driver.effect.group != UNKNOWN  # sessions of which a field is not known
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


def _candidates(breakdown: Breakdown, before: Tally, after: Tally) -> list[_Candidate]:
    """The groups of one dimension with sessions enough; the others count as one more group."""
    effects = [effect for effect in conversion_effects(breakdown) if _size(effect) >= MIN_ENDED]
    effects = sorted(effects, key=lambda effect: (-_size(effect), effect.group))[:MAX_GROUPS]
    changes = [_change(effect.before, effect.after) for effect in effects]
    small = (
        _minus(before, [effect.before for effect in effects]),
        _minus(after, [effect.after for effect in effects]),
    )
    rate_chances = chances_of_changes([*changes, _change(*small)])
    return [
        _Candidate(effect, chance, _share_chance(effect, before, after))
        for effect, chance in zip(effects, rate_chances, strict=False)
    ]


def _size(effect: ConversionEffect) -> int:
    """A group's sessions that ended, in both windows together."""
    return ended(effect.before) + ended(effect.after)


def _share_chance(effect: ConversionEffect, before: Tally, after: Tally) -> float:
    return chance_of_difference(
        Proportion(ended(effect.before), ended(before)),
        Proportion(ended(effect.after), ended(after)),
    )


def _change(before: Tally, after: Tally) -> RateChange | None:
    """The conversion before and after; None when no session ended on one side."""
    if not ended(before) or not ended(after):
        return None
    earlier, later = (Proportion(side.verified, ended(side)) for side in (before, after))
    return RateChange(earlier, later)


def _minus(total: Tally, parts: Sequence[Tally]) -> Tally:
    """The sessions of a total that are in none of its parts, as far as conversion is about them."""
    return Tally(
        verified=total.verified - sum(part.verified for part in parts),
        expired=total.expired - sum(part.expired for part in parts),
    )


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
