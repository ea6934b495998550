"""The tool `summarize_verify_sessions`."""

from dataclasses import replace
from typing import Any

from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.query import SummaryQuery, out_of_reach_result
from verify_mcp.summaries.summarizer import Summarizer
from verify_mcp.tools import summary_answer
from verify_mcp.tools.definition import RawArguments
from verify_mcp.tools.envelope import answer_meta, parse_context
from verify_mcp.tools.summary_request import parse_summarize


async def summarize_verify_sessions(
    mirror: Mirror, arguments: RawArguments, effort: CallContext
) -> dict[str, Any]:
    """Many sessions in few numbers, exact where that is affordable."""
    call = parse_summarize(arguments, parse_context(mirror))
    call = replace(call, session_filter=await mirror.resolve_recipient(call.session_filter))
    now = mirror.now()
    end = min(call.end or now, now.replace(microsecond=0))
    start = max(call.start, reach_edge(now))
    pinned = call.end is not None and call.end <= now
    if start < end or call.start >= end:
        window = Window(min(start, end), end)
        question = SummaryQuery(
            call.session_filter, window, pinned, call.group_by, call.zone, call.max_requests
        )
        finding = await Summarizer(mirror, question, effort).run()
    else:
        finding = out_of_reach_result(Window(call.start, end), now)
    footing = await answer_meta(mirror, mirror.gateway.list_limiter, effort)
    return summary_answer.summary_answer(call, finding, footing, mirror.format_recipient)
