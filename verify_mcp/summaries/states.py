"""How a summary is answered: the states of one call, and what each leads to.

Each state names what is to be read, fetched or counted. Its `next` is pure: given what that
brought, it returns the next state. `Summarizer` does the work between two states.

    LookForJob ─> ResumeCount ─> AddNewest ─> Answer
        │              │
        └──────┬───────┘
               v
           ReadOlder ─> ReadCached
               └─────┬──────┘
                     v
              TakeFirstSteps ─> ReadAgain ─> StartCount ─> Count ─> Answer
                     │              │             │
                     └──────────────┴─────────────┴─> Fetch ─> Answer

Where `ReadOlder` found older parts missing, `Refresh` looks at the newest part before `Answer`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import dropwhile

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.tallies import total
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.backfill import Backfill
from verify_mcp.summaries.count_job import CountJob
from verify_mcp.summaries.count_result import ANY_STATUS
from verify_mcp.summaries.explain import MAX_FETCH_SHARE, expected_pages_of, is_affordable
from verify_mcp.summaries.mirror_reader import CachedFigures
from verify_mcp.summaries.query import SummaryQuery, SummaryResult

MAX_REFRESH_SHARE, HALF_HOUR = 0.25, timedelta(minutes=30)
"""The part of the requests left that may go to fetching again what is at most so old."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result is there."""

    result: SummaryResult


@dataclass(frozen=True, slots=True)
class LookForJob:
    """Look whether an earlier call began a count for this query."""

    query: SummaryQuery

    def next(self, job: CountJob | None, requests_left: int) -> "ResumeCount | ReadOlder":
        """Go on counting what is still too much to fetch, or is a comparison's window."""
        is_window = bool(self.query.count_name) and job is not None and job.is_of(self.query.window)
        if job is not None and (is_window or job.result.pages > requests_left):
            return ResumeCount(self.query, job)
        return ReadOlder(self.query)


@dataclass(frozen=True, slots=True)
class ResumeCount:
    """Go on with a count that an earlier call began."""

    query: SummaryQuery
    job: CountJob

    def next(self, result: SummaryResult, *, is_cached: bool) -> "Answer | AddNewest | ReadOlder":
        """A result without a count comes from all pages; `is_cached` says that the mirror has it.

        Then only what came since is missing there.
        """
        if result.count is not None:
            return Answer(result)
        return ReadOlder(self.query) if is_cached else AddNewest(result)


@dataclass(frozen=True, slots=True)
class AddNewest:
    """Fetch the sessions that came since a result's end."""

    result: SummaryResult

    def next(self, result: SummaryResult) -> Answer:
        """Nothing is left to do."""
        return Answer(result)


@dataclass(frozen=True, slots=True)
class ReadOlder:
    """Read what is cached if older parts are missing: those are fetched before the newest one."""

    query: SummaryQuery

    def next(self, cached: CachedFigures | None) -> "State":
        """Start from what is cached; None when only the newest part is missing, or all is."""
        if cached is None:
            return ReadCached(self.query)
        return _start_from(self.query, cached, is_older=True)


@dataclass(frozen=True, slots=True)
class ReadCached:
    """Read what is cached."""

    query: SummaryQuery

    def next(self, cached: CachedFigures, known: CachedFigures, requests_left: int) -> "State":
        """Start from what is cached, or from `known`, which is more and a little older.

        That is where fetching again what it has besides would take too many requests.
        """
        pages = (_sessions(known) - _sessions(cached)) / PAGE_SIZE
        is_recent = known.now - known.as_of <= HALF_HOUR
        share = MAX_REFRESH_SHARE if is_recent else MAX_FETCH_SHARE
        is_enough = _has_all_but_newest(known) and pages > requests_left * share
        return _start_from(self.query, known if is_enough else cached, is_older=False)


@dataclass(frozen=True, slots=True)
class TakeFirstSteps:
    """Fetch a page of each missing window, as long as a page each is enough.

    `is_older` says here and below that the newest part is looked at afterwards.
    """

    query: SummaryQuery
    cached: CachedFigures
    windows: tuple[Window, ...]
    is_older: bool

    def next(self, backfills: Sequence[Backfill], requests_left: int) -> "Fetch | ReadAgain":
        """Fetch what can be afforded. Raises ApiError when the API fails and nothing is cached."""
        failure = backfills[0].progress.failure
        if failure is not None and not self.cached.parts:
            raise failure
        left = [
            backfill.progress for backfill in dropwhile(lambda backfill: backfill.done, backfills)
        ]
        is_faulty = bool(left) and left[0].failure is not None
        is_generous = self.query.is_generous
        if is_faulty or not left or is_affordable(left, requests_left, is_generous=is_generous):
            return Fetch(self.query, self.cached, tuple(backfills), self.is_older)
        return ReadAgain(self.query, self.cached, tuple(backfills), self.is_older)


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """Read what is cached though a little old, which is better than a count."""

    query: SummaryQuery
    cached: CachedFigures
    backfills: tuple[Backfill, ...]
    is_older: bool

    def next(self, known: CachedFigures, requests_left: int) -> "State":
        """Fetch where most is known, though a little older, otherwise count."""
        if self.cached.window.end < known.window.end:
            return _start_from(self.query, known, is_older=self.is_older)
        missing, progress = known.missing, [backfill.progress for backfill in self.backfills]
        if known.parts and (
            _has_all_but_newest(known)
            or expected_pages_of(missing, progress) <= requests_left * MAX_FETCH_SHARE
        ):
            return FetchWindows(self.query, known, missing, self.is_older)
        # No other request can be sent either way, or none that counts what is filtered here.
        is_local = self.query.session_filter.is_decided_locally()
        if (is_local and self.query.counts_only) or any(part.is_stopped for part in progress):
            return Fetch(self.query, self.cached, self.backfills, self.is_older)
        return StartCount(self.query, self.cached, self.backfills, self.is_older)


@dataclass(frozen=True, slots=True)
class StartCount:
    """Begin a count of what is left, and count all sessions of it."""

    query: SummaryQuery
    cached: CachedFigures
    backfills: tuple[Backfill, ...]
    is_older: bool

    def next(self, job: CountJob, requests_left: int) -> "Fetch | Count":
        """Fetch where the exact number shows that it can be afforded after all."""
        if ANY_STATUS in job.result.counts and job.result.pages <= requests_left:
            counted = job.covered_windows()
            return Fetch(self.query, self.cached, self.backfills, self.is_older, counted)
        return Count(self.query, job, self.is_older)


@dataclass(frozen=True, slots=True)
class Count:
    """Count each status and draw a sample, as far as the budget goes."""

    query: SummaryQuery
    job: CountJob
    is_older: bool

    def next(self, result: SummaryResult) -> "Answer | Refresh":
        """The count is the answer."""
        return _finish(self.query, result, is_older=self.is_older)


@dataclass(frozen=True, slots=True)
class FetchWindows:
    """Fetch windows of which nothing was fetched yet."""

    query: SummaryQuery
    cached: CachedFigures
    windows: tuple[Window, ...]
    is_older: bool

    def next(self, result: SummaryResult | None) -> "Answer | Refresh | ReadOlder":
        """The sessions fetched, with those cached, are the answer; without one, begin anew."""
        if result is None:
            return ReadOlder(self.query)
        return _finish(self.query, result, is_older=self.is_older)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Go on with backfills that were begun; a count of this call covered the windows `counted`."""

    query: SummaryQuery
    cached: CachedFigures
    backfills: tuple[Backfill, ...]
    is_older: bool
    counted: tuple[Window, ...] = ()

    def next(self, result: SummaryResult | None) -> "Answer | Refresh | ReadOlder":
        """The sessions fetched, with those cached, are the answer; without one, begin anew."""
        if result is None:
            return ReadOlder(self.query)
        return _finish(self.query, result, is_older=self.is_older)


@dataclass(frozen=True, slots=True)
class Refresh:
    """Read again what is cached, now that the older parts are."""

    query: SummaryQuery
    result: SummaryResult

    def next(self, cached: CachedFigures) -> "State":
        """Fetch the newest part if it is missing now."""
        if not cached.missing:
            return Answer(self.result)
        return _start_from(self.query, cached, is_older=False)


State = (
    LookForJob
    | ResumeCount
    | AddNewest
    | ReadOlder
    | ReadCached
    | TakeFirstSteps
    | ReadAgain
    | StartCount
    | Count
    | FetchWindows
    | Fetch
    | Refresh
    | Answer
)


def _start_from(
    query: SummaryQuery, cached: CachedFigures, *, is_older: bool
) -> "Answer | Refresh | TakeFirstSteps":
    missing = cached.missing
    if not missing:
        result = SummaryResult(
            "held",
            cached.window,
            cached.tallies,
            cached.as_of,
            parts=cached.parts,
            other_groups=cached.other_groups,
            rest=cached.rest,
        )
        return _finish(query, result, is_older=is_older)
    if len(missing) > 1 and query.session_filter.recipient:
        # One page holds a recipient's sessions of months; each gap would cost a page.
        cached = replace(cached, parts=(), tallies={}, as_of=cached.now)
        missing = (cached.window,)
    return TakeFirstSteps(query, cached, tuple(reversed(missing)), is_older)


def _has_all_but_newest(known: CachedFigures) -> bool:
    parts, missing = known.parts, known.missing
    return bool(parts) and all(window.start >= parts[-1].end for window in missing)


def _sessions(cached: CachedFigures) -> int:
    return total(cached.tallies.values()).sessions


def _finish(query: SummaryQuery, result: SummaryResult, *, is_older: bool) -> Answer | Refresh:
    if not is_older or result.missing or result.count:
        return Answer(result)
    return Refresh(query, result)
