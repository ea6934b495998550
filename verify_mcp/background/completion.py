"""Completes the windows of questions whose answer was not exact, in the order of asking.

Each step reads the coverage again, so that a page which another walk saved meanwhile is not
fetched again, and a process that takes over goes on where the last one stopped.
"""

from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

from verify_mcp.background.forecast import seconds_paused, slots_for_background
from verify_mcp.background.leased_loop import BUSY_SECONDS
from verify_mcp.background.offset_walk import OffsetWalk
from verify_mcp.background.unfinished_windows import UnfinishedWindow, UnfinishedWindows
from verify_mcp.background.walks import background_call, is_for_one_of, pause_after
from verify_mcp.clock import Clock
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.windows import Window, covers, gaps
from verify_mcp.mirror.backfill import CONCURRENT_PAGES, Backfill
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.mirror.placed_pages import ReadPages
from verify_mcp.mirror.store import RECENT_FETCHES

IDLE_SECONDS = 5.0
"""Seconds between two looks for work of other processes."""
MAX_OFFSET_WALKS = 5
"""Windows of which the pages that counts read are remembered."""


@dataclass(slots=True)
class _Walk:
    """The backfill under way, and the gaps of its window that cannot be covered."""

    unfinished: UnfinishedWindow
    backfill: Backfill | None = None
    hopeless: list[Window] = field(default_factory=list)

    def is_for(self, other: UnfinishedWindow) -> bool:
        mine = self.unfinished
        return (mine.scope, mine.window) == (other.scope, other.window)


class CompletionWorker:
    """Completes one account's unfinished windows; `step` fetches a few pages."""

    def __init__(self, mirror: Mirror, windows: UnfinishedWindows, clock: Clock) -> None:
        self._mirror = mirror
        self._windows = windows
        self._clock = clock
        self._walk: _Walk | None = None
        self._offset_walks: list[OffsetWalk] = []

    def use(self, scope: str, read: ReadPages) -> None:
        """Do not read again what a count read of a window."""
        if all((walk.scope, walk.window) != (scope, read.window) for walk in self._offset_walks):
            walks = [*self._offset_walks, OffsetWalk(self._mirror, scope, read)]
            self._offset_walks = walks[-MAX_OFFSET_WALKS:]

    async def step(self) -> float:
        """Fetch the next few pages; the seconds until there may be more to do.

        Raises DatabaseUnavailable, QuotaExhausted or ApiError.
        """
        present = await self._windows.read(self._mirror.now())
        if not present:
            return IDLE_SECONDS
        status = await self._mirror.gateway.list_limiter.status()
        if paused := seconds_paused(status):
            return paused
        slots = slots_for_background(status, self._mirror.settings.rate_limit)
        if not slots:
            return max(BUSY_SECONDS, status.background_eta_s)
        return await self._advance(present[0], slots)

    async def _advance(self, unfinished: UnfinishedWindow, slots: int) -> float:
        walk = self._walk
        if walk is None or not walk.is_for(unfinished):
            walk = self._walk = _Walk(unfinished)
        missing = await self._find_missing(unfinished)
        offset_walk = self._choose_offset_walk(unfinished, missing)
        if offset_walk is not None:
            return await self._advance_offset_walk(offset_walk, unfinished, slots)
        backfill = self._choose_backfill(walk, missing)
        if backfill is None or not unfinished.requests_left:
            await self._windows.remove(unfinished)
            return 0.0
        call = background_call(self._clock)
        budget = min(CONCURRENT_PAGES, slots, unfinished.requests_left)
        await backfill.step(call, budget=budget)
        progress = backfill.progress
        pages = _pages_left(unfinished, call.requests_sent, backfill, missing)
        if unfinished.is_filtered and pages > unfinished.requests_left - call.requests_sent:
            await self._windows.remove(unfinished)
            return 0.0
        await self._windows.record(unfinished, call.requests_sent, pages)
        if progress.failure is not None:
            self._walk = None
        return pause_after(progress)

    def _choose_offset_walk(
        self, unfinished: UnfinishedWindow, missing: tuple[Window, ...]
    ) -> OffsetWalk | None:
        """The walk that needs the fewest requests for what is missing next; None for gap by gap."""
        if unfinished.is_filtered or not unfinished.requests_left:
            return None
        walks = (walk for walk in self._offset_walks if covers(walk.window, [unfinished.window]))
        return next((walk for walk in walks if walk.is_for(unfinished.scope, missing)), None)

    async def _advance_offset_walk(
        self, walk: OffsetWalk, unfinished: UnfinishedWindow, slots: int
    ) -> float:
        call = background_call(self._clock)
        await walk.step(call, budget=min(CONCURRENT_PAGES, slots, unfinished.requests_left))
        if walk.is_done:
            self._offset_walks.remove(walk)
            if not await self._find_missing(unfinished):
                await self._windows.remove(unfinished)
                return 0.0
        sent, pages = call.requests_sent, unfinished.pages
        left = None if pages is None else max(1, pages - sent)
        await self._windows.record(unfinished, sent, left)
        return pause_after(walk.progress)

    async def _find_missing(self, unfinished: UnfinishedWindow) -> tuple[Window, ...]:
        """The parts of a window, within the API's reach, that an answer would have to fetch."""
        window = _within_reach(unfinished.window, self._mirror.now())
        parts, _ = await self._mirror.cached_windows(unfinished.scope, window, RECENT_FETCHES)
        return gaps(window, parts)

    def _choose_backfill(self, walk: _Walk, missing: tuple[Window, ...]) -> Backfill | None:
        """The backfill under way, or one of the newest gap; None when no gap can be covered."""
        current = walk.backfill
        if current is not None and current.done:
            walk.hopeless.append(current.progress.window)
        elif current is not None and is_for_one_of(current, missing):
            return current
        left = [window for window in missing if not covers(window, walk.hopeless)]
        walk.backfill = None
        if left:
            session_filter = SessionFilter(subaccount=walk.unfinished.scope or None)
            walk.backfill = Backfill(self._mirror, session_filter, left[-1])
        return walk.backfill


def _within_reach(window: Window, now: datetime) -> Window:
    start = min(max(window.start, reach_edge(now)), window.end)
    return Window(start, window.end)


def _pages_left(
    unfinished: UnfinishedWindow, requests: int, backfill: Backfill, missing: tuple[Window, ...]
) -> int:
    """How many more pages a window takes after `requests` more.

    An expectation from before is more exact than the times of a few pages.
    """
    if unfinished.pages is not None and not unfinished.is_filtered:
        return max(1, unfinished.pages - requests)
    length = sum(gap.length.total_seconds() for gap in missing)
    share = length / max(1.0, backfill.progress.window.length.total_seconds())
    pages_of_gap = backfill.progress.expected_pages()
    return max(1, ceil(pages_of_gap * share))
