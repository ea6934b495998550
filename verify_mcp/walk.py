"""Fetching a window whole: page after page, kept and claimed as they come.

Pages come newest first and the window's end is pinned, so after each page everything younger than
its oldest session is held, and may be claimed in the same step that keeps the page. A walk that
stops anywhere loses nothing: the next one walks what is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter

import anyio

from verify_mcp.errors import ApiError, QuotaExhausted
from verify_mcp.exchange import Effort
from verify_mcp.filters import MICROSECOND, PAGE, REACH, SessionFilter
from verify_mcp.mirror import Mirror
from verify_mcp.sessions import Page, Session, has_more
from verify_mcp.windows import Window, gaps

WIDTH = 4
"""Pages asked for at once, where at least twice as many are expected."""


@dataclass(slots=True)
class Walk:
    """What a walk brought: every session of the `whole` windows, newest first."""

    window: Window
    sessions: list[Session] = field(default_factory=list)
    whole: list[Window] = field(default_factory=list)
    skipped: int = 0
    eta_s: float | None = None
    """Seconds until the quota lets it go on, when that is what stopped it."""
    failure: ApiError | None = None
    """The fault that stopped it."""
    circles: bool = False
    """Whether the API began to repeat its pages, so that the rest cannot be had."""
    strays: int = 0
    """Sessions outside the window asked for, which are not counted."""
    as_of: datetime | None = None
    """When the oldest page was read, by the API's clock."""

    @property
    def missing(self) -> tuple[Window, ...]:
        """The parts of the window that are not whole yet."""
        return gaps(self.window, self.whole)

    def expected_pages(self) -> int:
        """How many pages the rest may take, if sessions went on coming as they did."""
        seen = sum((each.length.total_seconds() for each in self.whole), 0.0)
        rest = sum((each.length.total_seconds() for each in self.missing), 0.0)
        if not rest or not seen:
            return int(rest > 0)
        return max(1, round(len(self.sessions) / PAGE * rest / seen))


class Walker:
    """Walks one filter's sessions in one window."""

    def __init__(self, mirror: Mirror, wanted: SessionFilter, window: Window) -> None:
        self._mirror = mirror
        self._wanted = wanted
        self._scope = wanted.subaccount or ""
        self._claims = wanted.is_open()
        self._start, self._upper = window.start, window.end
        self._offset = 0
        self._cursor: str | None = None
        self._tied: list[Session] = []
        self._is_unsure = False
        self._seen: set[str] = set()
        self.walk = Walk(window)
        self.over = not window.length
        self.first_page: Page | None = None

    async def step(self, effort: Effort, *, budget: int) -> None:
        """Fetch the next page, or a few of them at once; `over` says when there are no more."""
        self.walk.eta_s = None
        for offset, page in await self._pages(effort, self._width(budget)):
            if offset != self._offset:
                return  # a page came short though more follow: those behind it lie elsewhere
            if isinstance(page, QuotaExhausted):
                self.walk.eta_s = page.eta_s
            elif isinstance(page, ApiError):
                self.walk.failure = page
            else:
                await self._take(page)
            if self.over or isinstance(page, Exception):
                return

    def _width(self, budget: int) -> int:
        many = self._cursor is None and self.walk.expected_pages() >= 2 * WIDTH
        return min(WIDTH, budget) if many else 1

    async def _pages(
        self, effort: Effort, width: int
    ) -> Sequence[tuple[int, Page | QuotaExhausted | ApiError]]:
        found: dict[int, Page | QuotaExhausted | ApiError] = {}
        wanted = self._wanted.within(self._reachable())

        async def ask(offset: int) -> None:
            try:
                found[offset] = await self._mirror.asked(
                    wanted, limit=PAGE, offset=offset, cursor=self._cursor, effort=effort
                )
            except (QuotaExhausted, ApiError) as error:
                found[offset] = error

        async with anyio.create_task_group() as tasks:
            for number in range(width):
                tasks.start_soon(ask, self._offset + number * PAGE)
        return sorted(found.items(), key=itemgetter(0))

    async def _take(self, page: Page) -> None:
        self.first_page = self.first_page or page
        self._note_time(page)
        inside = [each for each in page.sessions if each.created in self.walk.window]
        strays = len(page.sessions) - len(inside)
        self.walk.strays += strays
        fresh = [each for each in inside if each.uuid not in self._seen]
        self._seen.update(each.uuid for each in fresh)
        self._offset += min(page.received, PAGE)
        self._cursor = page.cursor
        self.walk.skipped += page.skipped
        last = not has_more(page, PAGE)
        # A page of old acquaintances: the API goes in circles.
        self.walk.circles = not (last or fresh or page.skipped)
        self.over = last or self.walk.circles
        if self._is_unsure:  # an unreadable row may lie between that page and this one
            self._upper = max((each.created for each in fresh), default=self.walk.window.start)
        self._is_unsure = page.skipped > 0
        here = [*self._tied, *fresh]
        lower = self._start if last else _above(here, self._upper)
        self._tied = [each for each in here if each.created < lower]
        complete = Window(lower, self._upper) if lower < self._upper else None
        self._upper = min(self._upper, lower)
        if page.skipped or strays or self.walk.circles:
            complete = None
        if complete:
            self.walk.whole.append(complete)
            self.walk.sessions += [each for each in here if each.created in complete]
        claim = complete if self._claims else None
        await self._mirror.keep(here, self._scope, claim, page.receipt, self.walk.as_of)

    def _note_time(self, page: Page) -> None:
        """Note when a page was read, and how far the API could then reach back."""
        if page.receipt is None:
            return
        earliest = page.receipt.earliest
        self.walk.as_of = min(self.walk.as_of or earliest, earliest)
        self._start = min(max(self._start, page.receipt.reach), self.walk.window.end)

    def _reachable(self) -> Window:
        """The window as it can be asked for now: while a walk goes on, the API's reach moves."""
        window = self.walk.window
        self._start = min(max(self._start, self._mirror.now() - REACH), window.end)
        return Window(self._start, window.end)


def _above(sessions: Sequence[Session], upper: datetime) -> datetime:
    """The instant after the oldest of some sessions: more of the same one may follow."""
    return min((each.created + MICROSECOND for each in sessions), default=upper)
