"""What the tools return about single sessions: the envelope and the rows, as plain JSON values.

Times are UTC without fractions, but a window's bounds have those that were used. Money is the exact
decimal as a string, ids in tables are their first 8 characters. A text that came from the API
appears only where it is data, never in `why`, `note` or `summary`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from verify_mcp import phones
from verify_mcp.arguments import ListRequest
from verify_mcp.filters import (
    DEFAULT_WINDOW,
    PAGE_SIZE,
    REACH,
    REACH_TOLERANCE,
    SessionFilter,
    format_api_time,
)
from verify_mcp.sessions import Page, Session, has_next
from verify_mcp.summary import attempts_text
from verify_mcp.wording import (
    RecipientFormatter,
    ceil_seconds,
    format_money,
    format_time,
    format_time_short,
    session_fields,
    session_sentence,
)

SHORT_ID_LENGTH = 8
REACH_SLACK = timedelta(seconds=3)
"""How far apart two readings of the API's clock may lie: replies tell it in whole seconds."""
PAGING_TIME = timedelta(hours=1)
"""How long somebody may page through one window whose pinned start leaves the reach."""
COLUMNS = ["session", "created", "recipient", "country", "channel", "status", "attempts", "cost"]


WHOLE_NUMBER = "`recipient` is compared with whole numbers, country code included."


def recipient_note(number: str) -> str:
    """Why no session may match a recipient."""
    return f"No session matches. {phones.number_problem(number)} {WHOLE_NUMBER}".replace("  ", " ")


@dataclass(frozen=True, slots=True)
class AnswerMeta:
    """What an answer rests on: when it was true, what it cost, what is left."""

    now: datetime
    api_requests: int
    quota_left: int

    def fields(self) -> dict[str, Any]:
        """The last fields of every answer."""
        return {
            "as_of": format_time(self.now).replace(" ", "T") + "Z",
            "api_requests": self.api_requests,
            "quota_left": self.quota_left,
        }


def to_json(answer: Mapping[str, Any]) -> str:
    """An answer as the JSON text of its content block."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def list_answer(
    call: ListRequest,
    sent_filter: SessionFilter,
    page: Page,
    footing: AnswerMeta,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """The answer of `list_verify_sessions`; `asked` is the filter as the API got it."""
    latest = page.receipt.latest if page.receipt else footing.now
    if sent_filter.has_time() and latest - REACH - (sent_filter.start() or latest) > REACH_SLACK:
        sent_filter = sent_filter.clipped_to_reach(
            now=latest
        )  # the reach moved while the request waited
    inside = tuple(each for each in page.sessions if sent_filter.admits_time(each.created))
    strays, page = len(page.sessions) - len(inside), replace(page, sessions=inside)
    page, resume = _split_page(call, page)
    gaps = out_of_reach_fields(call, sent_filter, latest)
    why = [gap["why"] for gap in gaps]
    if page.skipped:
        why.append(f"{page.skipped} of the API's rows could not be read and are left out.")
    if strays:
        why.append(f"{strays} of the API's rows lie outside this window and are left out.")
    return {
        "complete": not why,
        **({"why": " ".join(why)} if why else {}),
        **({"missing": [gap["missing"] for gap in gaps]} if gaps else {}),
        "applied": applied(sent_filter, footing.now, call),
        **_table(page, call, format_recipient),
        **({"skipped": page.skipped} if page.skipped else {}),
        **_note(page, call),
        **next_page(call, sent_filter, page, footing.now, resume),
        **footing.fields(),
    }


def out_of_reach_answer(
    call: ListRequest, footing: AnswerMeta, format_recipient: RecipientFormatter
) -> dict[str, Any]:
    """The answer when the whole window lies before what the API can tell."""
    return list_answer(call, call.session_filter, Page(()), footing, format_recipient)


def list_pending_answer(
    call: ListRequest,
    sent_filter: SessionFilter,
    eta_s: float,
    footing: AnswerMeta,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """The answer when no request could leave within the time a call may wait."""
    return {
        **_pending_fields(eta_s),
        "applied": applied(sent_filter, footing.now, call),
        **_table(Page(()), call, format_recipient),
        **footing.fields(),
    }


def session_pending_answer(reference: str, eta_s: float, footing: AnswerMeta) -> dict[str, Any]:
    """The answer of `get_verify_session` when no request could leave in time."""
    return {
        **_pending_fields(eta_s),
        "session": reference,
        **footing.fields(),
    }


def _pending_fields(eta_s: float) -> dict[str, Any]:
    """That nothing could be asked, why, and when it can."""
    seconds = ceil_seconds(eta_s)
    why = (
        "Not asked yet: the account's quota of API requests is in use. The same call can be "
        f"answered in about {seconds} s."
    )
    return {"complete": False, "why": why, "eta_s": seconds}


def session_answer(
    session: Session, footing: AnswerMeta, format_recipient: RecipientFormatter
) -> dict[str, Any]:
    """The answer of `get_verify_session`."""
    return {
        "complete": True,
        "summary": session_sentence(session),
        **session_fields(session, format_recipient),
        **footing.fields(),
    }


def applied(sent_filter: SessionFilter, now: datetime, call: ListRequest) -> dict[str, Any]:
    """What was really asked of the API, its default window made explicit, in UTC."""
    fields = {
        name: format_api_time(value) if isinstance(value, datetime) else value
        for name, value in sent_filter.set_filters().items()
    }
    if not sent_filter.has_time():
        fields |= {
            "session_time__gte": format_api_time(now - DEFAULT_WINDOW),
            "session_time__lte": format_api_time(now),
        }
    if sent_filter.recipient:
        fields["recipient"] = call.recipient_echo
    return {**fields, "limit": call.limit, "offset": call.offset}


def request_limit(call: ListRequest) -> int:
    """How many rows to request of the API for a page of this list."""
    return min(PAGE_SIZE, call.limit + 1) if _may_shrink(call) else call.limit


def _may_shrink(call: ListRequest) -> bool:
    """Whether sessions leave the list between two pages: only `in-progress` ends."""
    return call.session_filter.status == "in-progress"


def _split_page(call: ListRequest, page: Page) -> tuple[Page, datetime | None]:
    """The page without its oldest instant, from which the next page goes on, where rows may leave.

    An offset after rows of that instant would skip a session once one of them leaves the list. A
    page of a single instant is not split.
    """
    known = [time for time in page.times if time]
    is_last = page.received <= call.limit and not has_next(page, request_limit(call))
    if is_last or not _may_shrink(call) or len(set(known)) < 2:
        return page, None
    oldest = min(known)
    rows = tuple(each for each in page.sessions if each.created > oldest)
    times = tuple(time for time in page.times if time != oldest)
    return replace(page, sessions=rows, times=times), oldest


def next_page(
    call: ListRequest,
    sent_filter: SessionFilter,
    page: Page,
    now: datetime,
    resume: datetime | None = None,
) -> dict[str, dict[str, Any]]:
    """What to add to the same call for the next page; empty at the end.

    `resume` is the instant to go on from when no session of it is on the page.

    The next page goes on from the oldest instant shown, after the sessions shown of that instant:
    sessions that arrive, become visible or get the status asked for meanwhile neither repeat a row
    nor push one out of sight.
    """
    if resume is None and not has_next(page, request_limit(call)):
        return {}
    pins = {
        name: format_api_time(value)
        for name, value in sent_filter.set_filters().items()
        if name in call.relative_times and isinstance(value, datetime)
    }
    if not sent_filter.has_time():
        pins = {"session_time__gte": format_api_time(now - DEFAULT_WINDOW)}
    end, offset = (resume, 0) if resume else _next_arguments(call, sent_filter, page, now)
    return {"next": {"offset": offset, **pins, "session_time__lte": format_api_time(end)}}


def _next_arguments(
    call: ListRequest, sent_filter: SessionFilter, page: Page, now: datetime
) -> tuple[datetime, int]:
    """The end of the window for the next page, and the offset in it."""
    upper, known = sent_filter.end(), [time for time in page.times if time]
    if not known:
        return min(upper or now, now), call.offset + call.limit
    oldest, tied = min(known), known.count(min(known))
    if tied < len(known) or not call.offset:
        return oldest, tied
    # A page of one instant: more of it may have been shown before.
    return (oldest if upper == oldest else min(upper or now, now)), call.offset + call.limit


def _table(page: Page, call: ListRequest, format_recipient: RecipientFormatter) -> dict[str, Any]:
    if call.detailed:
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
        attempts_text(session),
        format_money(session.cost) or "",
    ]


def out_of_reach_fields(
    call: ListRequest, sent_filter: SessionFilter, now: datetime
) -> list[dict[str, str]]:
    """The part of the window that lies before what the API can tell."""
    lower, first, edge = call.session_filter.start(), sent_filter.start(), now - REACH
    allowance = PAGING_TIME if call.offset else REACH_TOLERANCE
    is_gone = call.session_filter.is_out_of_reach(now=now)
    is_cut = bool(lower and first and first - lower > allowance)
    if not (is_cut or is_gone):
        return []
    start = f"{format_time(lower)} to " if lower else "until "
    return [
        {
            "why": f"The API reaches back 90 days, to {format_time(edge)} UTC.",
            "missing": start + format_time(min(edge, call.session_filter.end() or edge)),
        }
    ]


def _note(page: Page, call: ListRequest) -> dict[str, str]:
    if page.received:
        return {} if call.detailed else _unread_note(page)
    if call.session_filter.recipient and not call.offset:
        return {"note": recipient_note(call.session_filter.recipient)}
    if call.offset:
        return {"note": f"No session at offset {call.offset} or beyond in this window."}
    if call.session_filter.has_time():
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
