"""The MCP server: its tools, prompts and resources, its instructions and its lifespan."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp_types.methods import CacheableMethod

from verify_mcp import __version__
from verify_mcp.context import AppContext
from verify_mcp.server import prompts, resources
from verify_mcp.settings import Rate, Settings
from verify_mcp.tools import registry

NAME = "verify-mcp"
TITLE = "Plivo Verify sessions"
_HOUR_MS = 3_600_000
_STATIC = CacheHint(ttl_ms=_HOUR_MS, scope="public")
_CACHED: dict[CacheableMethod, CacheHint] = {
    "tools/list": _STATIC,
    "prompts/list": _STATIC,
    "resources/list": _STATIC,
    "resources/templates/list": _STATIC,
    "server/discover": _STATIC,
}

_DEFAULT_RATE = Settings().rate_limit

OpenContext = Callable[[], AbstractAsyncContextManager[AppContext]]


def instructions(rate: Rate, *, sandbox: bool = False) -> str:
    """The text that a model reads about the server; `rate` is of list requests."""
    per = "a minute" if rate.window == 60 else f"in {rate.window:g} s"
    quota = f"This server sends at most {rate.requests} list requests {per}"
    if sandbox and rate != _DEFAULT_RATE:
        quota = "It answers at once; a real account allows 20 list requests a minute"
    made_up = "SANDBOX: every session is made up; tell the reader so. " if sandbox else ""
    return (
        f"{made_up}"
        "Read-only answers about Plivo Verify (OTP) sessions of the last 90 days. "
        f"{quota}, 20 sessions each, newest first, "
        "without totals: a narrow filter (recipient, status, session_time__gte) answers fastest. "
        "list_verify_sessions finds sessions; summarize_verify_sessions counts and adds up; "
        "compare_verify_sessions says what changed between two periods, and where; "
        "find_verify_anomalies what stands out; get_verify_session explains one. "
        "Every answer says what it covers: `complete: false` "
        "means that something is missing, and `why` says what. Times are UTC. verify://guide "
        "explains the fields."
    )


def build_server(
    open_context: OpenContext, rate: Rate = _DEFAULT_RATE, *, sandbox: bool = False
) -> Server[AppContext]:
    """The server; `open_context` opens what its tools use when a connection begins.

    `rate` is the configured one of list requests, which the instructions name; `sandbox` says that
    every session is made up.
    """

    @asynccontextmanager
    async def lifespan(_server: Server[AppContext]) -> AsyncIterator[AppContext]:
        async with open_context() as app:
            yield app

    return Server(
        NAME,
        version=__version__,
        title=TITLE,
        instructions=instructions(rate, sandbox=sandbox),
        cache_hints=_CACHED,
        lifespan=lifespan,
        on_list_tools=registry.on_list_tools,
        on_call_tool=registry.on_call_tool,
        on_list_prompts=prompts.on_list_prompts,
        on_get_prompt=prompts.on_get_prompt,
        on_list_resources=resources.on_list_resources,
        on_list_resource_templates=resources.on_list_resource_templates,
        on_read_resource=resources.on_read_resource,
        on_completion=resources.on_completion,
    )
