"""The time before a report's period: fetched where there is time, compared with, and searched."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from verify_mcp.cli.fetching import FetchEstimate, fetch_windows, seconds_until_fetched
from verify_mcp.cli.progress import UpdateProgress
from verify_mcp.cli.wording import about, explain_error, quoted_command
from verify_mcp.context import AppContext
from verify_mcp.domain.api_limits import PAGE_SIZE, REACH
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.times import format_api_time
from verify_mcp.domain.windows import Window, gaps
from verify_mcp.errors import ApiError, QuotaExhausted
from verify_mcp.mirror.store import Store
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.rate_limit_store import Priority
from verify_mcp.summaries.anomaly_query import DEFAULT_BASELINE
from verify_mcp.tools.anomaly_answer import anomaly_answer
from verify_mcp.tools.anomaly_request import MAX_WINDOW, parse_anomalies
from verify_mcp.tools.compare_sessions import compare_verify_sessions
from verify_mcp.tools.envelope import answer_meta, parse_context
from verify_mcp.tools.find_anomalies import search
from verify_mcp.tools.summary_request import MAX_REQUESTS

DAY = timedelta(days=1)
NOT_EXACT = (
    "The figures of this period are not exact, so nothing is compared with the period before."
)
OUT_OF_REACH = (
    f"The API keeps {REACH.days} days, and the period before starts earlier, so there is nothing "
    f"to compare with. A report of at most {REACH.days // 2} days has a comparison."
)

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Past:
    """The window before a report's, and why it cannot be compared with; empty when it can."""

    window: Window
    why: str = ""


async def fetch_past(
    context: AppContext,
    store: Store,
    window: Window,
    sessions: int,
    deadline: float,
    update: UpdateProgress,
) -> Past:
    """The window before, fetched if that ends before the deadline in monotonic seconds.

    `sessions` is the number in the report's window, from which the time is estimated.
    """
    past = Window(window.start - window.length, window.start)
    if past.start < reach_edge(context.now()):
        return Past(past, OUT_OF_REACH)
    missing = gaps(past, await store.cached_windows("", past))
    if not missing:
        return Past(past)
    share = sum((gap.length for gap in missing), timedelta()) / past.length
    slots = (await context.gateway.list_limiter.status()).left
    seconds = seconds_until_fetched(
        sessions * share / PAGE_SIZE, slots, context.settings.rate_limit
    )
    if context.clock.monotonic() + seconds >= deadline:
        return Past(past, _explain_unfetched(past, seconds))

    def show(estimate: FetchEstimate) -> None:
        update(f"fetching the period before: {estimate.sessions} sessions", estimate.seconds_left)

    try:
        await fetch_windows(context, SessionFilter(), missing, show, deadline=deadline)
    except (ApiError, QuotaExhausted) as error:
        return Past(past, f"The period before could not be fetched. {explain_error(error)}")
    is_held = not gaps(past, await store.cached_windows("", past))
    return Past(past) if is_held else Past(past, _explain_unfetched(past, None))


def _explain_unfetched(past: Window, seconds: float | None) -> str:
    until = past.end + DAY - timedelta(microseconds=1)
    dates = f"{past.start:%Y-%m-%d}", f"{until:%Y-%m-%d}"
    command = quoted_command("sync", "--since", dates[0], "--until", dates[1])
    time = f" ({about(seconds)})" if seconds else ""
    return (
        f"The period before, {format_api_time(past.start)} to {format_api_time(past.end)} UTC, is "
        "not held in full, and there was no time left to fetch it: nothing is compared with it. "
        f"Run {command}{time}, then the report again."
    )


async def compare_with_past(context: AppContext, window: Window, past: Past) -> Answer:
    """What changed against the window before, or why that cannot be said."""
    if past.why:
        return {"why": past.why}
    return await _attempt(lambda: compare_verify_sessions(context, _arguments(window), _call()))


async def find_what_stands_out(
    context: AppContext, window: Window, past: Past, *, shows_recipients: bool
) -> Answer:
    """What stands out, or why that cannot be said.

    A window that is too long for the search is searched in its last part only, which is compared
    with the part before.
    """
    if window.length > MAX_WINDOW:
        window = Window(window.end - min(MAX_WINDOW, window.length / 2), window.end)
    elif past.why:
        return {"why": past.why}
    return await _attempt(lambda: _find(context, window, shows_recipients=shows_recipients))


async def _find(context: AppContext, window: Window, *, shows_recipients: bool) -> Answer:
    days = -(-max(window.length, DEFAULT_BASELINE) // DAY)
    arguments = {**_arguments(window), "baseline": f"{days}d"}
    request = parse_anomalies(arguments, parse_context(context))
    call = _call()
    result = await search(context, request, call)
    meta = await answer_meta(context, context.gateway.list_limiter, call)
    formatter = _formatter(context, shows_recipients=shows_recipients)
    return anomaly_answer(request, result, meta, formatter)


def _formatter(context: AppContext, *, shows_recipients: bool) -> Callable[[str], str] | None:
    """How findings name a recipient; None leaves all parts of numbers out."""
    if context.recipients.are_masked:
        return None
    return context.recipients.format if shows_recipients else lambda _recipient: "one recipient"


async def _attempt(ask: Callable[[], Any]) -> Answer:
    try:
        answer: Answer = await ask()
    except (ApiError, QuotaExhausted) as error:  # the report's own figures are there
        return {"why": explain_error(error)}
    return answer


def _arguments(window: Window) -> Answer:
    return {
        "session_time__gte": format_api_time(window.start),
        "session_time__lt": format_api_time(window.end),
        "max_requests": MAX_REQUESTS,
    }


def _call() -> CallContext:
    return CallContext(priority=Priority.BACKGROUND)
