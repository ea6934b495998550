"""The arguments of `compare_verify_sessions`, and a call of it as a value."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from verify_mcp.analysis.drivers import DIMENSIONS as ALL_DIMENSIONS
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.groups import GROUPS
from verify_mcp.domain.times import format_api_time
from verify_mcp.domain.windows import Window
from verify_mcp.errors import InvalidArgument
from verify_mcp.summaries.comparison import WEEK, Baseline, baseline_window, have_same_hours
from verify_mcp.tools.arguments import (
    Argument,
    ParseContext,
    parse,
    parse_choice,
    parse_instant,
    parse_text,
)
from verify_mcp.tools.filter_arguments import BRIEF_DESCRIPTIONS
from verify_mcp.tools.summary_request import (
    SUMMARIZE_ARGUMENTS,
    SummarizeRequest,
    parse_summarize,
)

DIMENSIONS = tuple(name for name in ALL_DIMENSIONS if name in GROUPS)
"""What drivers are looked for in."""
_OWN_ARGUMENTS = ("against", "by")


def parse_baseline(value: object, context: ParseContext) -> Baseline:
    """The word `before` or `week`, or an instant. Raises InvalidArgument."""
    match parse_text(value, context).lower():
        case "before" | "previous":
            return "before"
        case "week" | "last_week":
            return "week"
    try:
        return parse_instant(value, context)
    except InvalidArgument:
        raise InvalidArgument("is neither before, week nor a time, e.g. 14d.") from None


COMPARE_ARGUMENTS = (
    Argument(
        "against",
        "before (default), week (7 days earlier) or its start",
        parse_baseline,
    ),
    Argument(
        "by",
        f"Drivers of one of {','.join(DIMENSIONS)}",
        parse_choice(*DIMENSIONS),
    ),
    *(
        replace(rule, description=BRIEF_DESCRIPTIONS[rule.name], extra_schema={})
        for rule in SUMMARIZE_ARGUMENTS
        if rule.name in BRIEF_DESCRIPTIONS
    ),
)


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """A call of `compare_verify_sessions`: a summary's call, and what it is compared with."""

    summary: SummarizeRequest
    baseline: Baseline
    by: str | None
    name: Hashable
    """The same when the call is repeated."""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What drivers are looked for in."""
        return (self.by,) if self.by else DIMENSIONS


def parse_compare(arguments: Mapping[str, object] | None, context: ParseContext) -> CompareRequest:
    """A call of `compare_verify_sessions` from its raw arguments. Raises InvalidArgument."""
    values = parse(COMPARE_ARGUMENTS, arguments, context)
    raw = arguments or {}
    shared = {name: value for name, value in raw.items() if name not in _OWN_ARGUMENTS}
    summary = parse_summarize(shared, context)
    baseline: Baseline = values.get("against", "before")
    _check_windows(summary, baseline, context.now, by=values.get("by"))
    name = tuple(sorted((name, repr(raw[name])) for name in raw if name != "max_requests"))
    return CompareRequest(summary, baseline, values.get("by"), name)


def _check_windows(
    summary: SummarizeRequest, baseline: Baseline, now: datetime, *, by: str | None
) -> None:
    """Raise InvalidArgument for windows that overlap, or whose hours cannot be compared."""
    window = Window(summary.start, max(summary.start, min(summary.end or now, now)))
    try:
        earlier = baseline_window(window, baseline)
    except ValueError:
        raise InvalidArgument(_explain_overlap(window, baseline)) from None
    if by == "hour_of_day" and not have_same_hours(earlier, window):
        raise InvalidArgument(
            "by=hour_of_day needs windows that begin at the same time of day, e.g. against=week, "
            "or a window of 24h."
        )


def _explain_overlap(window: Window, baseline: Baseline) -> str:
    if baseline == "week":
        return (
            f"against=week compares at most {WEEK.days} days; the window is longer, so both would "
            "overlap. Give a later session_time__gte, or against=before."
        )
    latest = format_api_time((window.start - window.length).replace(microsecond=0))
    words = "before or week" if window.length <= WEEK else "before"
    return (
        "against starts too late: both windows would overlap. Give a start at or before "
        f"{latest} (UTC), or {words}."
    )


def sessions_of(request: CompareRequest, session_filter: SessionFilter) -> CompareRequest:
    """The same call about the sessions of another filter."""
    return replace(request, summary=replace(request.summary, session_filter=session_filter))
