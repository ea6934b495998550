"""What each group adds to a difference between two windows; the parts add up exactly.

All figures are fractions, so that no digit is lost between a difference and its parts.
"""

from dataclasses import dataclass
from fractions import Fraction

from verify_mcp.domain.tallies import Tallies, Tally, total


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The groups of one dimension in two windows; their tallies add up to the windows' totals."""

    dimension: str
    before: Tallies
    after: Tallies

    def groups(self) -> list[tuple[str, Tally, Tally]]:
        """Each group with its tallies before and after; a group that is not there has none."""
        keys = sorted(self.before.keys() | self.after.keys())
        return [
            (key[0], self.before.get(key, Tally()), self.after.get(key, Tally())) for key in keys
        ]


@dataclass(frozen=True, slots=True)
class ConversionEffect:
    """What one group adds to a difference of conversion, as fractions of 1.

    `rate` comes from the group's conversion, `mix` from its share of the sessions that ended.
    """

    dimension: str
    group: str
    before: Tally
    after: Tally
    rate: Fraction
    mix: Fraction

    @property
    def total(self) -> Fraction:
        """Both together."""
        return self.rate + self.mix


@dataclass(frozen=True, slots=True)
class CostEffect:
    """What one group adds to a difference of cost, in billionths: its own difference.

    `volume` is what its additional sessions cost at the average price of all before, `mix` what
    makes them dearer or cheaper than that, and `price` what its sessions cost more each.
    """

    dimension: str
    group: str
    before: Tally
    after: Tally
    volume: Fraction
    mix: Fraction
    price: Fraction

    @property
    def total(self) -> Fraction:
        """All three together."""
        return self.volume + self.mix + self.price


def ended(tally: Tally) -> int:
    """The sessions that conversion is about: verified or expired."""
    return tally.verified + tally.expired


def conversion_effects(breakdown: Breakdown) -> list[ConversionEffect]:
    """The effect of every group on conversion, which add up to its difference exactly.

    With share s and conversion r of a group before (1) and after (2), and the conversion R₁ of all
    before: rate = s₁·(r₂-r₁) and mix = (s₂-s₁)·(r₂-R₁). It is the decomposition of a difference of
    rates of Kitagawa 1955 (JASA 50, 1168-1194), its interaction counted as mix; R₁ changes no sum,
    because the changes of shares add up to 0. A group on one side only has no change of rate.
    Empty when no session ended in one of the windows.
    """
    before, after = total(breakdown.before.values()), total(breakdown.after.values())
    if not ended(before) or not ended(after):
        return []
    average = Fraction(before.verified, ended(before))
    return [
        _conversion_effect(breakdown.dimension, group, average, (before, after))
        for group in breakdown.groups()
    ]


def _conversion_effect(
    dimension: str, group: tuple[str, Tally, Tally], average: Fraction, totals: tuple[Tally, Tally]
) -> ConversionEffect:
    name, before, after = group
    share = Fraction(ended(before), ended(totals[0]))
    share_after = Fraction(ended(after), ended(totals[1]))
    rate = _conversion(before, default=_conversion(after, default=average))
    rate_after = _conversion(after, default=rate)
    return ConversionEffect(
        dimension,
        name,
        before,
        after,
        share * (rate_after - rate),
        (share_after - share) * (rate_after - average),
    )


def _conversion(tally: Tally, *, default: Fraction) -> Fraction:
    return Fraction(tally.verified, ended(tally)) if ended(tally) else default


def costed(tally: Tally) -> int:
    """The sessions that a price is about: those whose cost is known."""
    return tally.sessions - tally.uncosted


def cost_effects(breakdown: Breakdown) -> list[CostEffect]:
    """The effect of every group on cost, which add up to its difference exactly.

    Sessions without a known cost are left out. With n other sessions of price p each of a group
    before (1) and after (2), and the price P₁ of all before: volume = (n₂-n₁)·P₁,
    mix = (n₂-n₁)·(p₁-P₁) and price = n₂·(p₂-p₁): the analysis of price, volume and mix of
    management accounting. A group on one side only has no change of price.
    Empty when there was none before.
    """
    before = total(breakdown.before.values())
    if not costed(before):
        return []
    average = Fraction(before.cost, costed(before))
    return [_cost_effect(breakdown.dimension, group, average) for group in breakdown.groups()]


def _cost_effect(dimension: str, group: tuple[str, Tally, Tally], average: Fraction) -> CostEffect:
    name, before, after = group
    price = _price(before, default=_price(after, default=average))
    more = costed(after) - costed(before)
    return CostEffect(
        dimension,
        name,
        before,
        after,
        more * average,
        more * (price - average),
        costed(after) * (_price(after, default=price) - price),
    )


def _price(tally: Tally, *, default: Fraction) -> Fraction:
    return Fraction(tally.cost, costed(tally)) if costed(tally) else default
