"""Lists by filters that the API does not know: its sessions are chosen from here.

The newest part of the window whose sessions are all known, from the store or fetched, has the rows.
It grows into the past until it has enough of them, or the requests of a call are spent. Several
recipients are asked for one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from verify_mcp.domain.api_limits import DEFAULT_WINDOW
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.matching import admit_locally
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.windows import Window, gaps, merge
from verify_mcp.errors import ApiError, DatabaseUnavailable
from verify_mcp.mirror.backfill import Backfill, BackfillProgress
from verify_mcp.mirror.mirror import MAX_STALENESS, Mirror
from verify_mcp.plivo.call import CallContext

MAX_LIST_REQUESTS = 8
"""API requests that one call of a list may take to find the sessions that a filter admits."""


@dataclass(frozen=True, slots=True)
class LocalPage:
    """A page, and what of the window is not known, so that it may have more rows."""

    page: Page
    found: int
    """Rows found in all, those before the page included."""
    as_of: datetime
    missing: Window | None = None
    eta_s: float | None = None
    """Seconds until the quota lets a call go on, when the quota stopped this one."""
    failure: ApiError | None = None


def closed_window(session_filter: SessionFilter, now: datetime) -> Window | None:
    """The window of a filter where a missing bound is the API's default; None without length."""
    start = session_filter.start() or now - DEFAULT_WINDOW
    closed = replace(
        session_filter,
        session_time__gte=session_filter.session_time__gte or start,
        session_time__lte=session_filter.session_time__lte or session_filter.end() or now,
    )
    window = closed.window()
    return window if window and window.length else None


class _GapWalk:
    """Fetches one gap by one filter, or by several whose sessions together are what is asked."""

    def __init__(self, mirror: Mirror, filters: Sequence[SessionFilter], gap: Window) -> None:
        self.gap = gap
        self.backfills = [Backfill(mirror, each, gap) for each in filters]

    def next(self) -> Backfill | None:
        """The backfill that got least far, None when all are done."""
        open_ones = [each for each in self.backfills if not each.done]
        return max(open_ones, key=lambda each: each.remaining.end, default=None)

    @property
    def complete(self) -> Window:
        """The newest part of the gap of which every backfill brought all sessions."""
        starts = [self._start(each.progress) for each in self.backfills]
        return Window(max(starts, default=self.gap.end), self.gap.end)

    def _start(self, progress: BackfillProgress) -> datetime:
        known = merge(progress.complete_windows)
        return known[-1].start if known and known[-1].end >= self.gap.end else self.gap.end


class LocalList:
    """Finds one page of the sessions of a window that a filter admits."""

    def __init__(self, mirror: Mirror, session_filter: SessionFilter, window: Window) -> None:
        self._mirror = mirror
        self._filter = session_filter
        self._scope = session_filter.subaccount or ""
        self._window = window
        self._filters = _fetched_filters(session_filter)
        self._stored: tuple[Window, ...] = ()
        self._walks: list[_GapWalk] = []

    async def read(self, *, limit: int, offset: int, call: CallContext) -> LocalPage:
        """The page, as far as it is known. Raises ApiError when nothing is."""
        self._stored, as_of = await self._mirror.cached_windows(
            self._scope, self._window, MAX_STALENESS
        )
        self._stored = await self._mirror.windows_of_known_text(
            self._scope, self._filter, self._stored
        )
        if self._filter.recipients and len(gaps(self._window, self._stored)) > 1:
            # One page holds a recipient's sessions of months; each gap would cost a page.
            self._stored, as_of = (), self._mirror.now()
        as_of = min(as_of, self._end_where_known_ends())
        rows = await self._rows(offset + limit + 1)
        for _ in range(max(MAX_LIST_REQUESTS, len(self._filters))):
            backfill = self._next_backfill() if len(rows) <= offset + limit else None
            if backfill is None:
                break
            await backfill.step(call, budget=1)
            if backfill.progress.is_stopped:
                break
            rows = await self._rows(offset + limit + 1)
        return self._page(rows, limit=limit, offset=offset, as_of=as_of)

    def _end_where_known_ends(self) -> datetime:
        """End a window that ends now where its known sessions end, if that is hardly ago.

        The instant that the rows stand for: that end, or now where the window ended before.
        """
        end = self._window.end
        last = self._stored[-1].end if self._stored else self._window.start
        now = self._mirror.now()
        if self._filter.end() is not None and end < now:
            return now
        if timedelta(0) < end - last <= MAX_STALENESS:
            self._window = replace(self._window, end=last)
        return min(self._window.end, now)

    def _known(self) -> Window:
        """The newest part of the window of which all is known; without length if none is."""
        known = merge([*self._stored, *(each.complete for each in self._walks)])
        end = self._window.end
        return known[-1] if known and known[-1].end >= end else Window(end, end)

    def _next_backfill(self) -> Backfill | None:
        """The backfill of the newest gap, None when there is none or it cannot go on."""
        last = self._walks[-1] if self._walks else None
        backfill = last.next() if last else None
        if backfill is not None:
            return backfill
        left = gaps(Window(self._window.start, self._known().start), self._stored)
        if not left or (last is not None and last.complete != last.gap):
            return None
        self._walks.append(_GapWalk(self._mirror, self._filters, left[-1]))
        return self._walks[-1].next()

    def _progress(self) -> list[BackfillProgress]:
        return [each.progress for walk in self._walks for each in walk.backfills]

    async def _rows(self, most: int) -> list[Session]:
        """The newest sessions admitted in what is known, newest first."""
        known = self._known()
        fetched = admit_locally(
            self._filter, [session for each in self._progress() for session in each.sessions]
        )
        found = {session.uuid: session for session in await self._read_stored(known, most)}
        found |= {session.uuid: session for session in fetched if session.created in known}
        ordered = sorted(found.values(), key=lambda each: each.uuid)
        return sorted(ordered, key=lambda each: each.created, reverse=True)[:most]

    async def _read_stored(self, known: Window, most: int) -> Sequence[Session]:
        if self._mirror.store is None or not known.length:
            return []
        try:
            return await self._mirror.store.list_newest(
                self._filter, self._scope, self._stored, since=known.start, limit=most
            )
        except DatabaseUnavailable:
            self._stored = ()
            return []

    def _page(
        self, rows: Sequence[Session], *, limit: int, offset: int, as_of: datetime
    ) -> LocalPage:
        shown, progress = tuple(rows[offset : offset + limit]), self._progress()
        more = len(rows) > offset + limit
        failure = next((each.failure for each in progress if each.failure), None)
        known = self._known()
        if failure is not None and not known.length:
            raise failure
        missing = Window(self._window.start, known.start)
        is_whole = more or not missing.length
        return LocalPage(
            Page(
                shown,
                skipped=sum(each.skipped for each in progress),
                received=len(shown),
                more=more,
                times=tuple(session.created for session in shown),
                total=None if more or not is_whole else len(rows),
            ),
            len(rows),
            min([as_of, *(each.as_of for each in progress if each.as_of)]),
            None if is_whole else missing,
            next((each.eta_s for each in progress if each.eta_s is not None), None),
            failure,
        )


def _fetched_filters(session_filter: SessionFilter) -> tuple[SessionFilter, ...]:
    """What to ask the API for: of several recipients each one, otherwise all that it knows."""
    filters = session_filter.for_each_recipient() or (session_filter,)
    return tuple(each.for_fetching() for each in filters)
