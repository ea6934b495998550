"""Counting what is too much to fetch: exact numbers from few pages, the rest from a sample."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import tzinfo

import anyio

from verify_mcp.domain.api_limits import PAGE_SIZE, STATUSES
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.receipts import ReplyTime
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.windows import Window
from verify_mcp.errors import ApiError, ApiFailed, QuotaExhausted, RequestRejected
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.count_result import ANY_STATUS, CountResult, CountScope
from verify_mcp.summaries.exact_count import CountSearch, Prior, reconcile
from verify_mcp.summaries.figures import SampledPages, SessionBounds
from verify_mcp.summaries.sampling import StratifiedSample, draw_sample

COUNT_ORDER = ("in-progress", "verified", "expired")
"""The statuses in the order in which they tell most for the fewest requests."""
CONCURRENT_PAGES = 4
"""Pages of a sample asked for at once; a count asks for one at a time, which takes the fewest."""

Budget = Callable[[], int]
"""How many requests may still be spent."""


class CountJob:
    """Takes one census, over several calls if need be: it goes on where it stopped.

    `window` is the part counted of the window asked about. One call at a time takes its `turn`.
    """

    def __init__(
        self,
        mirror: Mirror,
        session_filter: SessionFilter,
        window: Window,
        scope: CountScope,
        *,
        random: Callable[[], float],
    ) -> None:
        self.scope = scope
        self.lock = anyio.Lock()
        self.result = CountResult(window)
        self._mirror = mirror
        self._random = random
        self._filter = session_filter.restricted_to(window)
        self._counts = {ANY_STATUS: CountSearch(window)}
        self._restarted = False
        self._earlier_excess: int | None = None
        """How many sessions more than the statuses' had been counted before all were again."""
        self._drawn_pages: StratifiedSample | None = None
        self._pages: dict[int, Page] = {}
        self._late: int | None = None
        self._effort = CallContext()
        self._budget: Budget = lambda: 0

    def seed_first_page(self, first: Page) -> None:
        """Take over the window's first page, fetched before."""
        self._pages[0] = first
        self._counts[ANY_STATUS] = _with_page(self._counts[ANY_STATUS], 0, first)

    def resume(self, effort: CallContext, budget: Budget) -> None:
        """Spend requests on `effort` from now on, as many as `budget` tells each time."""
        self._effort, self._budget = effort, budget
        self.result.eta_s = self.result.failure = None

    async def count_all(self) -> None:
        """Count all sessions wanted."""
        await self._count(ANY_STATUS, self._pages)

    async def count_statuses(self) -> None:
        """Count each status, all once more if they do not add up."""
        if self._filter.status is not None or ANY_STATUS not in self.result.counts:
            return
        for status in COUNT_ORDER:
            if status not in self._counts:
                self._counts[status] = self._start_count(status)
            await self._count(status, {})
        verdict = reconcile(
            self._counts[ANY_STATUS],
            [self._counts[each] for each in COUNT_ORDER],
            again=self._restarted,
        )
        if verdict in ("again", "differs") and (others := self._count_others()):
            self.result.other_statuses, verdict = others, "exact"
        if verdict == "again":
            self._restarted, self._earlier_excess = True, self._excess()
            self._counts = {status: count.restarted() for status, count in self._counts.items()}
            await self._count(ANY_STATUS, {})
            await self.count_statuses()
        else:
            self.result.inconsistent = verdict == "differs"
            self._publish_status_counts(self.result.counts[ANY_STATUS])

    async def sample(self, by: tuple[str, ...], zone: tzinfo) -> None:
        """Estimate money and groups from pages drawn at random."""
        total = self.result.counts.get(ANY_STATUS)
        if total is None:
            return
        self._drawn_pages = self._order(total)
        left = self._undrawn_pages(self._drawn_pages)
        while left and self._budget() > 0 and not self._is_stopped():
            await self._fetch(left[:CONCURRENT_PAGES], self._filter, self._pages)
            left = left[CONCURRENT_PAGES:]
        self.result.sampled_pages = sum(offset < total for offset in self._pages)
        self.result.skipped = sum(page.skipped for page in self._pages.values())
        await self._confirm(total)
        if self.has_every_page and self.all_sessions() is None:
            self._bound(total, by, zone)
        else:
            self._estimate(self._drawn_pages, by, zone)

    def _order(self, total: int) -> StratifiedSample:
        """All pages in one random order: what later calls read adds to what earlier ones read."""
        if self._drawn_pages is None:
            return draw_sample(total, self._pages, self._random)
        if self._drawn_pages.total == total:
            return self._drawn_pages
        return self._drawn_pages.resized(total, self._pages, self._random)

    def all_sessions(self) -> list[Session] | None:
        """Every session, once each page has been read; None before."""
        return (
            list(self._sessions_read().values())
            if self._has_every_session and self._late == 0
            else None
        )

    @property
    def _has_every_session(self) -> bool:
        return self.has_every_page and len(self._sessions_read()) == self.result.counts.get(
            ANY_STATUS
        )

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
        self.result.unconfirmed = self._late is None

    async def _last_row(self, total: int) -> Page | None:
        found: dict[int, Page] = {}
        if not self._is_stopped():
            await self._fetch((total - 1,), self._filter, found)
        return found.get(total - 1)

    @property
    def _is_settled(self) -> bool:
        """Whether no row of the window could come late any more when its pages were read."""
        receipt, settle = self.receipt, self._mirror.settings.settle
        return receipt is not None and self.result.window.end + settle <= receipt.settled_before

    @property
    def has_every_page(self) -> bool:
        """Whether each page of the sessions counted has been read."""
        total = self.result.counts.get(ANY_STATUS)
        return total is not None and all(
            offset in self._pages for offset in range(0, total, PAGE_SIZE)
        )

    def _sessions_read(self) -> dict[str, Session]:
        return {session.uuid: session for page in self._pages.values() for session in page.sessions}

    def _bound(self, total: int, by: tuple[str, ...], zone: tzinfo) -> None:
        """Bounds from all pages, where rows moved between them or could not be read."""
        sessions = list(self._sessions_read().values())
        missing = max(total - len(sessions), self.result.skipped, self._late or 0, 1)
        self.result.missing_count = self.result.unseen_group = missing
        bounds = SessionBounds(sessions, missing)
        self.result.estimates |= bounds.totals()
        self.result.groups = bounds.groups(by, zone)
        self.result.use_exact_counts(by)

    @property
    def receipt(self) -> ReplyTime | None:
        """The receipt of all pages together, None when the API made none of them."""
        receipts = [page.receipt for page in self._pages.values() if page.receipt]
        if not receipts:
            return None
        return ReplyTime(
            min(receipt.earliest for receipt in receipts),
            max(receipt.latest for receipt in receipts),
            all(receipt.is_dated for receipt in receipts),
        )

    def _undrawn_pages(self, drawn: StratifiedSample) -> list[int]:
        return [offset for offset in drawn.offsets if offset not in self._pages]

    async def _count(self, status: str, pages: dict[int, Page]) -> None:
        """Probe until the number of one status is known, or no more may be asked."""
        session_filter = replace(self._filter, status=status or self._filter.status)
        while (offset := self._counts[status].next_offset()) is not None and self._budget() > 0:
            await self._fetch((offset,), session_filter, pages)
            if isinstance(self.result.failure, RequestRejected) and offset > 0:
                self._counts[status] = self._counts[status].with_refusal(offset)
                self.result.failure = None
            elif self._is_stopped():
                break
            else:
                page = pages[offset]
                if page.repeats:
                    self.result.failure = ApiFailed("The Verify API's page holds rows twice.")
                    break
                self._counts[status] = _with_page(self._counts[status], offset, page)
        total = self._counts[status].total
        if status == ANY_STATUS:
            self.result.at_least = self._counts[ANY_STATUS].low
            if total is not None:
                self.result.counts[ANY_STATUS] = total

    def _start_count(self, status: str) -> CountSearch:
        """The count of one status, with what the pages seen let one guess."""
        total_pages, guess = self._counts[ANY_STATUS], None
        others = [self._counts[each].total for each in COUNT_ORDER if each in self._counts]
        counted = [total for total in others if total is not None]
        seen = [each for page in self._pages.values() for each in page.sessions]
        if status == COUNT_ORDER[-1] and len(counted) == len(COUNT_ORDER) - 1:
            guess = Prior(max(0, self.result.counts[ANY_STATUS] - sum(counted)))
        elif status == "verified" and seen:
            having = sum(each.status == status for each in seen)
            guess = Prior.by_share(self.result.counts[ANY_STATUS], having=having, seen=len(seen))
        return CountSearch(self.result.window, reference=total_pages, prior=guess)

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
        totals = [self._counts[status].total for status in (ANY_STATUS, *COUNT_ORDER)]
        known = [total for total in totals if total is not None]
        return known[0] - sum(known[1:]) if len(known) == len(totals) else None

    def _publish_status_counts(self, total_pages: int) -> None:
        totals = {status: self._counts[status].total for status in COUNT_ORDER}
        known = {status: total for status, total in totals.items() if total is not None}
        self.result.expired_is_inferred = len(known) == len(totals) - 1 and "expired" not in known
        rest = total_pages - sum(known.values())
        has_others = self._shows_others() or (self._earlier_excess or 0) > 0
        is_told = len(known) == len(totals) or (self.result.expired_is_inferred and rest >= 0)
        if self.result.expired_is_inferred and rest >= 0 and not has_others:
            known["expired"] = rest
        # What was told before may just have proved wrong.
        is_told = is_told and not self.result.inconsistent
        self.result.counts = {ANY_STATUS: total_pages, **(known if is_told else {})}

    def _is_stopped(self) -> bool:
        return self.result.failure is not None or self.result.eta_s is not None

    async def _fetch(
        self, offsets: Sequence[int], session_filter: SessionFilter, pages: dict[int, Page]
    ) -> None:
        """Fetch some pages at once, as far as the budget goes."""

        async def one(offset: int) -> None:
            try:
                pages[offset] = await self._mirror.fetch_and_save(
                    session_filter, limit=PAGE_SIZE, offset=offset, effort=self._effort
                )
            except QuotaExhausted as busy:
                self.result.eta_s = busy.eta_s
            except ApiError as error:
                self.result.failure = error

        async with anyio.create_task_group() as tasks:
            for offset in offsets[: max(0, self._budget())]:
                tasks.start_soon(one, offset)

    def _estimate(self, drawn: StratifiedSample, by: tuple[str, ...], zone: tzinfo) -> None:
        reading = SampledPages(drawn, self._pages)
        self.result.estimates |= reading.totals()
        self.result.unseen_group = reading.unseen_group()
        self.result.groups = reading.groups(by, zone)
        self.result.use_exact_counts(by)


def _with_page(count: CountSearch, offset: int, page: Page) -> CountSearch:
    times = [each.created for each in page.sessions]
    return count.with_page(
        offset, page.received, min(times, default=None), max(times, default=None)
    )
