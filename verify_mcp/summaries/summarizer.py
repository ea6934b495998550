"""A question about many sessions, answered from what is held, what can be fetched, or by counting.

The three ways are tried in this order, and the finding says which it was. Nothing is ever silently
partial: what a finding does not cover is in `missing`.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from math import ceil, inf

from verify_mcp.domain import tallies as tallies_module
from verify_mcp.domain.api_limits import PAGE_SIZE, REACH
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import explain_reach
from verify_mcp.domain.receipts import CLOCK_TOLERANCE
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.tallies import Tallies, Tally
from verify_mcp.domain.windows import Window, gaps, overlap
from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.mirror.backfill import Backfill, BackfillProgress
from verify_mcp.mirror.mirror import MAX_STALENESS, Mirror
from verify_mcp.plivo.call import MAX_CALL_SECONDS, CallContext, max_queue_wait
from verify_mcp.summaries.count_job import ANY_STATUS, CountJob, CountResult, CountScope

DEFAULT_REQUESTS = 20
"""Requests a question may cost unless it says otherwise: one minute's quota."""
RESUME_TOLERANCE = timedelta(seconds=2)
"""How far a relative window asked again may be from where the clock moved it."""
MIN_JOB_AGE, MAX_JOB_AGE = timedelta(seconds=15), timedelta(hours=1)
"""How long a count may go on from call to call: a hundredth of its window, within these."""
MAX_WALK_AGE = timedelta(hours=1)
"""How old a part's unsettled sessions may be while other parts are missing altogether."""
MIN_EDGE, MAX_EDGE = timedelta(minutes=5), timedelta(hours=1)
"""How much of a window is fetched where the API's reach ends, before the rest is counted."""
MAX_EDGE_REQUESTS = 2
"""Requests that this part may take."""


@dataclass(frozen=True, slots=True)
class SummaryQuery:
    """What is asked about which sessions; `wanted` holds no times, `window` does.

    `pinned` says that the asker named the window's end; otherwise it is now, and an answer may be
    a little older.
    """

    session_filter: SessionFilter
    window: Window
    is_end_pinned: bool
    group_by: tuple[str, ...] = ()
    zone: tzinfo = UTC
    max_requests: int = DEFAULT_REQUESTS


@dataclass(frozen=True, slots=True)
class SummaryResult:
    """What was found: `tallies` of all sessions in `window` but those in `missing`."""

    basis: str
    window: Window
    tallies: Tallies
    as_of: datetime
    missing: tuple[Window, ...] = ()
    why: str = ""
    eta_s: float | None = None
    eta_exact_s: float | None = None
    """Seconds until repeated calls can have an exact answer, at the present quota."""
    skipped: int = 0
    count: CountResult | None = None
    """What was counted, besides the tally (of no group) of what is known around it."""
    groups_around: Tallies | None = None
    """The groups of what is known around it; None when they are not known."""
    groups_inside: Tallies = field(default_factory=dict)
    """The groups of what is held inside the part that was counted, which has these at least."""


class Summarizer:
    """One question under way."""

    def __init__(self, mirror: Mirror, question: SummaryQuery, effort: CallContext) -> None:
        self._mirror = mirror
        self._question = question
        self._effort = effort
        self._scope = question.session_filter.subaccount or ""
        self._offset = mirror.gateway.api_clock.offset
        now = mirror.clock.monotonic()
        self._stop_at = now + MAX_CALL_SECONDS - mirror.settings.request_timeout
        effort.deadline = now + max_queue_wait(mirror.settings)

    async def run(self) -> SummaryResult:
        """The answer. Raises ApiError when the API fails and nothing is held."""
        if not self._question.is_end_pinned and await self._mirror.is_behind_store(self._scope):
            # One reply tells the API's time, by which the window is then made anew.
            await self._mirror.fetch(SessionFilter(), limit=1, offset=0, effort=self._effort)
        begun = self._resumable_job()
        if begun is not None and not self._can_fetch(begun.result.pages):
            finding = await self._count(begun)
            if finding.count:
                return finding
            if self._mirror.store is None or not self._question.session_filter.is_unfiltered():
                return await self._add_newest(finding)
            self._mirror.resumable_jobs.pop(self._key(), None)
            # Every page was read, and all is held now but what came since.
        cached = await self._cached_while_incomplete()
        if cached is not None:
            finding = await self._answer_from(cached)
            fresh = await self._read_cached(MAX_STALENESS)
            if finding.missing or finding.count or not gaps(fresh.window, fresh.parts):
                return finding
        return await self._answer_from(await self._read_cached(MAX_STALENESS))

    async def _cached_while_incomplete(self) -> "_Cached | None":
        """What is there when older parts are missing, which are fetched first; else None.

        What came on the way here is refreshed once nothing else is missing.
        """
        cached = await self._read_cached(MAX_WALK_AGE)
        if not cached.parts or not gaps(
            Window(cached.window.start, cached.parts[-1].end), cached.parts
        ):
            return None
        end = cached.parts[-1].end
        if self._question.is_end_pinned or cached.window.end - end > MAX_WALK_AGE:
            return cached
        return replace(cached, window=Window(cached.window.start, end))

    async def _answer_from(self, cached: "_Cached") -> SummaryResult:
        """The answer that starts from what is held."""
        missing = gaps(cached.window, cached.parts)
        if not missing:
            return SummaryResult("held", cached.window, cached.tallies, cached.as_of)
        if len(missing) > 1 and self._question.session_filter.recipient:
            # One page holds what a recipient asked for in months; each gap would cost one.
            cached = replace(cached, parts=(), tallies={}, as_of=cached.now)
            missing = (cached.window,)
        walks = [self._walker(window) for window in reversed(missing)]  # the youngest part first
        left = await self._take_first_steps(walks)
        if walks[0].progress.failure is not None and not cached.parts:
            raise walks[0].progress.failure
        if not left or self._affordable(left):
            return await self._fetch(cached, walks)
        known = await self._read_cached(MAX_WALK_AGE)
        lacking = gaps(known.window, known.parts)
        if cached.window.end < known.window.end:
            return await self._answer_from(known)
        if known.parts and all(window.start >= known.parts[-1].end for window in lacking):
            # All but the newest part was seen within the hour, which is better than a count.
            return await self._fetch(known, [self._walker(window) for window in lacking])
        taker = await self._start_count_job(cached, walks)
        await taker.count_all()
        if ANY_STATUS in taker.result.counts and self._can_fetch(taker.result.pages):
            return await self._fetch(cached, walks)
        self._mirror.resumable_jobs[self._key()] = taker
        return await self._count(taker)

    def _key(self) -> Hashable:
        return ("census", self._question.session_filter)

    def _resumable_job(self) -> CountJob | None:
        """A census that an earlier call began for this question, while it is not too old.

        Asked again, a relative window has moved on with the clock; it is answered as of then.
        """
        taker = self._mirror.resumable_jobs.get(self._key())
        if not isinstance(taker, CountJob):
            return None
        question, scope = self._question, taker.scope
        now = self._mirror.now()
        if taker.result.window.start < now - REACH:
            return None  # the API no longer shows all that was counted
        passed = now - scope.at
        if passed < -CLOCK_TOLERANCE:
            return None  # it was begun before this machine's clock was known to be wrong
        moved = question.window.start - scope.window.start
        same_start = not moved or abs(moved - passed) <= RESUME_TOLERANCE
        same_end = question.window.end == scope.window.end or not (
            question.is_end_pinned or scope.is_end_pinned
        )
        return taker if same_start and same_end and passed <= _max_job_age(scope.window) else None

    def _walker(self, window: Window) -> Backfill:
        return Backfill(self._mirror, self._question.session_filter, window)

    def _can_fetch(self, pages: int) -> bool:
        return pages <= self._requests_left()

    async def _start_count_job(self, cached: "_Cached", walks: Sequence[Backfill]) -> CountJob:
        """A census of what is left, from the first gap's start to the last one's end."""
        left = [walker for walker in walks if walker.progress.missing]
        hull = Window(left[-1].progress.window.start, left[0].progress.window.end)
        edge = await self._walk_edge(left[-1].progress.window, left[0].first_page)
        if edge is not None:
            hull = Window(edge.progress.window.end, hull.end)
            walks = [*walks, edge]
            if edge.progress.missing:  # what could not be fetched there is left out, and told
                start = edge.progress.missing[-1].end
                cached = replace(cached, window=Window(start, cached.window.end))
        occasion = await self._count_scope(cached, walks, hull)
        if occasion is None:  # what was held is gone: all of it is counted
            hull = cached.window
            occasion = CountScope(
                cached.window, self._question.is_end_pinned, cached.now, cached.as_of, Tally()
            )
        taker = CountJob(self._mirror, self._question.session_filter, hull, occasion)
        taker.resume(self._effort, self._requests_left)
        first, at_the_end = left[0].first_page, left[0].progress.window.end == hull.end
        is_full = first is not None and first.received >= PAGE_SIZE and not first.skipped
        if first is not None and at_the_end and is_full and not first.repeats:
            taker.seed_first_page(first)
        return taker

    async def _walk_edge(self, gap: Window, first: Page | None) -> Backfill | None:
        """Fetch the sessions that leave the API's reach soon; None where none do.

        A count goes on for minutes or hours, and its window must lie within the reach all the time.
        """
        if gap.start > self._mirror.now() - REACH + MIN_EDGE:
            return None
        walker = self._walker(Window(gap.start, min(gap.start + _edge_length(first), gap.end)))
        for _ in range(MAX_EDGE_REQUESTS):
            if walker.done or self._requests_left() <= 0 or self._stopped_early(walker.progress):
                break
            await walker.step(self._effort, budget=1)
        return walker

    async def _take_first_steps(self, walks: Sequence[Backfill]) -> Sequence[Backfill]:
        """Walk what a page each is enough for; the rest, whose first page is there then."""
        for number, walker in enumerate(walks):
            if self._requests_left() <= 0:
                return walks[number:]
            await walker.step(self._effort, budget=1)
            if not walker.done:
                return walks[number:]
        return ()

    async def _read_cached(self, max_staleness: timedelta) -> "_Cached":
        """What need not be asked: the window as it will be answered and its parts held."""
        question, now = self._question, self._mirror.now()
        window, nothing = question.window, _Cached(question.window, (), {}, now, now)
        if not question.session_filter.answerable_from_mirror():
            return nothing
        parts, at = await self._mirror.cached_windows(self._scope, window, max_staleness)
        parts = await self._mirror.windows_of_known_brand(
            self._scope, question.session_filter, parts
        )
        tallies = await self._tally_cached(parts, question.group_by)
        if tallies is None:
            return nothing
        if parts and not question.is_end_pinned and window.end - parts[-1].end <= MAX_STALENESS:
            window = replace(window, end=parts[-1].end)
        return _Cached(
            window, parts, tallies, min(at, now if question.is_end_pinned else window.end), now
        )

    async def _tally_cached(self, parts: Sequence[Window], by: tuple[str, ...]) -> Tallies | None:
        """The tallies of parts that are held, None when they are not (or no longer) to be had."""
        store, question = self._mirror.store, self._question
        if store is None or not parts:
            return {}
        if not question.session_filter.answerable_from_mirror():
            return None
        try:
            tallies = await store.tally(
                question.session_filter, self._scope, parts, by, question.zone
            )
        except DatabaseUnavailable:
            return None
        still, _ = await self._mirror.cached_windows(self._scope, question.window, MAX_WALK_AGE)
        return None if any(gaps(part, still) for part in parts) else tallies  # else: purged

    def _affordable(self, left: Sequence[Backfill]) -> bool:
        """Whether fetching all that is missing can be afforded, as far as one page tells.

        Who allows more requests than the default means to fetch, so the guess may be far out.
        """
        if self._stopped_early(left[0].progress):
            return True  # nothing more can be asked either way
        generous = self._question.max_requests > DEFAULT_REQUESTS
        return _pages_of([walker.progress for walker in left]) <= self._requests_left() * (
            3 if generous else 0.6
        )

    async def _fetch(self, cached: "_Cached", walks: Sequence[Backfill]) -> SummaryResult:
        for walker in walks:
            while not walker.done and self._can_continue(walker.progress):
                await walker.step(self._effort, budget=self._requests_left())
            if self._stopped_early(walker.progress):
                break
        done = [walker.progress for walker in walks]
        sessions = [each for walk in done for each in walk.sessions]
        fetched = tallies_module.tally_by(sessions, self._question.group_by, self._question.zone)
        left = gaps(
            cached.window,
            [*cached.parts, *(each for walk in done for each in walk.complete_windows)],
        )
        window, left = self._trim(cached.window, left)
        is_over = not left or all(walker.done for walker in walks)
        return SummaryResult(
            "fetched",
            window,
            tallies_module.merge(cached.tallies, fetched),
            min([cached.as_of, *(walk.as_of for walk in done if walk.as_of)]),
            left,
            self._explain_fetch(left, done, is_over=is_over),
            None if is_over else await self._estimate_eta(),
            None if is_over else await self._estimate_eta_exact(_pages_of(done)),
            sum(walk.skipped for walk in done),
        )

    def _explain_fetch(
        self, left: Sequence[Window], walks: Sequence[BackfillProgress], *, is_over: bool
    ) -> str:
        """Why an answer does not cover its window, and which bound ended the call."""
        whys = (
            explain_missing(left, walks, self._explain_restart()),
            "" if is_over else self._is_exhausted(),
        )
        return " ".join(filter(None, whys))

    def _trim(self, window: Window, left: tuple[Window, ...]) -> tuple[Window, tuple[Window, ...]]:
        """The window that an answer covers, without what left the API's reach meanwhile.

        An end that is now becomes the instant up to which the answer reaches; what is missing to
        now stays in `left` when it is more than a minute.
        """
        start, end = window.start, window.end
        if (
            left
            and left[0].start == start
            and left[0].end <= self._mirror.now() - REACH + RESUME_TOLERANCE
        ):
            start, left = left[0].end, left[1:]
        is_cut = not self._question.is_end_pinned and bool(left) and left[-1].end == end
        if is_cut and start < left[-1].start and left[-1].length <= MAX_WALK_AGE:
            end, left = left[-1].start, left[:-1]
        newest = Window(end, max(end, self._question.window.end))
        if (left or is_cut) and newest.length > MAX_STALENESS:
            left = (*left, newest)
        return Window(start, end), left

    def _is_exhausted(self) -> str:
        """Which bound ended the call, in fixed words."""
        if self._effort.requests_sent >= self._question.max_requests:
            return f"This call spent its max_requests ({self._question.max_requests})."
        if self._mirror.clock.monotonic() >= self._stop_at:
            return "This call's time is over."
        return ""

    async def _count(self, taker: CountJob) -> SummaryResult:
        """The answer by counting, as far as the budget goes."""
        async with taker.lock:
            taker.resume(self._effort, self._requests_left)
            await taker.count_all()
            await taker.count_statuses()
            await taker.sample(self._question.group_by, self._question.zone)
            census, everything = taker.result.copy(), taker.all_sessions()
            is_open = census.is_unfinished or census.unconfirmed
            is_at_end = taker.has_every_page and everything is None and not is_open
        occasion = taker.scope
        if everything is not None:
            finding = await self._finish_by_reading(taker, everything)
            if finding is not None:
                return finding
        if is_at_end:  # more requests tell no more; asked again, the question begins anew
            self._mirror.resumable_jobs.pop(self._key(), None)
        return SummaryResult(
            "counted",
            occasion.window,
            {(): occasion.tally_outside},
            occasion.as_of,
            (census.window,),
            " ".join(filter(None, (explain_count(census), self._is_exhausted()))),
            None if is_at_end else await self._estimate_eta(),
            None
            if is_at_end
            else await self._estimate_eta_exact(census.pages - census.sampled_pages),
            census.skipped,
            count=census,
            groups_around=await self._read_groups_around(occasion),
            groups_inside=await self._groups_inside(census.window),
        )

    async def _finish_by_reading(
        self, taker: CountJob, everything: list[Session]
    ) -> SummaryResult | None:
        """The exact answer after a census that came to read every page; None if it cannot be."""
        question, occasion, window = self._question, taker.scope, taker.result.window
        around = gaps(occasion.window, [window])
        outside = await self._tally_cached(around, question.group_by)
        if outside is None or (around and self._mirror.store is None):
            return None
        claim, receipt = window if question.session_filter.is_unfiltered() else None, taker.receipt
        if receipt is not None:  # each page was kept as it came; together they are all there are
            await self._mirror.save(everything, self._scope, claim, receipt, receipt.earliest)
        covers = occasion.window
        if not around:  # a start that is so long ago has moved on with the clock
            covers = Window(min(max(covers.start, question.window.start), covers.end), covers.end)
            everything = [each for each in everything if each.created in covers]
        group_by = tallies_module.tally_by(everything, question.group_by, question.zone)
        as_of = min(occasion.as_of, receipt.earliest) if receipt else occasion.as_of
        return SummaryResult("fetched", covers, tallies_module.merge(outside, group_by), as_of)

    async def _add_newest(self, finding: SummaryResult) -> SummaryResult:
        """The finding with the sessions that came since its end, where the question ends now."""
        end = self._question.window.end
        if self._question.is_end_pinned or end - finding.window.end <= MAX_STALENESS:
            self._mirror.resumable_jobs.pop(self._key(), None)
            return finding
        walker = self._walker(Window(finding.window.end, end))
        while not walker.done and self._can_continue(walker.progress):
            await walker.step(self._effort, budget=self._requests_left())
        walk, question = walker.progress, self._question
        if not walk.missing:
            self._mirror.resumable_jobs.pop(self._key(), None)
        newest = tallies_module.tally_by(walk.sessions, question.group_by, question.zone)
        return replace(
            finding,
            window=Window(finding.window.start, end),
            tallies=tallies_module.merge(finding.tallies, newest),
            missing=walk.missing,
            why="The sessions that came since then are not fetched yet; the same call goes on."
            if walk.missing
            else "",
            eta_s=await self._estimate_eta() if walk.missing else None,
            skipped=walk.skipped,
        )

    async def _count_scope(
        self, cached: "_Cached", walks: Sequence[Backfill], hull: Window
    ) -> CountScope | None:
        """What is known around the window to be counted, None when it is no longer held."""
        around = gaps(cached.window, [hull])
        parts = [both for part in cached.parts for each in around if (both := overlap(part, each))]
        tallies = await self._tally_cached(parts, ())
        if tallies is None:
            return None
        sessions = tuple(
            session
            for walker in walks
            for session in walker.progress.sessions
            if session.created not in hull and session.created in cached.window
        )
        outside = tallies_module.total(
            tallies_module.merge(tallies, tallies_module.tally_by(sessions, ())).values()
        )
        return CountScope(
            cached.window,
            self._question.is_end_pinned,
            cached.now,
            cached.as_of,
            outside,
            tuple(parts),
            sessions,
        )

    async def _groups_inside(self, window: Window) -> Tallies:
        """The groups of the final sessions held inside the window counted."""
        question = self._question
        if not question.group_by or not question.session_filter.answerable_from_mirror():
            return {}
        parts, _ = await self._mirror.cached_windows(self._scope, window, timedelta(0))
        return await self._tally_cached(parts, question.group_by) or {}

    async def _read_groups_around(self, occasion: CountScope) -> Tallies | None:
        """The groups of what is known around the window counted; None when it is gone."""
        question = self._question
        if not question.group_by:
            return {}
        cached = await self._tally_cached(occasion.cached_parts, question.group_by)
        if cached is None:
            return None
        return tallies_module.merge(
            cached, tallies_module.tally_by(occasion.sessions, question.group_by, question.zone)
        )

    def _explain_restart(self) -> str:
        """Why the same call cannot go on from where this one stops, empty when it can."""
        if self._mirror.store is None:
            return "VERIFY_MCP_MIRROR is off"
        if self._mirror.database.problem:
            return "the database cannot be used"
        return "" if self._question.session_filter.is_unfiltered() else "the question has filters"

    def _requests_left(self) -> int:
        if self._mirror.clock.monotonic() >= self._stop_at or self._is_clock_wrong():
            return 0
        return self._question.max_requests - self._effort.requests_sent

    def _is_clock_wrong(self) -> bool:
        """Whether a reply showed that a wrong clock made the window, which is made anew then."""
        return abs(self._mirror.gateway.api_clock.offset - self._offset) > CLOCK_TOLERANCE

    def _can_continue(self, walk: BackfillProgress) -> bool:
        return not self._stopped_early(walk) and self._requests_left() > 0

    def _stopped_early(self, walk: BackfillProgress) -> bool:
        return walk.eta_s is not None or walk.failure is not None

    async def _estimate_eta(self) -> float:
        """Seconds until the same call can go on."""
        return (await self._mirror.gateway.list_limiter.status()).eta_s

    async def _estimate_eta_exact(self, pages: float) -> float | None:
        """Seconds until so many more requests have been made; None when that is not known."""
        if pages == inf:
            return None
        standing = await self._mirror.gateway.list_limiter.status()
        rate, more = self._mirror.settings.rate_limit, pages - standing.left
        if more <= 0:
            return 0.0
        first = rate.window if standing.left else standing.eta_s
        return first + (ceil(more / rate.requests) - 1) * rate.window


def out_of_reach_result(window: Window, now: datetime) -> SummaryResult:
    """The finding about a window that lies before what the API can show: no figure is known."""
    return SummaryResult("", window, {}, now, (window,), explain_reach(now - REACH))


@dataclass(frozen=True, slots=True)
class _Cached:
    """The window as it will be answered, and what of it is held."""

    window: Window
    parts: tuple[Window, ...]
    tallies: Tallies
    as_of: datetime
    now: datetime


def _max_job_age(window: Window) -> timedelta:
    """How long a count of a window may go on."""
    return min(max(window.length / 100, MIN_JOB_AGE), MAX_JOB_AGE)


def _edge_length(first: Page | None) -> timedelta:
    """How much of a window a page may hold, if sessions came at its start as on its first page."""
    if first is None or len(first.sessions) < PAGE_SIZE:
        return MIN_EDGE
    span = first.sessions[0].created - first.sessions[-1].created
    return min(max(span * 0.7, MIN_EDGE), MAX_EDGE)


def _pages_of(walks: Sequence[BackfillProgress]) -> float:
    """How many pages the rest of some walks may take, if sessions go on coming as they did."""
    seen = sum(each.length.total_seconds() for walk in walks for each in walk.complete_windows)
    rest = sum(each.length.total_seconds() for walk in walks for each in walk.missing)
    sessions = sum(len(walk.sessions) for walk in walks)
    return max(1.0, sessions / PAGE_SIZE * rest / seen) if seen else inf


def explain_missing(left: Sequence[Window], walks: Sequence[BackfillProgress], restart: str) -> str:
    """Why a finding does not cover the whole window, in fixed words.

    `restart` is why the same call cannot go on from here, empty when it can.
    """
    if not left:
        return ""
    failure = next((walk.failure for walk in walks if walk.failure), None)
    if failure is not None:
        return f"{failure} The figures cover the part that was fetched before."
    if any(walk.skipped for walk in walks):
        return "Some of the API's rows could not be read; the times around them are left out."
    if any(walk.api_repeats for walk in walks):
        return "The API repeats its pages, so the missing part cannot be fetched."
    pages = _pages_of(walks)
    busy = any(walk.eta_s is not None for walk in walks)
    quota = "The quota of API requests is in use. " if busy else ""
    many = "more" if pages == inf else f"about {ceil(pages)} more"
    missing = f"{quota}The missing part takes {many} requests"
    if restart:
        return (
            f"{missing}. What was fetched is not remembered ({restart}), so the same call begins "
            "anew. Ask about less time."
        )
    return f"{missing}; the same call goes on from here."


def explain_count(census: CountResult) -> str:
    """What a census leaves open, in fixed words."""
    sentences: list[str] = []
    if census.failure is not None:
        sentences.append(str(census.failure))
    if census.expired_is_inferred and "expired" in census.counts:
        sentences.append(
            "The expired are what the others leave, with those of undocumented statuses, if any, "
            "among them; the same call goes on to count them."
        )
    elif census.is_unfinished:
        sentences.append("Not all is counted yet; the same call goes on counting.")
    if census.inconsistent:
        sentences.append("Sessions changed while they were counted, so no status is told.")
    if census.unconfirmed:
        sentences.append(
            "Every page was read; the same call goes on with one request that tells whether rows "
            "came late."
        )
    elif census.missing_count:
        sentences.append(
            "Every page was read, but rows moved between pages meanwhile or could not be read: up "
            f"to {census.missing_count} sessions are missing in the figures in `estimated`. Asked "
            "again, the same call counts anew."
        )
    elif census.estimates:
        sentences.append(
            f"Figures in `estimated` come from {census.sampled_pages} of {census.pages} pages."
        )
    elif not census.is_unfinished:
        sentences.append("Cost and groups are not told yet; the same call goes on sampling.")
    if ANY_STATUS in census.counts and census.pages > census.sampled_pages:
        left = census.pages - census.sampled_pages
        sentences.append(f"Exact after about {left} more requests: the same call goes on.")
    return " ".join(sentences)
