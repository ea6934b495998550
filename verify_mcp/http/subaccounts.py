"""The context of a caller whose token is confined to one subaccount.

Two parts confine such a caller. The store has rows under the subaccount's own id only, so that no
query, present or future, reaches another's rows. The gateway adds the subaccount to every list
request, and requests a single session, or the records of its attempts, only after the API listed it
for this subaccount. A session
of somebody else and a session that does not exist get the same words and cost the same work.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from cachetools import LRUCache

from verify_mcp.context import AppContext, compose
from verify_mcp.database.status import DatabaseStatus
from verify_mcp.domain.delivery_records import DeliveryRecord, RecordKind
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.errors import AccessDenied, InvalidArgument, SessionNotFound
from verify_mcp.http.callers import Caller
from verify_mcp.mirror.recent import RecentSessions
from verify_mcp.mirror.session_source import SessionSource
from verify_mcp.plivo.api_clock import ApiClock
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.page_request import PageRequest
from verify_mcp.plivo.rate_limiter import RateLimiter
from verify_mcp.settings import Credentials

MAX_SUBACCOUNT_CONTEXTS = 256
"""Subaccounts whose recently seen sessions are remembered."""


class SubaccountGateway:
    """The API, of which one subaccount's sessions are requested only.

    `is_listed` says whether the API listed a session, by its UUID, for this subaccount.
    """

    def __init__(
        self, parent: SessionSource, subaccount: str, is_listed: Callable[[str], Awaitable[bool]]
    ) -> None:
        self._parent = parent
        self._subaccount = subaccount
        self._is_listed = is_listed

    @property
    def list_limiter(self) -> RateLimiter:
        return self._parent.list_limiter

    @property
    def get_limiter(self) -> RateLimiter:
        return self._parent.get_limiter

    @property
    def record_limiter(self) -> RateLimiter:
        return self._parent.record_limiter

    @property
    def api_clock(self) -> ApiClock:
        return self._parent.api_clock

    async def list_sessions(self, request: PageRequest, *, call: CallContext) -> Page:
        session_filter = request.session_filter
        if session_filter.subaccount not in (None, self._subaccount):
            raise InvalidArgument("subaccount cannot be asked for: your token sees only its own.")
        confined_filter = replace(session_filter, subaccount=self._subaccount)
        confined_request = replace(request, session_filter=confined_filter)
        return await self._parent.list_sessions(confined_request, call=call)

    async def get_session(self, uuid: str, *, call: CallContext) -> Session:
        if not await self._is_listed(uuid):
            raise SessionNotFound(
                "No such session was listed for you here. Find it with list_verify_sessions first."
            )
        return await self._parent.get_session(uuid, call=call)

    async def get_record(
        self, session: Session, kind: RecordKind, uuid: str, *, call: CallContext
    ) -> DeliveryRecord | None:
        is_theirs = any(attempt.uuid == uuid for attempt in session.attempts)
        if not is_theirs or not await self._is_listed(session.uuid):
            raise SessionNotFound("No such attempt was listed for you here.")
        return await self._parent.get_record(session, kind, uuid, call=call)


class SharedDatabaseStatus:
    """What a confined caller may know of the database: whether it works, not where or how big."""

    location = "shared"

    def __init__(self, parent: DatabaseStatus) -> None:
        self._parent = parent

    @property
    def problem(self) -> str:
        return "The database cannot be used now; answers go on." if self._parent.problem else ""

    async def size(self) -> None:
        return None

    async def check(self) -> None:
        await self._parent.check()


def subaccount_context(parent: AppContext, subaccount: str) -> AppContext:
    """The parts of `parent`, narrowed to one subaccount's sessions."""
    parent_store = parent.mirror.store
    store = parent_store.for_account(subaccount) if parent_store else None
    recent = RecentSessions(store)

    async def is_listed(uuid: str) -> bool:
        return uuid in await recent.ids_starting_with(uuid)

    return compose(
        clock=parent.clock,
        settings=replace(
            parent.settings, credentials=Credentials(subaccount, ""), ahead=0, follow=None
        ),
        gateway=SubaccountGateway(parent.gateway, subaccount, is_listed),
        database=SharedDatabaseStatus(parent.database),
        store=store,
        recent=recent,
        recipients=replace(parent.recipients, recent=recent),
    )


class ContextsByCaller:
    """The context that each caller may use."""

    def __init__(self, parent: AppContext) -> None:
        self._parent = parent
        self._by_subaccount: LRUCache[str, AppContext] = LRUCache(MAX_SUBACCOUNT_CONTEXTS)

    def for_caller(self, caller: Caller) -> AppContext:
        """The caller's context. Raises AccessDenied when there is none."""
        account = self._parent.settings.credentials
        if not caller.subaccount:
            return self._parent
        if account is not None and account.is_subaccount:
            if account.auth_id == caller.subaccount:
                return self._parent
            raise AccessDenied(
                "Your token is for another subaccount than this server's. Ask its operator."
            )
        return self._for_subaccount(caller.subaccount)

    def _for_subaccount(self, subaccount: str) -> AppContext:
        context = self._by_subaccount.get(subaccount)
        if context is None:
            context = subaccount_context(self._parent, subaccount)
            self._by_subaccount[subaccount] = context
        return context
