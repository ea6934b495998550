"""A question about many sessions, answered from what is held, what can be fetched, or by counting.

The three ways are tried in this order, and the finding says which it was. Nothing is ever silently
partial: what a finding does not cover is in `missing`.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from math import ceil, inf

from verify_mcp import summary
from verify_mcp.api_clock import CLOCK_TOLERANCE
from verify_mcp.census import ALL, Census, Occasion, Taker
from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.exchange import LONGEST_CALL, Effort, patience
from verify_mcp.filters import PAGE, REACH, SessionFilter
from verify_mcp.mirror import MAX_STALENESS, Mirror
from verify_mcp.sessions import Page, Session
from verify_mcp.summary import Tallies, Tally
from verify_mcp.walk import Walk, Walker
from verify_mcp.windows import Window, gaps, overlap
from verify_mcp.wording import instant

DEFAULT_REQUESTS = 20
"""Requests a question may cost unless it says otherwise: one minute's quota."""
MOVED = timedelta(seconds=2)
"""How far a relative window asked again may be from where the clock moved it."""
MIN_JOB_AGE, MAX_JOB_AGE = timedelta(seconds=15), timedelta(hours=1)
"""How long a count may go on from call to call: a hundredth of its window, within these."""
MAX_WALK_AGE = timedelta(hours=1)
"""How old a part's unsettled sessions may be while other parts are missing altogether."""
MIN_EDGE, MAX_EDGE = timedelta(minutes=5), timedelta(hours=1)
"""How much of a window is fetched where the API's reach ends, before the rest is counted."""
EDGE_REQUESTS = 2
"""Requests that this part may take."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about which sessions; `wanted` holds no times, `window` does.

    `pinned` says that the asker named the window's end; otherwise it is now, and an answer may be
    a little older.
    """

    wanted: SessionFilter
    window: Window
    pinned: bool
    by: tuple[str, ...] = ()
    zone: tzinfo = UTC
    max_requests: int = DEFAULT_REQUESTS


@dataclass(frozen=True, slots=True)
class Finding:
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
    census: Census | None = None
    """What was counted, besides the tally (of no group) of what is known around it."""
    groups_around: Tallies | None = None
    """The groups of what is known around it; None when they are not known."""
    groups_inside: Tallies = field(default_factory=dict)
    """The groups of what is held inside the part that was counted, which has these at least."""


class Survey:
    """One question under way."""

    def __init__(self, mirror: Mirror, question: Question, effort: Effort) -> None:
        self._mirror = mirror
        self._question = question
        self._effort = effort
        self._scope = question.wanted.subaccount or ""
        self._offset = mirror.exchange.clock.offset
        now = mirror.world.clock()
        self._stop_at = now + LONGEST_CALL - mirror.settings.request_timeout
        effort.deadline = now + patience(mirror.settings)

    async def finding(self) -> Finding:
        """The answer. Raises ApiError when the API fails and nothing is held."""
        if not self._question.pinned and await self._mirror.is_behind_store(self._scope):
            # One reply tells the API's time, by which the window is then made anew.
            await self._mirror.asked(SessionFilter(), limit=1, offset=0, effort=self._effort)
        begun = self._begun()
        if begun is not None and not self._can_fetch(begun.census.pages):
            finding = await self._counted(begun)
            if finding.census:
                return finding
            if self._mirror.store is None or not self._question.wanted.is_open():
                return await self._with_newest(finding)
            self._mirror.unfinished.pop(self._key(), None)
            # Every page was read, and all is held now but what came since.
        held = await self._held_while_incomplete()
        if held is not None:
            finding = await self._found(held)
            fresh = await self._held(MAX_STALENESS)
            if finding.missing or finding.census or not gaps(fresh.window, fresh.parts):
                return finding
        return await self._found(await self._held(MAX_STALENESS))

    async def _held_while_incomplete(self) -> "_Held | None":
        """What is there when older parts are missing, which are fetched first; else None.

        What came on the way here is refreshed once nothing else is missing.
        """
        held = await self._held(MAX_WALK_AGE)
        if not held.parts or not gaps(Window(held.window.start, held.parts[-1].end), held.parts):
            return None
        end = held.parts[-1].end
        if self._question.pinned or held.window.end - end > MAX_WALK_AGE:
            return held
        return replace(held, window=Window(held.window.start, end))

    async def _found(self, held: "_Held") -> Finding:
        """The answer that starts from what is held."""
        missing = gaps(held.window, held.parts)
        if not missing:
            return Finding("held", held.window, held.tallies, held.as_of)
        if len(missing) > 1 and self._question.wanted.recipient:
            # One page holds what a recipient asked for in months; each gap would cost one.
            held = replace(held, parts=(), tallies={}, as_of=held.now)
            missing = (held.window,)
        walks = [self._walker(window) for window in reversed(missing)]  # the youngest part first
        left = await self._first_steps(walks)
        if walks[0].walk.failure is not None and not held.parts:
            raise walks[0].walk.failure
        if not left or self._affordable(left):
            return await self._fetched(held, walks)
        known = await self._held(MAX_WALK_AGE)
        lacking = gaps(known.window, known.parts)
        if held.window.end < known.window.end:
            return await self._found(known)
        if known.parts and all(window.start >= known.parts[-1].end for window in lacking):
            # All but the newest part was seen within the hour, which is better than a count.
            return await self._fetched(known, [self._walker(window) for window in lacking])
        taker = await self._taker(held, walks)
        await taker.count_all()
        if ALL in taker.census.counts and self._can_fetch(taker.census.pages):
            return await self._fetched(held, walks)
        self._mirror.unfinished[self._key()] = taker
        return await self._counted(taker)

    def _key(self) -> Hashable:
        return ("census", self._question.wanted)

    def _begun(self) -> Taker | None:
        """A census that an earlier call began for this question, while it is not too old.

        Asked again, a relative window has moved on with the clock; it is answered as of then.
        """
        taker = self._mirror.unfinished.get(self._key())
        if not isinstance(taker, Taker):
            return None
        question, asked = self._question, taker.occasion
        now = self._mirror.now()
        if taker.census.window.start < now - REACH:
            return None  # the API no longer shows all that was counted
        passed = now - asked.at
        if passed < -CLOCK_TOLERANCE:
            return None  # it was begun before this machine's clock was known to be wrong
        moved = question.window.start - asked.window.start
        same_start = not moved or abs(moved - passed) <= MOVED
        same_end = question.window.end == asked.window.end or not (question.pinned or asked.pinned)
        return taker if same_start and same_end and passed <= _max_job_age(asked.window) else None

    def _walker(self, window: Window) -> Walker:
        return Walker(self._mirror, self._question.wanted, window)

    def _can_fetch(self, pages: int) -> bool:
        return pages <= self._budget()

    async def _taker(self, held: "_Held", walks: Sequence[Walker]) -> Taker:
        """A census of what is left, from the first gap's start to the last one's end."""
        left = [walker for walker in walks if walker.walk.missing]
        hull = Window(left[-1].walk.window.start, left[0].walk.window.end)
        edge = await self._walk_edge(left[-1].walk.window, left[0].first_page)
        if edge is not None:
            hull = Window(edge.walk.window.end, hull.end)
            walks = [*walks, edge]
            if edge.walk.missing:  # what could not be fetched there is left out, and told
                start = edge.walk.missing[-1].end
                held = replace(held, window=Window(start, held.window.end))
        occasion = await self._occasion(held, walks, hull)
        if occasion is None:  # what was held is gone: all of it is counted
            hull = held.window
            occasion = Occasion(held.window, self._question.pinned, held.now, held.as_of, Tally())
        taker = Taker(self._mirror, self._question.wanted, hull, occasion)
        taker.resume(self._effort, self._budget)
        first, at_the_end = left[0].first_page, left[0].walk.window.end == hull.end
        is_full = first is not None and first.received >= PAGE and not first.skipped
        if first is not None and at_the_end and is_full and not first.repeats:
            taker.knows(first)
        return taker

    async def _walk_edge(self, gap: Window, first: Page | None) -> Walker | None:
        """Fetch the sessions that leave the API's reach soon; None where none do.

        A count goes on for minutes or hours, and its window must lie within the reach all the time.
        """
        if gap.start > self._mirror.now() - REACH + MIN_EDGE:
            return None
        walker = self._walker(Window(gap.start, min(gap.start + _edge_length(first), gap.end)))
        for _ in range(EDGE_REQUESTS):
            if walker.over or self._budget() <= 0 or self._stopped(walker.walk):
                break
            await walker.step(self._effort, budget=1)
        return walker

    async def _first_steps(self, walks: Sequence[Walker]) -> Sequence[Walker]:
        """Walk what a page each is enough for; the rest, whose first page is there then."""
        for number, walker in enumerate(walks):
            if self._budget() <= 0:
                return walks[number:]
            await walker.step(self._effort, budget=1)
            if not walker.over:
                return walks[number:]
        return ()

    async def _held(self, max_staleness: timedelta) -> "_Held":
        """What need not be asked: the window as it will be answered and its parts held."""
        question, now = self._question, self._mirror.now()
        window, nothing = question.window, _Held(question.window, (), {}, now, now)
        if not question.wanted.on_what_is_kept():
            return nothing
        parts, at = await self._mirror.covered(self._scope, window, max_staleness)
        parts = await self._mirror.decided(self._scope, question.wanted, parts)
        tallies = await self._tallied(parts, question.by)
        if tallies is None:
            return nothing
        if parts and not question.pinned and window.end - parts[-1].end <= MAX_STALENESS:
            window = replace(window, end=parts[-1].end)
        return _Held(window, parts, tallies, min(at, now if question.pinned else window.end), now)

    async def _tallied(self, parts: Sequence[Window], by: tuple[str, ...]) -> Tallies | None:
        """The tallies of parts that are held, None when they are not (or no longer) to be had."""
        store, question = self._mirror.store, self._question
        if store is None or not parts:
            return {}
        try:
            tallies = await store.tallied(question.wanted, self._scope, parts, by, question.zone)
        except DatabaseUnavailable:
            return None
        still, _ = await self._mirror.covered(self._scope, question.window, MAX_WALK_AGE)
        return None if any(gaps(part, still) for part in parts) else tallies  # else: purged

    def _affordable(self, left: Sequence[Walker]) -> bool:
        """Whether fetching all that is missing can be afforded, as far as one page tells.

        Who allows more requests than the default means to fetch, so the guess may be far out.
        """
        if self._stopped(left[0].walk):
            return True  # nothing more can be asked either way
        generous = self._question.max_requests > DEFAULT_REQUESTS
        return _pages([walker.walk for walker in left]) <= self._budget() * (3 if generous else 0.6)

    async def _fetched(self, held: "_Held", walks: Sequence[Walker]) -> Finding:
        for walker in walks:
            while not walker.over and self._may_go_on(walker.walk):
                await walker.step(self._effort, budget=self._budget())
            if self._stopped(walker.walk):
                break
        done = [walker.walk for walker in walks]
        sessions = [each for walk in done for each in walk.sessions]
        fetched = summary.tallied(sessions, self._question.by, self._question.zone)
        left = gaps(held.window, [*held.parts, *(each for walk in done for each in walk.whole)])
        window, left = self._trimmed(held.window, left)
        is_over = not left or all(walker.over for walker in walks)
        return Finding(
            "fetched",
            window,
            summary.added(held.tallies, fetched),
            min([held.as_of, *(walk.as_of for walk in done if walk.as_of)]),
            left,
            self._explain(left, done, is_over=is_over),
            None if is_over else await self._eta(),
            None if is_over else await self._eta_exact(_pages(done)),
            sum(walk.skipped for walk in done),
        )

    def _explain(self, left: Sequence[Window], walks: Sequence[Walk], *, is_over: bool) -> str:
        """Why an answer does not cover its window, and which bound ended the call."""
        whys = (_why(left, walks, self._explain_restart()), "" if is_over else self._exhausted())
        return " ".join(filter(None, whys))

    def _trimmed(
        self, window: Window, left: tuple[Window, ...]
    ) -> tuple[Window, tuple[Window, ...]]:
        """The window that an answer covers, without what left the API's reach meanwhile.

        An end that is now becomes the instant up to which the answer reaches; what is missing to
        now stays in `left` when it is more than a minute.
        """
        start, end = window.start, window.end
        if left and left[0].start == start and left[0].end <= self._mirror.now() - REACH + MOVED:
            start, left = left[0].end, left[1:]
        is_cut = not self._question.pinned and bool(left) and left[-1].end == end
        if is_cut and start < left[-1].start and left[-1].length <= MAX_WALK_AGE:
            end, left = left[-1].start, left[:-1]
        newest = Window(end, max(end, self._question.window.end))
        if (left or is_cut) and newest.length > MAX_STALENESS:
            left = (*left, newest)
        return Window(start, end), left

    def _exhausted(self) -> str:
        """Which bound ended the call, in fixed words."""
        if self._effort.requests >= self._question.max_requests:
            return f"This call spent its max_requests ({self._question.max_requests})."
        if self._mirror.world.clock() >= self._stop_at:
            return "This call's time is over."
        return ""

    async def _counted(self, taker: Taker) -> Finding:
        """The answer by counting, as far as the budget goes."""
        async with taker.turn:
            taker.resume(self._effort, self._budget)
            await taker.count_all()
            await taker.count_statuses()
            await taker.take_sample(self._question.by, self._question.zone)
            census, everything = taker.census.copy(), taker.everything()
            is_open = census.counting or census.unconfirmed
            is_at_end = taker.has_every_page and everything is None and not is_open
        occasion = taker.occasion
        if everything is not None:
            finding = await self._read_whole(taker, everything)
            if finding is not None:
                return finding
        if is_at_end:  # more requests tell no more; asked again, the question begins anew
            self._mirror.unfinished.pop(self._key(), None)
        return Finding(
            "counted",
            occasion.window,
            {(): occasion.outside},
            occasion.as_of,
            (census.window,),
            " ".join(filter(None, (census_why(census), self._exhausted()))),
            None if is_at_end else await self._eta(),
            None if is_at_end else await self._eta_exact(census.pages - census.sampled),
            census.skipped,
            census=census,
            groups_around=await self._groups_around(occasion),
            groups_inside=await self._groups_inside(census.window),
        )

    async def _read_whole(self, taker: Taker, everything: list[Session]) -> Finding | None:
        """The exact answer after a census that came to read every page; None if it cannot be."""
        question, occasion, window = self._question, taker.occasion, taker.census.window
        around = gaps(occasion.window, [window])
        outside = await self._tallied(around, question.by)
        if outside is None or (around and self._mirror.store is None):
            return None
        claim, receipt = window if question.wanted.is_open() else None, taker.receipt
        if receipt is not None:  # each page was kept as it came; together they are all there are
            await self._mirror.keep(everything, self._scope, claim, receipt, receipt.earliest)
        covers = occasion.window
        if not around:  # a start that is so long ago has moved on with the clock
            covers = Window(min(max(covers.start, question.window.start), covers.end), covers.end)
            everything = [each for each in everything if each.created in covers]
        own = summary.tallied(everything, question.by, question.zone)
        as_of = min(occasion.as_of, receipt.earliest) if receipt else occasion.as_of
        return Finding("fetched", covers, summary.added(outside, own), as_of)

    async def _with_newest(self, finding: Finding) -> Finding:
        """The finding with the sessions that came since its end, where the question ends now."""
        end = self._question.window.end
        if self._question.pinned or end - finding.window.end <= MAX_STALENESS:
            self._mirror.unfinished.pop(self._key(), None)
            return finding
        walker = self._walker(Window(finding.window.end, end))
        while not walker.over and self._may_go_on(walker.walk):
            await walker.step(self._effort, budget=self._budget())
        walk, question = walker.walk, self._question
        if not walk.missing:
            self._mirror.unfinished.pop(self._key(), None)
        newest = summary.tallied(walk.sessions, question.by, question.zone)
        return replace(
            finding,
            window=Window(finding.window.start, end),
            tallies=summary.added(finding.tallies, newest),
            missing=walk.missing,
            why="The sessions that came since then are not fetched yet; the same call goes on."
            if walk.missing
            else "",
            eta_s=await self._eta() if walk.missing else None,
            skipped=walk.skipped,
        )

    async def _occasion(
        self, held: "_Held", walks: Sequence[Walker], hull: Window
    ) -> Occasion | None:
        """What is known around the window to be counted, None when it is no longer held."""
        around = gaps(held.window, [hull])
        parts = [both for part in held.parts for each in around if (both := overlap(part, each))]
        tallies = await self._tallied(parts, ())
        if tallies is None:
            return None
        sessions = tuple(
            session
            for walker in walks
            for session in walker.walk.sessions
            if session.created not in hull and session.created in held.window
        )
        outside = summary.total(summary.added(tallies, summary.tallied(sessions, ())).values())
        return Occasion(
            held.window,
            self._question.pinned,
            held.now,
            held.as_of,
            outside,
            tuple(parts),
            sessions,
        )

    async def _groups_inside(self, window: Window) -> Tallies:
        """The groups of the final sessions held inside the window counted."""
        question = self._question
        if not question.by or not question.wanted.on_what_is_kept():
            return {}
        parts, _ = await self._mirror.covered(self._scope, window, timedelta(0))
        return await self._tallied(parts, question.by) or {}

    async def _groups_around(self, occasion: Occasion) -> Tallies | None:
        """The groups of what is known around the window counted; None when it is gone."""
        question = self._question
        if not question.by:
            return {}
        held = await self._tallied(occasion.parts, question.by)
        if held is None:
            return None
        return summary.added(held, summary.tallied(occasion.sessions, question.by, question.zone))

    def _explain_restart(self) -> str:
        """Why the same call cannot go on from where this one stops, empty when it can."""
        if self._mirror.store is None:
            return "VERIFY_MCP_MIRROR is off"
        if self._mirror.access.problem:
            return "the database cannot be used"
        return "" if self._question.wanted.is_open() else "the question has filters"

    def _budget(self) -> int:
        if self._mirror.world.clock() >= self._stop_at or self._is_clock_wrong():
            return 0
        return self._question.max_requests - self._effort.requests

    def _is_clock_wrong(self) -> bool:
        """Whether a reply showed that a wrong clock made the window, which is made anew then."""
        return abs(self._mirror.exchange.clock.offset - self._offset) > CLOCK_TOLERANCE

    def _may_go_on(self, walk: Walk) -> bool:
        return not self._stopped(walk) and self._budget() > 0

    def _stopped(self, walk: Walk) -> bool:
        return walk.eta_s is not None or walk.failure is not None

    async def _eta(self) -> float:
        """Seconds until the same call can go on."""
        return (await self._mirror.exchange.lists.standing()).eta_s

    async def _eta_exact(self, pages: float) -> float | None:
        """Seconds until so many more requests have been made; None when that is not known."""
        if pages == inf:
            return None
        standing = await self._mirror.exchange.lists.standing()
        rate, more = self._mirror.settings.rate_limit, pages - standing.left
        if more <= 0:
            return 0.0
        first = rate.window if standing.left else standing.eta_s
        return first + (ceil(more / rate.requests) - 1) * rate.window


def unreachable(window: Window, now: datetime) -> Finding:
    """The finding about a window that lies before what the API can show: no figure is known."""
    why = f"The API reaches back 90 days, to {instant(now - REACH)} UTC."
    return Finding("", window, {}, now, (window,), why)


@dataclass(frozen=True, slots=True)
class _Held:
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
    if first is None or len(first.sessions) < PAGE:
        return MIN_EDGE
    span = first.sessions[0].created - first.sessions[-1].created
    return min(max(span * 0.7, MIN_EDGE), MAX_EDGE)


def _pages(walks: Sequence[Walk]) -> float:
    """How many pages the rest of some walks may take, if sessions go on coming as they did."""
    seen = sum(each.length.total_seconds() for walk in walks for each in walk.whole)
    rest = sum(each.length.total_seconds() for walk in walks for each in walk.missing)
    sessions = sum(len(walk.sessions) for walk in walks)
    return max(1.0, sessions / PAGE * rest / seen) if seen else inf


def _why(left: Sequence[Window], walks: Sequence[Walk], restart: str) -> str:
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
    if any(walk.circles for walk in walks):
        return "The API repeats its pages, so the missing part cannot be fetched."
    pages = _pages(walks)
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


def census_why(census: Census) -> str:
    """What a census leaves open, in fixed words."""
    said: list[str] = []
    if census.failure is not None:
        said.append(str(census.failure))
    if census.unchecked and "expired" in census.counts:
        said.append(
            "The expired are what the others leave, with those of undocumented statuses, if any, "
            "among them; the same call goes on to count them."
        )
    elif census.counting:
        said.append("Not all is counted yet; the same call goes on counting.")
    if census.differs:
        said.append("Sessions changed while they were counted, so no status is told.")
    if census.unconfirmed:
        said.append(
            "Every page was read; the same call goes on with one request that tells whether rows "
            "came late."
        )
    elif census.lacking:
        said.append(
            "Every page was read, but rows moved between pages meanwhile or could not be read: up "
            f"to {census.lacking} sessions are missing in the figures in `estimated`. Asked again, "
            "the same call counts anew."
        )
    elif census.estimates:
        said.append(f"Figures in `estimated` come from {census.sampled} of {census.pages} pages.")
    elif not census.counting:
        said.append("Cost and groups are not told yet; the same call goes on sampling.")
    if ALL in census.counts and census.pages > census.sampled:
        left = census.pages - census.sampled
        said.append(f"Exact after about {left} more requests: the same call goes on.")
    return " ".join(said)
