"""The answer of a list by a filter that the API does not know."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from verify_mcp.domain.reach import ClippedFilter
from verify_mcp.domain.times import format_api_time
from verify_mcp.mirror.local_list import LocalPage
from verify_mcp.tools.envelope import AnswerMeta
from verify_mcp.tools.filter_arguments import explain_local_filters
from verify_mcp.tools.formatting import RecipientFormatter, ceil_seconds
from verify_mcp.tools.list_answer import list_answer
from verify_mcp.tools.list_request import ListRequest


def local_list_answer(
    request: ListRequest,
    clipped: ClippedFilter,
    found: LocalPage,
    meta: AnswerMeta,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """A list's answer, with what of its window is not known yet and how to go on there."""
    answer = list_answer(request, clipped, found.page, meta, format_recipient)
    # Several recipients are asked for one by one.
    session_filter = replace(request.session_filter, recipients=())
    why = explain_local_filters(session_filter) if session_filter.local_filters() else ""
    missing = found.missing
    if missing is None:
        noted = f"{answer.get('note', '')} {why}".strip()
        return {**answer, "note": noted} if meta.api_requests and noted else answer
    fields = {
        "complete": False,
        "why": " ".join(filter(None, (
            answer.get("why", ""),
            why,
            f"Those before {format_api_time(missing.end)} are not known yet: `next` goes on there.",
            str(found.failure or ""),
        ))),
        "missing": [
            *answer.get("missing", ()),
            f"{format_api_time(missing.start)} to {format_api_time(missing.end)}",
        ],
        **({"eta_s": ceil_seconds(found.eta_s)} if found.eta_s is not None else {}),
    }  # fmt: skip
    if not found.page.received:  # nothing is known of the rest: no session may match, or many
        answer.pop("note", None)
    return {**fields, **answer, **fields, "next": _next(request, clipped, found, missing.end)}


def _next(
    request: ListRequest, clipped: ClippedFilter, found: LocalPage, end: datetime
) -> dict[str, Any]:
    """The arguments to add to the same call to go on where it stopped."""
    sent = clipped.sent.set_filters()
    pins = {
        name: format_api_time(value)
        for name, value in sent.items()
        if name in request.relative_times and isinstance(value, datetime)
    }
    offset = max(0, request.offset - found.found)
    return {"offset": offset, **pins, "session_time__lt": format_api_time(end)}
