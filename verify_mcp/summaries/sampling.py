"""Figures about all sessions from pages drawn at random, with the intervals that hold the truth.

A page is a cluster: its twenty sessions arrived together and resemble each other, so it counts as
one observation. Pages seen before the draw are not random and stand for themselves only. The
others are cut into stretches of neighbours (strata), and the pages of each are put in a random
order once. More pages are then a longer part of the same order: every page read is of use.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from functools import cached_property
from itertools import zip_longest
from math import exp, expm1, floor, fsum, hypot, log, sqrt
from statistics import NormalDist
from typing import TypeVar

from verify_mcp.domain.api_limits import PAGE_SIZE

Page = TypeVar("Page", int, int | None)
Number = int | Decimal
Values = Mapping[int, Number]
"""For each page, by its offset, the sum of something over its sessions."""

_MAX_STRATA = 8
"""More are finer, but their spread is badly known; measured in benchmarks/estimates.py."""
_MIN_STRATUM = 8
"""Pages of a stratum at least."""
_MIN_DRAWN = 5
"""Pages drawn in a stratum at least; fewer may all lie in one burst, and then seem to be sure."""
_MISSED = 1.5
"""Pages unlike all others that a draw may have missed; measured in benchmarks/estimates.py."""
_RATE_PLACES = 6
_EXACTLY = Context(prec=60)


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
        value, low, high = (each + known for each in self.bounds())
        return Estimate(value, low, high, self.exact)

    def capped_at(self, bound: Decimal) -> "Estimate":
        """The same, no end of it above what the figure can be at most."""
        value, low, high = (min(each, bound) for each in self.bounds())
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

    def divided_by(self, count: int) -> "Estimate":
        """The same for each of `count`, known exactly: e.g. cost for each verified session."""
        value, low, high = (
            _EXACTLY.divide(bound, Decimal(count)) for bound in (self.value, self.low, self.high)
        )
        if self.exact:
            return _exact(value, -_RATE_PLACES)
        return _rounded(value, low, high, -_RATE_PLACES)


@dataclass(frozen=True, slots=True)
class StratifiedSample:
    """A random order of pages, and what they stand for; a page goes by its offset.

    Fetch `offsets` in their order: cut off anywhere, they are a fair draw, and every longer part
    of them holds all the shorter ones. Then ask for figures, giving the values of every page of
    `sure` and of the drawn ones that came in.
    """

    total: int
    known_offsets: tuple[int, ...]
    """Pages seen before anything was drawn."""
    strata: tuple[tuple[int, ...], ...]
    """All other pages, in stretches of neighbours."""
    offsets: tuple[int, ...]
    """All other pages, in the order in which to draw them."""

    def resized(
        self, total: int, seen: Collection[int], chance: Callable[[], float]
    ) -> "StratifiedSample":
        """The same order for another total: pages that are new are drawn like those not `seen`."""
        pages = range(0, total, PAGE_SIZE)
        order = [page for page in self.offsets if page in pages]
        known = {*order, *self.known_offsets}
        added = [page for page in pages if page not in known]
        drawn = sum(page in seen for page in order)
        for page in added:
            order.insert(drawn + int(chance() * (len(order) - drawn + 1)), page)
        kept = [tuple(page for page in stratum if page in pages) for stratum in self.strata]
        *strata, last = [stratum for stratum in kept if stratum] or [()]
        sure = tuple(page for page in self.known_offsets if page in pages)
        return StratifiedSample(total, sure, (*strata, (*last, *added)), tuple(order))

    def estimate(
        self, values: Values, *, each: Number, cap: Number | None = None
    ) -> Estimate | None:
        """The sum over all sessions; None when fewer than two pages drawn came in.

        `each` is what one session may add, by what was seen of it: 1 where sessions are counted,
        the costliest session seen where costs are added up; `cap` what none can exceed. A burst
        may lie wholly between the pages drawn, so the interval reckons with one page more that
        the draw missed: full of such sessions, or holding nothing that counts. Where all pages
        drawn are alike, as many may be unlike them as the rule of three allows.
        """
        drawn = self._observe(values)
        if drawn is None:
            return None
        places = _exponent(values.values())
        sure = self._known_offsets(values)
        if not drawn.undrawn:
            return _exact(sure + drawn.sum, places)
        rest = float(drawn.sum)
        below, above = drawn.room(float(each) * PAGE_SIZE)
        most = rest + above
        if cap is not None or drawn.error:
            most = min(
                most, float(drawn.observed + max(each, cap or 0) * self._rows_unseen(values))
            )
        return _rounded(
            sure + min(drawn.sum, Decimal(most)),
            sure + max(drawn.observed, Decimal(rest - below)),
            sure + Decimal(most),
            places,
        )

    def share(self, tops: Values, bottoms: Values) -> Estimate | None:
        """Which part of the bottoms are tops too, from 0 to 1, e.g. a group's conversion.

        None when fewer than two pages drawn came in, or they show nothing of the bottoms. It is
        Wilson's interval for as many sessions, drawn one by one, as the pages are worth: none out
        of a few still leaves room for some. Pages that the draw missed may be full of the bottoms,
        all of them tops or none.
        """
        parts = self._parts(tops, bottoms)
        if parts is None:
            return None
        below, apart, rate = parts
        if not below.undrawn:
            return _exact(rate, -_RATE_PLACES)
        scale = float(self._known_offsets(bottoms) + below.sum)
        unseen = 1 - float(self._known_offsets(bottoms) + below.observed) / scale
        error = apart.error / scale
        p, holding = float(rate), sum(1 for page in bottoms.values() if page)
        worth = p * (1 - p) / error**2 if error else float(holding)
        worth = min(worth, (1 - unseen) * scale / max(unseen, 1e-9))
        low, high = _wilson(p, worth, student_t_975(apart.degrees_of_freedom))
        missed = _MISSED * PAGE_SIZE * below.undrawn / (below.pages + 1) / scale
        part = missed / (1 + missed)
        low, high = p - hypot(p - low, p * part), p + hypot(high - p, (1 - p) * part)
        return _rounded(rate, Decimal(low), Decimal(min(1.0, high)), -_RATE_PLACES)

    def _parts(
        self, tops: Values, bottoms: Values
    ) -> "tuple[_StratifiedSum, _StratifiedSum, Decimal] | None":
        """The bottoms' sum, how far each page is from the rate (its error, linear), the rate."""
        above, below = self._observe(tops), self._observe(bottoms)
        if above is None or below is None or not self._known_offsets(bottoms) + below.sum:
            return None
        top, bottom = (
            self._known_offsets(tops) + above.sum,
            self._known_offsets(bottoms) + below.sum,
        )
        rate = _EXACTLY.divide(top, bottom)
        apart = self._observe({page: top - rate * bottoms[page] for page, top in tops.items()})
        return None if apart is None else (below, apart, rate)

    def _observe(self, values: Values) -> "_StratifiedSum | None":
        """What came in of each stratum; one with too few pages drawn joins the next."""
        strata: list[_Stratum] = []
        size, came = 0, list[Number]()
        for stratum in self.strata:
            size += len(stratum)
            came += [values[page] for page in stratum if page in values]
            if len(came) >= min(_MIN_DRAWN, size):
                strata.append(_Stratum(size, tuple(came)))
                size, came = 0, []
        if size and strata:
            last = strata.pop()
            size, came = last.size + size, [*last.observations, *came]
        if size and len(came) < min(2, size):
            return None
        return _StratifiedSum((*strata, _Stratum(size, tuple(came))) if size else tuple(strata))

    def _known_offsets(self, values: Values) -> Decimal:
        return Decimal(sum(values[page] for page in self.known_offsets))

    def rows(self, page: int) -> int:
        """How many sessions a page has by the total."""
        return max(0, min(PAGE_SIZE, self.total - page))

    def _rows_unseen(self, values: Values) -> int:
        return self.total - sum(map(self.rows, values))


def draw_sample(total: int, seen: Iterable[int], chance: Callable[[], float]) -> StratifiedSample:
    """The pages of `total` sessions in an order drawn by `chance` (from 0 to below 1).

    `seen` are the offsets of pages held already; those that do not start at a multiple of 20 are
    no use.
    """
    pages = range(0, total, PAGE_SIZE)
    sure = {page for page in seen if page in pages}
    rest = [page for page in pages if page not in sure]
    count = max(1, min(_MAX_STRATA, len(rest) // _MIN_STRATUM))
    strata = [rest[_share(len(rest), n, count)] for n in range(count)] if rest else []
    turns = zip_longest(*(_shuffled(stratum, chance) for stratum in strata))
    order = (page for turn in turns for page in _shuffled(turn, chance) if page is not None)
    return StratifiedSample(total, tuple(sorted(sure)), tuple(map(tuple, strata)), tuple(order))


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


@dataclass(frozen=True)
class _Stratum:
    """So many pages, and the values of those drawn."""

    size: int
    observations: tuple[Number, ...]

    @property
    def sum(self) -> Decimal:
        return _EXACTLY.divide(
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
class _StratifiedSum:
    """The random part of a figure."""

    strata: tuple[_Stratum, ...]

    @property
    def sum(self) -> Decimal:
        return sum((stratum.sum for stratum in self.strata), Decimal(0))

    @property
    def observed(self) -> Decimal:
        return Decimal(sum(sum(stratum.observations) for stratum in self.strata))

    @property
    def pages(self) -> int:
        return sum(len(stratum.observations) for stratum in self.strata)

    @property
    def undrawn(self) -> int:
        """Pages neither drawn nor held."""
        return sum(stratum.size for stratum in self.strata) - self.pages

    @property
    def error(self) -> float:
        """Standard error of the sum."""
        return sqrt(sum(stratum.variance for stratum in self.strata))

    @property
    def degrees_of_freedom(self) -> float:
        """Satterthwaite's degrees of freedom: few when one stratum has nearly all the spread."""
        parts = [
            (each.variance, len(each.observations) - 1) for each in self.strata if each.variance
        ]
        squares = sum(part * part / freedom for part, freedom in parts)
        scale = sum(part for part, _ in parts)
        return scale * scale / squares if squares else max(1.0, self.pages - len(self.strata))

    @property
    def margin_of_error(self) -> float:
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
        above = hypot(_log_margin(rest, self.margin_of_error), self.missed_page_error(page))
        return hypot(self.margin_of_error, self.missed_page_error(0)), above

    def missed_page_error(self, page: float) -> float:
        """The error if pages of this value were missed for every so many drawn."""
        mean = float(self.sum) / (self.undrawn + self.pages)
        return _MISSED * abs(page - mean) * self.undrawn / (self.pages + 1)


def _log_margin(value: float, reach: float) -> float:
    """How far above a sum that is never negative its interval reaches: it has a long tail."""
    return value * expm1(min(reach / value, 700.0)) if value > 0 else 0.0


def _wilson(share: float, worth: float, reach: float) -> tuple[float, float]:
    room = reach * reach / worth
    middle = (share + room / 2) / (1 + room)
    half = reach * sqrt(max(0.0, share * (1 - share)) / worth + (room / worth) / 4) / (1 + room)
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(length: int, part: int, parts: int) -> slice:
    return slice(length * part // parts, length * (part + 1) // parts)


def _shuffled(pages: Iterable[Page], chance: Callable[[], float]) -> list[Page]:
    left = list(pages)
    return [left.pop(int(chance() * len(left))) for _ in range(len(left))]


def _exponent(values: Iterable[Number]) -> int:
    """The exponent of the finest amount among the values: sums are not told finer than that."""
    exponents = (Decimal(value).as_tuple().exponent for value in values)
    return min((each for each in exponents if isinstance(each, int)), default=0)


def _exact(value: Decimal, places: int) -> Estimate:
    digits = value.quantize(Decimal(1).scaleb(places), ROUND_HALF_EVEN, _EXACTLY)
    return Estimate.certain(digits)


def _rounded(value: Decimal, low: Decimal, high: Decimal, places: int) -> Estimate:
    """With bounds rounded outwards, around the value."""
    unit = Decimal(1).scaleb(places)
    digits = value.quantize(unit, ROUND_HALF_EVEN, _EXACTLY)
    return Estimate(
        digits,
        min(digits, max(low, Decimal(0)).quantize(unit, ROUND_FLOOR, _EXACTLY)),
        max(digits, high.quantize(unit, ROUND_CEILING, _EXACTLY)),
    )
