"""The table of days or hours that were counted: exact, or with the bounds of their numbers."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from verify_mcp.domain.groups import GroupKey
from verify_mcp.domain.tallies import Tallies, Tally, percent
from verify_mcp.summaries.count_result import CountResult
from verify_mcp.summaries.estimate import Estimate
from verify_mcp.summaries.span_counts import SpanFigures
from verify_mcp.tools.formatting import format_decimal
from verify_mcp.tools.summary_request import SummarizeRequest

SESSION_COLUMNS = ["sessions", "sessions_low", "sessions_high"]
CONVERSION_COLUMNS = ["conversion_pct", "conversion_low", "conversion_high"]


def span_table(request: SummarizeRequest, count: CountResult, around: Tallies) -> dict[str, Any]:
    """The days or hours of the window, with those `around` the part that was counted."""
    if not count.spans:
        return {"note": _explain_none(request)} if count.counts else {}
    spans = {
        key: _with_tally(count.spans.get(key), around.get(key, Tally()))
        for key in sorted(count.spans.keys() | around.keys())
    }
    has_conversion = any(figures.verified is not None for figures in spans.values())
    columns = SESSION_COLUMNS + (CONVERSION_COLUMNS if has_conversion else [])
    rows = [_row(key, figures, has_conversion=has_conversion) for key, figures in spans.items()]
    return {"columns": [*request.group_by, *columns], "rows": rows, **_note(request, spans)}


def _row(key: GroupKey, figures: SpanFigures, *, has_conversion: bool) -> list[str]:
    sessions = figures.sessions
    bounds = ["", ""] if sessions.exact else [str(sessions.low), str(sessions.high)]
    return [
        *key,
        str(sessions.value),
        *bounds,
        *(_conversion(figures.verified, figures.ended) if has_conversion else ()),
    ]


def _with_tally(figures: SpanFigures | None, tally: Tally) -> SpanFigures:
    """A span's figures with the sessions of it that are known exactly."""
    ended = Decimal(tally.verified + tally.expired)
    if figures is None:
        return SpanFigures(
            Estimate.certain(tally.sessions),
            Estimate.certain(tally.verified),
            Estimate.certain(ended),
        )
    return SpanFigures(
        figures.sessions.shifted_by(Decimal(tally.sessions)),
        figures.verified and figures.verified.shifted_by(Decimal(tally.verified)),
        figures.ended and figures.ended.shifted_by(ended),
    )


def _conversion(verified: Estimate | None, ended: Estimate | None) -> list[str]:
    """The part of the sessions that ended that were verified; empty where none may have ended."""
    if verified is None or ended is None or not ended.value:
        return ["", "", ""]
    if verified.exact and ended.exact:
        return [str(format_decimal(percent(verified.value, ended.value))), "", ""]
    low = percent(verified.low, max(ended.high, verified.low, Decimal(1)), ROUND_FLOOR)
    most = percent(verified.high, max(ended.low, Decimal(1)), ROUND_CEILING)
    value = percent(min(verified.value, ended.value), ended.value)
    return [f"{min(max(bound, low), Decimal(100)):.1f}" for bound in (value, low, most)]


def _note(request: SummarizeRequest, spans: dict[GroupKey, SpanFigures]) -> dict[str, str]:
    exact = sum(figures.sessions.exact for figures in spans.values())
    if exact == len(spans):
        return {}
    unit = request.group_by[0]
    return {
        "note": f"{exact} of {len(spans)} {unit}s have their exact number of sessions; the others "
        "have the bounds that the times of the pages read leave."
    }


def _explain_none(request: SummarizeRequest) -> str:
    """Why no day or hour is counted."""
    if len(request.group_by) > 1:
        return "Days and hours are counted one by one only as the single group."
    return "More than 100 hours are not counted one by one: ask about less time, or by day."
