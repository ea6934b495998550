"""What an answer says of the rest that is completed in the background."""

import re
from dataclasses import replace

from verify_mcp.background.background import PlannedCompletion
from verify_mcp.context import AppContext
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.query import SummaryQuery, SummaryResult
from verify_mcp.tools.formatting import ceil_seconds

_REQUESTS_LEFT = re.compile(r" ?Exact after about \d+ more requests: the same call goes on\.")
_BY_THE_SAME_CALL = re.compile(r"[;:,] the same call goes on\b[^.]*\.")
"""What asks for repeated calls in `why`, which the background replaces."""


async def complete_later(
    app: AppContext, query: SummaryQuery, result: SummaryResult
) -> SummaryResult:
    """Have the rest of a result completed in the background, and say so in it."""
    if result.eta_s is None or not (result.missing or result.count):
        return result
    window = Window(result.window.start, max(result.window.end, query.window.end))
    completion = await app.background.complete(query.session_filter, window, result.pages_left)
    if completion is None:
        return result
    return replace(
        result,
        why=explain_completion(result.why, completion),
        eta_exact_s=completion.eta_s,
    )


def explain_completion(why: str, completion: PlannedCompletion) -> str:
    """The sentences of `why`, whose missing part is completed in the background."""
    sentences = _BY_THE_SAME_CALL.sub(".", _REQUESTS_LEFT.sub("", why))
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
