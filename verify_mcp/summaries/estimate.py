"""A figure with the interval that holds the true one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

Number = int | Decimal

RATE_PLACES = 6
"""Decimal places of a rate."""
EXACT_CONTEXT = Context(prec=60)
"""Digits enough that dividing money loses none that an answer shows."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and the interval that holds the true one 19 times in 20.

    `exact` says that nothing was left to chance; an interval without length does not.
    """

    value: Decimal
    low: Decimal
    high: Decimal
    exact: bool = False

    @classmethod
    def certain(cls, value: Decimal | int) -> "Estimate":
        """A figure that is known exactly."""
        return cls(Decimal(value), Decimal(value), Decimal(value), exact=True)

    def bounds(self) -> tuple[Decimal, Decimal, Decimal]:
        """The figure, and both ends of its interval."""
        return self.value, self.low, self.high

    def shifted_by(self, known: Decimal) -> "Estimate":
        """The same with something known exactly on top."""
        value, low, high = (figure + known for figure in self.bounds())
        return Estimate(value, low, high, self.exact)

    def capped_at(self, bound: Decimal) -> "Estimate":
        """The same, no end of it above what the figure can be at most."""
        value, low, high = (min(figure, bound) for figure in self.bounds())
        return Estimate(value, low, high, self.exact)

    def at_least(self, bound: Decimal) -> "Estimate":
        """The same, no end of it below what the figure is at least; an exact one as it is."""
        if self.exact:
            return self
        value, low, high = (max(figure, bound) for figure in self.bounds())
        return Estimate(value, low, high)

    def widened_by(self, room: Decimal) -> "Estimate":
        """The same, where up to `room` may be missing in it."""
        return replace(self, high=self.high + room, exact=False) if room else self

    def loosened_by(self, room: int) -> "Estimate":
        """The same, where it may be so far out either way."""
        return Estimate(self.value, max(self.low - room, Decimal(0)), self.high + room)

    def less(self, other: "Estimate") -> "Estimate":
        """What is left of it without another one, which is a part of it."""
        value, low, high = self.value - other.value, self.low - other.high, self.high - other.low
        none = Decimal(0)
        return Estimate(
            max(none, value), max(none, low), max(none, high), self.exact and other.exact
        )

    def narrowed_by(self, earlier: "Estimate") -> "Estimate":
        """The same with the closer bounds of an earlier one of the same figure."""
        low, high = max(self.low, earlier.low), min(self.high, earlier.high)
        if self.exact or low > high:
            return self
        return Estimate(min(max(self.value, low), high), low, high)

    def divided_by(self, count: int) -> "Estimate":
        """The same for each of `count`, known exactly: e.g. cost for each verified session."""
        value, low, high = (
            EXACT_CONTEXT.divide(bound, Decimal(count))
            for bound in (self.value, self.low, self.high)
        )
        if self.exact:
            return exact_estimate(value, -RATE_PLACES)
        return rounded_estimate(value, low, high, -RATE_PLACES)


def finest_exponent(values: Iterable[Number]) -> int:
    """The decimal exponent of the finest value: a sum is not given finer than that."""
    exponents = (Decimal(value).as_tuple().exponent for value in values)
    return min((value for value in exponents if isinstance(value, int)), default=0)


def exact_estimate(value: Decimal, places: int) -> Estimate:
    """A figure known exactly, with digits down to the exponent `places`."""
    digits = value.quantize(Decimal(1).scaleb(places), ROUND_HALF_EVEN, EXACT_CONTEXT)
    return Estimate.certain(digits)


def rounded_estimate(value: Decimal, low: Decimal, high: Decimal, places: int) -> Estimate:
    """A figure with its bounds rounded outwards to the exponent `places`, never below zero."""
    unit = Decimal(1).scaleb(places)
    digits = value.quantize(unit, ROUND_HALF_EVEN, EXACT_CONTEXT)
    return Estimate(
        digits,
        min(digits, max(low, Decimal(0)).quantize(unit, ROUND_FLOOR, EXACT_CONTEXT)),
        max(digits, high.quantize(unit, ROUND_CEILING, EXACT_CONTEXT)),
    )
