"""A page of the list: its records, and the links to the pages around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from .account import AccountData, SessionRecord, microseconds
from .cursors import cursor
from .query_params import FILTERS, Query, QueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .options import Options

DAY = timedelta(days=1)
REACH = timedelta(days=90)
PUBLIC_ORIGIN = "https://api.plivo.com"


@dataclass(frozen=True)
class RecordPage:
    """The records of a page, newest first, and whether more follow."""

    records: tuple[SessionRecord, ...]
    more: bool


def span(query: Query, now: datetime, behaviour: Options) -> tuple[int, int]:
    """The inclusive microseconds that a query covers: one day by default, ninety at most."""
    reach, latest = microseconds(now - REACH), microseconds(now)
    if not query.timed:
        return microseconds(now - DAY), latest
    low = reach if query.low is None else query.low
    if low < reach and behaviour.beyond_reach == "refuse":
        raise QueryError("session_time must be within the last 90 days")
    return max(low, reach), latest if query.high is None else min(query.high, latest)


def visible(record: SessionRecord, account: str, behaviour: Options) -> bool:
    """Whether the credentials of `account` may see the record."""
    if account.startswith("SA"):
        return record.subaccount == account
    return behaviour.parent_sees == "all" or record.subaccount is None


def matches(record: SessionRecord, query: Query, now: datetime) -> bool:
    """Whether the record matches every filter."""
    return all(
        (record.status_at(now) if name == "status" else getattr(record, name)) == value
        for name, value in query.equal
    )


def _scope(query: Query, behaviour: Options) -> Options:
    # A parent that sees only its own rows gets those of a subaccount with this filter.
    has_subaccount = any(name == "subaccount" for name, _ in query.equal)
    return replace(behaviour, parent_sees="all") if has_subaccount else behaviour


def page(
    data: AccountData, query: Query, now: datetime, *, account: str, behaviour: Options
) -> RecordPage:
    """The records of one page."""
    records: Iterable[SessionRecord] = (
        () if query.nothing else data.between(*span(query, now, behaviour))
    )
    records = _after(records, query)
    if query.equal or account.startswith("SA") or behaviour.parent_sees == "own":
        scope = _scope(query, behaviour)
        records = (
            record
            for record in records
            if visible(record, account, scope) and matches(record, query, now)
        )
    rows = tuple(islice(records, query.offset, query.offset + query.limit + 1))
    return RecordPage(rows[: query.limit], more=len(rows) > query.limit)


def _after(records: Iterable[SessionRecord], query: Query) -> Iterable[SessionRecord]:
    if query.after is None:
        return records
    created, uuid = query.after
    last_key = (-created, uuid)
    return (item for item in records if (-microseconds(item.created_at), item.uuid) > last_key)


def meta(
    page: RecordPage,
    query: Query,
    *,
    path: str,
    pairs: list[tuple[str, str]],
    behaviour: Options,
) -> dict[str, object]:
    """The page's `meta`, with its keys in the API's order."""
    filters = [pair for pair in pairs if pair[0] in FILTERS] if behaviour.next_echo_filters else []
    origin = PUBLIC_ORIGIN if behaviour.absolute_next else ""

    def link(name: str, value: object) -> str:
        return f"{origin}{path}?{urlencode([('limit', query.limit), *filters, (name, value)])}"

    if behaviour.pagination != "offset":
        return _cursor_meta(page, query, link, behaviour)
    before = max(0, query.offset - query.limit)
    return {
        "limit": query.limit,
        "offset": query.offset,
        "next": link("offset", query.offset + query.limit) if page.more else None,
        "previous": link("offset", before) if query.offset else None,
    }


def _cursor_meta(
    page: RecordPage, query: Query, link: Callable[[str, object], str], behaviour: Options
) -> dict[str, object]:
    last = page.records[-1] if page.more else None
    next_link = last and link("cursor", cursor(microseconds(last.created_at), last.uuid))
    position: dict[str, object] = (
        {"offset": query.offset} if behaviour.pagination == "hybrid" else {}
    )
    return {"limit": query.limit, **position, "next": next_link, "previous": None}
