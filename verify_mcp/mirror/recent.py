"""Sessions seen lately: their short ids, recipients and countries."""

from collections import OrderedDict
from typing import NamedTuple

from cachetools import LRUCache

from verify_mcp.domain import phones
from verify_mcp.domain.sessions import Session
from verify_mcp.errors import DatabaseUnavailable, InvalidArgument, SessionNotFound
from verify_mcp.mirror.store import Store

MAX_SEEN_APPS = 1_000
"""Apps of this process whose aliases are remembered."""
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
        self._apps: LRUCache[str, str] = LRUCache(MAX_SEEN_APPS)

    def remember(self, session: Session) -> None:
        """Add a session that the API returned."""
        self._seen[session.uuid] = _SeenSession(session.recipient, session.api_country)
        self._seen.move_to_end(session.uuid)
        if session.app_uuid:
            self._apps[session.app_uuid] = session.alias or self._apps.get(session.app_uuid, "")
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

    async def read_apps(self) -> dict[str, str]:
        """The alias of each app seen or stored, "" where none is known."""
        seen = {app: alias for app, alias in self._apps.items() if alias}
        if self._store is None:
            return {**self._apps}
        try:
            return {**self._apps, **await self._store.read_apps(), **seen}
        except DatabaseUnavailable:
            return {**self._apps}

    async def expand_app(self, start: str) -> str:
        """The only app whose UUID has this beginning. Raises InvalidArgument."""
        found = sorted(app for app in await self.read_apps() if app.startswith(start))
        if len(found) == 1:
            return found[0]
        problem = "begins so in none that was" if not found else f"fits {len(found)} that were"
        raise InvalidArgument(
            f"app_uuid: {start} {problem} seen here. Give the whole UUID; a summary by app has it."
        )

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
