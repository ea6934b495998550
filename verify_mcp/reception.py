"""What happens to every message that comes over HTTP, before and after a tool sees it.

The caller is known by their token, gets the mirror as they may see it, spends their budget, and
leaves one line in the audit log. It is the protocol's own middleware, so that no tool, prompt or
resource, present or future, is reached past it.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import anyio
from mcp import MCPError
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import CallToolResult, TextContent

from verify_mcp import phones, telemetry
from verify_mcp.callers import LOCAL, Budgets, Caller, asker
from verify_mcp.confined import Views
from verify_mcp.errors import AccessDenied
from verify_mcp.logs import request_id
from verify_mcp.mirror import Mirror
from verify_mcp.tools import OFFERS

audit = logging.getLogger("verify_mcp.audit")

TOLD = "The server is being restarted. Ask again in a few seconds."
REFUSED = -32000
"""The JSON-RPC code of a refusal that is neither a mistake nor a fault."""
_AUDITED = ("tools/call", "resources/read", "completion/complete", "prompts/get")
_LISTINGS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
_UNMETERED = ("initialize", "ping", "server/discover")
_TOOLS = {offer.name: {each.name for each in offer.arguments} for offer in OFFERS}
_HIDDEN = "?"

Context = ServerRequestContext[Mirror, Any]


class Admitted(AccessToken):
    """A token that was checked, and whom it stands for."""

    caller: Caller


@dataclass(frozen=True, slots=True)
class Deed:
    """What one message asks for, in words that hold no value of anybody's."""

    caller: Caller
    what: str
    arguments: tuple[str, ...] = ()
    recipient: str = ""


class Reception:
    """The middleware of one process; `guarded` says that every caller must bring a token."""

    def __init__(
        self,
        *,
        guarded: bool,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._guarded = guarded
        self._clock = clock
        self._now = now
        self._budgets = Budgets(clock)
        self._views: Views | None = None
        self._under_way: set[anyio.CancelScope] = set()

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Answer one message as its caller may have it answered."""
        caller = self._caller(ctx)
        whole = ctx.lifespan_context
        if self._views is None:
            self._views = Views(whole)
        if not _is_metered(ctx.method):
            return await call_next(ctx)
        began = self._clock()
        deed = _deed(caller, ctx)
        outcome, answer, refusal = "failed", None, ""
        try:
            outcome, answer, refusal = await self._answered(caller, self._views, ctx, call_next)
        except anyio.get_cancelled_exc_class():
            outcome = "abandoned"
            raise
        finally:
            if ctx.method in _AUDITED or outcome == "over budget":
                self._note(deed, outcome, answer, self._clock() - began)
        return _refused(ctx, refusal) if refusal else answer

    def close(self) -> None:
        """Tell those whose calls are still under way that the server ends."""
        for scope in list(self._under_way):
            scope.cancel()

    async def _answered(
        self, caller: Caller, views: Views, context: Context, call_next: CallNext
    ) -> tuple[str, HandlerResult, str]:
        """How it went, the answer, and why there is none."""
        if seconds := self._budgets.spend(caller):
            spent = f"Your token's {caller.budget} calls a minute are used up. "
            return "over budget", None, f"{spent}Ask again in {int(seconds) + 1} s."
        try:
            view = views.of(caller)
        except AccessDenied as denied:
            return "denied", None, str(denied)
        answer: HandlerResult = None
        asker.set(caller.key)
        with anyio.CancelScope() as scope:
            self._under_way.add(scope)
            try:
                answer = await call_next(replace(context, lifespan_context=view))
            finally:
                self._under_way.discard(scope)
        if scope.cancelled_caught:
            return "stopped", None, TOLD
        return _outcome(answer), answer, ""

    def _caller(self, context: Context) -> Caller:
        """Whose token came with the message's own HTTP request."""
        if not self._guarded:
            return LOCAL
        user = context.request.scope.get("user") if context.request is not None else None
        token = user.access_token if isinstance(user, AuthenticatedUser) else None
        if not isinstance(token, Admitted):
            raise MCPError(REFUSED, "Nobody is known to ask this. Send a token.")
        return token.caller

    def _note(self, deed: Deed, outcome: str, answer: HandlerResult, seconds: float) -> None:
        content = _content(answer)
        if deed.what in _TOOLS:
            telemetry.called(deed.what, outcome, seconds, content)
        rows = content.get("rows", content.get("sessions"))
        line = {
            "time": self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "request_id": request_id.get(),
            "caller": deed.caller.name,
            "issuer": deed.caller.issuer or None,
            "tool": deed.what,
            "arguments": list(deed.arguments),
            "recipient": deed.recipient or None,
            "rows": len(rows) if isinstance(rows, list) else rows,
            "api_requests": content.get("api_requests"),
            "ms": round(seconds * 1000),
            "outcome": outcome,
        }
        told = {name: each for name, each in line.items() if each is not None}
        audit.info(json.dumps(told, ensure_ascii=False))


def _is_metered(method: str) -> bool:
    """Whether a message counts as one of its caller's calls: not what opens a connection."""
    return method not in _UNMETERED and not method.startswith("notifications/")


def _refused(context: Context, text: str) -> HandlerResult:
    """A refusal that a model can read where there is one, a protocol's error elsewhere."""
    if context.method == "tools/call":
        return CallToolResult(content=[TextContent(text=text)], is_error=True)
    raise MCPError(REFUSED, text)


def _deed(caller: Caller, context: Context) -> Deed:
    """What is asked; names are only told when they are ours, because others may hold anything."""
    params = context.params or {}
    if context.method != "tools/call":
        known = context.method in (*_AUDITED, *_LISTINGS)
        return Deed(caller, context.method if known else _HIDDEN)
    tool, said = params.get("name"), params.get("arguments")
    if not isinstance(tool, str) or tool not in _TOOLS:
        return Deed(caller, _HIDDEN)
    given = said if isinstance(said, Mapping) else {}
    names = sorted({name if name in _TOOLS[tool] else _HIDDEN for name in given})
    return Deed(caller, tool, tuple(names), _recipient(given.get("recipient")))


def _recipient(said: object) -> str:
    """A recipient asked about: a pseudonym as it was given, a number masked.

    Never a number's pseudonym: both together would tell whose it is.
    """
    if not isinstance(said, str | int) or len(str(said)) > 40:
        return ""
    if phones.mask_parts(str(said)):
        return str(said).strip()
    number = phones.digits(str(said))
    return phones.masked(number) if number else ""


def _content(answer: HandlerResult) -> Mapping[str, Any]:
    told = answer.get("structuredContent") if isinstance(answer, Mapping) else None
    return told if isinstance(told, Mapping) else {}


def _outcome(answer: HandlerResult) -> str:
    if isinstance(answer, Mapping) and answer.get("isError"):
        return "refused"
    return "partial" if _content(answer).get("complete") is False else "ok"
