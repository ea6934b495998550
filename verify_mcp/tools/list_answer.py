"""The answer of `list_verify_sessions`: a table, or whole sessions."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from verify_mcp.domain import phones
from verify_mcp.domain.api_limits import DEFAULT_WINDOW
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import PAGING_TIME, REACH_TOLERANCE, ClippedFilter
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.times import format_api_time, format_time_short
from verify_mcp.tools.envelope import AnswerMeta, pending_fields
from verify_mcp.tools.filter_arguments import applied_filters
from verify_mcp.tools.formatting import (
    RecipientFormatter,
    attempts_with_offsets,
    format_money,
    session_fields,
)
from verify_mcp.tools.list_paging import next_page, split_page, total_fields
from verify_mcp.tools.list_request import ListRequest

SHORT_ID_LENGTH = 8
COLUMNS = ["session", "created", "recipient", "country", "channel", "status", "attempts", "cost"]

WHOLE_NUMBER = "`recipient` is compared with whole numbers, country code included."


def recipient_note(number: str) -> str:
    """Why no session may match a recipient."""
    return f"No session matches. {phones.number_problem(number)} {WHOLE_NUMBER}".replace("  ", " ")


def list_answer(
    request: ListRequest,
    clipped: ClippedFilter,
    page: Page,
    meta: AnswerMeta,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """The answer of `list_verify_sessions`; `clipped` is the filter as it was sent."""
    # The reach may have moved while the request waited.
    clipped = clipped.at(page.receipt.latest if page.receipt else meta.now)
    sent_filter = clipped.sent
    inside = tuple(session for session in page.sessions if sent_filter.admits_time(session.created))
    strays, page = len(page.sessions) - len(inside), replace(page, sessions=inside)
    totals = {} if strays else total_fields(request, page)
    page, resume = split_page(request, page)
    beyond = clipped.out_of_reach(PAGING_TIME if request.offset else REACH_TOLERANCE)
    why = [beyond.why] if beyond else []
    if page.skipped:
        why.append(f"{page.skipped} of the API's rows could not be read and are left out.")
    if strays:
        why.append(f"{strays} of the API's rows lie outside this window and are left out.")
    return {
        "complete": not why,
        **({"why": " ".join(why)} if why else {}),
        **({"missing": [beyond.missing]} if beyond else {}),
        "applied": applied(sent_filter, meta.now, request),
        **totals,
        **_table(page, request, format_recipient),
        **({"skipped": page.skipped} if page.skipped else {}),
        **_note(page, request),
        **next_page(request, sent_filter, page, meta.now, resume),
        **meta.fields(),
    }


def list_pending_answer(
    request: ListRequest,
    sent_filter: SessionFilter,
    eta_s: float,
    meta: AnswerMeta,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """The answer when no request could leave within the time that a call may wait."""
    return {
        **pending_fields(eta_s),
        "applied": applied(sent_filter, meta.now, request),
        **_table(Page(()), request, format_recipient),
        **meta.fields(),
    }


def applied(sent_filter: SessionFilter, now: datetime, request: ListRequest) -> dict[str, Any]:
    """The filters sent to the API, with its default window made explicit, in UTC."""
    fields = applied_filters(sent_filter, request.recipient_echo)
    if not sent_filter.has_time():
        fields |= {
            "session_time__gte": format_api_time(now - DEFAULT_WINDOW),
            "session_time__lte": format_api_time(now),
        }
    return {**fields, "limit": request.limit, "offset": request.offset}


def _table(
    page: Page, request: ListRequest, format_recipient: RecipientFormatter
) -> dict[str, Any]:
    if request.detailed:
        return {"sessions": [session_fields(each, format_recipient) for each in page.sessions]}
    return {"columns": COLUMNS, "rows": [_row(each, format_recipient) for each in page.sessions]}


def _row(session: Session, format_recipient: RecipientFormatter) -> list[str]:
    return [
        session.uuid[:SHORT_ID_LENGTH],
        format_time_short(session.created),
        format_recipient(session.recipient),
        session.country or "",
        session.channel,
        session.status,
        attempts_with_offsets(session),
        format_money(session.cost) or "",
    ]


def _note(page: Page, request: ListRequest) -> dict[str, str]:
    if page.received:
        return {} if request.detailed else _unread_note(page)
    if request.session_filter.recipient and not request.offset:
        return {"note": recipient_note(request.session_filter.recipient)}
    if request.offset:
        return {"note": f"No session at offset {request.offset} or beyond in this window."}
    if request.session_filter.has_time():
        return {"note": "No session matches in this window."}
    return {
        "note": "No session matches in the last 24 hours, the default window. "
        "session_time__gte=7d looks further back."
    }


def _unread_note(page: Page) -> dict[str, str]:
    """Which sessions of a table have a field that could not be read."""
    unread = [each.uuid[:SHORT_ID_LENGTH] for each in page.sessions if each.partly_unread]
    if not unread:
        return {}
    return {"note": f"A field could not be read and is unknown in: {', '.join(unread)}."}
