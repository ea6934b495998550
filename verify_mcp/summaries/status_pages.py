"""The pages of one status, at the places that their sessions had when they were counted."""

from dataclasses import dataclass, field

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Page
from verify_mcp.summaries.page_reader import PageReader


@dataclass(slots=True)
class StatusPages:
    """A session that gets the status later joins at its time: all older ones move on by a place.

    Only sessions younger than the settle time can, so everything older moves on by as many.
    """

    session_filter: SessionFilter
    pages: dict[int, Page] = field(default_factory=dict)
    joined: int = 0
    """How many sessions got the status since the count."""

    async def look_for_joined(self, reader: PageReader, total: int) -> bool:
        """Look how many joined; False where that cannot be found out."""
        while total:
            found: dict[int, Page] = {}
            last = total - 1 + self.joined
            await reader.read((last,), self.session_filter, found)
            page = found.get(last)
            if page is None or page.repeats or not page.received:
                return False
            self.joined += page.received - 1
            if page.received < PAGE_SIZE:
                break
        return True

    async def read(self, reader: PageReader, offset: int) -> None:
        """Read the page that had this offset when the sessions were counted."""
        found: dict[int, Page] = {}
        now_at = offset + self.joined
        await reader.read((now_at,), self.session_filter, found)
        if now_at in found:
            self.pages[offset] = found[now_at]
