"""The pages that a count reads, as far as the requests of a call go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Page
from verify_mcp.errors import ApiError, ApiFailed, QuotaExhausted, RequestRejected
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.count_result import CountResult
from verify_mcp.summaries.exact_count import CountSearch

Budget = Callable[[], int]
"""How many requests may still be spent."""


@dataclass(slots=True)
class PageReader:
    """Reads pages; what stops it ends up in the result's `eta_s` or `failure`."""

    mirror: Mirror
    result: CountResult
    requests_left: Budget = lambda: 0
    call: CallContext = field(default_factory=CallContext)

    def resume(self, call: CallContext, budget: Budget) -> None:
        """Go on for `call`, with as many requests as `budget` returns each time."""
        self.call, self.requests_left = call, budget
        self.result.eta_s = self.result.failure = None

    @property
    def is_stopped(self) -> bool:
        """Whether the quota or a fault stopped it."""
        return self.result.failure is not None or self.result.eta_s is not None

    async def read(
        self, offsets: Sequence[int], session_filter: SessionFilter, pages: dict[int, Page]
    ) -> None:
        """Fetch some pages at once, as far as the budget goes."""

        async def one(offset: int) -> None:
            try:
                pages[offset] = await self.mirror.fetch_and_save(
                    session_filter, limit=PAGE_SIZE, offset=offset, call=self.call
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
