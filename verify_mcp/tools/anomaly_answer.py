"""What `find_verify_anomalies` returns: the findings, or what was looked at without any."""

from dataclasses import replace
from typing import Any

from verify_mcp.analysis.anomalies.levels import MIN_DAYS
from verify_mcp.domain.times import format_api_time
from verify_mcp.domain.windows import join_closest
from verify_mcp.summaries.anomaly_query import AnomalyResult, LookedAt
from verify_mcp.tools.anomaly_request import AnomalyRequest
from verify_mcp.tools.anomaly_rows import COLUMNS, finding_row
from verify_mcp.tools.envelope import AnswerMeta
from verify_mcp.tools.filter_arguments import applied_filters
from verify_mcp.tools.formatting import RecipientFormatter, ceil_seconds, format_days
from verify_mcp.tools.summary_answer import MAX_SPANS, format_span, out_of_reach_part


def anomaly_answer(
    request: AnomalyRequest,
    result: AnomalyResult,
    meta: AnswerMeta,
    format_recipient: RecipientFormatter | None,
) -> dict[str, Any]:
    """The answer of `find_verify_anomalies`; without a formatter recipients are left out."""
    beyond = out_of_reach_part(request.summary, result.now.window)
    spans = join_closest(result.now.missing, MAX_SPANS - (1 if beyond else 0))
    missing = [*map(format_span, spans), *([beyond.missing] if beyond else [])]
    reach = beyond.why if beyond and beyond.why not in result.why else ""
    whys = (result.why, reach, _explain_unjudged(result))
    why = " ".join(filter(None, whys))
    return {
        "complete": result.is_complete and not beyond,
        **({"why": why} if why else {}),
        **({"missing": missing} if missing else {}),
        **({"eta_s": ceil_seconds(result.eta_s)} if result.eta_s is not None else {}),
        **({"skipped": result.skipped} if result.skipped else {}),
        "applied": _applied(request, result),
        "baseline": _known_days(result.past),
        **_findings(result, format_recipient),
        **replace(meta, now=min(result.as_of, meta.now)).fields(),
    }


def _explain_unjudged(result: AnomalyResult) -> str:
    """Which kinds could not be judged, empty when all were."""
    if result.findings is None or not result.unjudged:
        return ""
    return (
        f"Not judged for every hour: {', '.join(result.unjudged)}. They are compared with the "
        f"same hours of {MIN_DAYS} other days; days held: {format_days(result.past.length)}. "
        "`verify-mcp sync --since 29d` fetches them."
    )


def _findings(result: AnomalyResult, format_recipient: RecipientFormatter | None) -> dict[str, Any]:
    if result.findings is None:
        return {}
    notes = [] if result.findings else [_nothing_note(result)]
    notes += [
        f"Left out: {count} sessions held that do not tell their {name}."
        for name, count in result.left_out
    ]
    fields: dict[str, Any] = {
        "sessions": result.sessions,
        "findings": len(result.findings),
        **({"note": " ".join(notes)} if notes else {}),
    }
    if not result.findings:
        return fields
    rows = [finding_row(reported, format_recipient) for reported in result.findings]
    return {**fields, "columns": COLUMNS, "rows": rows}


def _nothing_note(result: AnomalyResult) -> str:
    kinds = ", ".join(kind for kind in result.kinds if kind not in result.unjudged) or "nothing"
    window = "the window" if not result.now.missing else _known_days(result.now)
    return (
        f"Nothing stands out. Looked at {window} for {kinds}; events of fewer "
        "than about 20 sessions are not found, nor is what went on through the baseline, too."
    )


def _known_days(looked_at: LookedAt) -> str:
    """How much of a window is known, in days."""
    known, length = looked_at.length, looked_at.window.length
    whole = format_days(length)
    part = format_days(known)
    return f"{whole} days" if part == whole else f"{part} of {whole} days"


def _applied(request: AnomalyRequest, result: AnomalyResult) -> dict[str, Any]:
    summary = request.summary
    return applied_filters(summary.session_filter, summary.recipient_echo) | {
        "session_time__gte": format_api_time(result.now.window.start),
        "session_time__lt": format_api_time(result.now.window.end),
    }
