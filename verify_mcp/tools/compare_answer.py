"""What `compare_verify_sessions` returns: both windows, their difference and its drivers."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from verify_mcp.domain.reach import explain_reach
from verify_mcp.domain.times import format_api_time
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.comparison import ComparisonResult
from verify_mcp.summaries.query import SummaryResult
from verify_mcp.tools.compare_drivers import cost_fields, driver_fields
from verify_mcp.tools.compare_request import CompareRequest
from verify_mcp.tools.compare_totals import (
    WindowTotals,
    conversion_fields,
    summary_sentence,
    total_rows,
    window_totals,
)
from verify_mcp.tools.envelope import AnswerMeta
from verify_mcp.tools.filter_arguments import applied_filters, explain_local_filters
from verify_mcp.tools.formatting import ceil_seconds


def compare_answer(
    request: CompareRequest, result: ComparisonResult, meta: AnswerMeta
) -> dict[str, Any]:
    """The answer of `compare_verify_sessions`."""
    sides = [side for side in (result.before, result.after) if side is not None]
    before = window_totals(result.before) if result.before else WindowTotals()
    after = window_totals(result.after)
    windows = (result.before_window, result.after.window)
    why = _why(result)
    return {
        "complete": result.is_exact and not why,
        "basis": _basis(sides),
        **({"why": why} if why else {}),
        **_eta_fields(sides, is_completed_later=result.is_completed_later),
        "applied": {**_applied(request, windows), **_applied_zone(request, result)},
        "summary": summary_sentence(before, after, result),
        **total_rows(before, after),
        **conversion_fields(before, after),
        **driver_fields(request, result),
        **cost_fields(request, result),
        **_note(request, meta),
        **replace(meta, now=min([*(side.as_of for side in sides), meta.now])).fields(),
    }


def unreachable_answer(
    request: CompareRequest, windows: tuple[Window, Window], edge: datetime, meta: AnswerMeta
) -> dict[str, Any]:
    """The answer where the earlier window lies before the API's reach: no figure is known."""
    why = (
        f"{explain_reach(edge)} The earlier window starts before that, so there is nothing to "
        "compare with. Ask about less time, or give a later `against`."
    )
    return {
        "complete": False,
        "why": why,
        "missing": [f"{format_api_time(windows[0].start)} to {format_api_time(edge)}"],
        "applied": _applied(request, windows),
        **meta.fields(),
    }


def _note(request: CompareRequest, meta: AnswerMeta) -> dict[str, str]:
    """What a status makes of the conversion, and which filters were applied here."""
    session_filter, notes = request.summary.session_filter, list[str]()
    if session_filter.status:
        notes.append("All these sessions have one status, so their conversion says nothing.")
    if session_filter.local_filters() and meta.api_requests:
        notes.append(explain_local_filters(session_filter))
    return {"note": " ".join(notes)} if notes else {}


def _why(result: ComparisonResult) -> str:
    """What is left open: of each window by name, and of the drivers."""
    sentences = [
        f"The {name} window {_explain_side(side)}"
        for name, side in (("later", result.after), ("earlier", result.before))
        if side is not None and not side.is_exact
    ]
    if not result.is_exact:
        rest = (
            "they are fetched in the background"
            if result.is_completed_later
            else "the same call goes on"
        )
        sentences.append(f"Drivers need every session of both windows: {rest}.")
    return " ".join(filter(None, (result.why, *sentences)))


def _explain_side(side: SummaryResult) -> str:
    """What is left open of one window, as the end of a sentence."""
    count = side.count
    if count is None:
        return f"is not known in full. {side.why or 'Some rows could not be read.'}"
    if count.failure is not None:
        return f"could not be counted to the end. {count.failure}"
    if count.is_unfinished or count.inconsistent:
        return "is not counted to the end yet."
    pages = max(1, count.pages - count.sampled_pages)
    return f"is counted; its cost and groups take about {pages} more requests."


def _basis(sides: Sequence[SummaryResult]) -> str:
    """The weaker way in which the figures of both windows came about."""
    ways = ("counted", "fetched", "held")
    return next(way for way in ways if any(side.basis == way for side in sides))


def _eta_fields(sides: Sequence[SummaryResult], *, is_completed_later: bool) -> dict[str, int]:
    """Seconds until the same call can go on, and until both windows can be exact."""
    etas = [side.eta_s for side in sides if side.eta_s is not None]
    exact = [side.eta_exact_s for side in sides if side.eta_exact_s is not None]
    # In the background, the second window's time includes that of the first.
    exact_s = max(exact, default=0) if is_completed_later else sum(exact)
    return {
        **({"eta_s": ceil_seconds(max(etas))} if etas else {}),
        **({"eta_exact_s": ceil_seconds(exact_s)} if exact else {}),
    }


def _applied_zone(request: CompareRequest, result: ComparisonResult) -> dict[str, str]:
    """The time zone, where hours of the day are shown."""
    drivers = result.search.drivers if result.search else ()
    has_hours = any(driver.effect.dimension == "hour_of_day" for driver in drivers)
    return {"time_zone": str(request.summary.zone)} if has_hours else {}


def _applied(request: CompareRequest, windows: tuple[Window, Window]) -> dict[str, Any]:
    """What was asked: the filters, and the later and the earlier window."""
    summary = request.summary
    applied = applied_filters(summary.session_filter, summary.recipient_echo)
    earlier, later = windows
    return {
        **applied,
        "session_time__gte": format_api_time(later.start),
        "session_time__lt": format_api_time(later.end),
        "against": format_api_time(earlier.start),
        **({"by": request.by} if request.by else {}),
    }
