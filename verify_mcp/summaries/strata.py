"""Sums over pages drawn from strata: their standard error, and the room around them."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from math import exp, expm1, floor, fsum, hypot, log, sqrt
from statistics import NormalDist

from verify_mcp.summaries.estimate import EXACT_CONTEXT, Number

MISSED_PAGES = 1.5
"""Pages unlike all others that a draw may have missed; measured in benchmarks/estimates.py."""


@dataclass(frozen=True)
class Stratum:
    """So many pages, and the values of those drawn."""

    size: int
    observations: tuple[Number, ...]

    @property
    def sum(self) -> Decimal:
        """The sum over all its pages, by the pages drawn."""
        return EXACT_CONTEXT.divide(
            Decimal(sum(self.observations) * self.size), Decimal(len(self.observations))
        )

    @cached_property
    def variance(self) -> float:
        """Of the sum; none when every page was drawn (finite-population correction)."""
        count = len(self.observations)
        if count == self.size:
            return 0.0
        values = [float(value) for value in self.observations]
        mean = fsum(values) / count
        spread = fsum((value - mean) ** 2 for value in values) / (count - 1)
        return spread * self.size * (self.size - count) / count


@dataclass(frozen=True, slots=True)
class StratifiedSum:
    """The random part of a figure."""

    strata: tuple[Stratum, ...]

    @property
    def sum(self) -> Decimal:
        """The sum over all pages of the strata, by the pages drawn."""
        return sum((stratum.sum for stratum in self.strata), Decimal(0))

    @property
    def observed(self) -> Decimal:
        """The sum over the pages drawn."""
        return Decimal(sum(sum(stratum.observations) for stratum in self.strata))

    @property
    def pages(self) -> int:
        """Pages drawn."""
        return sum(len(stratum.observations) for stratum in self.strata)

    @property
    def undrawn(self) -> int:
        """Pages not drawn."""
        return sum(stratum.size for stratum in self.strata) - self.pages

    @property
    def error(self) -> float:
        """Standard error of the sum."""
        return sqrt(sum(stratum.variance for stratum in self.strata))

    @property
    def degrees_of_freedom(self) -> float:
        """Satterthwaite's degrees of freedom: few when one stratum has nearly all the spread."""
        parts = [
            (stratum.variance, len(stratum.observations) - 1)
            for stratum in self.strata
            if stratum.variance
        ]
        squares = sum(part * part / freedom for part, freedom in parts)
        scale = sum(part for part, _ in parts)
        return scale * scale / squares if squares else max(1.0, self.pages - len(self.strata))

    @property
    def margin_of_error(self) -> float:
        """Half the length of the sum's 95 % interval, as far as the spread seen goes."""
        return student_t_975(self.degrees_of_freedom) * self.error

    @property
    def undetected_pages(self) -> float:
        """How many pages may be unlike all drawn ones: the rule of three, in a finite number."""
        left = self.undrawn + self.pages - (self.pages - 1) / 2
        return min(self.undrawn, left * (1 - exp(log(0.05) / self.pages)))

    def room(self, page: float) -> tuple[float, float]:
        """How far the true sum may be below and above; a page not seen may hold `page`."""
        rest = float(self.sum)
        mean = rest / (self.undrawn + self.pages)
        if not rest:
            return 0.0, self.undetected_pages * page
        if not self.error:
            return self.undetected_pages * mean, self.undetected_pages * max(page - mean, mean)
        above = hypot(log_margin(rest, self.margin_of_error), self.missed_page_error(page))
        return hypot(self.margin_of_error, self.missed_page_error(0)), above

    def missed_page_error(self, page: float) -> float:
        """The error if pages of this value were missed for every so many drawn."""
        mean = float(self.sum) / (self.undrawn + self.pages)
        return MISSED_PAGES * abs(page - mean) * self.undrawn / (self.pages + 1)


def student_t_975(freedom: float) -> float:
    """Student's t for 95 % intervals, both ends, with so many degrees of freedom, at least 1."""
    few = (12.706, 4.303, 3.182, 2.776, 2.571)
    if freedom < len(few):
        scale = max(1, floor(freedom))
        part = max(0.0, freedom - scale)
        return few[scale - 1] + part * (few[scale] - few[scale - 1])
    z, n = NormalDist().inv_cdf(0.975), freedom
    return (  # Fisher and Cornish's expansion: from here on right to 0.1 %
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


def log_margin(value: float, margin: float) -> float:
    """How far above a sum that is never negative its interval goes: it has a long tail."""
    return value * expm1(min(margin / value, 700.0)) if value > 0 else 0.0


def wilson_interval(share: float, effective_n: float, t: float) -> tuple[float, float]:
    """Wilson's interval of a share seen among `effective_n` sessions; `t` is Student's t."""
    room = t * t / effective_n
    middle = (share + room / 2) / (1 + room)
    half = (
        t
        * sqrt(max(0.0, share * (1 - share)) / effective_n + (room / effective_n) / 4)
        / (1 + room)
    )
    return max(0.0, middle - half), min(1.0, middle + half)
