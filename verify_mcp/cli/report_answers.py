"""The answers of a report: all of one window and from one state of knowledge.

A window that can be exact in time is fetched into the mirror, which then answers everything. One
that cannot is counted and sampled, and every answer comes from the same sample.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from verify_mcp.cli.fetching import FetchEstimate, fetch_windows, in_background
from verify_mcp.cli.progress import UpdateProgress
from verify_mcp.cli.report_past import (
    NOT_EXACT,
    Past,
    compare_with_past,
    fetch_past,
    find_what_stands_out,
)
from verify_mcp.cli.wording import about, quoted_command
from verify_mcp.context import AppContext
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.times import format_api_time
from verify_mcp.domain.windows import Window, gaps
from verify_mcp.mirror.store import Store
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.rate_limit_store import Priority
from verify_mcp.settings import Rate
from verify_mcp.summaries.query import DEFAULT_MAX_REQUESTS
from verify_mcp.tools.envelope import parse_context
from verify_mcp.tools.summarize_sessions import summarize
from verify_mcp.tools.summary_request import MAX_REQUESTS, SummarizeRequest, parse_summarize

MIN_PAUSE, SAMPLE_PAUSE = 5.0, 20.0
"""Seconds between two rounds of a question, and between two rounds of a sample."""
_FOR_MODELS = re.compile(r"[^.]*(?:\bcall\b|[Aa]sked again|\bquota\b)[^.]*\.")
"""Sentences of `why` that tell a model how to go on."""

Answer = dict[str, Any]
Groups = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportQuestion:
    """What a report is about: its window, also as a person wrote it, and until when to try."""

    window: Window
    since: str
    until: str | None
    deadline: float
    """In monotonic seconds."""


async def answer_report(
    context: AppContext,
    store: Store,
    question: ReportQuestion,
    charts: Sequence[Groups],
    update: UpdateProgress,
) -> dict[str, Any]:
    """The report's parts: `answers` (the totals, then each chart), `comparison` and `findings`.

    Where nothing can be compared or searched, these two have `why` only. Raises InvalidArgument
    and ApiError.
    """
    for groups in charts:  # what cannot be meant is refused before anything is fetched
        _request(context, question, groups)
    totals = await _ask_until_known(context, question, update)
    if not totals["complete"]:
        totals = await _improve(context, store, question, totals, update)
    window, rate = question.window, context.settings.rate_limit
    if totals["complete"]:
        sessions, deadline = totals["sessions"], question.deadline
        past = await fetch_past(context, store, window, sessions, deadline, update)
        # Sessions may have ended while the past was fetched; every part is of one state.
        totals = await _ask(context, question, (), MAX_REQUESTS)
    else:
        past = Past(window, NOT_EXACT)
    most = MAX_REQUESTS if totals["complete"] else 0
    answers = [totals, *[await _ask(context, question, groups, most) for groups in charts]]
    parts = {
        "comparison": await compare_with_past(context, window, past),
        "findings": await find_what_stands_out(
            context, window, past, shows_recipients=any("recipient" in by for by in charts)
        ),
    }
    return {
        "answers": [_for_people(answer, question, rate) for answer in answers],
        **{name: _for_people(answer, question, rate) for name, answer in parts.items()},
    }


async def _improve(
    context: AppContext,
    store: Store,
    question: ReportQuestion,
    totals: Answer,
    update: UpdateProgress,
) -> Answer:
    """The totals exact where that is possible in time, otherwise from a larger sample."""
    time_left = question.deadline - context.clock.monotonic()
    if in_background(totals.get("eta_exact_s", 0), context.settings.rate_limit) > time_left:
        # With more requests at hand than it has pages, the window would be fetched instead.
        return await _ask_repeatedly(context, question, DEFAULT_MAX_REQUESTS, SAMPLE_PAUSE, update)
    missing = gaps(question.window, await store.cached_windows("", question.window))

    def show(estimate: FetchEstimate) -> None:
        update(f"fetching: {estimate.sessions} sessions", estimate.seconds_left)

    await fetch_windows(context, SessionFilter(), missing, show, deadline=question.deadline)
    # A count that was begun before would go on, though the mirror has its sessions now.
    context.resumable_jobs.clear()
    return await _ask_repeatedly(context, question, MAX_REQUESTS, MIN_PAUSE, update)


async def _ask_until_known(
    context: AppContext, question: ReportQuestion, update: UpdateProgress
) -> Answer:
    """The totals as one call has them, asked until it is known how long exact ones would take."""
    while True:
        answer = await _ask(context, question, (), DEFAULT_MAX_REQUESTS)
        pause = max(MIN_PAUSE, float(answer.get("eta_s", 0)))
        is_known = answer["complete"] or "eta_exact_s" in answer or "eta_s" not in answer
        if is_known or context.clock.monotonic() + pause > question.deadline:
            return answer
        update("waiting for the API's quota", None)
        await context.clock.sleep(pause)


async def _ask_repeatedly(
    context: AppContext,
    question: ReportQuestion,
    max_requests: int,
    least_pause: float,
    update: UpdateProgress,
) -> Answer:
    """The totals, asked until they are complete, or the deadline comes."""
    most = max_requests if context.clock.monotonic() < question.deadline else 0
    while True:
        answer = await _ask(context, question, (), most)
        pause = max(least_pause, float(answer.get("eta_s", 0)))
        time_left = question.deadline - context.clock.monotonic()
        if answer["complete"] or "eta_s" not in answer or pause > time_left:
            return answer
        is_sample = answer.get("basis") == "counted"
        doing = "sampling: too much to fetch in time" if is_sample else "fetching"
        update(doing, time_left if is_sample else answer.get("eta_exact_s"))
        await context.clock.sleep(pause)


async def _ask(
    context: AppContext, question: ReportQuestion, groups: Groups, max_requests: int
) -> Answer:
    request = replace(_request(context, question, groups), max_requests=max_requests)
    return await summarize(context, request, CallContext(priority=Priority.BACKGROUND))


def _request(context: AppContext, question: ReportQuestion, groups: Groups) -> SummarizeRequest:
    start = max(question.window.start, reach_edge(context.now()))  # the reach moves while we wait
    arguments = {
        "session_time__gte": format_api_time(start),
        "session_time__lt": format_api_time(question.window.end),
        **({"group_by": list(groups)} if groups else {}),
    }
    return parse_summarize(arguments, parse_context(context))


def _for_people(answer: Answer, question: ReportQuestion, rate: Rate) -> Answer:
    """The answer with words for a person, who runs commands and makes no calls."""
    texts = {}
    if "why" in answer:
        why = _FOR_MODELS.sub("", answer["why"]).replace("`missing`", "The list of missing times")
        texts["why"] = " ".join([*why.split(), advice(answer, question, rate)]).strip()
    if "note" in answer:
        texts["note"] = answer["note"].replace(": raise max_requests", "")
    return {**answer, **texts}


def advice(answer: Answer, question: ReportQuestion, rate: Rate) -> str:
    """The command that makes an answer exact, with the time it takes; empty where none does."""
    if answer.get("complete") or "eta_s" not in answer:
        return ""
    until = ("--until", question.until) if question.until else ()
    command = quoted_command("sync", "--since", question.since, *until)
    seconds = answer.get("eta_exact_s")
    time = f" ({about(in_background(seconds, rate))})" if seconds else ""
    return f"Run {command}{time}, then the report again: it will be exact."
