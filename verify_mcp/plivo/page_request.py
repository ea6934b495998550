"""A request for one page of the session list, as a value."""

from dataclasses import dataclass
from datetime import datetime

from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.times import format_api_time


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page: the filter, the number of sessions, and the position of the first one.

    A `cursor`, which an earlier page gave, replaces the `offset`.
    """

    session_filter: SessionFilter
    limit: int
    offset: int
    cursor: str | None = None

    def query_params(self) -> dict[str, str]:
        """The list endpoint's query parameters: documented names and time form.

        Raises ValueError for a filter that the API does not know.
        """
        params = {
            name: format_api_time(value) if isinstance(value, datetime) else value
            for name, value in self.session_filter.api_params().items()
        }
        if self.session_filter.recipient:
            params["recipient"] = f"+{self.session_filter.recipient}"
        position = {"cursor": self.cursor} if self.cursor else {"offset": str(self.offset)}
        return {**params, "limit": str(self.limit), **position}
