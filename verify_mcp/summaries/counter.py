"""Figures by counting: the count of a query, begun and resumed from call to call."""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TypeGuard

from verify_mcp.domain import tallies as tallies_module
from verify_mcp.domain.api_limits import PAGE_SIZE, REACH
from verify_mcp.domain.filters import IN_PROGRESS
from verify_mcp.domain.matching import admit_locally
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.tallies import Tallies, Tally
from verify_mcp.domain.windows import Window, gaps, overlap
from verify_mcp.mirror.backfill import Backfill
from verify_mcp.mirror.placed_pages import ReadPages
from verify_mcp.summaries.call_budget import CallBudget
from verify_mcp.summaries.count_job import CountJob
from verify_mcp.summaries.count_result import ANY_STATUS, CountResult, CountScope
from verify_mcp.summaries.count_resumption import is_resumable
from verify_mcp.summaries.explain import expected_counting, explain_count
from verify_mcp.summaries.fetcher import Fetcher
from verify_mcp.summaries.group_counter import GROUP_FILTERS, GroupCounter, group_names
from verify_mcp.summaries.mirror_reader import CachedFigures, MirrorReader
from verify_mcp.summaries.query import SummaryQuery, SummaryResult
from verify_mcp.summaries.restricted_count import restrict
from verify_mcp.summaries.summary_context import SummaryContext

COARSE_DIVISOR = 3
"""For every so many days, or hours, a page is read before the statuses are counted."""


class SessionCounter:
    """Counts the sessions of one query, as far as the call's budget goes."""

    def __init__(
        self,
        app: SummaryContext,
        query: SummaryQuery,
        budget: CallBudget,
        reader: MirrorReader,
        fetcher: Fetcher,
    ) -> None:
        self._mirror = app.mirror
        self._random = app.clock.random
        self._jobs = app.resumable_jobs
        self._query = query
        self._budget = budget
        self._reader = reader
        self._fetcher = fetcher
        self._fetched_filter = query.session_filter.for_fetching()
        """What the API lists, of which a filter that it does not know may choose a part."""

    async def find_job(self) -> CountJob | None:
        """The count that an earlier call began and that still has something to find out.

        It has not once the mirror came to cover its window.
        """
        job = self._resumable_job()
        if job is None or not await self._reader.covers(job.result.window):
            return job
        self.forget(job)
        return None

    def _resumable_job(self) -> CountJob | None:
        """The count that an earlier call began for this query, while it is not too old."""
        now = self._mirror.now()
        edge = now - REACH  # before it the API no longer shows all that was counted
        for key, job in reversed(self._jobs.items()):
            if isinstance(job, CountJob) and key == self._key_of(job):
                age = now - job.scope.at
                if job.result.window.start >= edge and is_resumable(job.scope, self._query, age):
                    return job
        return None

    def remember(self, job: CountJob) -> None:
        """Let a later call of the same query go on with this count."""
        self._jobs[self._key_of(job)] = job

    def forget(self, job: CountJob | None = None) -> None:
        """Let a later call begin anew, and not go on with a count (None: the one found)."""
        job = job or self._resumable_job()
        if job is not None:
            self._jobs.pop(self._key_of(job), None)

    async def start(self, cached: CachedFigures, backfills: Sequence[Backfill]) -> CountJob:
        """A count from the first gap's start to the last one's end, with all sessions counted."""
        left = [backfill for backfill in backfills if backfill.progress.missing]
        newest = left[0]
        hull = Window(left[-1].progress.window.start, newest.progress.window.end)
        edge = await self._fetcher.fetch_edge(left[-1].progress.window, newest.first_page)
        if edge is not None:
            hull = Window(edge.progress.window.end, hull.end)
            backfills = [*backfills, edge]
            if edge.progress.missing:  # what could not be fetched there is left out, and reported
                start = edge.progress.missing[-1].end
                cached = replace(cached, window=Window(start, cached.window.end))
        scope = await self._scope(cached, backfills, hull)
        if scope is None:  # what was cached is gone: all of it is counted
            hull = cached.window
            scope = CountScope(
                cached.window, self._query.is_end_pinned, cached.now, cached.as_of, Tally()
            )
        job = CountJob(self._mirror, self._fetched_filter, hull, scope, random=self._random)
        if newest.progress.window.end == hull.end and _is_full(newest.first_page):
            job.seed_first_page(newest.first_page)
        job.resume(self._budget)
        await job.count_all()
        return job

    async def count(self, job: CountJob) -> SummaryResult:
        """The result of a count, as far as the budget goes."""
        async with job.lock:
            job.resume(self._budget)
            await job.count_all()
            is_restricted = self._query.session_filter.is_decided_locally()
            count = await (self._count_part(job) if is_restricted else self._count_whole(job))
            sessions = job.all_sessions()
            is_open = count.is_unfinished or count.unconfirmed
            is_at_end = job.has_every_page and sessions is None and not is_open
        if sessions is not None:
            result = await self._exact_result(job, sessions)
            if result is not None:
                return result
        if is_at_end:  # more requests change nothing; the same call begins anew
            self.forget(job)
        return await self._counted_result(job, count, is_at_end=is_at_end)

    async def _count_whole(self, job: CountJob) -> CountResult:
        """Count statuses, spans and groups, and estimate the rest."""
        spans = await self._reader.span_scope(job.result.window)
        if spans is not None:
            await job.count_spans(spans, max_pages=len(spans.spans) // COARSE_DIVISOR + 1)
        is_filtered = not self._query.session_filter.is_unfiltered()
        is_few = job.result.takes_few_pages and not job.has_every_page
        is_read = self._query.counts_only and is_filtered and is_few
        if not is_read:
            await job.count_statuses()
        if spans is not None:
            await job.count_spans(spans)
        groups = self._group_counter(job)
        if groups is not None:
            inside = await self._reader.groups_inside(job.result.window)
            await groups.count(self._budget, group_names(inside.keys()))
        if is_read or not self._query.counts_only:
            await job.sample(self._query.group_by, self._query.zone)
        job.result.requests_left = expected_counting(job.result, len(spans.spans) if spans else 0)
        if groups is not None:
            groups.publish(job.result)
            job.result.requests_left += groups.expected_requests()
        return job.result.copy()

    async def _count_part(self, job: CountJob) -> CountResult:
        """Estimate the part of the sessions that a filter decided here admits."""
        query = self._query
        if query.session_filter.status == IN_PROGRESS:
            await job.count_statuses()
        await job.sample(query.group_by, query.zone)
        return restrict(job, query.session_filter, query.group_by, query.zone)

    def _group_counter(self, job: CountJob) -> GroupCounter | None:
        """What counts the groups of the query; None where the API does not filter by them."""
        by = self._query.group_by
        if len(by) != 1 or by[0] not in GROUP_FILTERS or ANY_STATUS not in job.result.counts:
            return None
        key = ("groups", by[0], self._query.session_filter)
        counter = self._jobs.get(key)
        if not isinstance(counter, GroupCounter) or counter.job is not job:
            counter = GroupCounter(job, by[0])
            self._jobs[key] = counter
        return counter

    def _key_of(self, job: CountJob) -> Hashable:
        """The same for filters that differ in what is decided here: they share the pages."""
        return ("count", self._fetched_filter, self._query.count_name, job.scope.window)

    async def _counted_result(
        self, job: CountJob, count: CountResult, *, is_at_end: bool
    ) -> SummaryResult:
        scope, is_unfiltered = job.scope, self._fetched_filter.is_unfiltered()
        pages_left = count.pages - count.sampled_pages
        outside: Tallies = {(): scope.tally_outside}
        if count.is_restricted:
            outside = await self._reader.tally_around(scope, ()) or {}
        return SummaryResult(
            "counted",
            scope.window,
            outside,
            scope.as_of,
            (count.window,),
            " ".join(filter(None, (explain_count(count), self._budget.explain_exhausted()))),
            None if is_at_end else await self._budget.estimate_eta(),
            None if is_at_end else await self._budget.estimate_eta_exact(pages_left),
            None if is_at_end else float(count.pages),
            count.skipped,
            count=count,
            read=ReadPages(count.window, job.pages) if is_unfiltered else None,
            groups_around=await self._reader.groups_around(scope),
            groups_inside=await self._reader.groups_inside(count.window),
        )

    async def _exact_result(self, job: CountJob, sessions: list[Session]) -> SummaryResult | None:
        """The exact result of a count that came to read every page; None if it cannot be."""
        query, scope, window = self._query, job.scope, job.result.window
        around = gaps(scope.window, [window])
        outside = await self._groups_outside(scope, around)
        if outside is None:
            return None
        await self._save(job, sessions)
        covered = scope.window
        if covered.start == window.start:  # a start that is so long ago has moved on with the clock
            start = min(max(covered.start, query.window.start), window.end)
            covered = Window(start, covered.end)
            sessions = [session for session in sessions if session.created in covered]
        sessions = admit_locally(query.session_filter, sessions)
        tallies = tallies_module.tally_by(sessions, query.group_by, query.zone)
        as_of = min(scope.as_of, job.receipt.earliest) if job.receipt else scope.as_of
        is_stored = query.session_filter.is_unfiltered()
        return SummaryResult(
            "fetched",
            covered,
            tallies_module.merge(outside, tallies),
            as_of,
            parts=tuple(around) if is_stored else scope.cached_parts,
            sessions=tuple(sessions)
            if is_stored
            else (*admit_locally(query.session_filter, scope.sessions), *sessions),
        )

    async def _groups_outside(self, scope: CountScope, around: Sequence[Window]) -> Tallies | None:
        """The groups of the sessions around the window counted, None when they are gone."""
        query = self._query
        if around and self._mirror.store is None:
            return None
        if query.session_filter.is_unfiltered():
            return await self._reader.tally(around, query.group_by)
        # What was fetched by a filter covers nothing.
        return await self._reader.tally_around(scope, query.group_by)

    async def _save(self, job: CountJob, sessions: list[Session]) -> None:
        """Claim the window counted: each page was saved as it came, together they are all."""
        receipt, filter_ = job.receipt, self._fetched_filter
        if receipt is None:
            return
        claim = job.result.window if filter_.is_unfiltered() else None
        await self._mirror.save(
            sessions, filter_.subaccount or "", claim, receipt, receipt.earliest
        )

    async def _scope(
        self, cached: CachedFigures, backfills: Sequence[Backfill], hull: Window
    ) -> CountScope | None:
        """What is known around the window to be counted, None when it is no longer cached."""
        around = gaps(cached.window, [hull])
        parts = [
            common
            for part in cached.parts
            for window in around
            if (common := overlap(part, window))
        ]
        # Another question may go on with this count: it tells of all that the API lists for it.
        listed = replace(self._query, session_filter=self._fetched_filter)
        tallies = await MirrorReader(self._mirror, listed).tally(parts, ())
        if tallies is None:
            return None
        sessions = tuple(
            session
            for backfill in backfills
            for session in backfill.progress.sessions
            if session.created not in hull and session.created in cached.window
        )
        outside = tallies_module.merge(tallies, tallies_module.tally_by(sessions, ()))
        return CountScope(
            cached.window,
            self._query.is_end_pinned,
            cached.now,
            cached.as_of,
            tallies_module.total(outside.values()),
            tuple(parts),
            sessions,
        )


def _is_full(first: Page | None) -> TypeGuard[Page]:
    """Whether a window's first page is full and readable, so that a count can start from it."""
    return (
        first is not None
        and first.received >= PAGE_SIZE
        and not first.skipped
        and not first.repeats
    )
