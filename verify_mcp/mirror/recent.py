"""Sessions seen lately: their short ids, recipients and countries."""

from collections import OrderedDict
from typing import NamedTuple

from verify_mcp.domain import phones
from verify_mcp.domain.sessions import Session
from verify_mcp.errors import DatabaseUnavailable, InvalidArgument, SessionNotFound
from verify_mcp.mirror.store import Store

MAX_SEEN_SESSIONS = 5_000
"""Sessions of this process that are remembered; the one seen longest ago is forgotten first."""


class _SeenSession(NamedTuple):
    """What is remembered of a session: a complete one takes far more memory."""

    recipient: str
    country: str | None


class RecentSessions:
    """Sessions that this process saw lately, and behind them those in the store.

    A database that is unavailable counts as empty.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._seen: OrderedDict[str, _SeenSession] = OrderedDict()

    def remember(self, session: Session) -> None:
        """Add a session that the API returned."""
        self._seen[session.uuid] = _SeenSession(session.recipient, session.api_country)
        self._seen.move_to_end(session.uuid)
        if len(self._seen) > MAX_SEEN_SESSIONS:
            self._seen.popitem(last=False)

    async def ids_starting_with(self, prefix: str) -> list[str]:
        """UUIDs with this beginning: of this process, the latest first, then of the store."""
        found = [uuid for uuid in reversed(self._seen) if uuid.startswith(prefix)]
        if self._store is not None and prefix:
            try:
                found += await self._store.ids_starting_with(prefix)
            except DatabaseUnavailable:
                return found
        return list(dict.fromkeys(found))

    async def expand_id(self, prefix: str) -> str:
        """The only UUID with this beginning. Raises SessionNotFound or InvalidArgument."""
        found = await self.ids_starting_with(prefix)
        if not found:
            raise SessionNotFound(
                f"No session starting with {prefix} was seen here. Give the full UUID, or find "
                "it with list_verify_sessions first."
            )
        if len(found) > 1:
            raise InvalidArgument(
                f"session_uuid: {prefix} fits {len(found)} sessions: {', '.join(found[:3])}. "
                "Give the full UUID."
            )
        return found[0]

    def countries_starting_with(self, prefix: str) -> list[str]:
        """Countries of the sessions of this process, ISO 3166, that have this beginning."""
        countries = {
            session.country or phones.country_of(session.recipient)
            for session in self._seen.values()
        }
        return sorted(country for country in countries if country and country.startswith(prefix))

    async def recipients_like(self, start: str, end: str) -> set[str]:
        """Numbers that may begin and end with these digits: all of this process, some of the store.

        The caller compares each of them.
        """
        seen = {session.recipient for session in self._seen.values()}
        if self._store is None:
            return seen
        try:
            return seen | set(await self._store.recipients_like(start, end))
        except DatabaseUnavailable:
            return seen
