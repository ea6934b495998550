"""The mirror as one subaccount's own credentials would show it.

Confinement sits in the two doors that everything goes through. What is held lies under the
subaccount's own id, so that no query, present or future, reaches another's rows. What is asked of
the API carries the subaccount, and a session is asked for by its id only after the API listed it
for this subaccount. Somebody else's session and one that does not exist are the same, in words and
in work.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import cast

from cachetools import LRUCache

from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.errors import AccessDenied, InvalidArgument, SessionNotFound
from verify_mcp.http.callers import Caller
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.api_clock import ApiClock
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.gateway import ApiGateway
from verify_mcp.settings import Credentials

MAX_SUBACCOUNT_MIRRORS = 256
"""Subaccounts whose recently seen sessions are remembered."""


class SubaccountGateway(ApiGateway):
    """The API, asked about one subaccount only; `known` says whether a session is its own."""

    def __init__(
        self, parent: ApiGateway, subaccount: str, known: Callable[[str], Awaitable[bool]]
    ) -> None:
        # Without the parent's constructor: what is not confined below does not work at all.
        self._parent = parent
        self._subaccount = subaccount
        self._known = known
        self.list_limiter = parent.list_limiter
        self.get_limiter = parent.get_limiter

    @property
    def api_clock(self) -> ApiClock:
        return self._parent.api_clock

    async def list_sessions(
        self,
        session_filter: SessionFilter,
        *,
        limit: int,
        offset: int,
        effort: CallContext,
        cursor: str | None = None,
    ) -> Page:
        if session_filter.subaccount not in (None, self._subaccount):
            raise InvalidArgument("subaccount cannot be asked for: your token sees only its own.")
        own_calls = replace(session_filter, subaccount=self._subaccount)
        return await self._parent.list_sessions(
            own_calls, limit=limit, offset=offset, cursor=cursor, effort=effort
        )

    async def get_session(self, uuid: str, *, effort: CallContext) -> Session:
        if not await self._known(uuid):
            raise SessionNotFound(
                "No such session was listed for you here. Find it with list_verify_sessions first."
            )
        return await self._parent.get_session(uuid, effort=effort)


class _HiddenDatabase:
    """What a confined caller may know of the database: whether it works, not where or how big."""

    location = "shared"

    def __init__(self, access: ResilientDatabase) -> None:
        self._database = access

    @property
    def problem(self) -> str:
        return "The database cannot be used now; answers go on." if self._database.problem else ""

    async def size(self) -> None:
        return None


class SubaccountMirror(Mirror):
    """One subaccount's part of the mirror `whole`."""

    def __init__(self, parent: Mirror, subaccount: str) -> None:
        exchange = SubaccountGateway(parent.gateway, subaccount, self._is_listed)
        own_calls = replace(parent.settings, credentials=Credentials(subaccount, ""))
        super().__init__(exchange, parent.database, own_calls, parent.clock, parent.mask_key)
        self.database = cast("ResilientDatabase", _HiddenDatabase(parent.database))
        self.lookups = parent.lookups

    async def _is_listed(self, uuid: str) -> bool:
        return uuid in await self.ids_starting_with(uuid)


class MirrorsByCaller:
    """The mirror as each caller may see it."""

    def __init__(self, parent: Mirror) -> None:
        self._parent = parent
        self._by_subaccount: LRUCache[str, SubaccountMirror] = LRUCache(MAX_SUBACCOUNT_MIRRORS)

    def for_caller(self, caller: Caller) -> Mirror:
        """The caller's view. Raises AccessDenied when there is none."""
        account = self._parent.settings.credentials
        if not caller.subaccount:
            return self._parent
        if account is not None and account.is_subaccount:
            if account.auth_id == caller.subaccount:
                return self._parent
            raise AccessDenied(
                "Your token is for another subaccount than this server's. Ask its operator."
            )
        return self._by_subaccount.setdefault(
            caller.subaccount, SubaccountMirror(self._parent, caller.subaccount)
        )
