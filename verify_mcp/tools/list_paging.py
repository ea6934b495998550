"""The pages of a list: how many rows to request, and the arguments of the next page."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from verify_mcp.domain.api_limits import DEFAULT_WINDOW, PAGE_SIZE
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.payloads import has_next
from verify_mcp.domain.sessions import Page
from verify_mcp.domain.times import format_api_time
from verify_mcp.tools.list_request import ListRequest


def request_limit(request: ListRequest) -> int:
    """How many rows to request from the API for a page of this list."""
    return min(PAGE_SIZE, request.limit + 1) if _may_shrink(request) else request.limit


def _may_shrink(request: ListRequest) -> bool:
    """Whether sessions leave the list between two pages: only `in-progress` ends."""
    return request.session_filter.status == "in-progress"


def split_page(request: ListRequest, page: Page) -> tuple[Page, datetime | None]:
    """A page of a list that rows may leave, without its oldest instant; the next page begins there.

    An offset after rows of that instant would skip a session once one of them leaves the list. A
    page of a single instant is not split.
    """
    known = [time for time in page.times if time]
    is_last = page.received <= request.limit and not has_next(page, request_limit(request))
    if is_last or not _may_shrink(request) or len(set(known)) < 2:
        return page, None
    oldest = min(known)
    rows = tuple(each for each in page.sessions if each.created > oldest)
    times = tuple(time for time in page.times if time != oldest)
    return replace(page, sessions=rows, times=times), oldest


def total_fields(request: ListRequest, page: Page) -> dict[str, int | bool]:
    """How many sessions `applied` admits, where that is known; else whether more follow.

    A call that goes on from an earlier page is about the rest of a window, so that it has no total.
    """
    more = has_next(page, request_limit(request))
    total = page.total
    if total is None and page.receipt and not more and (page.received or not request.offset):
        total = request.offset + len(page.times)
    if total is not None and not _may_go_on(request):
        return {"total": total}
    return {"more": True} if more else {}


def _may_go_on(request: ListRequest) -> bool:
    """Whether a call may be the continuation of another one, as `next_page` writes it."""
    is_pinned = request.session_filter.session_time__lte is not None
    return is_pinned and (bool(request.offset) or _may_shrink(request))


def next_page(
    request: ListRequest,
    sent_filter: SessionFilter,
    page: Page,
    now: datetime,
    resume: datetime | None = None,
) -> dict[str, dict[str, Any]]:
    """The arguments to add to the same call for the next page; empty at the end.

    `resume` is the instant to go on from when no session of it is on the page.

    The next page goes on from the oldest instant on this page, after its sessions of that instant.
    A session that arrives, becomes visible or gets the filter's status meanwhile neither repeats a
    row nor hides one.
    """
    if resume is None and not has_next(page, request_limit(request)):
        return {}
    pins = {
        name: format_api_time(value)
        for name, value in sent_filter.set_filters().items()
        if name in request.relative_times and isinstance(value, datetime)
    }
    if not sent_filter.has_time():
        pins = {"session_time__gte": format_api_time(now - DEFAULT_WINDOW)}
    end, offset = (resume, 0) if resume else _next_arguments(request, sent_filter, page, now)
    return {"next": {"offset": offset, **pins, "session_time__lte": format_api_time(end)}}


def _next_arguments(
    request: ListRequest, sent_filter: SessionFilter, page: Page, now: datetime
) -> tuple[datetime, int]:
    """The end of the window for the next page, and the offset in it."""
    upper, known = sent_filter.end(), [time for time in page.times if time]
    if not known:
        return min(upper or now, now), request.offset + request.limit
    oldest, tied = min(known), known.count(min(known))
    if tied < len(known) or not request.offset:
        return oldest, tied
    # A page of one instant: more of it may have been shown before.
    return (oldest if upper == oldest else min(upper or now, now)), request.offset + request.limit
