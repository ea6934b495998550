"""One call of a summary: the work between two of its states.

A result is never silently partial: what it does not cover is in `missing`.
"""

from verify_mcp.mirror.mirror import MAX_STALENESS
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.call_budget import CallBudget
from verify_mcp.summaries.counter import SessionCounter
from verify_mcp.summaries.fetcher import Fetcher
from verify_mcp.summaries.mirror_reader import MAX_STALENESS_WHILE_INCOMPLETE, MirrorReader
from verify_mcp.summaries.query import SummaryQuery, SummaryResult
from verify_mcp.summaries.states import (
    AddNewest,
    Answer,
    Count,
    Fetch,
    FetchWindows,
    LookForJob,
    ReadAgain,
    ReadCached,
    ReadOlder,
    Refresh,
    ResumeCount,
    StartCount,
    State,
    TakeFirstSteps,
)
from verify_mcp.summaries.summary_context import SummaryContext


class Summarizer:
    """Answers one query from the mirror, by fetching, or by counting.

    `started` is when the call began, in monotonic seconds, if that was not just now.
    """

    def __init__(
        self,
        app: SummaryContext,
        query: SummaryQuery,
        call: CallContext,
        started: float | None = None,
    ) -> None:
        self._mirror = app.mirror
        self._query = query
        self._budget = CallBudget(
            app, call, query.max_requests, started, other_requests=query.other_requests
        )
        self._reader = MirrorReader(app.mirror, query)
        self._fetcher = Fetcher(app, query, self._budget)
        self._counter = SessionCounter(app, query, self._budget, self._reader, self._fetcher)

    async def run(self) -> SummaryResult:
        """The result. Raises ApiError when the API fails and nothing is cached."""
        state: State = LookForJob(self._query)
        while not isinstance(state, Answer):
            state = await self._advance(state)
        return state.result

    async def _advance(self, state: State) -> State:
        """Do what a state names, and go on to the next one."""
        match state:
            case ReadOlder() | ReadCached() | ReadAgain() | Refresh():
                return await self._read(state)
            case LookForJob() | ResumeCount() | StartCount() | Count():
                return await self._count(state)
            case TakeFirstSteps() | Fetch() | FetchWindows() | AddNewest():
                return await self._fetch(state)
            case Answer():
                return state

    async def _read(self, state: ReadOlder | ReadCached | ReadAgain | Refresh) -> State:
        match state:
            case ReadOlder():
                return state.next(await self._reader.read_older())
            case ReadAgain():
                known = await self._reader.read(MAX_STALENESS_WHILE_INCOMPLETE)
                return state.next(known, self._budget.requests_left())
            case ReadCached():
                cached = known = await self._reader.read(MAX_STALENESS)
                if cached.missing and not self._query.is_generous:
                    known = await self._reader.read(MAX_STALENESS_WHILE_INCOMPLETE)
                return state.next(cached, known, self._budget.requests_left())
            case Refresh():
                return state.next(await self._reader.read(MAX_STALENESS))

    async def _count(self, state: LookForJob | ResumeCount | StartCount | Count) -> State:
        match state:
            case LookForJob():
                job = await self._counter.find_job()
                return state.next(job, self._budget.requests_left())
            case ResumeCount():
                return await self._resume_count(state)
            case StartCount():
                job = await self._counter.start(state.cached, state.backfills)
                return state.next(job, self._budget.requests_left())
            case Count():
                self._counter.remember(state.job)
                return state.next(await self._counter.count(state.job))

    async def _resume_count(self, state: ResumeCount) -> State:
        result = await self._counter.count(state.job)
        is_unfiltered = self._query.session_filter.for_fetching().is_unfiltered()
        is_cached = self._mirror.store is not None and is_unfiltered
        if result.count is None and is_cached:
            self._counter.forget(state.job)
        return state.next(result, is_cached=is_cached)

    async def _fetch(self, state: TakeFirstSteps | Fetch | FetchWindows | AddNewest) -> State:
        match state:
            case TakeFirstSteps():
                backfills = await self._fetcher.take_first_steps(state.windows)
                return state.next(backfills, self._budget.requests_left())
            case Fetch():
                result = await self._fetcher.fetch(state.cached, state.backfills, state.counted)
                return state.next(result)
            case FetchWindows():
                backfills = tuple(map(self._fetcher.new_backfill, state.windows))
                return state.next(await self._fetcher.fetch(state.cached, backfills))
            case AddNewest():
                result = await self._fetcher.add_newest(state.result)
                if not result.missing:
                    self._counter.forget()
                return state.next(result)
