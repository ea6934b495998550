"""Keeps the newest days covered: one process of all fetches what is new, ended or settled.

Each step reads what is stored and decides anew, so that another process can take over, and so that
what other calls fetched is not fetched again.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from verify_mcp import metrics
from verify_mcp.background.follow_plan import (
    TIME_TO_END,
    FollowView,
    RefreshPlan,
    newest_window,
    older_gap,
    plan_refresh,
    recent_gap,
    settled_window,
    unsettled_instants,
)
from verify_mcp.background.forecast import seconds_paused, slots_for_background
from verify_mcp.background.lease import Lease
from verify_mcp.background.leased_loop import BUSY_SECONDS
from verify_mcp.background.single_refresh import refresh_single
from verify_mcp.background.walks import background_call, is_for_one_of, pause_after
from verify_mcp.clock import Clock
from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, merge
from verify_mcp.mirror.backfill import CONCURRENT_PAGES, Backfill, BackfillProgress
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.mirror.store import RECENT_FETCHES, Store
from verify_mcp.mirror.unsettled_sessions import read_open_instants

REFRESH_WAIT = timedelta(minutes=1)
"""Time between two looks for sessions that may have ended."""
MAX_REFRESH_WAIT = timedelta(minutes=10)
"""How long a session that may have ended waits for others that fill a page with it."""
MIN_RETRY = timedelta(minutes=30)
"""The shortest time between two fetches of a session that does not become final."""
MAX_OPEN_SESSIONS = 2000
"""Sessions that may have ended, of which one plan takes care."""
MAX_UNFINISHED_WALKS = 8
"""Backfills that are remembered while a more urgent one goes first."""
IDLE_SECONDS = 30.0
"""The most seconds between two looks at what is stored while nothing is due."""


@dataclass(slots=True)
class _Refresh:
    """What remains of the last plan to refresh sessions, and when the next one is due."""

    left: list[Window] = field(default_factory=list)
    next_at: datetime | None = None

    @classmethod
    def begin(cls, plan: RefreshPlan, next_at: datetime) -> "_Refresh":
        """The plan's windows with several sessions, before those with one."""
        singles = [Window(at, at + MICROSECOND) for at in plan.singles]
        return cls([*plan.windows, *singles], next_at)

    def finish(self, window: Window) -> None:
        """Go on to the next window."""
        self.left = [other for other in self.left if other != window]


class Follower:
    """Keeps the last `span` of one account, or of a subaccount (`scope`), covered."""

    def __init__(
        self, mirror: Mirror, store: Store, clock: Clock, span: timedelta, scope: str = ""
    ) -> None:
        self._mirror = mirror
        self._store = store
        self._clock = clock
        self._span = span
        self._scope = scope
        self._walks: list[Backfill] = []
        self._done: list[tuple[Window, datetime]] = []
        self._rate: float | None = None
        self._refresh = _Refresh()
        self._tried: dict[datetime, datetime] = {}
        self.is_urgent = False
        """Whether the newest days, not the past, are being fetched."""

    async def step(self) -> float:
        """Fetch the next few pages; the seconds until there may be more to do.

        Raises DatabaseUnavailable, QuotaExhausted or ApiError.
        """
        view = await self.view()
        metrics.record_follow(view.behind.total_seconds())
        status = await self._mirror.gateway.list_limiter.status()
        if paused := seconds_paused(status):
            return paused
        slots = slots_for_background(status, self._mirror.settings.rate_limit)
        if not slots:
            return max(BUSY_SECONDS, status.background_eta_s)
        window = await self._choose(view)
        if window is None:
            return min(
                IDLE_SECONDS, max(BUSY_SECONDS, (view.interval - view.behind).total_seconds())
            )
        return await self._walk(window, slots)

    async def view(self) -> FollowView:
        """What is stored of the period. Raises DatabaseUnavailable.

        A window that was fetched lately counts, whatever could not be read of it.
        """
        view = await read_view(self._mirror, self._store, self._span, self._scope)
        now = view.period.end
        self._done = [(window, at) for window, at in self._done if now - at < MIN_RETRY]
        settled = [window for window, at in self._done if window.end <= at - view.time_to_settle]
        return replace(
            view,
            covered=merge([*view.covered, *settled]),
            known=[*view.known, *(window for window, _ in self._done)],
            rate=self._rate,
        )

    async def _choose(self, view: FollowView) -> Window | None:
        window = newest_window(view) or recent_gap(view) or settled_window(view)
        self.is_urgent = window is not None
        if window is None:
            window = await self._next_refresh(view) or older_gap(view)
        return window

    async def _next_refresh(self, view: FollowView) -> Window | None:
        """The next window of sessions that may have ended since they were fetched."""
        now = view.period.end
        if not self._refresh.left and (
            self._refresh.next_at is None or now >= self._refresh.next_at
        ):
            plan = plan_refresh(await self._find_refreshable(view), self._rate)
            self._refresh = _Refresh.begin(plan, now + REFRESH_WAIT)
        return self._refresh.left[0] if self._refresh.left else None

    async def _find_refreshable(self, view: FollowView) -> list[datetime]:
        """When the sessions were created that may have changed since they were fetched."""
        now, unsettled = view.period.end, unsettled_instants(view)
        late = [at for at in unsettled if self._may_retry(at, now)]
        tried = {at: self._tried[at] for at in unsettled if at in self._tried}
        self._tried = tried | dict.fromkeys(late, now)
        zone = Window(view.settled_until, max(view.settled_until, now - TIME_TO_END))
        recent = await read_open_instants(
            self._store, self._scope, zone, TIME_TO_END, limit=MAX_OPEN_SESSIONS
        )
        is_full = len(recent) >= PAGE_SIZE
        if not is_full and all(now - at < TIME_TO_END + MAX_REFRESH_WAIT for at in recent):
            recent = []  # more of them will soon fill a page
        return [*recent, *late]

    def _may_retry(self, created: datetime, now: datetime) -> bool:
        """Whether a session may be fetched again: the older it is, the less likely it changes."""
        tried = self._tried.get(created)
        return tried is None or now - tried >= max(MIN_RETRY, (now - created) / 4)

    async def _walk(self, window: Window, slots: int) -> float:
        if window.length == MICROSECOND and not await refresh_single(
            self._mirror, self._store, self._clock, self._scope, window.start
        ):
            self._refresh.finish(window)
            return 0.0
        backfill = self._backfill(window)
        call = background_call(self._clock)
        await backfill.step(call, budget=min(CONCURRENT_PAGES, slots))
        progress = backfill.progress
        if backfill.done:
            self._note_rate(backfill)
            self._note_done(progress)
        if backfill.done or progress.failure is not None:
            self._walks.remove(backfill)
            self._refresh.finish(window)
        return pause_after(progress)

    def _backfill(self, window: Window) -> Backfill:
        """The unfinished backfill of this window, else a new one."""
        for backfill in reversed(self._walks):
            if backfill.remaining.length and is_for_one_of(backfill, (window,)):
                return backfill
        session_filter = SessionFilter(subaccount=self._scope or None)
        self._walks = [
            *self._walks[1 - MAX_UNFINISHED_WALKS :],
            Backfill(self._mirror, session_filter, window),
        ]
        return self._walks[-1]

    def _note_done(self, progress: BackfillProgress) -> None:
        """Remember a window, up to the instant for which the API's replies certainly stand."""
        start, end = progress.window.start, progress.window.end
        end = max(start, min(end, progress.as_of or start))
        self._done.append((Window(start, end), self._mirror.now()))

    def _note_rate(self, backfill: Backfill) -> None:
        """Learn how many sessions come in a second."""
        seconds = backfill.progress.window.length.total_seconds()
        sessions = len(backfill.progress.sessions)
        if seconds >= 30 or sessions >= PAGE_SIZE:
            latest = sessions / seconds
            self._rate = latest if self._rate is None else (2 * self._rate + latest) / 3


def follow_lease(store: Store, scope: str = "") -> Lease:
    """The lease of the one process that follows an account or a subaccount."""
    return Lease(store.database, f"{store.account}:follow:{scope}")


async def read_view(mirror: Mirror, store: Store, span: timedelta, scope: str) -> FollowView:
    """What is stored of the last `span`. Raises DatabaseUnavailable."""
    now = mirror.now()
    period = Window(max(now - span, reach_edge(now)), now)
    covered = await store.cached_windows(scope, period)
    fetched = await store.recently_fetched(scope, period, now - RECENT_FETCHES)
    return FollowView(period, covered, [window for window, _ in fetched], mirror.settings.settle)
