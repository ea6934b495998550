"""How many sessions there are, exactly, from few pages.

The list endpoint gives pages of 20, newest first, at any offset, and no totals. A page tells more
than its rows: full, there are at least offset + 20 sessions; short, exactly offset + rows; empty,
at most offset. Its times tell how fast sessions arrive, and so about where the last one is.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil, cos, exp, hypot, inf, log, log2, pi, sin, sqrt
from typing import Literal

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.windows import Window

_TARGET_QUANTILE = 0.3
"""Where in the likely totals to probe: below the middle, because a full page shows its times."""
_DAILY_AMPLITUDE, _TREND_SD = 0.6, 0.15
"""How much busier than on average the busiest hour of a day is; what else moves the rate."""
_REFERENCE_SD = 0.12
"""The same, measured against the arrivals of another count of the window."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a request for a full page brought, and when its sessions were created."""

    offset: int
    rows: int
    oldest: datetime | None = None
    newest: datetime | None = None

    @property
    def least(self) -> int:
        """The fewest sessions there can be."""
        return self.offset + self.rows if self.rows else 0

    @property
    def most(self) -> int | None:
        """The most sessions there can be, None when a full page leaves it open."""
        return None if self.rows >= PAGE_SIZE else self.offset + self.rows


@dataclass(frozen=True, slots=True)
class Prior:
    """A total that is likely before any probe, give or take `std_dev`."""

    total: int
    std_dev: float = 1.0

    @classmethod
    def by_share(cls, total: int, *, having: int, seen: int) -> "Prior":
        """Of `total` sessions, those like the `having` that were among the `seen`."""
        share = (having + 1) / (seen + 2)
        # Neighbours resemble each other, so they tell less than as many drawn one by one.
        return cls(int(total * share), 1 + 1.5 * total * sqrt(share * (1 - share) / (seen + 2)))


@dataclass(frozen=True, slots=True)
class CountSearch:
    """The search for how many sessions one filter has in one window, whose bounds are pinned.

    Fetch the page at `next_offset` and add it with `with_page`, until the offset is None. Then
    `total` is the exact number, or None: the pages contradict each other (`contradiction`), or
    the API refused deep offsets (`refusals`); `low` and `high` bound it all the same.

        count = CountSearch(window)
        while (offset := count.next_offset()) is not None:
            page = ...  # 20 rows from this offset
            count = count.with_page(offset, page.received, oldest=..., newest=...)

    A count takes at most `max_requests_for(total)` requests however sessions arrive (or that of
    `prior.total`, where it is more), usually far fewer. A `prior` saves more, and so does a
    `reference`: a finished count of the same window whose sessions come in the same rhythm.
    """

    window: Window
    prior: Prior | None = None
    reference: "CountSearch | None" = None
    probes: tuple[Probe, ...] = ()
    refusals: tuple[int, ...] = ()
    """Offsets that the API would not go as deep as."""

    def with_page(
        self,
        offset: int,
        rows: int,
        oldest: datetime | None = None,
        newest: datetime | None = None,
    ) -> "CountSearch":
        """With the result of one probe: `rows` received, readable or not, of 20."""
        if offset < 0 or rows < 0:
            raise ValueError("An offset and a number of rows are never negative.")
        return replace(self, probes=(*self.probes, Probe(offset, rows, oldest, newest)))

    def with_refusal(self, offset: int) -> "CountSearch":
        """With the API's refusal to go as deep as `offset`."""
        return replace(self, refusals=(*self.refusals, offset))

    @property
    def contradiction(self) -> bool:
        """Whether no total fits all answers: sessions changed while they were counted."""
        return self._least() > self._most()

    @property
    def total(self) -> int | None:
        """The exact number of sessions, None when it is not (or not yet) known."""
        return self._least() if self._least() == self._most() else None

    @property
    def low(self) -> int:
        """No fewer sessions than these; of contradictory answers, the smallest bound."""
        return int(min(self._least(), self._most()))

    @property
    def high(self) -> int | None:
        """No more sessions than these, None when that is open."""
        most = max(self._least(), self._most())
        return None if most == inf else int(most)

    def next_offset(self) -> int | None:
        """The offset to probe next; None when no more can be found out."""
        if (
            self.total is not None
            or self.contradiction
            or self.low // PAGE_SIZE > self._last_page()
            or self._beyond_reachable_offsets()
        ):
            return None
        if not self.probes and self.prior is None:
            return 0
        return self._within_bound(self._probe_target() // PAGE_SIZE) * PAGE_SIZE

    def restarted(self) -> "CountSearch":
        """The same count from the start, knowing only about where it will end."""
        middle = (self.low + (self.low if self.high is None else self.high)) // 2
        return CountSearch(self.window, prior=Prior(middle, 5.0), reference=self.reference)

    def _least(self) -> int:
        return max((page.least for page in self.probes), default=0)

    def _most(self) -> float:
        return min((page.most for page in self.probes if page.most is not None), default=inf)

    def _within(self) -> float:
        """The search goes on below this: there are no more sessions, or none to be seen."""
        return min(self._most(), *self.refusals, inf)

    def _last_page(self) -> float:
        within = self._within()
        return inf if within == inf else (within - 1) // PAGE_SIZE

    def _beyond_reachable_offsets(self) -> bool:
        """Whether the sessions most likely go on beyond what the API lets us see."""
        likely = self._likely()
        return bool(self.refusals and likely and likely.total >= min(self.refusals))

    def _within_bound(self, page: int) -> int:
        """The page nearest to `page` after which the bound on requests holds whatever it shows."""
        first, last = self.low // PAGE_SIZE, self._last_page()
        spent = len(self.probes) + len(self.refusals)
        allowed = max(self.low, self.prior.total if self.prior else 0)
        left = max(0, max_requests_for(allowed) - spent - 1)
        upper = min(last, first + 2**left - 1)
        lower = max(first, 2 ** (spent - 2) - 1 if last == inf else last + 1 - 2**left)
        if lower > upper:
            return int((first + last) // 2 if last < inf else 2 * first + 1)
        return int(min(max(page, lower), upper))

    def _probe_target(self) -> int:
        """The total near which a probe shows most, by what is likely so far."""
        likely, within = self._likely(), self._within()
        if likely is None:
            room = within - self.low if within < inf else self.low + PAGE_SIZE
            return int(self.low + _TARGET_QUANTILE * room)
        return int(_quantile(_TARGET_QUANTILE, likely, self.low, within))

    def _likely(self) -> Prior | None:
        """The total by the times seen or by the guess, whichever is the surer."""
        guess = self.prior if self.prior and self.prior.total >= self.low else None
        found = [prior for prior in (guess, self._by_times()) if prior is not None]
        return min(found, key=lambda prior: prior.std_dev, default=None)

    def _by_times(self) -> Prior | None:
        """The total if sessions went on arriving as they did before."""
        points = self.arrivals
        depth, passed = points[-1]
        rest = 1.0 - passed
        if rest <= 0:
            return Prior(depth)
        chords = (
            self._extended(depth, depth - rank, passed - share, rest)
            for rank, share in points
            if depth - rank >= PAGE_SIZE // 2 and passed > share
        )
        return min(chords, key=lambda each: each.std_dev / (each.total - depth), default=None)

    def _extended(self, depth: int, sessions: int, share: float, rest: float) -> Prior:
        """The total if the rest of the window is as busy as the share that held `sessions`."""
        remaining = max(1.0, sessions / share * rest)
        day = self.window.length / timedelta(days=1)
        drift = (
            _REFERENCE_SD
            if self.reference
            else hypot(_TREND_SD, _daily_rhythm_error(share * day, rest * day))
        )
        doubt = hypot(sqrt(1 / sessions + 1 / remaining), drift)
        return Prior(depth + ceil(remaining), remaining * doubt)

    @property
    def arrivals(self) -> list[tuple[int, float]]:
        """How many sessions lie in which share of the window, from its end backwards."""
        found = [(0, 0.0)]
        for page in self.probes:
            if page.rows and page.newest and page.oldest:
                found.append((page.offset + 1, self._is_past_end(page.newest)))
                found.append((page.offset + page.rows, self._is_past_end(page.oldest)))
        return sorted(found)

    def _is_past_end(self, moment: datetime) -> float:
        """The share of the window, in arrivals of the count alike or in time, after `moment`."""
        passed = (self.window.end - moment) / (self.window.length or timedelta.resolution)
        passed = min(1.0, max(0.0, passed))
        if self.reference is None or not self.reference.total:
            return passed
        ranks, times = zip(*self.reference.arrivals, (self.reference.total, 1.0), strict=True)
        after = min(max(1, bisect_left(times, passed)), len(times) - 1)
        step = times[after] - times[after - 1]
        part = (passed - times[after - 1]) / step if step > 0 else 1.0
        rank = ranks[after - 1] + part * (ranks[after] - ranks[after - 1])
        return float(min(1.0, max(0.0, rank / self.reference.total)))


def max_requests_for(total: int) -> int:
    """The most requests that a count ending at `total` takes, one at a time."""
    pages = max(1, -(-total // PAGE_SIZE))
    return int(2 * log2(pages)) + 4


def _daily_rhythm_error(seen: float, rest: float) -> float:
    """How far two neighbouring spans, in days, differ in rate because days have a rhythm.

    Each averages a sine of one day over its length; their middles are half of both apart.
    """
    a, b = (abs(sin(pi * days) / (pi * days)) if days else 1.0 for days in (seen, rest))
    return _DAILY_AMPLITUDE * sqrt(
        max(0.0, a * a + b * b - 2 * a * b * cos(pi * (seen + rest))) / 2
    )


def _quantile(share: float, likely: Prior, low: int, most: float) -> float:
    """The total that the true one is below of with this chance, given that it is in bounds.

    What remains above `low` is taken as log-logistic: never negative, with long tails.
    """
    middle = max(1.0, likely.total - low)
    # An empty page before the likely end refutes it, and then it is not as sure as it seemed.
    spread = max(0.1, likely.std_dev) + max(0.0, likely.total - most) / 2
    steep = 1.8 * middle / spread
    within = 1.0
    if most < inf:
        odds: float = (max(most - low, 1) / middle) ** min(steep, 40)
        within = odds / (1 + odds)
    chance = min(share * within, 1 - 1e-12)
    return low + middle * exp(log(chance / (1 - chance)) / steep)


def reconcile(
    total: CountSearch, parts: Sequence[CountSearch], *, again: bool
) -> Literal["exact", "again", "differs", "unknown"]:
    """What to make of a count and of the counts of its parts.

    `exact`: they add up. `again`: count all of them once more, sessions have changed meanwhile.
    `differs`: so they have `again`; say so. `unknown`: the API did not let one be counted.
    """
    counts = (total, *parts)
    totals = [count.total for count in counts]
    if any(count.total is None and not count.contradiction for count in counts):
        return "unknown"
    known = [total for total in totals if total is not None]
    if len(known) == len(totals) and known[0] == sum(known[1:]):
        return "exact"
    return "differs" if again else "again"
