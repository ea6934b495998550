"""Figures about all sessions from pages drawn at random, with the intervals that hold the truth.

A page is a cluster: its twenty sessions arrived together and resemble each other, so it counts as
one observation. Pages seen before the draw are not random and stand for themselves only. The
others are cut into stretches of neighbours (strata), and some are drawn in each.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from itertools import chain, zip_longest
from math import exp, expm1, floor, hypot, log, sqrt
from statistics import NormalDist, variance

from verify_mcp.counting import PAGE

Number = int | Decimal
Values = Mapping[int, Number]
"""For each page, by its offset, the sum of something over its sessions."""

_DRAWN_PER_STRATUM = 4
"""Fewer make finer strata, whose spread is badly known; measured in benchmarks/estimates.py."""
_MOST_STRATA = 10
_RATE_PLACES = 6
_EXACTLY = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and the interval that holds the true one 19 times in 20."""

    value: Decimal
    low: Decimal
    high: Decimal

    @property
    def exact(self) -> bool:
        """Whether nothing was left to chance."""
        return self.low == self.value == self.high

    def bounds(self) -> tuple[Decimal, Decimal, Decimal]:
        """The figure, and both ends of its interval."""
        return self.value, self.low, self.high

    def plus(self, known: Decimal) -> "Estimate":
        """The same with something known exactly on top."""
        return Estimate(self.value + known, self.low + known, self.high + known)

    def at_most(self, bound: Decimal) -> "Estimate":
        """The same, no end of it above what the figure can be at most."""
        return Estimate(*(min(each, bound) for each in self.bounds()))

    def per(self, count: int) -> "Estimate":
        """The same for each of `count`, known exactly: e.g. cost for each verified session."""
        value, low, high = (
            _EXACTLY.divide(bound, Decimal(count)) for bound in (self.value, self.low, self.high)
        )
        if self.exact:
            return _certain(value, -_RATE_PLACES)
        return _rounded(value, low, high, -_RATE_PLACES)


@dataclass(frozen=True, slots=True)
class Sample:
    """Pages drawn at random, and what they stand for; a page goes by its offset.

    Fetch `offsets` in their order: cut off anywhere, they are still a fair draw. Then ask for
    figures, giving the values of every page of `sure` and of the drawn ones that came in.
    """

    total: int
    sure: tuple[int, ...]
    """Pages seen before anything was drawn."""
    strata: tuple[tuple[int, ...], ...]
    """All other pages, in stretches of neighbours."""
    offsets: tuple[int, ...]
    """The pages drawn."""

    def estimate(self, values: Values, *, each: Number) -> Estimate | None:
        """The sum over all sessions; None when fewer than two pages drawn came in.

        `each` is the most that one session can add: 1 where sessions are counted, the costliest
        session seen where costs are added up. A burst may lie wholly between the pages drawn, so
        the interval reckons with one page more that the draw missed: full of such sessions, or
        holding nothing that counts.
        """
        drawn = self._drawn(values)
        if drawn is None:
            return None
        places = _places(values.values())
        sure = self._sure(values)
        if not drawn.unseen:
            return _certain(sure + drawn.sum, places)
        rest, page = float(drawn.sum), float(each) * PAGE
        above = hypot(_stretched(rest, drawn.reach), drawn.missed(page))
        above = above if rest else drawn.unmet * page
        below = hypot(drawn.reach, drawn.missed(0))
        most = float(drawn.seen + each * self._rows_unseen(values))
        return _rounded(
            sure + drawn.sum,
            sure + max(drawn.seen, Decimal(rest - below)),
            sure + Decimal(min(rest + above, most)),
            places,
        )

    def ratio(self, tops: Values, bottoms: Values, *, each: Number) -> Estimate | None:
        """One sum over another where neither is known, e.g. what a group paid per verified session.

        `each` is the most that one session can add to the tops. None when fewer than two pages
        drawn came in, or they show nothing of the bottoms. Where the lower sum is known exactly,
        `estimate(...).per(...)` is surer.
        """
        parts = self._parts(tops, bottoms)
        if parts is None:
            return None
        above, below, apart, rate = parts
        if not above.unseen:
            return _certain(rate, -_RATE_PLACES)
        whole, page = float(self._sure(bottoms) + below.sum), float(each) * PAGE
        reach = apart.reach / whole
        more = hypot(_stretched(float(rate), reach), above.missed(page) / whole)
        if not rate:
            more = above.unmet * page / float(self._sure(bottoms) + below.seen)
        return _rounded(rate, rate - Decimal(reach), rate + Decimal(more), -_RATE_PLACES)

    def share(self, tops: Values, bottoms: Values) -> Estimate | None:
        """Which part of the bottoms are tops too, from 0 to 1, e.g. a group's conversion.

        None as for `ratio`. Wilson's interval for as many sessions, drawn one by one, as the
        pages are worth: none out of a few still leaves room for some.
        """
        parts = self._parts(tops, bottoms)
        if parts is None:
            return None
        _, below, apart, rate = parts
        if not below.unseen:
            return _certain(rate, -_RATE_PLACES)
        whole = float(self._sure(bottoms) + below.sum)
        unseen = 1 - float(self._sure(bottoms) + below.seen) / whole
        error = apart.error / whole
        p, holding = float(rate), sum(1 for page in bottoms.values() if page)
        worth = p * (1 - p) / error**2 if error else float(holding)
        worth = min(worth, (1 - unseen) * whole / max(unseen, 1e-9))
        low, high = _wilson(p, worth, quantile(apart.freedom))
        return _rounded(rate, Decimal(low), Decimal(high), -_RATE_PLACES)

    def _parts(
        self, tops: Values, bottoms: Values
    ) -> "tuple[_Drawn, _Drawn, _Drawn, Decimal] | None":
        """Both sums, how far each page is from their rate (its error, made linear), the rate."""
        above, below = self._drawn(tops), self._drawn(bottoms)
        if above is None or below is None or not self._sure(bottoms) + below.sum:
            return None
        top, bottom = self._sure(tops) + above.sum, self._sure(bottoms) + below.sum
        rate = _EXACTLY.divide(top, bottom)
        apart = self._drawn({page: top - rate * bottoms[page] for page, top in tops.items()})
        return None if apart is None else (above, below, apart, rate)

    def _drawn(self, values: Values) -> "_Drawn | None":
        """What came in of each stratum; one with fewer than two pages joins the next."""
        strata: list[_Stratum] = []
        size, came = 0, list[Number]()
        for stratum in self.strata:
            size += len(stratum)
            inside = set(stratum)
            came += [values[page] for page in self.offsets if page in inside and page in values]
            if len(came) >= min(2, size):
                strata.append(_Stratum(size, tuple(came)))
                size, came = 0, []
        if size and strata:
            last = strata.pop()
            strata.append(_Stratum(last.size + size, (*last.came, *came)))
        return None if size and not strata else _Drawn(tuple(strata))

    def _sure(self, values: Values) -> Decimal:
        return Decimal(sum(values[page] for page in self.sure))

    def _rows_unseen(self, values: Values) -> int:
        missing = (page for page in range(0, self.total, PAGE) if page not in values)
        return sum(min(PAGE, self.total - page) for page in missing)


def sample(total: int, budget: int, seen: Iterable[int], chance: Callable[[], float]) -> Sample:
    """At most `budget` pages of `total` sessions to fetch, drawn by `chance` (from 0 to below 1).

    `seen` are the offsets of pages held already; those that do not start at a multiple of 20 are
    no use. The same chance gives the same draw, so that asking again costs nothing.
    """
    pages = range(0, total, PAGE)
    sure = {page for page in seen if page in pages}
    rest = [page for page in pages if page not in sure]
    budget = max(0, min(budget, len(rest)))
    count = min(max(1, budget // _DRAWN_PER_STRATUM), _MOST_STRATA)
    strata = tuple(rest[_share(len(rest), n, count)] for n in range(count)) if rest else ()
    sizes = (len(range(budget)[_share(budget, n, count)]) for n in range(count))
    draws = [_draw(stratum, size, chance) for stratum, size in zip(strata, sizes, strict=False)]
    turns = chain.from_iterable(zip_longest(*draws))
    return Sample(
        total,
        tuple(sorted(sure)),
        tuple(map(tuple, strata)),
        tuple(page for page in turns if page is not None),
    )


def quantile(freedom: float) -> float:
    """Student's t for 95 % intervals, both ends, with so many degrees of freedom, at least 1."""
    few = (12.706, 4.303, 3.182, 2.776, 2.571)
    if freedom < len(few):
        whole = max(1, floor(freedom))
        part = max(0.0, freedom - whole)
        return few[whole - 1] + part * (few[whole] - few[whole - 1])
    z, n = NormalDist().inv_cdf(0.975), freedom
    return (  # Fisher and Cornish's expansion: from here on right to 0.1 %
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


@dataclass(frozen=True, slots=True)
class _Stratum:
    """So many pages, and the values of those drawn."""

    size: int
    came: tuple[Number, ...]

    @property
    def sum(self) -> Decimal:
        return _EXACTLY.divide(Decimal(sum(self.came) * self.size), Decimal(len(self.came)))

    @property
    def variance(self) -> float:
        """Of the sum; none when every page was drawn (finite-population correction)."""
        count = len(self.came)
        if count == self.size:
            return 0.0
        spread = variance([float(value) for value in self.came])
        return spread * self.size * (self.size - count) / count


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The random part of a figure."""

    strata: tuple[_Stratum, ...]

    @property
    def sum(self) -> Decimal:
        return sum((stratum.sum for stratum in self.strata), Decimal(0))

    @property
    def seen(self) -> Decimal:
        return Decimal(sum(sum(stratum.came) for stratum in self.strata))

    @property
    def pages(self) -> int:
        return sum(len(stratum.came) for stratum in self.strata)

    @property
    def unseen(self) -> int:
        """Pages neither drawn nor held."""
        return sum(stratum.size for stratum in self.strata) - self.pages

    @property
    def error(self) -> float:
        """Standard error of the sum."""
        return sqrt(sum(stratum.variance for stratum in self.strata))

    @property
    def freedom(self) -> float:
        """Satterthwaite's degrees of freedom: few when one stratum has nearly all the spread."""
        parts = [(each.variance, len(each.came) - 1) for each in self.strata if each.variance]
        squares = sum(part * part / freedom for part, freedom in parts)
        whole = sum(part for part, _ in parts)
        return whole * whole / squares if squares else max(1.0, self.pages - len(self.strata))

    @property
    def reach(self) -> float:
        return quantile(self.freedom) * self.error

    @property
    def unmet(self) -> float:
        """How many pages may be unlike all drawn ones: the rule of three, in a finite number."""
        left = self.unseen + self.pages - (self.pages - 1) / 2
        return min(self.unseen, left * (1 - exp(log(0.05) / self.pages)))

    def missed(self, page: float) -> float:
        """The error if one page of this value was missed for every so many drawn."""
        mean = float(self.sum) / (self.unseen + self.pages)
        return abs(page - mean) * self.unseen / (self.pages + 1)


def _stretched(value: float, reach: float) -> float:
    """How far above a sum that is never negative its interval reaches: it has a long tail."""
    return value * expm1(min(reach / value, 700.0)) if value > 0 else 0.0


def _wilson(share: float, worth: float, reach: float) -> tuple[float, float]:
    room = reach * reach / worth
    middle = (share + room / 2) / (1 + room)
    half = reach * sqrt(max(0.0, share * (1 - share)) / worth + (room / worth) / 4) / (1 + room)
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(length: int, part: int, parts: int) -> slice:
    return slice(length * part // parts, length * (part + 1) // parts)


def _draw(pages: list[int], size: int, chance: Callable[[], float]) -> list[int]:
    left = list(pages)
    return [left.pop(int(chance() * len(left))) for _ in range(min(size, len(left)))]


def _places(values: Iterable[Number]) -> int:
    """The exponent of the finest amount among the values: sums are not told finer than that."""
    exponents = (Decimal(value).as_tuple().exponent for value in values)
    return min((each for each in exponents if isinstance(each, int)), default=0)


def _certain(value: Decimal, places: int) -> Estimate:
    told = value.quantize(Decimal(1).scaleb(places), ROUND_HALF_EVEN, _EXACTLY)
    return Estimate(told, told, told)


def _rounded(value: Decimal, low: Decimal, high: Decimal, places: int) -> Estimate:
    """With bounds rounded outwards, around the value."""
    unit = Decimal(1).scaleb(places)
    told = value.quantize(unit, ROUND_HALF_EVEN, _EXACTLY)
    return Estimate(
        told,
        min(told, max(low, Decimal(0)).quantize(unit, ROUND_FLOOR, _EXACTLY)),
        max(told, high.quantize(unit, ROUND_CEILING, _EXACTLY)),
    )
