"""What is known of a window and of the time before it: fetched where the mirror lacks it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.windows import Window, overlap
from verify_mcp.mirror.mirror import MAX_STALENESS
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.anomaly_query import AnomalyQuery, LookedAt
from verify_mcp.summaries.call_budget import CallBudget
from verify_mcp.summaries.fetcher import Fetcher
from verify_mcp.summaries.mirror_reader import MAX_STALENESS_WHILE_INCOMPLETE, MirrorReader
from verify_mcp.summaries.query import SummaryQuery, SummaryResult
from verify_mcp.summaries.summary_context import SummaryContext

MIN_PAST = 0.99
"""The known past must be so long, as a part of the window, to be compared with."""


@dataclass(frozen=True, slots=True)
class Known:
    """The known parts of the window and of the past, and why there are not more."""

    now: LookedAt
    past: LookedAt
    as_of: datetime
    why: str = ""
    eta_s: float | None = None
    pages_left: float | None = None
    skipped: int = 0


class CoverageReader:
    """Finds what is known for one query, and fetches what is missing within its requests.

    Sessions are fetched without the query's filters, so that the mirror has all of them: the next
    question about the same window costs nothing.
    """

    def __init__(self, app: SummaryContext, query: AnomalyQuery, call: CallContext) -> None:
        self._app = app
        self._query = query
        self._budget = CallBudget(app, call, query.max_requests)
        self._scope = query.session_filter.subaccount or ""

    async def read(self) -> Known:
        """What is known, after fetching. Raises ApiError when it fails and nothing is known."""
        query = self._query
        result = await self._fetch(query.window, is_end_pinned=query.is_end_pinned)
        # What could not be fetched up to now is missing, too.
        end = max([result.window.end, *(part.end for part in result.missing)])
        now, as_of = await self._read_known(Window(query.window.start, end))
        now = now if query.is_end_pinned else _without_newest(now)
        past, _ = await self._read_known(query.past())
        is_fetched = not result.missing and is_reachable(
            now.window, reach_edge(self._app.mirror.now())
        )
        if is_fetched and not is_enough(past, now.window.length):
            result = await self._fetch_past(result)
            past, _ = await self._read_known(query.past())
        as_of = min(as_of, result.as_of)
        return Known(now, past, as_of, result.why, result.eta_s, result.pages_left, result.skipped)

    async def _fetch_past(self, result: SummaryResult) -> SummaryResult:
        """Fetch as much of the past as the window is long: less is no measure of it."""
        start = self._query.window.start
        fetched = await self._fetch(
            Window(start - self._query.window.length, start), is_end_pinned=True
        )
        return replace(
            result,
            why=fetched.why,
            eta_s=fetched.eta_s,
            pages_left=fetched.pages_left,
            as_of=min(result.as_of, fetched.as_of),
            skipped=result.skipped + fetched.skipped,
        )

    async def _fetch(self, window: Window, *, is_end_pinned: bool) -> SummaryResult:
        """Fetch what the mirror lacks of a window, newest first, as far as the requests go."""
        session_filter = SessionFilter(subaccount=self._query.session_filter.subaccount)
        query = SummaryQuery(
            session_filter, window, is_end_pinned, max_requests=self._query.max_requests
        )
        cached = await MirrorReader(self._app.mirror, query).read(MAX_STALENESS)
        if not cached.missing:
            return SummaryResult("held", cached.window, {}, cached.as_of)
        fetcher = Fetcher(self._app, query, self._budget)
        backfills = [fetcher.new_backfill(part) for part in reversed(cached.missing)]
        result = await fetcher.fetch(cached, backfills)
        if result is None:  # another call's walk came to cover a part of the window
            return await self._fetch(window, is_end_pinned=is_end_pinned)
        failure = next((one.progress.failure for one in backfills if one.progress.failure), None)
        if failure is not None and not cached.parts and result.missing == (result.window,):
            raise failure
        return result

    async def _read_known(self, window: Window) -> tuple[LookedAt, datetime]:
        """The parts of a window whose sessions the mirror has, and when the oldest was read."""
        mirror = self._app.mirror
        parts, at = await mirror.cached_windows(self._scope, window, MAX_STALENESS_WHILE_INCOMPLETE)
        inside = tuple(part for each in parts if (part := overlap(each, window)))
        return LookedAt(window, inside), at


def is_enough(past: LookedAt, length: timedelta) -> bool:
    """Whether so much of the past is known that a window of this length can be compared with it."""
    return past.length >= MIN_PAST * length


def is_reachable(window: Window, edge: datetime) -> bool:
    """Whether the API shows enough of the time before a window; its reach begins at `edge`."""
    return window.start - edge >= MIN_PAST * window.length


def _without_newest(now: LookedAt) -> LookedAt:
    """The window up to the newest session known, where only moments are missing after it."""
    window = now.window
    if not now.parts or window.end - now.parts[-1].end > MAX_STALENESS:
        return now
    return LookedAt(Window(window.start, now.parts[-1].end), now.parts)
