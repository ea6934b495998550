"""The background work of one account in this process, and what answers may promise about it."""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

import anyio

from verify_mcp.background.completion import CompletionWorker
from verify_mcp.background.follower import Follower, follow_lease, read_view
from verify_mcp.background.forecast import seconds_for
from verify_mcp.background.lease import Lease
from verify_mcp.background.leased_loop import BUSY_SECONDS, LeasedLoop
from verify_mcp.background.repeated_counts import CountWork, RepeatedCounts
from verify_mcp.background.unfinished_windows import (
    UnfinishedWindow,
    UnfinishedWindows,
    expected_requests,
)
from verify_mcp.clock import Clock
from verify_mcp.domain.api_limits import PAGE_SIZE, REACH
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.tallies import total
from verify_mcp.domain.windows import Window, gaps
from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.mirror.placed_pages import ReadPages
from verify_mcp.plivo.rate_limiter import RateLimiter
from verify_mcp.settings import Settings

MIN_SESSIONS = 50
"""Stored sessions from which it is estimated how many a window has."""
SPARE_REQUESTS = 20
"""Requests of a count beyond twice those expected, after which it is given up."""
MAX_BEHIND = timedelta(days=1)
"""How far back the newest session is looked for when another process follows."""


@dataclass(frozen=True, slots=True)
class PlannedCompletion:
    """A window that is completed in the background.

    `eta_s` is the seconds until all `requests` are made, None while their number is not known.
    Only `max_requests` of them are made before the question is asked again.
    """

    eta_s: float | None
    requests: int | None
    max_requests: int

    @property
    def is_bounded(self) -> bool:
        """Whether more requests are needed than are made for one question."""
        return self.requests is not None and self.requests > self.max_requests


@dataclass(frozen=True, slots=True)
class BackgroundStatus:
    """How many windows are still to be completed or counted, and the seconds until they are."""

    windows: int
    eta_s: float


@dataclass(frozen=True, slots=True)
class FollowStatus:
    """How far the newest fetched session may lie back, and how much of the period is stored."""

    behind_s: float
    stored_share: float | None


class Background:
    """Completes windows of one account while it runs; answers promise nothing while it does not."""

    def __init__(self, mirror: Mirror, clock: Clock, settings: Settings) -> None:
        self._mirror = mirror
        self._settings = settings
        self._windows: UnfinishedWindows | None = None
        self._worker: CompletionWorker | None = None
        self._counts = RepeatedCounts(mirror, clock)
        self._follower: Follower | None = None
        self._loops: list[LeasedLoop] = []
        self._scope = anyio.CancelScope()
        self.is_running = False
        store = mirror.store
        if store is not None and settings.ahead:
            self._windows = UnfinishedWindows(store.database, store.account)
            worker = self._worker = CompletionWorker(mirror, self._windows, clock)
            lease = Lease(store.database, f"{store.account}:completion")
            self._loops.append(LeasedLoop(None, self._counts.step, clock))
            self._loops.append(LeasedLoop(lease, self._in_its_turn(worker), clock))
        if store is not None and settings.follow:
            self._follower = Follower(mirror, store, clock, settings.follow)
            self._loops.append(LeasedLoop(follow_lease(store), self._follower.step, clock))

    async def run(self) -> None:
        """Do the work until it is stopped or cancelled."""
        self.is_running = self._windows is not None
        try:
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    for loop in self._loops:
                        tasks.start_soon(loop.run)
        finally:
            self.is_running = False

    async def step(self) -> float:
        """One step of each kind of work; the seconds until the next one."""
        self.is_running = self._windows is not None
        return min([await loop.step() for loop in self._loops])

    def stop(self) -> None:
        """Cancel the work at once."""
        self.is_running = False
        self._scope.cancel()

    async def complete(
        self,
        session_filter: SessionFilter,
        window: Window,
        pages: float | None,
        read: ReadPages | None = None,
    ) -> PlannedCompletion | None:
        """Have a window completed in which `pages` are missing (None: not known), `read` of them.

        None when it is not: no work is done here, the mirror cannot answer the filter, or the
        sessions of the whole window take more requests than are made for one question.
        """
        if self._windows is None or not self.is_running:
            return None
        scope = session_filter.subaccount or ""
        is_filtered = not session_filter.for_fetching().is_unfiltered()
        if read is not None and self._worker is not None:
            self._worker.use(scope, read)
            present = sum(page.received > 0 for page in read.pages.values())
            pages = None if pages is None else pages - present
        if not session_filter.answerable_from_mirror():
            return None
        try:
            if is_filtered:
                pages = await self._estimate_pages(scope, window)
            requests = None if pages is None else max(1, ceil(pages))
            if is_filtered and requests is not None and requests > self._settings.ahead:
                return None
            return await self._plan(scope, window, requests, is_filtered=is_filtered)
        except DatabaseUnavailable:
            return None

    async def go_on_counting(
        self, key: Hashable, work: CountWork, expected: int
    ) -> PlannedCompletion | None:
        """Have a count go on in this process, which takes about so many requests.

        None when it does not: no work is done here, or too much waits already.
        """
        most = min(self._settings.ahead, 2 * expected + SPARE_REQUESTS)
        if not self.is_running or not self._counts.add(key, work, expected, most):
            return None
        for loop in self._loops:
            loop.wake()
        eta_s = await self._seconds_for(self._counts.expected_requests)
        return PlannedCompletion(eta_s, expected, most)

    def _in_its_turn(self, worker: CompletionWorker) -> Callable[[], Awaitable[float]]:
        """The worker's steps, which wait for the counts and for what is followed.

        Counts take few requests, and an answer about the newest days needs what is followed.
        """

        async def step() -> float:
            is_following = self._follower is not None and self._follower.is_urgent
            return BUSY_SECONDS if self._counts.waiting or is_following else await worker.step()

        return step

    async def status(self) -> BackgroundStatus | None:
        """What is under way in any process; None when nothing is."""
        if self._windows is None:
            return None
        try:
            present = await self._windows.read(self._mirror.now())
        except DatabaseUnavailable:
            return None
        if not present and not self._counts.waiting:
            return None
        requests = expected_requests(present) + self._counts.expected_requests
        return BackgroundStatus(
            len(present) + self._counts.waiting, await self._seconds_for(requests)
        )

    async def follow_status(self) -> FollowStatus | None:
        """How far following has come in any process; None when nobody follows."""
        store, span = self._mirror.store, self._settings.follow
        if store is None:
            return None
        try:
            if span is None and not await follow_lease(store).is_taken():
                return None
            view = await read_view(self._mirror, store, span or MAX_BEHIND, "")
        except DatabaseUnavailable:
            return None
        share = None if span is None else view.stored_share
        return FollowStatus(view.behind.total_seconds(), share)

    async def _plan(
        self, scope: str, window: Window, requests: int | None, *, is_filtered: bool
    ) -> PlannedCompletion | None:
        assert self._windows is not None  # noqa: S101 - `complete` looked
        most = self._settings.ahead
        unfinished = UnfinishedWindow(
            scope, window, self._mirror.now(), most, pages=requests, is_filtered=is_filtered
        )
        before = await self._windows.add(unfinished)
        if before is None:
            return None
        for loop in self._loops:
            loop.wake()
        if requests is None:
            return PlannedCompletion(None, None, most)
        eta_s = await self._seconds_for(expected_requests(before) + requests)
        return PlannedCompletion(eta_s, requests, most)

    async def _seconds_for(self, requests: int) -> float:
        limiter: RateLimiter = self._mirror.gateway.list_limiter
        return seconds_for(requests, await limiter.status(), self._settings.rate_limit)

    async def _estimate_pages(self, scope: str, window: Window) -> float | None:
        """Pages of all sessions that are missing in a window, by how often they came elsewhere."""
        store, now = self._mirror.store, self._mirror.now()
        assert store is not None  # noqa: S101 - `complete` looked
        covered = await store.cached_windows(scope, Window(now - REACH, now))
        everything = SessionFilter(subaccount=scope or None)
        sessions = total((await store.tally(everything, scope, covered, ())).values()).sessions
        if sessions < MIN_SESSIONS:
            return None
        seconds = _seconds(covered)
        missing = gaps(window, covered)
        return sessions / seconds * _seconds(missing) / PAGE_SIZE + len(missing) / 2


def _seconds(windows: tuple[Window, ...]) -> float:
    return sum((window.length for window in windows), timedelta()).total_seconds()
