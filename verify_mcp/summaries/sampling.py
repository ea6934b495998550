"""Figures about all sessions from pages drawn at random, with the intervals that hold the truth.

A page is a cluster: its twenty sessions arrived together and resemble each other, so it counts as
one observation. Pages seen before the draw are not random and stand for themselves only. The
others are cut into stretches of neighbours (strata), and the pages of each are put in a random
order once. More pages are then a longer part of the same order: every page read is of use.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from math import hypot
from typing import TypeVar

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.summaries.estimate import (
    EXACT_CONTEXT,
    RATE_PLACES,
    Estimate,
    Number,
    exact_estimate,
    finest_exponent,
    rounded_estimate,
)
from verify_mcp.summaries.strata import (
    MISSED_PAGES,
    StratifiedSum,
    Stratum,
    student_t_975,
    wilson_interval,
)

Page = TypeVar("Page", int, int | None)
Values = Mapping[int, Number]
"""For each page, by its offset, the sum of something over its sessions."""

_MAX_STRATA = 8
"""More are finer, but their spread is badly known; measured in benchmarks/estimates.py."""
_MIN_STRATUM = 8
"""Pages of a stratum at least."""
_MIN_DRAWN = 5
"""Pages drawn in a stratum at least; fewer may all lie in one burst, and then seem to be sure."""


@dataclass(frozen=True, slots=True)
class StratifiedSample:
    """A random order of pages, and what they stand for; a page goes by its offset.

    Fetch `offsets` in their order: cut off anywhere, they are a fair draw, and every longer part
    of them holds all the shorter ones. Then estimate figures from the values of every page of
    `known_offsets` and of the drawn ones that came in.
    """

    total: int
    known_offsets: tuple[int, ...]
    """Pages seen before anything was drawn."""
    strata: tuple[tuple[int, ...], ...]
    """All other pages, in stretches of neighbours."""
    offsets: tuple[int, ...]
    """All other pages, in the order in which to draw them."""

    def with_known(self, pages: Collection[int]) -> "StratifiedSample":
        """The same where some pages were chosen and not drawn: they stand for themselves only."""
        chosen = {*pages} & {*self.offsets}
        if not chosen:
            return self
        strata = (tuple(page for page in stratum if page not in chosen) for stratum in self.strata)
        return StratifiedSample(
            self.total,
            tuple(sorted({*self.known_offsets, *chosen})),
            tuple(stratum for stratum in strata if stratum),
            tuple(page for page in self.offsets if page not in chosen),
        )

    def resized(
        self, total: int, seen: Collection[int], random: Callable[[], float]
    ) -> "StratifiedSample":
        """The same order for another total: pages that are new are drawn like those not `seen`."""
        pages = range(0, total, PAGE_SIZE)
        order = [page for page in self.offsets if page in pages]
        known = {*order, *self.known_offsets}
        added = [page for page in pages if page not in known]
        drawn = sum(page in seen for page in order)
        for page in added:
            order.insert(drawn + int(random() * (len(order) - drawn + 1)), page)
        strata_left = [tuple(page for page in stratum if page in pages) for stratum in self.strata]
        *strata, last = [stratum for stratum in strata_left if stratum] or [()]
        sure = tuple(page for page in self.known_offsets if page in pages)
        return StratifiedSample(total, sure, (*strata, (*last, *added)), tuple(order))

    def estimate(
        self, values: Values, *, max_per_session: Number, cap: Number | None = None
    ) -> Estimate | None:
        """The sum over all sessions; None when fewer than two pages drawn came in.

        `max_per_session` is what one session may add, by what was seen: 1 where sessions are
        counted, the costliest session seen where costs are added up; `cap` is what none can
        exceed. A burst may lie wholly between the pages drawn, so the interval allows for one page
        more that the draw missed: full of such sessions, or holding nothing that counts. Where
        all pages drawn are alike, as many may be unlike them as the rule of three allows.
        """
        drawn = self._observe(values)
        if drawn is None:
            return None
        places = finest_exponent(values.values())
        sure = self._known_offsets(values)
        if not drawn.undrawn:
            return exact_estimate(sure + drawn.sum, places)
        rest = float(drawn.sum)
        below, above = drawn.room(float(max_per_session) * PAGE_SIZE)
        most = rest + above
        if cap is not None or drawn.error:
            most = min(
                most,
                float(drawn.observed + max(max_per_session, cap or 0) * self._rows_unseen(values)),
            )
        return rounded_estimate(
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
            return exact_estimate(rate, -RATE_PLACES)
        scale = float(self._known_offsets(bottoms) + below.sum)
        unseen = 1 - float(self._known_offsets(bottoms) + below.observed) / scale
        error = apart.error / scale
        p, holding = float(rate), sum(1 for page in bottoms.values() if page)
        effective_n = p * (1 - p) / error**2 if error else float(holding)
        effective_n = min(effective_n, (1 - unseen) * scale / max(unseen, 1e-9))
        low, high = wilson_interval(p, effective_n, student_t_975(apart.degrees_of_freedom))
        missed = MISSED_PAGES * PAGE_SIZE * below.undrawn / (below.pages + 1) / scale
        part = missed / (1 + missed)
        low, high = p - hypot(p - low, p * part), p + hypot(high - p, (1 - p) * part)
        return rounded_estimate(rate, Decimal(low), Decimal(min(1.0, high)), -RATE_PLACES)

    def _parts(
        self, tops: Values, bottoms: Values
    ) -> "tuple[StratifiedSum, StratifiedSum, Decimal] | None":
        """The bottoms' sum, how far each page is from the rate (its error, linear), the rate."""
        above, below = self._observe(tops), self._observe(bottoms)
        if above is None or below is None or not self._known_offsets(bottoms) + below.sum:
            return None
        top, bottom = (
            self._known_offsets(tops) + above.sum,
            self._known_offsets(bottoms) + below.sum,
        )
        rate = EXACT_CONTEXT.divide(top, bottom)
        apart = self._observe({page: top - rate * bottoms[page] for page, top in tops.items()})
        return None if apart is None else (below, apart, rate)

    def _observe(self, values: Values) -> "StratifiedSum | None":
        """What came in of each stratum; one with too few pages drawn joins the next."""
        strata: list[Stratum] = []
        size, came = 0, list[Number]()
        for stratum in self.strata:
            size += len(stratum)
            came += [values[page] for page in stratum if page in values]
            if len(came) >= min(_MIN_DRAWN, size):
                strata.append(Stratum(size, tuple(came)))
                size, came = 0, []
        if size and strata:
            last = strata.pop()
            size, came = last.size + size, [*last.observations, *came]
        if size and len(came) < min(2, size):
            return None
        return StratifiedSum((*strata, Stratum(size, tuple(came))) if size else tuple(strata))

    def _known_offsets(self, values: Values) -> Decimal:
        return Decimal(sum(values[page] for page in self.known_offsets))

    def rows(self, page: int) -> int:
        """How many sessions a page has by the total."""
        return max(0, min(PAGE_SIZE, self.total - page))

    def _rows_unseen(self, values: Values) -> int:
        return self.total - sum(map(self.rows, values))


def draw_sample(total: int, seen: Iterable[int], random: Callable[[], float]) -> StratifiedSample:
    """The pages of `total` sessions in an order drawn by `random` (from 0 to below 1).

    `seen` are the offsets of pages read already; those that do not start at a multiple of 20 are
    no use.
    """
    pages = range(0, total, PAGE_SIZE)
    sure = {page for page in seen if page in pages}
    rest = [page for page in pages if page not in sure]
    count = max(1, min(_MAX_STRATA, len(rest) // _MIN_STRATUM))
    strata = [rest[_share(len(rest), n, count)] for n in range(count)] if rest else []
    turns = zip_longest(*(_shuffled(stratum, random) for stratum in strata))
    order = (page for turn in turns for page in _shuffled(turn, random) if page is not None)
    return StratifiedSample(total, tuple(sorted(sure)), tuple(map(tuple, strata)), tuple(order))


def _share(length: int, part: int, parts: int) -> slice:
    return slice(length * part // parts, length * (part + 1) // parts)


def _shuffled(pages: Iterable[Page], random: Callable[[], float]) -> list[Page]:
    left = list(pages)
    return [left.pop(int(random() * len(left))) for _ in range(len(left))]
