"""Recipients in answers and filters: as numbers, or as pseudonyms while they are masked."""

from dataclasses import dataclass, replace

from verify_mcp.domain import phones
from verify_mcp.domain.api_limits import is_uuid
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
        """The filter with the numbers behind pseudonyms, and the app whose UUID begins so.

        Raises InvalidArgument for a pseudonym or app of no session seen here, and, with masking,
        for more than `MAX_LOOKUPS` recipients of one caller in an hour.
        """
        app, recipient = session_filter.app_uuid, session_filter.recipient
        return replace(
            session_filter,
            app_uuid=app if app is None or is_uuid(app) else await self.recent.expand_app(app),
            recipient=None if recipient is None else await self._resolve_one(recipient),
            recipients=tuple([await self._resolve_one(each) for each in session_filter.recipients]),
        )

    async def _resolve_one(self, recipient: str) -> str:
        self._count_lookup(recipient)
        digits = masking.parse_pseudonym(recipient)
        if digits is None:
            return recipient
        numbers = sorted(await self.recent.recipients_like(*digits))
        found = masking.match_pseudonym(recipient, numbers, self.mask_key or b"")
        if len(found) != 1:
            raise InvalidArgument(
                "recipient is a pseudonym that this server has not shown. Give the whole number, "
                "or list sessions first."
            )
        return found[0]

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
