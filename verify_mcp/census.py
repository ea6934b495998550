"""Counting what is too much to fetch: exact numbers from few pages, the rest from a sample."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from decimal import Decimal

import anyio

from verify_mcp import summary
from verify_mcp.api_clock import Receipt
from verify_mcp.counting import Count, Guess, adds_up
from verify_mcp.errors import ApiError, ApiFailed, QuotaExhausted, RequestRejected
from verify_mcp.estimates import Estimate, Sample, sample
from verify_mcp.exchange import Effort
from verify_mcp.figures import LIKELY_ATTEMPTS, MEASURES, GroupEstimate, Reading, cost
from verify_mcp.filters import PAGE, STATUSES, SessionFilter
from verify_mcp.mirror import Mirror
from verify_mcp.sessions import Page, Session
from verify_mcp.summary import Key, Tally, amount
from verify_mcp.windows import Window

ALL = ""
"""The count of every status together."""
COUNTED_FIRST = ("in-progress", "verified", "expired")
"""The statuses in the order in which they tell most for the fewest requests."""
WIDTH = 4
"""Pages of a sample asked for at once; a count asks for one at a time, which takes the fewest."""

Budget = Callable[[], int]
"""How many requests may still be spent."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """The question that a census is for: its window, whether its end was named, and when it came.

    `outside` are the sessions of the window around the part that is counted, true `as_of` then.
    """

    window: Window
    pinned: bool
    at: datetime
    as_of: datetime
    outside: Tally
    parts: tuple[Window, ...] = ()
    """The windows of it that the mirror holds."""
    sessions: tuple[Session, ...] = ()
    """The sessions of it that were fetched on the way."""


@dataclass(slots=True)
class Census:
    """Sessions of one filter in one window: `counts` by status and "" for all, where exact.

    `estimates` are of attempts, cost, expired_cost and rescued.
    """

    window: Window
    counts: dict[str, int] = field(default_factory=dict)
    at_least: int = 0
    differs: bool = False
    """Whether the statuses did not add up to the whole, twice."""
    unchecked: bool = False
    """Whether the expired are not counted yet; in `counts` they are what the others leave."""
    estimates: dict[str, Estimate] = field(default_factory=dict)
    groups: dict[Key, GroupEstimate] = field(default_factory=dict)
    unseen_group: int = 0
    """The most sessions that a group may have of which no page drawn shows any."""
    others: int = 0
    """Sessions with a status that the API does not document."""
    lacking: int = 0
    """Sessions counted that are on no page, though every page was read."""
    unconfirmed: bool = False
    """Whether every page was read, and one more request must tell that no row came meanwhile."""
    skipped: int = 0
    sampled: int = 0
    eta_s: float | None = None
    failure: ApiError | None = None

    @property
    def pages(self) -> int:
        """Pages that fetching everything takes."""
        return -(-self.counts.get(ALL, self.at_least) // PAGE)

    def copy(self) -> "Census":
        """What is known by now, however the taking of it goes on."""
        return replace(
            self,
            counts=dict(self.counts),
            estimates=dict(self.estimates),
            groups=dict(self.groups),
        )

    @property
    def counting(self) -> bool:
        """Whether counts are still to come, if the same question is asked again."""
        done = len(self.counts) > 1 or self.differs
        return ALL not in self.counts or self.unchecked or not done


class Taker:
    """Takes one census, over several calls if need be: it goes on where it stopped.

    `window` is the part counted of the window asked about. One call at a time takes its `turn`.
    """

    def __init__(
        self, mirror: Mirror, wanted: SessionFilter, window: Window, occasion: Occasion
    ) -> None:
        self.occasion = occasion
        self.turn = anyio.Lock()
        self.census = Census(window)
        self._mirror = mirror
        self._wanted = wanted.within(window)
        self._counts = {ALL: Count(window)}
        self._again = False
        self._earlier_excess: int | None = None
        """How many sessions more than the statuses' had been counted before all were again."""
        self._drawn: Sample | None = None
        self._pages: dict[int, Page] = {}
        self._late: int | None = None
        self._effort = Effort()
        self._budget: Budget = lambda: 0

    def knows(self, first: Page) -> None:
        """Take over the window's first page, fetched before."""
        self._pages[0] = first
        self._counts[ALL] = _learnt(self._counts[ALL], 0, first)

    def resume(self, effort: Effort, budget: Budget) -> None:
        """Spend requests on `effort` from now on, as many as `budget` tells each time."""
        self._effort, self._budget = effort, budget
        self.census.eta_s = self.census.failure = None

    async def count_all(self) -> None:
        """Count all sessions wanted."""
        await self._count(ALL, self._pages)

    async def count_statuses(self) -> None:
        """Count each status, all once more if they do not add up."""
        if self._wanted.status is not None or ALL not in self.census.counts:
            return
        for status in COUNTED_FIRST:
            if status not in self._counts:
                self._counts[status] = self._begun(status)
            await self._count(status, {})
        verdict = adds_up(
            self._counts[ALL], [self._counts[each] for each in COUNTED_FIRST], again=self._again
        )
        if verdict in ("again", "differs") and (others := self._count_others()):
            self.census.others, verdict = others, "exact"
        if verdict == "again":
            self._again, self._earlier_excess = True, self._excess()
            self._counts = {status: count.again() for status, count in self._counts.items()}
            await self._count(ALL, {})
            await self.count_statuses()
        else:
            self.census.differs = verdict == "differs"
            self._tell_statuses(self.census.counts[ALL])

    async def take_sample(self, by: tuple[str, ...], zone: tzinfo) -> None:
        """Estimate money and groups from pages drawn at random."""
        total = self.census.counts.get(ALL)
        if total is None:
            return
        self._drawn = self._order(total)
        left = self._undrawn(self._drawn)
        while left and self._budget() > 0 and not self._stopped():
            await self._fetch(left[:WIDTH], self._wanted, self._pages)
            left = left[WIDTH:]
        self.census.sampled = sum(offset < total for offset in self._pages)
        self.census.skipped = sum(page.skipped for page in self._pages.values())
        await self._confirm(total)
        if self.has_every_page and self.everything() is None:
            self._bound(total, by, zone)
        else:
            self._estimate(self._drawn, by, zone)

    def _order(self, total: int) -> Sample:
        """All pages in one random order: what later calls read adds to what earlier ones read."""
        chance = self._mirror.world.chance
        if self._drawn is None:
            return sample(total, self._pages, chance)
        if self._drawn.total == total:
            return self._drawn
        return self._drawn.resized(total, self._pages, chance)

    def everything(self) -> list[Session] | None:
        """Every session, once each page has been read; None before."""
        return list(self._read().values()) if self._has_every_session and self._late == 0 else None

    @property
    def _has_every_session(self) -> bool:
        return self.has_every_page and len(self._read()) == self.census.counts.get(ALL)

    async def _confirm(self, total: int) -> None:
        """Look whether rows came late: each moves one out of the pages that were not read yet.

        Then as many sessions can have been read as were counted, and yet not the same ones.
        """
        if not self._has_every_session:
            return
        if not total or self._is_settled:
            self._late = 0
        if self._late is None:
            page = await self._last_row(total)
            if page is not None and not page.repeats:
                self._late = max(0, page.received - 1)
        self.census.unconfirmed = self._late is None

    async def _last_row(self, total: int) -> Page | None:
        found: dict[int, Page] = {}
        if not self._stopped():
            await self._fetch((total - 1,), self._wanted, found)
        return found.get(total - 1)

    @property
    def _is_settled(self) -> bool:
        """Whether no row of the window could come late any more when its pages were read."""
        receipt, settle = self.receipt, self._mirror.settings.settle
        return receipt is not None and self.census.window.end + settle <= receipt.settled_by

    @property
    def has_every_page(self) -> bool:
        """Whether each page of the sessions counted has been read."""
        total = self.census.counts.get(ALL)
        return total is not None and all(offset in self._pages for offset in range(0, total, PAGE))

    def _read(self) -> dict[str, Session]:
        return {each.uuid: each for page in self._pages.values() for each in page.sessions}

    def _bound(self, total: int, by: tuple[str, ...], zone: tzinfo) -> None:
        """Bounds from all pages, where rows moved between them or could not be read."""
        read = list(self._read().values())
        lacking = max(total - len(read), self.census.skipped, self._late or 0, 1)
        self.census.lacking, self.census.unseen_group = lacking, lacking
        dearest = max(map(cost, read), default=Decimal(0))

        def bounded(value: Decimal | int, each: Decimal | int) -> Estimate:
            return Estimate(Decimal(value), Decimal(value), Decimal(value + lacking * each))

        for name, value in MEASURES.items():
            each = {"attempts": LIKELY_ATTEMPTS, "rescued": 1}.get(name, dearest)
            self.census.estimates[name] = bounded(sum(map(value, read)), each)
        tallies = summary.tallied(read, by, zone) if by else {}
        self.census.groups = {
            key: GroupEstimate(
                bounded(tally.sessions, 1),
                _bounded_share(tally, lacking),
                bounded(amount(tally.cost), dearest),
            )
            for key, tally in tallies.items()
        }
        _put_exact_counts(self.census, by)

    @property
    def receipt(self) -> Receipt | None:
        """The receipt of all pages together, None when the API made none of them."""
        receipts = [page.receipt for page in self._pages.values() if page.receipt]
        if not receipts:
            return None
        return Receipt(
            min(receipt.earliest for receipt in receipts),
            max(receipt.latest for receipt in receipts),
            all(receipt.is_dated for receipt in receipts),
        )

    def _undrawn(self, drawn: Sample) -> list[int]:
        return [offset for offset in drawn.offsets if offset not in self._pages]

    async def _count(self, status: str, pages: dict[int, Page]) -> None:
        """Probe until the number of one status is known, or no more may be asked."""
        wanted = replace(self._wanted, status=status or self._wanted.status)
        while (offsets := self._counts[status].asks()) and self._budget() > 0:
            await self._fetch(offsets, wanted, pages)
            if isinstance(self.census.failure, RequestRejected) and offsets[0] > 0:
                self._counts[status] = self._counts[status].refused(offsets[0])
                self.census.failure = None
            elif self._stopped():
                break
            else:
                page = pages[offsets[0]]
                if page.repeats:
                    self.census.failure = ApiFailed("The Verify API's page holds rows twice.")
                    break
                self._counts[status] = _learnt(self._counts[status], offsets[0], page)
        total = self._counts[status].total
        if status == ALL:
            self.census.at_least = self._counts[ALL].low
            if total is not None:
                self.census.counts[ALL] = total

    def _begun(self, status: str) -> Count:
        """The count of one status, with what the pages seen let one guess."""
        whole, guess = self._counts[ALL], None
        others = [self._counts[each].total for each in COUNTED_FIRST if each in self._counts]
        counted = [total for total in others if total is not None]
        seen = [each for page in self._pages.values() for each in page.sessions]
        if status == COUNTED_FIRST[-1] and len(counted) == len(COUNTED_FIRST) - 1:
            guess = Guess(max(0, self.census.counts[ALL] - sum(counted)))
        elif status == "verified" and seen:
            having = sum(each.status == status for each in seen)
            guess = Guess.by_share(self.census.counts[ALL], having=having, seen=len(seen))
        return Count(self.census.window, like=whole, guess=guess)

    def _count_others(self) -> int:
        """How many sessions have a status that the API does not document, 0 when not known.

        A page may show some. Where none does, two counts agree: what changes while it is counted
        does not leave the same number twice.
        """
        excess = self._excess() or 0
        is_known = self._shows_others() or excess == self._earlier_excess
        return max(0, excess) if is_known else 0

    def _shows_others(self) -> bool:
        """Whether a page read holds a status that the API does not document."""
        pages = self._pages.values()
        return any(each.status not in STATUSES for page in pages for each in page.sessions)

    def _excess(self) -> int | None:
        """How many sessions more than those of each status there are; None while not counted."""
        totals = [self._counts[status].total for status in (ALL, *COUNTED_FIRST)]
        known = [total for total in totals if total is not None]
        return known[0] - sum(known[1:]) if len(known) == len(totals) else None

    def _tell_statuses(self, whole: int) -> None:
        totals = {status: self._counts[status].total for status in COUNTED_FIRST}
        known = {status: total for status, total in totals.items() if total is not None}
        self.census.unchecked = len(known) == len(totals) - 1 and "expired" not in known
        rest = whole - sum(known.values())
        has_others = self._shows_others() or (self._earlier_excess or 0) > 0
        is_told = len(known) == len(totals) or (self.census.unchecked and rest >= 0)
        if self.census.unchecked and rest >= 0 and not has_others:
            known["expired"] = rest
        # What was told before may just have proved wrong.
        is_told = is_told and not self.census.differs
        self.census.counts = {ALL: whole, **(known if is_told else {})}

    def _stopped(self) -> bool:
        return self.census.failure is not None or self.census.eta_s is not None

    async def _fetch(
        self, offsets: Sequence[int], wanted: SessionFilter, pages: dict[int, Page]
    ) -> None:
        """Fetch some pages at once, as far as the budget goes."""

        async def one(offset: int) -> None:
            try:
                pages[offset] = await self._mirror.fetched(
                    wanted, limit=PAGE, offset=offset, effort=self._effort
                )
            except QuotaExhausted as busy:
                self.census.eta_s = busy.eta_s
            except ApiError as error:
                self.census.failure = error

        async with anyio.create_task_group() as tasks:
            for offset in offsets[: max(0, self._budget())]:
                tasks.start_soon(one, offset)

    def _estimate(self, drawn: Sample, by: tuple[str, ...], zone: tzinfo) -> None:
        reading = Reading(drawn, self._pages)
        self.census.estimates |= reading.totals()
        self.census.unseen_group = reading.unseen_group()
        self.census.groups = reading.groups(by, zone)
        _put_exact_counts(self.census, by)


def _bounded_share(tally: Tally, lacking: int) -> Estimate | None:
    """A group's conversion, where so many more sessions may belong to it."""
    ended = tally.verified + tally.expired
    if not ended:
        return None
    return Estimate(
        Decimal(tally.verified) / ended,
        Decimal(tally.verified) / (ended + lacking),
        Decimal(tally.verified + lacking) / (ended + lacking),
    )


def _put_exact_counts(census: Census, by: tuple[str, ...]) -> None:
    """Groups that were counted are told exactly."""
    if by != ("status",):
        return
    for status in STATUSES:
        if status == "expired" and census.unchecked:
            continue
        exact, known = census.counts.get(status), census.groups.get((status,))
        if exact is not None and known is not None:
            census.groups[status,] = replace(known, sessions=Estimate.certain(exact))


def _learnt(count: Count, offset: int, page: Page) -> Count:
    times = [each.created for each in page.sessions]
    return count.learn(offset, page.received, min(times, default=None), max(times, default=None))
