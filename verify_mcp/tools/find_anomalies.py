"""The tool `find_verify_anomalies`."""

from dataclasses import replace
from typing import Any

from verify_mcp.context import AppContext
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.windows import Window
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.anomaly_query import AnomalyQuery, AnomalyResult
from verify_mcp.tools import chart_page
from verify_mcp.tools.anomaly_request import ANOMALY_ARGUMENTS, AnomalyRequest, parse_anomalies
from verify_mcp.tools.completed_later import explain_completion
from verify_mcp.tools.definition import RawArguments, ToolDefinition
from verify_mcp.tools.envelope import answer_meta, parse_context


async def find_verify_anomalies(
    app: AppContext, arguments: RawArguments, call: CallContext
) -> dict[str, Any]:
    """What stands out in a window, compared with the time before it."""
    from verify_mcp.tools.anomaly_answer import anomaly_answer  # deferred: not needed to start

    request = parse_anomalies(arguments, parse_context(app))
    session_filter = await app.recipients.resolve(request.summary.session_filter)
    request = replace(request, summary=replace(request.summary, session_filter=session_filter))
    result = await _complete_later(app, request, await search(app, request, call))
    meta = await answer_meta(app, app.gateway.list_limiter, call)
    formatter = None if app.recipients.are_masked else app.recipients.format
    return anomaly_answer(request, result, meta, formatter)


async def search(app: AppContext, request: AnomalyRequest, call: CallContext) -> AnomalyResult:
    """The findings of a call. Raises ApiError when it fails and nothing is known."""
    # Deferred: not needed to start.
    from verify_mcp.summaries.anomalies import find_anomalies, out_of_reach_anomalies

    now, summary = app.now(), request.summary
    end = min(summary.end or now, now.replace(microsecond=0))
    start = max(summary.start, reach_edge(now))
    if start >= end and summary.start < end:
        return out_of_reach_anomalies(Window(summary.start, end), request.baseline, now)
    query = AnomalyQuery(
        summary.session_filter,
        Window(min(start, end), end),
        summary.end is not None and summary.end <= now,
        request.baseline,
        request.kinds,
        summary.max_requests,
    )
    return await find_anomalies(app, query, call)


async def _complete_later(
    app: AppContext, request: AnomalyRequest, result: AnomalyResult
) -> AnomalyResult:
    """Have what is missing completed in the background, and say so in the result."""
    if result.eta_s is None:
        return result
    past, now = result.past.window, result.now.window
    nearest = Window(max(past.start, now.start - now.length), now.start)
    missing = now if result.now.missing else nearest
    session_filter = SessionFilter(subaccount=request.summary.session_filter.subaccount)
    completion = await app.background.complete(session_filter, missing, result.pages_left)
    if completion is None:
        return result
    why = explain_completion(result.why, completion)
    return replace(result, why=why, eta_s=completion.eta_s or result.eta_s)


FIND_ANOMALIES = ToolDefinition(
    "find_verify_anomalies",
    "Find what stands out in Plivo Verify",
    "What stands out in Plivo Verify sessions against the time before. "
    "`at_stake`: spent for nothing; `chance`: of any by accident.",
    ANOMALY_ARGUMENTS,
    {
        "complete": "boolean",
        "missing": "array",
        "findings": "integer",
        "columns": "array",
        "rows": "array",
    },
    find_verify_anomalies,
    chart_page.URI,
)
