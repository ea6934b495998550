"""The tool `summarize_verify_sessions`."""

from dataclasses import replace
from typing import Any

from verify_mcp.context import AppContext
from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.windows import Window
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.details import SummaryDetails
from verify_mcp.summaries.query import SummaryQuery, SummaryResult, out_of_reach_result
from verify_mcp.tools import chart_page
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
    request = parse_summarize(arguments, parse_context(app), takes_subaccounts=True)
    return await summarize(app, request, call)


async def summarize(
    app: AppContext, request: SummarizeRequest, call: CallContext
) -> dict[str, Any]:
    """The answer of a parsed call; with `max_requests=0`, from what earlier calls fetched."""
    from verify_mcp.tools import summary_answer  # deferred: not needed to start

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
            ranking=request.ranking,
        )
        result, details = await _figures(app, request, query, call)
    else:
        result, details = out_of_reach_result(Window(request.start, end), now), None
    if "app" in request.group_by:
        request = replace(request, app_names=await app.recipients.recent.read_apps())
    meta = await answer_meta(app, app.gateway.list_limiter, call)
    return summary_answer.summary_answer(request, result, details, meta, app.recipients.format)


async def _figures(
    app: AppContext, request: SummarizeRequest, query: SummaryQuery, call: CallContext
) -> tuple[SummaryResult, SummaryDetails | None]:
    """The result of a query, of one or of several subaccounts or recipients, and its details."""
    # Deferred: not needed to start.
    from verify_mcp.summaries.combined import CombinedSummarizer, by_recipient, by_subaccount
    from verify_mcp.summaries.details import DetailReader
    from verify_mcp.summaries.mirror_reader import MirrorReader
    from verify_mcp.summaries.summarizer import Summarizer

    parts = {}
    if request.subaccounts:
        parts = by_subaccount(query.session_filter, request.subaccounts)
    elif query.session_filter.recipients and not await MirrorReader(app.mirror, query).is_stored():
        parts = by_recipient(query.session_filter)
    if parts:
        return await CombinedSummarizer(app, query, parts).run(call, request.show)
    result = await complete_later(app, query, await Summarizer(app, query, call).run())
    return result, await DetailReader(app.mirror, query).read(result, request.show)


SUMMARIZE_SESSIONS = ToolDefinition(
    "summarize_verify_sessions",
    "Summarize Plivo Verify sessions",
    "Totals over Plivo Verify (OTP) sessions, by groups: conversion, cost, rescued (verified "
    "on another channel than the first), … `conversion_pct` and `first_try_pct` are of the "
    "sessions that ended; channel is the last attempt's, gap from first to second attempt. "
    "`basis`: held and fetched are exact, counted marks what is `estimated`. `complete: false` "
    "says what is missing and when the same call goes on. "
    "`quota_left` counts list requests.",
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
