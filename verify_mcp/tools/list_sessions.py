"""The tool `list_verify_sessions`: its arguments, its handler and its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from verify_mcp.domain import phones
from verify_mcp.domain.api_limits import DEFAULT_WINDOW, PAGE_SIZE, STATUSES
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.payloads import has_next
from verify_mcp.domain.reach import PAGING_TIME, REACH_TOLERANCE, ClippedFilter, clip_to_reach
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.tallies import attempts_text
from verify_mcp.domain.times import (
    format_api_time,
    format_time_short,
    is_relative_time,
)
from verify_mcp.errors import QuotaExhausted
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.call import CallContext
from verify_mcp.tools.arguments import (
    _TIMES,
    Argument,
    ParseContext,
    _choice,
    _integer,
    _recipient,
    _recipient_echo,
    _subaccount,
    _text,
    _times_as_given,
    _uuid,
    parse,
)
from verify_mcp.tools.definition import RawArguments
from verify_mcp.tools.envelope import AnswerMeta, _pending_fields, answer_meta, parse_context
from verify_mcp.tools.formatting import RecipientFormatter, format_money, session_fields

LIST_ARGUMENTS = (
    Argument("app_uuid", "UUID of the Verify application.", _uuid),
    Argument(
        "status",
        "Current status.",
        _choice(*STATUSES, pending="in-progress", inprogress="in-progress", validated="verified"),
        extra_schema={"enum": list(STATUSES)},
    ),
    Argument("recipient", "Phone number with country code, e.g. +12025553434.", _recipient),
    Argument("subaccount", "Auth id (SA…) of a subaccount.", _subaccount),
    Argument(
        "limit",
        f"Rows, 1 to {PAGE_SIZE} (default {PAGE_SIZE}).",
        _integer(1, PAGE_SIZE, PAGE_SIZE),
        "integer",
        {"minimum": 1, "maximum": PAGE_SIZE},
    ),
    Argument(
        "offset",
        "Rows to skip (default 0).",
        _integer(0, 100_000_000, PAGE_SIZE),
        "integer",
        {"minimum": 0},
    ),
    *_TIMES,
    Argument("brand_name", "Brand given when the session was created.", _text),
    Argument("app_hash", "App hash given when the session was created.", _text),
    Argument(
        "detail",
        "concise (default): a table. full: whole objects with each attempt.",
        _choice("concise", "full"),
        extra_schema={"enum": ["concise", "full"]},
    ),
)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What `list_verify_sessions` was asked."""

    session_filter: SessionFilter
    limit: int = PAGE_SIZE
    offset: int = 0
    detailed: bool = False
    relative_times: tuple[str, ...] = ()
    """Times said as so long ago, which would mean another instant when the next page is asked."""
    times_as_given: str = ""
    """The recipient as the caller wrote it."""
    recipient_echo: str = ""
    """The recipient as `applied` repeats it."""


def parse_list(arguments: Mapping[str, object] | None, reading: ParseContext) -> ListRequest:
    """A call of `list_verify_sessions`, read. Raises InvalidArgument."""
    values = parse(LIST_ARGUMENTS, arguments, reading)
    full = values.pop("detail", "concise") == "full"
    limit, offset = values.pop("limit", PAGE_SIZE), values.pop("offset", 0)
    session_filter = SessionFilter(**values)
    session_filter.validate(now=reading.now)
    sliding = tuple(
        each.name for each in _TIMES if is_relative_time(str((arguments or {}).get(each.name, "")))
    )
    written = _times_as_given(arguments)
    echo = _recipient_echo(session_filter.recipient, written, reading)
    return ListRequest(session_filter, limit, offset, full, sliding, written, echo)


SHORT_ID_LENGTH = 8
COLUMNS = ["session", "created", "recipient", "country", "channel", "status", "attempts", "cost"]


WHOLE_NUMBER = "`recipient` is compared with whole numbers, country code included."


def recipient_note(number: str) -> str:
    """Why no session may match a recipient."""
    return f"No session matches. {phones.number_problem(number)} {WHOLE_NUMBER}".replace("  ", " ")


def list_answer(
    call: ListRequest,
    clipped: ClippedFilter,
    page: Page,
    footing: AnswerMeta,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """The answer of `list_verify_sessions`; `clipped` is the filter as it was sent."""
    # The reach may have moved while the request waited.
    clipped = clipped.at(page.receipt.latest if page.receipt else footing.now)
    sent_filter = clipped.sent
    inside = tuple(each for each in page.sessions if sent_filter.admits_time(each.created))
    strays, page = len(page.sessions) - len(inside), replace(page, sessions=inside)
    page, resume = _split_page(call, page)
    beyond = clipped.out_of_reach(PAGING_TIME if call.offset else REACH_TOLERANCE)
    why = [beyond.why] if beyond else []
    if page.skipped:
        why.append(f"{page.skipped} of the API's rows could not be read and are left out.")
    if strays:
        why.append(f"{strays} of the API's rows lie outside this window and are left out.")
    return {
        "complete": not why,
        **({"why": " ".join(why)} if why else {}),
        **({"missing": [beyond.missing]} if beyond else {}),
        "applied": applied(sent_filter, footing.now, call),
        **_table(page, call, format_recipient),
        **({"skipped": page.skipped} if page.skipped else {}),
        **_note(page, call),
        **next_page(call, sent_filter, page, footing.now, resume),
        **footing.fields(),
    }


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


async def list_verify_sessions(
    mirror: Mirror, arguments: RawArguments, effort: CallContext
) -> dict[str, Any]:
    """One page of sessions, newest first."""
    call = parse_list(arguments, parse_context(mirror))
    call = replace(call, session_filter=await mirror.resolve_recipient(call.session_filter))
    clipped = clip_to_reach(call.session_filter, now=mirror.now())
    if clipped.is_out_of_reach:
        footing = await answer_meta(mirror, mirror.gateway.list_limiter, effort)
        return list_answer(call, clipped, Page(()), footing, mirror.format_recipient)
    try:
        limit = request_limit(call)
        page = await mirror.list_page(clipped.sent, limit=limit, offset=call.offset, effort=effort)
    except QuotaExhausted as busy:
        footing = await answer_meta(mirror, mirror.gateway.list_limiter, effort)
        return list_pending_answer(call, clipped.sent, busy.eta_s, footing, mirror.format_recipient)
    footing = await answer_meta(mirror, mirror.gateway.list_limiter, effort)
    if page.receipt is not None:
        footing = replace(footing, now=page.receipt.earliest)
    return list_answer(call, clipped, page, footing, mirror.format_recipient)
