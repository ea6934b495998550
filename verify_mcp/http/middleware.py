"""The middleware around every message over HTTP: caller, rate limit, context and audit log.

It is a middleware of the MCP server and not of the HTTP application, so every tool, prompt and
resource, also one that is added later, is called through it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import anyio
from mcp import MCPError
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.context import CallNext, HandlerResult
from mcp_types import CallToolResult, TextContent

from verify_mcp import metrics
from verify_mcp.errors import AccessDenied
from verify_mcp.http.audit import (
    ARGUMENT_NAMES,
    AUDITED_METHODS,
    AuditEntry,
    Context,
    audit_entry,
    audit_logger,
)
from verify_mcp.http.auth import CallerToken
from verify_mcp.http.callers import LOCAL_CALLER, Caller, CallerRateLimits
from verify_mcp.http.subaccounts import ContextsByCaller
from verify_mcp.logs import request_id
from verify_mcp.mirror.lookups import current_caller

RESTARTING = "The server is being restarted. Ask again in a few seconds."
OVER_BUDGET = -32000
"""The JSON-RPC code of a refusal; no error of the protocol has it."""
_UNMETERED = ("initialize", "ping", "server/discover")


class CallerMiddleware:
    """The middleware of one process.

    `clock` gives monotonic seconds, `now` the time of an audit line.
    """

    def __init__(
        self,
        *,
        requires_token: bool,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._requires_token = requires_token
        self._clock = clock
        self._now = now
        self._rate_limits = CallerRateLimits(clock)
        self._contexts: ContextsByCaller | None = None
        self._running: set[anyio.CancelScope] = set()

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Answer one message in the context of its caller. Raises MCPError."""
        caller = self._caller(ctx)
        if self._contexts is None:
            self._contexts = ContextsByCaller(ctx.lifespan_context)
        if not _is_metered(ctx.method):
            return await call_next(ctx)
        start = self._clock()
        entry = audit_entry(caller, ctx)
        outcome, answer, refusal = "failed", None, ""
        try:
            outcome, answer, refusal = await self._handle(caller, self._contexts, ctx, call_next)
        except anyio.get_cancelled_exc_class():
            outcome = "abandoned"
            raise
        finally:
            if ctx.method in AUDITED_METHODS or outcome == "over budget":
                self._record(entry, outcome, answer, self._clock() - start)
        return _error_result(ctx, refusal) if refusal else answer

    def notify_closing(self) -> None:
        """Answer the calls under way with RESTARTING."""
        for scope in list(self._running):
            scope.cancel()

    async def _handle(
        self, caller: Caller, contexts: ContextsByCaller, context: Context, call_next: CallNext
    ) -> tuple[str, HandlerResult, str]:
        """The outcome for the audit log, the answer, and the reason when there is none."""
        if seconds := self._rate_limits.acquire(caller):
            reason = f"Your token's {caller.calls_per_minute} calls a minute are used up. "
            return "over budget", None, f"{reason}Ask again in {int(seconds) + 1} s."
        try:
            app_context = contexts.for_caller(caller)
        except AccessDenied as denied:
            return "denied", None, str(denied)
        answer: HandlerResult = None
        current_caller.set(caller.key)
        with anyio.CancelScope() as scope:
            self._running.add(scope)
            try:
                answer = await call_next(replace(context, lifespan_context=app_context))
            finally:
                self._running.discard(scope)
        if scope.cancelled_caught:
            return "stopped", None, RESTARTING
        return _outcome_of(answer), answer, ""

    def _caller(self, context: Context) -> Caller:
        """The caller whose token came with the message's HTTP request. Raises MCPError."""
        if not self._requires_token:
            return LOCAL_CALLER
        user = context.request.scope.get("user") if context.request is not None else None
        token = user.access_token if isinstance(user, AuthenticatedUser) else None
        if not isinstance(token, CallerToken):
            raise MCPError(OVER_BUDGET, "Nobody is known to ask this. Send a token.")
        return token.caller

    def _record(
        self, entry: AuditEntry, outcome: str, answer: HandlerResult, seconds: float
    ) -> None:
        content = _content(answer)
        if entry.method in ARGUMENT_NAMES:
            metrics.record_call(entry.method, outcome, seconds, content)
        rows = content.get("rows", content.get("sessions"))
        line = {
            "time": self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "request_id": request_id.get(),
            "caller": entry.caller.name,
            "issuer": entry.caller.issuer or None,
            "tool": entry.method,
            "arguments": list(entry.arguments),
            "recipient": entry.recipient or None,
            "rows": len(rows) if isinstance(rows, list) else rows,
            "api_requests": content.get("api_requests"),
            "ms": round(seconds * 1000),
            "outcome": outcome,
        }
        record = {name: value for name, value in line.items() if value is not None}
        audit_logger.info(json.dumps(record, ensure_ascii=False))


def _is_metered(method: str) -> bool:
    """Whether a message counts as one of its caller's calls; those that open a session do not."""
    return method not in _UNMETERED and not method.startswith("notifications/")


def _error_result(context: Context, text: str) -> HandlerResult:
    """The error as a tool's result, which a model reads. Raises MCPError for any other method."""
    if context.method == "tools/call":
        return CallToolResult(content=[TextContent(text=text)], is_error=True)
    raise MCPError(OVER_BUDGET, text)


def _content(answer: HandlerResult) -> Mapping[str, Any]:
    record = answer.get("structuredContent") if isinstance(answer, Mapping) else None
    return record if isinstance(record, Mapping) else {}


def _outcome_of(answer: HandlerResult) -> str:
    if isinstance(answer, Mapping) and answer.get("isError"):
        return "refused"
    return "partial" if _content(answer).get("complete") is False else "ok"
