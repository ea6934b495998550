"""Recipients in answers and filters: as numbers, or as pseudonyms while they are masked."""

from dataclasses import dataclass, replace

from verify_mcp.domain import phones
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.groups import UNKNOWN
from verify_mcp.errors import InvalidArgument
from verify_mcp.mirror import masking
from verify_mcp.mirror.lookups import MAX_LOOKUPS, RecipientLookups, current_caller
from verify_mcp.mirror.recent import RecentSessions


@dataclass(frozen=True, slots=True)
class Recipients:
    """How recipients are shown and resolved; `mask_key` is None when they are not masked."""

    mask_key: bytes | None
    lookups: RecipientLookups
    recent: RecentSessions

    @property
    def are_masked(self) -> bool:
        """Whether answers show pseudonyms instead of numbers."""
        return self.mask_key is not None

    def format(self, number: str) -> str:
        """A recipient as answers show it; an unknown one stays unknown."""
        if number in ("", UNKNOWN):
            return number
        if self.mask_key is None:
            return phones.format_number(number)
        return masking.pseudonym(number, self.mask_key)

    async def resolve(self, session_filter: SessionFilter) -> SessionFilter:
        """The filter with the number behind its pseudonym.

        Raises InvalidArgument for a pseudonym of no session seen here, and, with masking, for more
        than `MAX_LOOKUPS` recipients of one caller in an hour.
        """
        if session_filter.recipient is None:
            return session_filter
        self._count_lookup(session_filter.recipient)
        digits = masking.parse_pseudonym(session_filter.recipient)
        if digits is None:
            return session_filter
        numbers = sorted(await self.recent.recipients_like(*digits))
        found = masking.match_pseudonym(session_filter.recipient, numbers, self.mask_key or b"")
        if len(found) != 1:
            raise InvalidArgument(
                "recipient is a pseudonym that this server has not shown. Give the whole number, "
                "or list sessions first."
            )
        return replace(session_filter, recipient=found[0])

    def _count_lookup(self, recipient: str) -> None:
        if self.mask_key is None:
            return
        caller = current_caller.get()
        if seconds := self.lookups.seconds_until_lookup(caller, recipient):
            raise InvalidArgument(
                f"recipient: {MAX_LOOKUPS} of them were looked up in the last hour, as many as "
                "may be while recipients are masked. Ask again in about "
                f"{int(seconds) // 60 + 1} min, or group a summary by recipient."
            )
        self.lookups.record(caller, recipient)
