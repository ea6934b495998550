"""The pages of a window at their offsets, and the part in which they have every session.

A page shows how many sessions are newer than its oldest one: those before it in the list. If as
many different ones were read, they are all there are. That holds although the pages were read out
of order and rows came late between them, if none of the sessions read came after that page was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.payloads import has_next
from verify_mcp.domain.receipts import ReplyTime, joined
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, gaps
from verify_mcp.mirror.mirror import provable_window


@dataclass(frozen=True, slots=True)
class ReadPages:
    """Unfiltered pages that were read of a window, by offset; further ones may come in."""

    window: Window
    pages: Mapping[int, Page]


@dataclass(frozen=True, slots=True)
class CompletePart:
    """A window and every session of it; `receipt` is the time of all their pages together."""

    window: Window
    sessions: tuple[Session, ...]
    receipt: ReplyTime


@dataclass(frozen=True, slots=True)
class _Placed:
    """A page that was asked for in the step `begun`, 0 for none, and came in before the next."""

    page: Page
    receipt: ReplyTime
    begun: int
    arrived: int


@dataclass(slots=True)
class PlacedPages:
    """Pages of `read.window`, those read before among them.

    `settle` is how long after its creation a session may come into the list.
    """

    read: ReadPages
    settle: timedelta
    is_broken: bool = False
    """Whether the pages contradict each other, so that further ones prove nothing."""
    _placed: dict[int, _Placed] = field(default_factory=dict)
    _steps: int = 0
    _is_confirmed: bool = False
    _complete_from: datetime | None = None

    def begin(self, limit: int) -> list[int]:
        """The offsets to read next, at most so many; none when there is nothing left to read."""
        self._take_over()
        self._steps += 1
        end = self._last_offset()
        if end is None:
            return [self._first_missing()]
        missing = [offset for offset in range(0, end + 1, PAGE_SIZE) if offset not in self._placed]
        if missing or self._is_confirmed:
            return missing[:limit]
        self._is_confirmed = True
        return [end]

    def add(self, offset: int, page: Page) -> None:
        """Add a page that was asked for at the last `begin`."""
        if page.receipt is not None:
            self._placed[offset] = _Placed(page, page.receipt, self._steps, self._steps)

    def unread_parts(self) -> tuple[Window, ...]:
        """The parts of the window in which no page has every session."""
        self._take_over()
        pages = (provable_window(placed.page) for placed in self._placed.values())
        known = [window for window in pages if window is not None]
        start, end = self._complete_from, self.read.window.end
        return gaps(self.read.window, [*known, Window(start, end)] if start else known)

    @property
    def is_complete(self) -> bool:
        """Whether every session of the window was read."""
        return self._complete_from == self.read.window.start

    def prove(self) -> CompletePart | None:
        """The next older part of which every session is there; None where none is known yet."""
        chain = range(0, self._first_missing(), PAGE_SIZE)
        for offset in reversed(chain):
            lower, number = self._newer_than(offset)
            if self._complete_from and lower and lower >= self._complete_from:
                return None
            if lower is None or not self._is_latest(offset):
                continue
            pages = [self._placed[each] for each in range(0, offset + 1, PAGE_SIZE)]
            sessions = {
                session.uuid: session
                for placed in pages
                for session in placed.page.sessions
                if lower <= session.created < self.read.window.end
            }
            if len(sessions) != number:
                self.is_broken = True
                return None
            return self._advance_to(lower, sessions, [placed.receipt for placed in pages])
        return None

    def _take_over(self) -> None:
        for offset, page in self.read.pages.items():
            if offset not in self._placed and page.receipt and not offset % PAGE_SIZE:
                self._placed[offset] = _Placed(page, page.receipt, 0, self._steps)

    def _advance_to(
        self, lower: datetime, sessions: Mapping[str, Session], receipts: list[ReplyTime]
    ) -> CompletePart | None:
        part = Window(lower, self._complete_from or self.read.window.end)
        self._complete_from = lower
        receipt = joined(receipts)
        new = tuple(session for session in sessions.values() if session.created in part)
        return CompletePart(part, new, receipt) if receipt else None

    def _newer_than(self, offset: int) -> tuple[datetime | None, int]:
        """An instant of a page, and how many sessions there are from it on; None for none."""
        page = self._placed[offset].page
        created = [session.created for session in page.sessions]
        if page.skipped or page.repeats or created != sorted(created, reverse=True):
            return None, 0
        if not has_next(page, PAGE_SIZE):
            return self.read.window.start, offset + len(created)
        first_oldest = created.index(created[-1])
        if not first_oldest:
            return None, 0
        return created[-1] + MICROSECOND, offset + first_oldest

    def _is_latest(self, offset: int) -> bool:
        """Whether every session on the pages before was in the list when this page was read."""
        latest = self._placed[offset]
        settled = latest.receipt.settled_before - self.settle
        return all(
            placed.arrived < latest.begun
            or (placed.page.newest is not None and placed.page.newest < settled)
            for placed in (self._placed[each] for each in range(0, offset, PAGE_SIZE))
        )

    def _first_missing(self) -> int:
        offset = 0
        end = self._last_offset()
        while offset in self._placed and (end is None or offset <= end):
            offset += PAGE_SIZE
        return offset

    def _last_offset(self) -> int | None:
        """The offset of the page after which none follows, None before one was read."""
        ends = (
            offset
            for offset, placed in self._placed.items()
            if not has_next(placed.page, PAGE_SIZE)
        )
        return min(ends, default=None)
