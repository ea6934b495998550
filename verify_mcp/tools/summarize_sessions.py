"""The tool `summarize_verify_sessions`."""

from dataclasses import replace
from typing import Any

from verify_mcp.context import AppContext
from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.windows import Window
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.query import SummaryQuery, out_of_reach_result
from verify_mcp.summaries.summarizer import Summarizer
from verify_mcp.tools import chart_page, summary_answer
from verify_mcp.tools.completed_later import complete_later
from verify_mcp.tools.definition import RawArguments, ToolDefinition
from verify_mcp.tools.envelope import answer_meta, parse_context
from verify_mcp.tools.summary_request import (
    SUMMARIZE_ARGUMENTS,
    SummarizeRequest,
    parse_summarize,
)


async def summarize_verify_sessions(
    app: AppContext, arguments: RawArguments, call: CallContext
) -> dict[str, Any]:
    """Many sessions in few numbers, exact where that is affordable."""
    return await summarize(app, parse_summarize(arguments, parse_context(app)), call)


async def summarize(
    app: AppContext, request: SummarizeRequest, call: CallContext
) -> dict[str, Any]:
    """The answer of a parsed call; with `max_requests=0`, from what earlier calls fetched."""
    request = replace(request, session_filter=await app.recipients.resolve(request.session_filter))
    now = app.now()
    end = min(request.end or now, now.replace(microsecond=0))
    start = max(request.start, reach_edge(now))
    pinned = request.end is not None and request.end <= now
    if start < end or request.start >= end:
        window = Window(min(start, end), end)
        query = SummaryQuery(
            request.session_filter,
            window,
            pinned,
            request.group_by,
            request.zone,
            request.max_requests,
        )
        result = await complete_later(app, query, await Summarizer(app, query, call).run())
    else:
        result = out_of_reach_result(Window(request.start, end), now)
    meta = await answer_meta(app, app.gateway.list_limiter, call)
    return summary_answer.summary_answer(request, result, meta, app.recipients.format)


SUMMARIZE_SESSIONS = ToolDefinition(
    "summarize_verify_sessions",
    "Summarize Plivo Verify sessions",
    "Totals over Plivo Verify (OTP) sessions: how many, verified, expired, conversion, "
    "attempts, exact cost, cost per verified session, spend on expired ones, and rescued "
    "(verified on another channel than the first); by up to two groups. `conversion_pct` is of "
    "the sessions that ended: those in progress are left out. `basis` says how: held "
    "and fetched are exact, counted has exact counts and marks what is `estimated` with 95 % "
    "intervals. `complete: false` says what is missing and in how many seconds the same call "
    "can go on; `missing` has at most five spans. `quota_left` counts list requests.",
    SUMMARIZE_ARGUMENTS,
    {
        "complete": "boolean",
        "basis": "string",
        "why": "string",
        "missing": "array",
        "applied": "object",
        "sessions": "integer",
        "conversion_pct": "string",
        "cost": "string",
        "columns": "array",
        "rows": "array",
        "estimated": "object",
        "as_of": "string",
    },
    summarize_verify_sessions,
    chart_page.URI,
)
