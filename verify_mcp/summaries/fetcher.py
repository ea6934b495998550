"""Figures about sessions that are fetched page by page."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from math import inf

from verify_mcp.domain import tallies as tallies_module
from verify_mcp.domain.api_limits import PAGE_SIZE, REACH
from verify_mcp.domain.matching import admit_locally
from verify_mcp.domain.sessions import Page
from verify_mcp.domain.windows import Window, covers, gaps
from verify_mcp.mirror.backfill import Backfill, BackfillProgress
from verify_mcp.mirror.mirror import MAX_STALENESS
from verify_mcp.summaries.call_budget import CallBudget
from verify_mcp.summaries.explain import expected_pages, explain_missing
from verify_mcp.summaries.mirror_reader import MAX_STALENESS_WHILE_INCOMPLETE, CachedFigures
from verify_mcp.summaries.query import RESUME_TOLERANCE, SummaryQuery, SummaryResult
from verify_mcp.summaries.summary_context import SummaryContext

MAX_RESTARTS = 10
"""How often a call reads the mirror again because another walk shares its window."""
MIN_EDGE, MAX_EDGE = timedelta(minutes=5), timedelta(hours=1)
"""How much of a window is fetched where the API's reach ends, before the rest is counted."""
MAX_EDGE_REQUESTS = 2
"""Requests that this part may take."""


class Fetcher:
    """Fetches the missing parts of one query's window, as far as the call's budget goes."""

    def __init__(self, app: SummaryContext, query: SummaryQuery, budget: CallBudget) -> None:
        self._mirror = app.mirror
        self._database = app.database
        self._query = query
        self._budget = budget
        self._is_shared = False
        """Whether another walk covers a part of what a backfill of this query has before it."""
        self._restarts_left = MAX_RESTARTS
        self._counted: tuple[Window, ...] = ()

    def new_backfill(self, window: Window) -> Backfill:
        """The backfill of one window, not begun yet."""
        return Backfill(self._mirror, self._query.session_filter.for_fetching(), window)

    async def take_first_steps(self, windows: Sequence[Window]) -> tuple[Backfill, ...]:
        """A backfill for each window: those for which a page each is enough are done.

        The first that takes more pages has its first page, the ones after it have none.
        """
        backfills = tuple(map(self.new_backfill, windows))
        for backfill in backfills:
            if self._budget.requests_left() <= 0:
                break
            await backfill.step(self._budget.call, budget=1)
            if not backfill.done:
                break
        return backfills

    async def fetch(
        self,
        cached: CachedFigures,
        backfills: Sequence[Backfill],
        counted: tuple[Window, ...] = (),
    ) -> SummaryResult | None:
        """The figures of the cached parts and of what the backfills bring.

        `counted` are windows that a count of this call covered, which no other walk did. None when
        another walk came to cover a part that is still to be fetched: the mirror then has the pages
        of both.
        """
        self._counted = counted
        for backfill in backfills:
            await self._finish(backfill)
            if self._is_shared:
                self._is_shared = False
                return None
            if backfill.progress.is_stopped:
                break
        return await self._add_up(cached, backfills)

    async def _add_up(self, cached: CachedFigures, backfills: Sequence[Backfill]) -> SummaryResult:
        progress = [backfill.progress for backfill in backfills]
        sessions = admit_locally(
            self._query.session_filter, [session for part in progress for session in part.sessions]
        )
        fetched = tallies_module.tally_by(sessions, self._query.group_by, self._query.zone)
        complete = [window for part in progress for window in part.complete_windows]
        window, left = self._trim(cached.window, gaps(cached.window, [*cached.parts, *complete]))
        is_over = not left or all(backfill.done for backfill in backfills)
        return SummaryResult(
            "fetched",
            window,
            tallies_module.merge(cached.tallies, fetched),
            min([cached.as_of, *(part.as_of for part in progress if part.as_of)]),
            left,
            self._explain(left, progress, is_over=is_over),
            None if is_over else await self._budget.estimate_eta(),
            None if is_over else await self._budget.estimate_eta_exact(expected_pages(progress)),
            None if is_over else _finite(expected_pages(progress)),
            sum(part.skipped for part in progress),
            parts=cached.parts,
            sessions=tuple(sessions),
        )

    async def add_newest(self, result: SummaryResult) -> SummaryResult:
        """The result with the sessions that came since its end, where the query ends now."""
        query = self._query
        end = query.window.end
        if query.is_end_pinned or end - result.window.end <= MAX_STALENESS:
            return result
        backfill = self.new_backfill(Window(result.window.end, end))
        await self._finish(backfill)
        progress = backfill.progress
        sessions = admit_locally(query.session_filter, progress.sessions)
        newest = tallies_module.tally_by(sessions, query.group_by, query.zone)
        return replace(
            result,
            window=Window(result.window.start, end),
            tallies=tallies_module.merge(result.tallies, newest),
            missing=progress.missing,
            why="The sessions that came since then are not fetched yet; the same call goes on."
            if progress.missing
            else "",
            eta_s=await self._budget.estimate_eta() if progress.missing else None,
            skipped=progress.skipped,
            sessions=(*result.sessions, *sessions),
        )

    async def fetch_edge(self, gap: Window, first: Page | None) -> Backfill | None:
        """Fetch the sessions that leave the API's reach soon; None where none do.

        A count goes on for minutes or hours, and its window must lie within the reach all the time.
        """
        if gap.start > self._mirror.now() - REACH + MIN_EDGE:
            return None
        edge = Window(gap.start, min(gap.start + _edge_length(first), gap.end))
        backfill = self.new_backfill(edge)
        for _ in range(MAX_EDGE_REQUESTS):
            if backfill.done or not self._can_continue(backfill.progress):
                break
            await backfill.step(self._budget.call, budget=1)
        return backfill

    async def _finish(self, backfill: Backfill) -> None:
        while not backfill.done and self._can_continue(backfill.progress):
            async with self._mirror.take_turn():
                if await self._is_covered_elsewhere(backfill):
                    self._is_shared = True
                    return
                await backfill.step(self._budget.call, budget=self._budget.requests_left())

    async def _is_covered_elsewhere(self, backfill: Backfill) -> bool:
        """Whether another walk covered the next part of what a backfill has before it.

        Further parts may be covered by pages that this call itself probed.
        """
        if not self._restarts_left or not self._query.session_filter.is_unfiltered():
            return False
        scope = self._query.session_filter.subaccount or ""
        parts, _ = await self._mirror.cached_windows(scope, backfill.remaining, MAX_STALENESS)
        is_next = bool(parts) and parts[-1].end >= backfill.remaining.end
        if not is_next or covers(parts[-1], self._counted):
            return False
        self._restarts_left -= 1
        return True

    def _can_continue(self, progress: BackfillProgress) -> bool:
        return not progress.is_stopped and self._budget.requests_left() > 0

    def _trim(self, window: Window, left: tuple[Window, ...]) -> tuple[Window, tuple[Window, ...]]:
        """The window that an answer covers, without what left the API's reach meanwhile.

        An end that is now becomes the instant up to which the answer reaches; what is missing to
        now stays in `left` when it is more than a minute.
        """
        start, end = window.start, window.end
        edge = self._mirror.now() - REACH + RESUME_TOLERANCE
        if left and left[0].start == start and left[0].end <= edge:
            start, left = left[0].end, left[1:]
        is_cut = not self._query.is_end_pinned and bool(left) and left[-1].end == end
        if is_cut and start < left[-1].start and left[-1].length <= MAX_STALENESS_WHILE_INCOMPLETE:
            end, left = left[-1].start, left[:-1]
        newest = Window(end, max(end, self._query.window.end))
        if (left or is_cut) and newest.length > MAX_STALENESS:
            left = (*left, newest)
        return Window(start, end), left

    def _explain(
        self, left: Sequence[Window], progress: Sequence[BackfillProgress], *, is_over: bool
    ) -> str:
        """Why an answer does not cover its window, and which bound ended the call."""
        whys = (
            explain_missing(left, progress, self._explain_restart()),
            "" if is_over else self._budget.explain_exhausted(),
        )
        return " ".join(filter(None, whys))

    def _explain_restart(self) -> str:
        """Why the same call cannot go on from where this one stops, empty when it can."""
        if self._mirror.store is None:
            return "VERIFY_MCP_MIRROR is off"
        if self._database.problem:
            return "the database cannot be used"
        is_unfiltered = self._query.session_filter.for_fetching().is_unfiltered()
        return "" if is_unfiltered else "the question has filters"


def _edge_length(first: Page | None) -> timedelta:
    """How much of a window a page may hold, if sessions came at its start as on its first page."""
    if first is None or len(first.sessions) < PAGE_SIZE:
        return MIN_EDGE
    span = first.sessions[0].created - first.sessions[-1].created
    return min(max(span * 0.7, MIN_EDGE), MAX_EDGE)


def _finite(pages: float) -> float | None:
    return None if pages == inf else pages
