"""What `summarize_verify_sessions` returns: totals and groups, exact or with their intervals."""

from dataclasses import replace
from typing import Any

from verify_mcp.domain.groups import TIME_GROUPS
from verify_mcp.domain.ranking import ORDERS
from verify_mcp.domain.reach import REACH_TOLERANCE, OutOfReach, out_of_reach
from verify_mcp.domain.tallies import total
from verify_mcp.domain.times import format_api_time
from verify_mcp.domain.windows import Window, join_closest
from verify_mcp.summaries.details import SummaryDetails
from verify_mcp.summaries.query import SummaryResult
from verify_mcp.tools.envelope import AnswerMeta
from verify_mcp.tools.filter_arguments import applied_filters, explain_local_filters
from verify_mcp.tools.formatting import RecipientFormatter, ceil_seconds
from verify_mcp.tools.group_table import group_table
from verify_mcp.tools.list_answer import recipient_note
from verify_mcp.tools.summary_request import SummarizeRequest
from verify_mcp.tools.summary_totals import detail_fields, totals_with_estimates

MAX_SPANS = 5
"""Spans of time in `missing`; the closest ones are joined until so many remain."""


def summary_answer(
    request: SummarizeRequest,
    result: SummaryResult,
    details: SummaryDetails | None,
    meta: AnswerMeta,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """The answer of `summarize_verify_sessions`."""
    beyond = out_of_reach_part(request, result.window)
    spans = join_closest(result.missing, MAX_SPANS - (1 if beyond else 0))
    whys = (result.why, _explain_joined_spans(result, spans), beyond.why if beyond else "")
    why = " ".join(filter(None, whys))
    missing = [*map(format_span, spans), *([beyond.missing] if beyond else [])]
    return {
        "complete": not missing and not result.skipped and result.count is None,
        **({"basis": result.basis} if result.basis else {}),
        **({"why": why} if why else {}),
        **({"missing": missing} if missing else {}),
        **_eta_fields(result),
        **({"skipped": result.skipped} if result.skipped else {}),
        "applied": _applied(request, result),
        **_totals(request, result, details),
        **_with_notes(
            group_table(request, result, details, format_recipient),
            _no_match(request, result),
            _local_note(request, result, meta),
        ),
        **replace(meta, now=min(result.as_of, meta.now)).fields(),
    }


def _totals(
    request: SummarizeRequest, result: SummaryResult, details: SummaryDetails | None
) -> dict[str, Any]:
    if not _has_figures(result):
        return {}
    # Groups of attempt statuses overlap; around what was counted nothing is in groups.
    overlapping = "attempt_status" in request.group_by and result.count is None
    tallies = None if overlapping else total([*result.tallies.values(), result.rest])
    totals = totals_with_estimates(details.tally if details else tallies, result.count)
    return {**totals, **detail_fields(details)}


def _with_notes(table: dict[str, Any], *notes: str) -> dict[str, Any]:
    """A table's fields with further sentences in its note."""
    note = " ".join(filter(None, (table.get("note", ""), *notes)))
    return {**table, "note": note} if note else table


def _no_match(request: SummarizeRequest, result: SummaryResult) -> str:
    """Why no session may match a recipient, where none does."""
    if not request.session_filter.recipient or result.count is not None or result.tallies:
        return ""
    return recipient_note(request.session_filter.recipient)


def _local_note(request: SummarizeRequest, result: SummaryResult, meta: AnswerMeta) -> str:
    """That requests were made for sessions which a filter then left out."""
    # Several recipients are asked for one by one.
    session_filter = replace(request.session_filter, recipients=())
    if not session_filter.local_filters() or not (meta.api_requests or result.missing):
        return ""
    work = "are fetched" if result.count is None else "are counted and sampled"
    return explain_local_filters(session_filter, work)


def _eta_fields(result: SummaryResult) -> dict[str, int]:
    """Seconds until the same call can go on, and until its answer can be exact."""
    etas = {"eta_s": result.eta_s, "eta_exact_s": result.eta_exact_s}
    return {name: ceil_seconds(eta) for name, eta in etas.items() if eta is not None}


def format_span(span: Window) -> str:
    """A span of `missing`."""
    return f"{format_api_time(span.start)} to {format_api_time(span.end)}"


def _explain_joined_spans(result: SummaryResult, spans: tuple[Window, ...]) -> str:
    """What the spans in `missing` hold besides what is missing, if they do."""
    gaps = len(result.missing)
    if len(spans) == gaps:
        return ""
    return (
        f"`missing` joins {gaps} gaps into {len(spans)} spans, so it takes in times that the "
        "figures cover."
    )


def _has_figures(result: SummaryResult) -> bool:
    """Whether the figures are about a part of the window at least: zeros would be wrong."""
    return result.count is not None or result.missing != (result.window,)


def _applied(request: SummarizeRequest, result: SummaryResult) -> dict[str, Any]:
    applied = applied_filters(request.session_filter, request.recipient_echo)
    if request.subaccounts:
        applied["subaccount"] = list(request.subaccounts)
    applied |= {
        "session_time__gte": format_api_time(result.window.start),
        "session_time__lt": format_api_time(result.window.end),
    }
    if request.group_by:
        applied["group_by"] = list(request.group_by)
    order, least = request.ranking.order_by, request.ranking.min_sessions
    if order != "sessions":
        is_by_time = bool(set(request.group_by) & set(TIME_GROUPS))
        direction = "which are shown; rows are in order of time" if is_by_time else ORDERS[order]
        applied["order_by"] = f"{order}, {direction}"
    if least:
        applied["min_sessions"] = least
    if set(request.group_by) & set(TIME_GROUPS):
        applied["time_zone"] = str(request.zone)
    return applied


def out_of_reach_part(request: SummarizeRequest, window: Window) -> OutOfReach | None:
    """What lies before the API's reach, None for seconds: `applied` shows those."""
    start = window.start
    if start - request.start <= REACH_TOLERANCE:
        return None
    return out_of_reach(request.start, start, edge=start)
