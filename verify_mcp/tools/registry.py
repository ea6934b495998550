"""The list of tools, and the running of one: the only place that turns an error into an answer."""

import logging
from contextlib import suppress
from typing import Any

import anyio
from mcp import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)

from verify_mcp import metrics
from verify_mcp.context import AppContext
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.receipts import CLOCK_TOLERANCE
from verify_mcp.errors import VerifyError
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.page_request import PageRequest
from verify_mcp.tools import envelope
from verify_mcp.tools.compare_sessions import COMPARE_SESSIONS
from verify_mcp.tools.definition import RawArguments, ToolDefinition
from verify_mcp.tools.envelope import RequestContext
from verify_mcp.tools.find_anomalies import FIND_ANOMALIES
from verify_mcp.tools.get_session import GET_SESSION
from verify_mcp.tools.list_sessions import LIST_SESSIONS
from verify_mcp.tools.progress import report_progress
from verify_mcp.tools.status import GET_STATUS
from verify_mcp.tools.summarize_sessions import SUMMARIZE_SESSIONS

MAX_CLOCK_CHECK_SECONDS = 5.0
logger = logging.getLogger(__name__)

TOOLS = (
    LIST_SESSIONS,
    SUMMARIZE_SESSIONS,
    COMPARE_SESSIONS,
    FIND_ANOMALIES,
    GET_SESSION,
    GET_STATUS,
)
_TOOLS_BY_NAME = {definition.name: definition for definition in TOOLS}


async def on_list_tools(
    _context: RequestContext, _params: PaginatedRequestParams | None
) -> ListToolsResult:
    """Every tool, on one page, always in the same order."""
    return ListToolsResult(tools=[definition.tool() for definition in TOOLS])


async def on_call_tool(context: RequestContext, params: CallToolRequestParams) -> CallToolResult:
    """Answer a call: the same compact JSON in both channels, or an error a reader can act on."""
    definition = _TOOLS_BY_NAME.get(params.name)
    if definition is None:
        raise MCPError(INVALID_PARAMS, f"No such tool. Tools: {', '.join(_TOOLS_BY_NAME)}.")
    app, call = context.lifespan_context, CallContext()
    wants_progress = "progress_token" in (context.meta or {})
    async with report_progress(context.session, call, enabled=wants_progress):
        return await _run_tool(definition, app, params.arguments, call)


async def _run_tool(
    definition: ToolDefinition, app: AppContext, arguments: RawArguments, call: CallContext
) -> CallToolResult:
    try:
        answer = await _call_handler(definition, app, arguments, call)
    except VerifyError as error:
        metrics.record_error(type(error).__name__)
        return _error_result(str(error))
    except Exception:
        metrics.record_error("bug")
        logger.exception("%s failed", definition.name)
        return _error_result("Internal error in verify-mcp; its log on stderr has the details.")
    return CallToolResult(
        content=[TextContent(text=envelope.to_json(answer))], structured_content=answer
    )


async def _call_handler(
    definition: ToolDefinition, app: AppContext, arguments: RawArguments, call: CallContext
) -> dict[str, Any]:
    """The answer, computed again if the first reply showed that this machine's clock is wrong."""
    clock = app.api_clock
    offset = clock.offset
    answer = await definition.handler(app, arguments, call)
    is_unsure = not clock.is_checked and definition.depends_on_clock(
        arguments, envelope.parse_context(app)
    )
    has_asked = is_unsure and await _check_clock(app, call)
    if has_asked or abs(clock.offset - offset) > CLOCK_TOLERANCE:
        answer = await definition.handler(app, arguments, call)
    return envelope.mark_made_up(answer, app.settings)


async def _check_clock(app: AppContext, call: CallContext) -> bool:
    """Send one request, once in a process, so that its reply shows the API's time; whether it did.

    An answer that needs no request would otherwise rest on this machine's clock, which may be
    wrong. Without a free slot or a reply within seconds, the clock is taken as it is.
    """
    if not await app.gateway.list_limiter.count_left():
        return False
    app.api_clock.is_checked = True
    request = PageRequest(SessionFilter(), limit=1, offset=0)
    with suppress(VerifyError), anyio.move_on_after(MAX_CLOCK_CHECK_SECONDS):
        await app.gateway.list_sessions(request, call=call)
    return True


def _error_result(message: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=message)], is_error=True)
