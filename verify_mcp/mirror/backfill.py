"""The backfill of a window: every page of it, saved and claimed as it comes.

Pages come newest first and the window's end is pinned. So after each page the mirror holds every
session that is younger than the page's oldest one, and may claim that part in the transaction
that saves the page. A backfill that stops anywhere loses nothing: the next one fetches the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter

import anyio

from verify_mcp.domain.api_limits import PAGE_SIZE, REACH
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.payloads import has_next
from verify_mcp.domain.receipts import ReplyTime, joined
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, gaps
from verify_mcp.errors import ApiError, QuotaExhausted
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.page_request import PageRequest

CONCURRENT_PAGES = 4
"""Pages fetched at once, where at least twice as many are expected."""


@dataclass(slots=True)
class BackfillProgress:
    """What a backfill brought: every session of `complete_windows`, newest first."""

    window: Window
    sessions: list[Session] = field(default_factory=list)
    complete_windows: list[Window] = field(default_factory=list)
    skipped: int = 0
    eta_s: float | None = None
    """Seconds until the quota lets it go on, when the quota stopped it."""
    failure: ApiError | None = None
    """The fault that stopped it."""
    api_repeats: bool = False
    """Whether the API began to repeat its pages, so that the rest cannot be fetched."""
    outside_rows: int = 0
    """Sessions outside the window, which are not counted."""
    as_of: datetime | None = None
    """When the oldest page was read, by the API's clock."""

    @property
    def missing(self) -> tuple[Window, ...]:
        """The parts of the window that are not complete yet, oldest first."""
        return gaps(self.window, self.complete_windows)

    @property
    def is_stopped(self) -> bool:
        """Whether the quota or a fault stopped it."""
        return self.eta_s is not None or self.failure is not None

    def expected_pages(self) -> int:
        """How many pages the rest may take, if sessions went on coming as they did."""
        seen = sum((window.length.total_seconds() for window in self.complete_windows), 0.0)
        rest = sum((window.length.total_seconds() for window in self.missing), 0.0)
        if not rest or not seen:
            return int(rest > 0)
        return max(1, round(len(self.sessions) / PAGE_SIZE * rest / seen))


class Backfill:
    """Fetches one filter's sessions in one window, newest first.

    It claims windows only when the filter is unfiltered but for times and the subaccount.
    """

    def __init__(self, mirror: Mirror, session_filter: SessionFilter, window: Window) -> None:
        self._mirror = mirror
        self._filter = session_filter
        self._scope = session_filter.subaccount or ""
        self._claims = session_filter.is_unfiltered()
        self._start, self._end = window.start, window.end
        self._offset = 0
        self._cursor: str | None = None
        self._same_instant: list[Session] = []
        self._same_instant_receipt: ReplyTime | None = None
        self._is_unsure = False
        self._seen: set[str] = set()
        self.progress = BackfillProgress(window)
        self.done = not window.length
        self.first_page: Page | None = None

    @property
    def remaining(self) -> Window:
        """The part of the window that no page was fetched of yet."""
        return Window(min(self._start, self._end), self._end)

    async def step(self, call: CallContext, *, budget: int) -> None:
        """Fetch the next page, or at most `budget` of them at once; `done` says when none is left.

        Faults and a used up quota end up in `progress`.
        """
        self.progress.eta_s = None
        for offset, page in await self._fetch_pages(call, self._next_width(budget)):
            if offset != self._offset:
                return  # a page came short though more follow: those behind it lie elsewhere
            if isinstance(page, QuotaExhausted):
                self.progress.eta_s = page.eta_s
            elif isinstance(page, ApiError):
                self.progress.failure = page
            else:
                await self._accept_page(page)
            if self.done or isinstance(page, Exception):
                return

    def _next_width(self, budget: int) -> int:
        many = self._cursor is None and self.progress.expected_pages() >= 2 * CONCURRENT_PAGES
        return min(CONCURRENT_PAGES, budget) if many else 1

    async def _fetch_pages(
        self, call: CallContext, width: int
    ) -> Sequence[tuple[int, Page | QuotaExhausted | ApiError]]:
        found: dict[int, Page | QuotaExhausted | ApiError] = {}
        session_filter = self._filter.restricted_to(self._reachable())

        async def fetch(offset: int) -> None:
            try:
                request = PageRequest(session_filter, PAGE_SIZE, offset, self._cursor)
                found[offset] = await self._mirror.fetch(request, call=call)
            except (QuotaExhausted, ApiError) as error:
                found[offset] = error

        async with anyio.create_task_group() as tasks:
            for number in range(width):
                tasks.start_soon(fetch, self._offset + number * PAGE_SIZE)
        return sorted(found.items(), key=itemgetter(0))

    async def _accept_page(self, page: Page) -> None:
        self.first_page = self.first_page or page
        self._note_time(page)
        inside = [session for session in page.sessions if session.created in self.progress.window]
        outside = len(page.sessions) - len(inside)
        self.progress.outside_rows += outside
        fresh = [session for session in inside if session.uuid not in self._seen]
        self._seen.update(session.uuid for session in fresh)
        self._offset += min(page.received, PAGE_SIZE)
        self._cursor = page.cursor
        self.progress.skipped += page.skipped
        last = not has_next(page, PAGE_SIZE)
        # A page with no new session: the API repeats its pages.
        self.progress.api_repeats = not (last or fresh or page.skipped)
        self.done = last or self.progress.api_repeats
        if self._is_unsure:  # an unreadable row may lie between that page and this one
            self._end = max(
                (session.created for session in fresh), default=self.progress.window.start
            )
        self._is_unsure = page.skipped > 0
        here = [*self._same_instant, *fresh]
        receipt = self._joined_receipt(page)
        lower = self._start if last else _just_after_oldest(here, self._end)
        is_kept = any(session.created < lower for session in self._same_instant)
        self._same_instant_receipt = receipt if is_kept else page.receipt
        self._same_instant = [session for session in here if session.created < lower]
        complete = Window(lower, self._end) if lower < self._end else None
        self._end = min(self._end, lower)
        if page.skipped or outside or self.progress.api_repeats:
            complete = None
        if complete:
            self.progress.complete_windows.append(complete)
            self.progress.sessions += [session for session in here if session.created in complete]
        claim = complete if self._claims else None
        await self._mirror.save(here, self._scope, claim, receipt, self.progress.as_of)

    def _joined_receipt(self, page: Page) -> ReplyTime | None:
        """When a page and the sessions kept from the page before it were read."""
        earlier = self._same_instant_receipt
        if not self._same_instant or earlier is None or page.receipt is None:
            return page.receipt
        return joined([earlier, page.receipt])

    def _note_time(self, page: Page) -> None:
        """Note when a page was read, and how far the API could then reach back."""
        if page.receipt is None:
            return
        earliest = page.receipt.earliest
        self.progress.as_of = min(self.progress.as_of or earliest, earliest)
        self._start = min(max(self._start, page.receipt.reach), self.progress.window.end)

    def _reachable(self) -> Window:
        """The part of the window within the API's reach, which moves while a backfill goes on."""
        window = self.progress.window
        self._start = min(max(self._start, self._mirror.now() - REACH), window.end)
        return Window(self._start, window.end)


def _just_after_oldest(sessions: Sequence[Session], upper: datetime) -> datetime:
    """The instant after the oldest of some sessions: more of the same one may follow."""
    return min((session.created + MICROSECOND for session in sessions), default=upper)
