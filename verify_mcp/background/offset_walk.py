"""The rest of the pages of a window that a count began to read, at their offsets.

A walk of the gaps between pages takes a request more for each of them, since their edges must be
read again.
"""

from collections.abc import Sequence
from datetime import timedelta

import anyio

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.sessions import Page
from verify_mcp.domain.windows import Window, gaps, overlap
from verify_mcp.errors import ApiError, QuotaExhausted
from verify_mcp.mirror.backfill import BackfillProgress
from verify_mcp.mirror.mirror import Mirror, provable_window
from verify_mcp.mirror.placed_pages import PlacedPages, ReadPages
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.page_request import PageRequest

MAX_SHARED = 0.05
"""The part of the unread time that others may have stored: more, and the gaps take fewer pages."""


class OffsetWalk:
    """Reads what is left of `read.window`, newest first; `progress` tells what stopped it."""

    def __init__(self, mirror: Mirror, scope: str, read: ReadPages) -> None:
        self.scope = scope
        self.window = read.window
        self.progress = BackfillProgress(read.window)
        self._mirror = mirror
        self._placed = PlacedPages(read, mirror.settings.settle)
        self._is_at_end = False

    @property
    def is_done(self) -> bool:
        """Whether it can do no more."""
        placed = self._placed
        is_stopped = self.progress.failure is not None
        return self._is_at_end or is_stopped or placed.is_broken or placed.is_complete

    def is_for(self, scope: str, missing: Sequence[Window]) -> bool:
        """Whether what it has before it is missing, but for a little, and comes next."""
        if scope != self.scope or not missing or overlap(missing[-1], self.window) is None:
            return False
        if self.window.start < reach_edge(self._mirror.now()):
            return False  # sessions leave the list, so their number proves nothing
        unread = self._placed.unread_parts()
        stored = [part for window in unread for part in gaps(window, missing)]
        return bool(unread) and _length(stored) <= MAX_SHARED * _length(unread)

    async def step(self, call: CallContext, *, budget: int) -> None:
        """Read the next pages, at most `budget`, and save what they prove."""
        self.progress.eta_s = None
        offsets = self._placed.begin(budget)
        self._is_at_end = not offsets
        found: dict[int, Page] = {}
        filter_ = SessionFilter(subaccount=self.scope or None).restricted_to(self.window)

        async def fetch(offset: int) -> None:
            try:
                request = PageRequest(filter_, PAGE_SIZE, offset)
                found[offset] = await self._mirror.fetch(request, call=call)
            except QuotaExhausted as busy:
                self.progress.eta_s = busy.eta_s
            except ApiError as error:
                self.progress.failure = error

        async with anyio.create_task_group() as tasks:
            for offset in offsets:
                tasks.start_soon(fetch, offset)
        for offset, page in found.items():
            self._placed.add(offset, page)
            await self._mirror.save(page.sessions, self.scope, provable_window(page), page.receipt)
        part = self._placed.prove()
        if part is not None:
            await self._mirror.save(
                part.sessions, self.scope, part.window, part.receipt, part.receipt.earliest
            )


def _length(windows: Sequence[Window]) -> timedelta:
    return sum((window.length for window in windows), timedelta())
