"""What an answer says of the rest that is completed in the background."""

import re
from dataclasses import replace

from verify_mcp.background.background import PlannedCompletion
from verify_mcp.context import AppContext
from verify_mcp.domain.windows import Window
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.query import SummaryQuery, SummaryResult
from verify_mcp.tools.formatting import ceil_seconds

MIN_SAVING, MIN_REQUESTS_SAVED = 3, 100
"""How many times as many requests every page takes than a count that goes first, and how many
more: it is in vain once the pages are there."""
_REQUESTS_LEFT = re.compile(r" ?Exact after about \d+ more requests: the same call goes on\.")
_BY_THE_SAME_CALL = re.compile(r"[;:,] the same call goes on\b[^.]*\.")
_BEGINS_ANEW = re.compile(r"[.] What was fetched is not remembered [^.]*[.] Ask about less time[.]")
"""What asks for repeated calls in `why`, which the background replaces."""


async def complete_later(
    app: AppContext, query: SummaryQuery, result: SummaryResult
) -> SummaryResult:
    """Have the rest of a result completed in the background, and say so in it."""
    if result.eta_s is None or not (result.missing or result.count):
        return result
    result = await _count_later(app, query, result)
    window = Window(result.window.start, max(result.window.end, query.window.end))
    completion = await app.background.complete(
        query.session_filter, window, result.pages_left, result.read
    )
    if completion is None:
        return result
    return replace(
        result,
        why=explain_completion(result.why, completion),
        eta_exact_s=completion.eta_s,
    )


async def _count_later(
    app: AppContext, query: SummaryQuery, result: SummaryResult
) -> SummaryResult:
    """Have what can be counted go on, where that takes far fewer requests than every page."""
    from verify_mcp.summaries.summarizer import Summarizer  # deferred: not needed to start

    expected = result.count.requests_left if result.count else 0
    if not expected or not _is_counted_first(query, expected, result.pages_left):
        return result

    async def go_on(call: CallContext, requests: int) -> int:
        again = replace(query, window=result.window, max_requests=requests)
        found = await Summarizer(app, again, call).run()
        return found.count.requests_left if found.count else 0

    key = (query.session_filter, query.group_by, str(query.zone), query.window.length)
    plan = await app.background.go_on_counting(key, go_on, expected)
    if plan is None or plan.eta_s is None:
        return result
    seconds = max(1, ceil_seconds(plan.eta_s))
    counting = f"The counting goes on in the background: exact counts in about {seconds} s."
    sentences = _BY_THE_SAME_CALL.sub(".", _REQUESTS_LEFT.sub("", result.why))
    return replace(result, why=f"{sentences} {counting}".lstrip(), eta_s=plan.eta_s)


def _is_counted_first(query: SummaryQuery, expected: int, pages: float | None) -> bool:
    """Whether a count goes on before every page is fetched: exact counts come minutes earlier.

    Only unfiltered pages are fetched in the background, which are more than those of the question.
    """
    if pages is None or not query.session_filter.is_unfiltered():
        return pages is None or expected <= pages
    return expected * MIN_SAVING <= pages and pages - expected >= MIN_REQUESTS_SAVED


def explain_completion(why: str, completion: PlannedCompletion) -> str:
    """The sentences of `why`, whose missing part is completed in the background."""
    sentences = _BY_THE_SAME_CALL.sub(".", _REQUESTS_LEFT.sub("", why))
    sentences = _BEGINS_ANEW.sub(".", sentences)
    if completion.eta_s is None:
        rest = (
            f"It is completed in the background, if {completion.max_requests} requests are enough."
        )
    elif completion.is_bounded:
        rest = (
            f"{completion.max_requests} of the requests are made in the background; then the same "
            "call goes on from there."
        )
    else:
        seconds = max(1, ceil_seconds(completion.eta_s))
        rest = f"It is completed in the background; ask again in about {seconds} s."
    return f"{sentences} {rest}".lstrip()
