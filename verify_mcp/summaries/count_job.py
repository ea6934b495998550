"""Counting what is too much to fetch: exact numbers from few pages, the rest from a sample."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import tzinfo

import anyio

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.filters import ColumnCondition, SessionFilter
from verify_mcp.domain.groups import GroupKey
from verify_mcp.domain.receipts import ReplyTime, joined
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.mirror import Mirror, provable_window
from verify_mcp.summaries.count_result import ANY_STATUS, CountResult, CountScope
from verify_mcp.summaries.exact_count import CountSearch, Prior
from verify_mcp.summaries.figures import SampledPages, SessionBounds
from verify_mcp.summaries.page_reader import PageReader, RequestBudget, with_page
from verify_mcp.summaries.sampling import StratifiedSample, draw_sample
from verify_mcp.summaries.span_counter import SpanCounter, SpanScope, figures_so_far
from verify_mcp.summaries.span_counts import SpanFigures
from verify_mcp.summaries.status_counts import COUNT_ORDER, StatusCounts
from verify_mcp.summaries.status_pages import StatusPages
from verify_mcp.summaries.time_spans import TimeSpan

SPAN_STATUSES = ("in-progress", "verified")
"""The statuses that are counted by day: from them follow the sessions that ended."""
CONCURRENT_PAGES = 4
"""Pages of a sample fetched at once; a count fetches one at a time, which takes the fewest."""


class CountJob:
    """Counts the sessions of one window, over several calls if need be.

    The window is the part to count of `scope.window`. One call at a time holds the `lock`. The
    `result` has what is known so far, and its `eta_s` or `failure` what stopped the job.
    """

    def __init__(
        self,
        mirror: Mirror,
        session_filter: SessionFilter,
        window: Window,
        scope: CountScope,
        *,
        random: Callable[[], float],
        search: CountSearch | None = None,
    ) -> None:
        self.scope = scope
        self.lock = anyio.Lock()
        self.result = CountResult(window)
        self._mirror = mirror
        self._random = random
        self.session_filter = session_filter.restricted_to(window)
        self._counts = StatusCounts(window, search)
        self._drawn_pages: StratifiedSample | None = None
        self._chosen_pages: set[int] = set()
        """Those of them that were read for their times, and not drawn."""
        self._figures_of_spans: dict[tuple[TimeSpan, ...], dict[GroupKey, SpanFigures]] = {}
        self._status_pages: dict[str, StatusPages] = {}
        self._late: int | None = None
        """Rows that came late; None while that is not known."""
        self._reader = PageReader(mirror, self.result)

    def seed_first_page(self, first: Page) -> None:
        """Take over the window's first page, fetched before."""
        self.pages[0] = first
        search = self._counts.search(ANY_STATUS)
        self._counts.store(ANY_STATUS, with_page(search, 0, first))

    def is_of(self, window: Window) -> bool:
        """Whether the count is for exactly this window."""
        return self.scope.window == window

    def covered_windows(self) -> tuple[Window, ...]:
        """The windows in which the pages read so far have every session."""
        windows = map(provable_window, self.pages.values())
        return tuple(window for window in windows if window is not None)

    def resume(self, budget: RequestBudget) -> None:
        """Go on for the call of this budget."""
        self._reader.resume(budget)
        self.result.spans = {}

    def of_part(self, session_filter: SessionFilter, prior: Prior) -> "CountJob":
        """The count of a part of the sessions, which another filter chooses."""
        reference, window = self._counts.search(ANY_STATUS), self.result.window
        search = CountSearch(window, prior, reference if reference.total else None)
        return CountJob(
            self._mirror, session_filter, window, self.scope, random=self._random, search=search
        )

    async def count_all(self) -> None:
        """Count all sessions that the filter matches."""
        await self._count(ANY_STATUS, self.pages)

    async def count_statuses(self) -> None:
        """Count each status, all once more if they do not add up."""
        if ANY_STATUS not in self.result.counts:
            return
        if self.session_filter.status is not None:
            self.result.counts |= dict.fromkeys(COUNT_ORDER, 0)
            self.result.counts[self.session_filter.status] = self.result.counts[ANY_STATUS]
            return
        for status in COUNT_ORDER:
            self._counts.begin(status, self.result.counts[ANY_STATUS], self.pages.values())
            await self._count(status, self._pages_of(status).pages)
        verdict = self._counts.reconcile()
        if verdict in ("again", "differs") and (
            others := self._counts.count_others(self.pages.values())
        ):
            self.result.other_statuses, verdict = others, "exact"
        if verdict == "again":
            self._counts.restart()
            self._status_pages = {ANY_STATUS: self._pages_of(ANY_STATUS)}
            self._figures_of_spans = {}
            await self._count(ANY_STATUS, {})
            await self.count_statuses()
        else:
            self.result.inconsistent = verdict == "differs"
            self._publish_status_counts()

    async def count_spans(self, scope: SpanScope, *, max_pages: int | None = None) -> None:
        """Count each span of time, until `max_pages` are read; without it, each status, too."""
        total = self.result.counts.get(ANY_STATUS)
        if total is None:
            if self._is_settled:  # otherwise rows may have come late between two pages
                self.result.spans = figures_so_far(scope, self.result.window, self.pages)
            return
        counter, read = SpanCounter(scope, self.result.window), set(self.pages)
        left = self._reader.requests_left()
        last = 0 if self._is_settled else 1  # to see whether rows came late meanwhile
        reserve = last if max_pages is None else max(last, left - max(0, max_pages - len(read)))
        await counter.narrow(self._reader, total, self._pages_of(ANY_STATUS), reserve)
        self._chosen_pages |= self.pages.keys() - read
        for status in SPAN_STATUSES if max_pages is None else ():
            if (number := self.result.counts.get(status)) is not None:
                pages, settled = self._pages_of(status), self._is_over
                await counter.narrow_status(self._reader, status, number, pages, settled=settled)
        if max_pages is None:
            await self._look_for_late_rows(total)
        self.result.spans = counter.figures(
            self.result,
            {status: self._pages_of(status) for status in (ANY_STATUS, *SPAN_STATUSES)},
            self._figures_of_spans.get(scope.spans, {}),
            moved=self.result.moved_rows,
        )
        self._figures_of_spans[scope.spans] = self.result.spans

    def _pages_of(self, status: str) -> StatusPages:
        if status not in self._status_pages:
            session_filter = replace(
                self.session_filter, status=status or self.session_filter.status
            )
            self._status_pages[status] = StatusPages(session_filter)
        return self._status_pages[status]

    @property
    def pages(self) -> dict[int, Page]:
        """The pages of all sessions."""
        return self._pages_of(ANY_STATUS).pages

    @property
    def _is_over(self) -> bool:
        """Whether no session of the window changes any more."""
        return self.result.window.end + self._mirror.settings.settle <= self._mirror.now()

    async def _look_for_late_rows(self, total: int) -> None:
        page = None if self._is_settled else await self._last_row(total)
        if page is not None and not page.repeats:
            self.result.moved_rows = abs(page.received - 1)

    async def sample(self, by: tuple[str, ...], zone: tzinfo) -> None:
        """Estimate money and groups from pages drawn at random."""
        total = self.result.counts.get(ANY_STATUS)
        if total is None:
            return
        self._drawn_pages = self._draw(total)
        draws = all(span.is_exact for span in self.result.spans.values())
        left = self._undrawn_pages(self._drawn_pages) if draws else []
        while left and await self._reader.may_narrow():
            await self._reader.read(left[:CONCURRENT_PAGES], self.session_filter, self.pages)
            left = left[CONCURRENT_PAGES:]
        self.result.sampled_pages = sum(offset < total for offset in self.pages)
        self.result.skipped = sum(page.skipped for page in self.pages.values())
        await self._confirm(total)
        reading = self.reading()
        if isinstance(reading, SessionBounds):
            self.result.missing_count = reading.missing
        self.result.estimates |= reading.totals()
        self.result.unseen_group = reading.unseen_group()
        self.result.groups = reading.groups(by, zone)
        self.result.use_exact_counts(by)

    def reading(self, conditions: tuple[ColumnCondition, ...] = ()) -> SampledPages | SessionBounds:
        """What the pages drawn tell of the sessions that fulfil the conditions.

        Bounds come from all pages, where rows moved between them or could not be read.
        """
        total = self.result.counts[ANY_STATUS]
        drawn = self._drawn_pages or self._draw(total)
        if not self.has_every_page or self.all_sessions() is not None:
            return SampledPages(drawn, self.pages, conditions)
        sessions = list(self._sessions_read().values())
        missing = max(total - len(sessions), self.result.skipped, self._late or 0, 1)
        return SessionBounds(sessions, missing, conditions)

    def _draw(self, total: int) -> StratifiedSample:
        """All pages in one random order: what later calls read adds to what earlier ones read."""
        if self._drawn_pages is None:
            return draw_sample(total, self.pages, self._random)
        drawn = self._drawn_pages.with_known(self._chosen_pages)
        if drawn.total == total:
            return drawn
        return drawn.resized(total, self.pages, self._random)

    def all_sessions(self) -> list[Session] | None:
        """Every session, once each page has been read; None before."""
        is_all = self._has_every_session and self._late == 0
        return list(self._sessions_read().values()) if is_all else None

    @property
    def _has_every_session(self) -> bool:
        return self.has_every_page and len(self._sessions_read()) == self.result.counts.get(
            ANY_STATUS
        )

    async def _confirm(self, total: int) -> None:
        """Check whether rows came late: each moves one out of the pages that were not read yet.

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
        if not self._reader.is_stopped:
            await self._reader.read((total - 1,), self.session_filter, found)
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
            offset in self.pages for offset in range(0, total, PAGE_SIZE)
        )

    def _sessions_read(self) -> dict[str, Session]:
        return {session.uuid: session for session in self.sessions_read()}

    def sessions_read(self) -> Iterator[Session]:
        """The sessions on the pages read, some of them perhaps more than once."""
        return (session for page in self.pages.values() for session in page.sessions)

    @property
    def receipt(self) -> ReplyTime | None:
        """The receipt of all pages together, None when the API made none of them."""
        return joined([page.receipt for page in self.pages.values() if page.receipt])

    def _undrawn_pages(self, drawn: StratifiedSample) -> list[int]:
        return [offset for offset in drawn.offsets if offset not in self.pages]

    async def _count(self, status: str, pages: dict[int, Page]) -> None:
        """Probe until the number of one status is known, or the budget is spent."""
        session_filter = replace(self.session_filter, status=status or self.session_filter.status)
        search = self._counts.search(status)
        self._counts.store(status, await self._reader.search(search, session_filter, pages))
        if status == ANY_STATUS:
            self._publish_total(self._counts.search(status))

    def _publish_total(self, search: CountSearch) -> None:
        self.result.at_least = search.low
        if search.total is not None:
            self.result.counts[ANY_STATUS] = search.total

    def _publish_status_counts(self) -> None:
        total = self.result.counts[ANY_STATUS]
        known, is_inferred = self._counts.known_counts(total, self.pages.values())
        self.result.expired_is_inferred = is_inferred
        # What an earlier answer gave may just have proved wrong.
        known = {} if self.result.inconsistent else known
        self.result.counts = {ANY_STATUS: total, **known}
