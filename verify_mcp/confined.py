"""The mirror as one subaccount's own credentials would show it.

Confinement sits in the two doors that everything goes through. What is held lies under the
subaccount's own id, so that no query, present or future, reaches another's rows. What is asked of
the API carries the subaccount, and a session is asked for by its id only after the API listed it
for this subaccount. Somebody else's session and one that does not exist are the same, in words and
in work.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import cast

from verify_mcp.api_clock import ApiClock
from verify_mcp.callers import Caller
from verify_mcp.database import Access
from verify_mcp.errors import AccessDenied, InvalidArgument, SessionNotFound
from verify_mcp.exchange import Effort, Exchange
from verify_mcp.filters import SessionFilter
from verify_mcp.mirror import Mirror
from verify_mcp.sessions import Page, Session
from verify_mcp.settings import Credentials

MOST_VIEWS = 256
"""Subaccounts whose recently seen sessions are remembered."""


class ConfinedExchange(Exchange):
    """The API, asked about one subaccount only; `known` says whether a session is its own."""

    def __init__(
        self, whole: Exchange, subaccount: str, known: Callable[[str], Awaitable[bool]]
    ) -> None:
        # Without the parent's constructor: what is not confined below does not work at all.
        self._whole = whole
        self._subaccount = subaccount
        self._known = known
        self.lists = whole.lists
        self.retrieves = whole.retrieves

    @property
    def clock(self) -> ApiClock:
        return self._whole.clock

    async def page(
        self,
        wanted: SessionFilter,
        *,
        limit: int,
        offset: int,
        effort: Effort,
        cursor: str | None = None,
    ) -> Page:
        if wanted.subaccount not in (None, self._subaccount):
            raise InvalidArgument("subaccount cannot be asked for: your token sees only its own.")
        own = replace(wanted, subaccount=self._subaccount)
        return await self._whole.page(own, limit=limit, offset=offset, cursor=cursor, effort=effort)

    async def session(self, uuid: str, *, effort: Effort) -> Session:
        if not await self._known(uuid):
            raise SessionNotFound(
                "No such session was listed for you here. Find it with list_verify_sessions first."
            )
        return await self._whole.session(uuid, effort=effort)


class _Screen:
    """What a confined caller may know of the database: whether it works, not where or how big."""

    place = "shared"

    def __init__(self, access: Access) -> None:
        self._access = access

    @property
    def problem(self) -> str:
        return "The database cannot be used now; answers go on." if self._access.problem else ""

    async def size(self) -> None:
        return None


class Confined(Mirror):
    """One subaccount's part of the mirror `whole`."""

    def __init__(self, whole: Mirror, subaccount: str) -> None:
        exchange = ConfinedExchange(whole.exchange, subaccount, self._lists)
        own = replace(whole.settings, credentials=Credentials(subaccount, ""))
        super().__init__(exchange, whole.access, own, whole.world, whole.key)
        self.access = cast("Access", _Screen(whole.access))
        self.lookups = whole.lookups

    async def _lists(self, uuid: str) -> bool:
        return uuid in await self.seen(uuid)


class Views:
    """The mirror as each caller may see it."""

    def __init__(self, whole: Mirror) -> None:
        self._whole = whole
        self._confined: OrderedDict[str, Confined] = OrderedDict()

    def of(self, caller: Caller) -> Mirror:
        """The caller's view. Raises AccessDenied when there is none."""
        account = self._whole.settings.credentials
        if not caller.subaccount:
            return self._whole
        if account is not None and account.is_subaccount:
            if account.auth_id == caller.subaccount:
                return self._whole
            raise AccessDenied(
                "Your token is for another subaccount than this server's. Ask its operator."
            )
        view = self._confined.setdefault(
            caller.subaccount, Confined(self._whole, caller.subaccount)
        )
        self._confined.move_to_end(caller.subaccount)
        if len(self._confined) > MOST_VIEWS:
            self._confined.popitem(last=False)
        return view
