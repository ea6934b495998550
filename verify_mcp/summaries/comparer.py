"""One call of a comparison: both windows summarized, then what explains their difference."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeGuard

from verify_mcp.analysis.drivers import find_drivers
from verify_mcp.domain import tallies as tallies_module
from verify_mcp.domain.receipts import CLOCK_TOLERANCE
from verify_mcp.domain.windows import Window, covers
from verify_mcp.errors import ApiError
from verify_mcp.mirror.mirror import MAX_STALENESS
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.breakdowns import ExactResult, WindowPair
from verify_mcp.summaries.comparison import ComparisonQuery, ComparisonResult, have_same_hours
from verify_mcp.summaries.count_resumption import max_job_age
from verify_mcp.summaries.query import SummaryQuery, SummaryResult, default_max_requests
from verify_mcp.summaries.summarizer import Summarizer
from verify_mcp.summaries.summary_context import SummaryContext

MAX_DRIVERS, MAX_DRIVERS_OF_ONE = 5, 10
"""Drivers in an answer; the same where one dimension was asked for."""
NOT_BEGUN = (
    "The earlier window was not looked at yet: this call's requests went into the later one. The "
    "same call goes on from here."
)
CHANGED = "Sessions changed while their groups were read; the same call gives the drivers."


@dataclass(frozen=True, slots=True)
class _OpenComparison:
    """A comparison that is not exact yet: its later window, which the clock does not move.

    `after` and `before` are the windows' results where they are exact.
    """

    window: Window
    at: datetime
    after: SummaryResult | None = None
    before: SummaryResult | None = None


class Comparer:
    """Compares two windows with the requests of one call."""

    def __init__(self, app: SummaryContext, query: ComparisonQuery, call: CallContext) -> None:
        self._app = app
        self._call = call
        self._started = app.clock.monotonic()
        self._max_requests = query.max_requests or default_max_requests(app.settings)
        self._open = self._find_open(query)
        self._query = replace(query, window=self._open.window)

    async def run(self) -> ComparisonResult:
        """The result. Raises ApiError when the API fails and nothing is cached."""
        result = await self._compare_totals()
        jobs, key = self._app.resumable_jobs, self._key(self._query)
        if not result.is_exact:
            self._remember(result)
            return result
        jobs.pop(key, None)
        return await self._explain(result)

    async def go_on(self) -> int:
        """Go on with both windows; about how many requests they take then, 0 when they are exact.

        The call that is asked again finds what this one did, also when it is exact.
        """
        result = await self._compare_totals()
        self._remember(result)
        return self._max_requests if result.requests_left is None else result.requests_left

    def _remember(self, result: ComparisonResult) -> None:
        """Let the same call go on from here."""
        after, before = (
            side if side is not None and side.is_exact else None
            for side in (result.after, result.before)
        )
        self._app.resumable_jobs[self._key(self._query)] = replace(
            self._open, after=after, before=before
        )

    async def _compare_totals(self) -> ComparisonResult:
        query = self._query
        spare = await self._requests_for_baseline()
        later = replace(query.later(), other_requests=spare)
        after = self._open.after or await self._summarize(later)
        earlier = query.earlier(after.window)
        known = self._open.before
        if known is None and not self._requests_left and not await self._is_cached(earlier):
            return ComparisonResult(earlier.window, after, why=NOT_BEGUN)
        try:
            before = known or await self._summarize(earlier)
        except ApiError as failure:
            why = f"The earlier window could not be asked for. {failure}"
            return ComparisonResult(earlier.window, after, why=why)
        return await self._read_counted(ComparisonResult(before.window, after, before))

    async def _read_counted(self, result: ComparisonResult) -> ComparisonResult:
        """The same, with the rest of the requests spent on reading what is only counted so far."""
        before, after, query = result.before, result.after, self._query
        if before is None or _is_unfinished(before) or _is_unfinished(after):
            return result
        if after.count is not None and self._requests_left:
            after = await self._summarize(replace(query.later(), counts_only=False))
        if before.count is not None and self._requests_left:
            before = await self._summarize(
                replace(query.earlier(result.after.window), counts_only=False)
            )
        return replace(result, before=before, after=after)

    @property
    def _requests_left(self) -> bool:
        return self._call.requests_sent < self._max_requests

    async def _requests_for_baseline(self) -> int:
        """A quarter, where the earlier window is not in the mirror; a later call does the rest."""
        earlier = self._query.earlier(self._query.window)
        return 0 if self._open.before or await self._is_cached(earlier) else self._max_requests // 4

    async def _is_cached(self, query: SummaryQuery) -> bool:
        """Whether a window is in the mirror and its filter is answered from there."""
        mirror, filter_ = self._app.mirror, query.session_filter
        if not filter_.answerable_from_mirror():
            return False
        parts, _ = await mirror.cached_windows(
            filter_.subaccount or "", query.window, MAX_STALENESS
        )
        parts = await mirror.windows_of_known_text(filter_.subaccount or "", filter_, parts)
        return covers(query.window, parts)

    async def _summarize(self, query: SummaryQuery) -> SummaryResult:
        return await Summarizer(self._app, query, self._call, self._started).run()

    async def _explain(self, result: ComparisonResult) -> ComparisonResult:
        """The same result with its drivers, and when they began."""
        before, after = result.before, result.after
        if before is None:
            return result
        query, mirror = self._query, self._app.mirror
        pair = WindowPair(
            ExactResult(mirror, query.earlier(after.window), before),
            ExactResult(mirror, replace(query.later(), window=after.window), after),
            query.zone,
        )
        dimensions = tuple(
            dimension
            for dimension in query.dimensions
            if dimension != "hour_of_day" or have_same_hours(before.window, after.window)
        )
        breakdowns = await pair.read_breakdowns(dimensions)
        if not breakdowns:
            return replace(result, why=CHANGED)
        totals = [tallies_module.total(side.tallies.values()) for side in (before, after)]
        limit = MAX_DRIVERS if len(dimensions) > 1 else MAX_DRIVERS_OF_ONE
        search = find_drivers(breakdowns, *totals, limit=limit)
        onsets = await pair.find_onsets(search.drivers, breakdowns)
        why = CHANGED if len(breakdowns) < len(dimensions) else ""
        return replace(result, breakdowns=breakdowns, search=search, onsets=onsets, why=why)

    def _find_open(self, query: ComparisonQuery) -> _OpenComparison:
        """What an earlier call left open, if that goes on with this one; else a new comparison."""
        now = self._app.mirror.now()
        job = self._app.resumable_jobs.get(self._key(query))
        if not _is_open(job) or not -CLOCK_TOLERANCE <= now - job.at <= max_job_age(job.window):
            return _OpenComparison(query.window, now)
        return job

    def _key(self, query: ComparisonQuery) -> tuple[str, object]:
        return ("compare", query.name)


def _is_unfinished(result: SummaryResult) -> bool:
    """Whether exact counts, or a part of the window, are still to come."""
    return result.count.is_unfinished if result.count else not result.is_exact


def _is_open(job: object) -> TypeGuard[_OpenComparison]:
    return isinstance(job, _OpenComparison)
