"""The table of days, weeks or hours that were counted: exact, or with intervals."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from verify_mcp.domain.groups import GroupKey
from verify_mcp.domain.tallies import Tallies, Tally, merge, percent
from verify_mcp.summaries.count_result import CountResult
from verify_mcp.summaries.estimate import Estimate
from verify_mcp.summaries.span_counts import SpanFigures
from verify_mcp.summaries.time_spans import time_unit
from verify_mcp.tools.formatting import format_decimal
from verify_mcp.tools.summary_request import SummarizeRequest

SESSION_COLUMNS = ["sessions", "sessions_low", "sessions_high"]
MAX_WIDTH = 25
"""Percentage points of an interval of a conversion; a wider one says too little to be shown."""
CONVERSION_COLUMNS = ["conversion_pct", "conversion_low", "conversion_high"]


def span_table(request: SummarizeRequest, count: CountResult, around: Tallies) -> dict[str, Any]:
    """The days, weeks or hours of the window, with those `around` the part that was counted."""
    if not count.spans:
        return {"note": _explain_none(request, count)} if count.counts else {}
    spans = _whole_window(request, count, around)
    has_statuses = any(figures.verified is not None for figures in spans.values())
    columns, rows = list(SESSION_COLUMNS), [_row(key, spans[key]) for key in spans]
    if "status" in request.group_by:
        place = request.group_by.index("status")
        rows = [row for key in spans for row in _status_rows(key, spans[key], place)]
    elif has_statuses:
        columns += CONVERSION_COLUMNS
        rows = [row + _conversion(spans[key]) for row, key in zip(rows, spans, strict=True)]
    table = _without_empty_columns([*request.group_by, *columns], rows)
    return {**table, **_note(request, spans)}


def _without_empty_columns(columns: list[str], rows: list[list[str]]) -> dict[str, Any]:
    """The table without the columns that say nothing: bounds where every number is exact."""
    shown = [index for index in range(len(columns)) if any(row[index] for row in rows)]
    return {
        "columns": [columns[index] for index in shown],
        "rows": [[row[index] for index in shown] for row in rows],
    }


def _whole_window(
    request: SummarizeRequest, count: CountResult, around: Tallies
) -> dict[GroupKey, SpanFigures]:
    """The figures of each span, the sessions around the part that was counted included."""
    place = next(index for index, by in enumerate(request.group_by) if by != "status")
    outside: Tallies = {}
    for key, tally in around.items():
        outside = merge(outside, {(key[place],): tally})
    return {
        key: _with_tally(count.spans.get(key), outside.get(key, Tally()))
        for key in sorted(count.spans.keys() | outside.keys())
    }


def _row(labels: GroupKey, figures: SpanFigures) -> list[str]:
    return [*labels, *_sessions(figures.sessions)]


def _sessions(number: Estimate) -> list[str]:
    high = str(number.high) if number.high.is_finite() else ""
    bounds = ["", ""] if number.exact else [str(number.low), high]
    return [str(number.value), *bounds]


def _status_rows(key: GroupKey, figures: SpanFigures, place: int) -> list[list[str]]:
    """A row for each status of a span; one for all together until the statuses are counted."""
    verified, ended = figures.verified, figures.ended
    if verified is None or ended is None:
        numbers = {"any": figures.sessions}
    else:
        numbers = {
            "verified": verified,
            "expired": ended.less(verified),
            "in-progress": figures.sessions.less(ended),
        }
    labels = {status: [*key[:1]] for status in numbers}
    for status, cells in labels.items():
        cells.insert(place, status)
    return [
        [*labels[status], *_sessions(number)] for status, number in numbers.items() if number.high
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


def _conversion(figures: SpanFigures) -> list[str]:
    """The part of the sessions that ended that were verified; empty where none may have ended."""
    verified, ended = figures.verified, figures.ended
    if verified is None or ended is None or not ended.value:
        return ["", "", ""]
    if verified.exact and ended.exact:
        return [str(format_decimal(percent(verified.value, ended.value))), "", ""]
    low = percent(verified.low, max(ended.high, verified.low, Decimal(1)), ROUND_FLOOR)
    most = percent(verified.high, max(ended.low, Decimal(1)), ROUND_CEILING)
    value = percent(min(verified.value, ended.value), ended.value)
    if most - low > MAX_WIDTH:
        return ["", "", ""]
    return [
        str(min(max(bound, low), Decimal(100)).quantize(Decimal("0.1"), rounding))
        for bound, rounding in (
            (value, ROUND_HALF_EVEN),
            (low, ROUND_FLOOR),
            (most, ROUND_CEILING),
        )
    ]


def _note(request: SummarizeRequest, spans: dict[GroupKey, SpanFigures]) -> dict[str, str]:
    exact = sum(figures.sessions.exact for figures in spans.values())
    if exact == len(spans):
        return {}
    unit = time_unit(request.group_by)
    open_spans = [key[0] for key, figures in spans.items() if not figures.sessions.high.is_finite()]
    to_last = f" Up to {open_spans[-1]} a {unit} has at least so many." if open_spans else ""
    return {
        "note": f"{exact} of {len(spans)} {unit}s have their exact number of sessions; the others "
        f"are estimated by the times of the pages read, with intervals.{to_last}"
    }


def _explain_none(request: SummarizeRequest, count: CountResult) -> str:
    """Why no day, week or hour is counted."""
    if count.is_restricted:
        return "With this filter, days, weeks and hours are told once every page is fetched."
    if time_unit(request.group_by) is None:
        return (
            "Days, weeks and hours are counted alone or by status: ask about one of them by "
            "another group."
        )
    return "More than 100 hours are not counted one by one: ask about less time, or by day."
