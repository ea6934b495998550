"""The tool `compare_verify_sessions`."""

from dataclasses import replace
from typing import Any

from verify_mcp.context import AppContext
from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.windows import Window
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.comparison import (
    ComparisonQuery,
    ComparisonResult,
    baseline_window,
    within_reach,
)
from verify_mcp.tools import chart_page
from verify_mcp.tools.compare_request import COMPARE_ARGUMENTS, parse_compare
from verify_mcp.tools.completed_later import complete_later
from verify_mcp.tools.definition import RawArguments, ToolDefinition
from verify_mcp.tools.envelope import answer_meta, parse_context


async def compare_verify_sessions(
    app: AppContext, arguments: RawArguments, call: CallContext
) -> dict[str, Any]:
    """Two windows side by side, and the groups that explain their difference."""
    # Deferred: not needed to start.
    from verify_mcp.summaries.comparer import Comparer
    from verify_mcp.tools.compare_answer import compare_answer, unreachable_answer

    request = parse_compare(arguments, parse_context(app))
    summary, now = request.summary, app.now()
    end = min(summary.end or now, now.replace(microsecond=0))
    edge = reach_edge(now)
    window, start = within_reach(Window(min(summary.start, end), end), request.baseline, edge)
    baseline = baseline_window(window, start)
    if baseline.start < edge:
        meta = await answer_meta(app, app.gateway.list_limiter, call)
        return unreachable_answer(request, (baseline, window), edge, meta)
    query = ComparisonQuery(
        await app.recipients.resolve(summary.session_filter),
        window,
        summary.end is not None and summary.end <= now,
        start,
        request.dimensions,
        summary.zone,
        summary.max_requests,
        request.name,
    )
    result = await _complete_later(app, query, await Comparer(app, query, call).run())
    if any(breakdown.dimension == "app" for breakdown in result.breakdowns):
        names = await app.recipients.recent.read_apps()
        request = replace(request, summary=replace(summary, app_names=names))
    return compare_answer(request, result, await answer_meta(app, app.gateway.list_limiter, call))


async def _complete_later(
    app: AppContext, query: ComparisonQuery, result: ComparisonResult
) -> ComparisonResult:
    """Have what is missing of both windows fetched in the background, where that is done."""
    if result.is_exact:
        return result
    counted = await _count_later(app, query, result)
    if counted is not None:
        return counted
    later = replace(query.later(), window=result.after.window)
    after = await complete_later(app, later, result.after)
    before = result.before
    if before is not None:
        before = await complete_later(app, query.earlier(result.after.window), before)
        is_planned = before is not result.before
    else:
        plan = app.background.complete(query.session_filter, result.before_window, None)
        is_planned = await plan is not None
    is_completed = is_planned or after is not result.after
    return replace(result, after=after, before=before, is_completed_later=is_completed)


async def _count_later(
    app: AppContext, query: ComparisonQuery, result: ComparisonResult
) -> ComparisonResult | None:
    """Have the pages of the filter read in the background; None where all sessions are.

    They are fewer than those of all sessions, unless the API does not know the filter.
    """
    from verify_mcp.summaries.comparer import Comparer  # deferred: not needed to start

    session_filter, expected = query.session_filter, result.requests_left
    if session_filter.is_unfiltered() or session_filter.is_decided_locally() or not expected:
        return None

    async def go_on(call: CallContext, requests: int) -> int:
        return await Comparer(app, replace(query, max_requests=requests), call).go_on()

    plan = await app.background.go_on_counting(("compare", query.name), go_on, expected)
    if plan is None or plan.eta_s is None:
        return None
    after = replace(result.after, eta_s=plan.eta_s, eta_exact_s=plan.eta_s)
    before = result.before and replace(result.before, eta_s=None, eta_exact_s=None)
    return replace(result, after=after, before=before, is_completed_later=True)


COMPARE_SESSIONS = ToolDefinition(
    "compare_verify_sessions",
    "Compare two periods of Plivo Verify sessions",
    "What changed against an earlier window of the same length: conversion in points with 95 % "
    "interval and `chance` (if nothing changed), `drivers` (groups: rate is "
    "their conversion, mix their share) and since when. Drivers show where, not why, and overlap.",
    COMPARE_ARGUMENTS,
    {"complete": "boolean", "summary": "string", "columns": "array", "rows": "array"},
    compare_verify_sessions,
    chart_page.URI,
)
