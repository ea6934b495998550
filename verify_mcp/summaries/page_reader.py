"""The pages that a count reads, as far as the requests of a call go."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Page
from verify_mcp.errors import ApiError, ApiFailed, QuotaExhausted, RequestRejected
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.count_result import CountResult
from verify_mcp.summaries.exact_count import CountSearch


class RequestBudget(Protocol):
    """What a call may still spend."""

    @property
    def call(self) -> CallContext:
        """The call that spends it."""

    def requests_left(self) -> int:
        """Requests that the call may still send."""

    async def may_narrow(self) -> bool:
        """Whether a request may be sent that only makes figures more exact."""


@dataclass(slots=True)
class PageReader:
    """Reads pages; what stops it ends up in the result's `eta_s` or `failure`."""

    mirror: Mirror
    result: CountResult
    budget: RequestBudget | None = None

    def resume(self, budget: RequestBudget) -> None:
        """Go on for the call of this budget."""
        self.budget = budget
        self.result.eta_s = self.result.failure = None

    def requests_left(self) -> int:
        """How many requests may still be sent."""
        return 0 if self.budget is None or self.is_stopped else self.budget.requests_left()

    async def may_narrow(self) -> bool:
        """Whether a page may be read that only makes figures more exact."""
        return self.budget is not None and not self.is_stopped and await self.budget.may_narrow()

    @property
    def is_stopped(self) -> bool:
        """Whether the quota or a fault stopped it."""
        return self.result.failure is not None or self.result.eta_s is not None

    async def read(
        self, offsets: Sequence[int], session_filter: SessionFilter, pages: dict[int, Page]
    ) -> None:
        """Fetch some pages at once, as far as the budget goes."""
        if self.budget is None:
            return
        call = self.budget.call

        async def one(offset: int) -> None:
            try:
                pages[offset] = await self.mirror.fetch_and_save(
                    session_filter, limit=PAGE_SIZE, offset=offset, call=call
                )
            except QuotaExhausted as busy:
                self.result.eta_s = busy.eta_s
            except ApiError as error:
                self.result.failure = error

        async with anyio.create_task_group() as tasks:
            for offset in offsets[: max(0, self.requests_left())]:
                tasks.start_soon(one, offset)

    async def search(
        self, search: CountSearch, session_filter: SessionFilter, pages: dict[int, Page]
    ) -> CountSearch:
        """Probe until the number of sessions is known, or the budget is spent."""
        while self.requests_left() > 0 and (offset := search.next_offset()) is not None:
            await self.read((offset,), session_filter, pages)
            if isinstance(self.result.failure, RequestRejected) and offset > 0:
                search, self.result.failure = search.with_refusal(offset), None
            elif self.is_stopped:
                break
            elif pages[offset].repeats:
                self.result.failure = ApiFailed("The Verify API's page holds rows twice.")
                break
            else:
                search = with_page(search, offset, pages[offset])
        return search


def with_page(search: CountSearch, offset: int, page: Page) -> CountSearch:
    """The search with a page that was read."""
    times = [session.created for session in page.sessions]
    return search.with_page(
        offset, page.received, min(times, default=None), max(times, default=None)
    )
