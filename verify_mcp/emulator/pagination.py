"""A page of the list: which records, and what points to the pages around it."""

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
    """Some records, newest first, and whether more follow."""

    records: tuple[SessionRecord, ...]
    more: bool


def span(query: Query, now: datetime, behaviour: Options) -> tuple[int, int]:
    """The inclusive microseconds a question covers: a day unless asked, ninety at most."""
    reach, latest = microseconds(now - REACH), microseconds(now)
    if not query.timed:
        return microseconds(now - DAY), latest
    low = reach if query.low is None else query.low
    if low < reach and behaviour.beyond_reach == "refuse":
        raise QueryError("session_time must be within the last 90 days")
    return max(low, reach), latest if query.high is None else min(query.high, latest)


def visible(record: SessionRecord, account: str, behaviour: Options) -> bool:
    """Whether these credentials may see the record."""
    if account.startswith("SA"):
        return record.subaccount == account
    return behaviour.parent_sees == "all" or record.subaccount is None


def matches(record: SessionRecord, query: Query, now: datetime) -> bool:
    """Whether the record answers every filter."""
    return all(
        (record.status_at(now) if name == "status" else getattr(record, name)) == value
        for name, value in query.equal
    )


def _scope(query: Query, behaviour: Options) -> Options:
    # Naming a subaccount is how a parent that sees only its own rows asks for others.
    account_id = any(name == "subaccount" for name, _ in query.equal)
    return replace(behaviour, parent_sees="all") if account_id else behaviour


def page(
    world: AccountData, query: Query, now: datetime, *, account: str, behaviour: Options
) -> RecordPage:
    """The records of one page."""
    found: Iterable[SessionRecord] = (
        () if query.nothing else world.between(*span(query, now, behaviour))
    )
    found = _after(found, query)
    if query.equal or account.startswith("SA") or behaviour.parent_sees == "own":
        scope = _scope(query, behaviour)
        found = (one for one in found if visible(one, account, scope) and matches(one, query, now))
    rows = tuple(islice(found, query.offset, query.offset + query.limit + 1))
    return RecordPage(rows[: query.limit], more=len(rows) > query.limit)


def _after(found: Iterable[SessionRecord], query: Query) -> Iterable[SessionRecord]:
    if query.after is None:
        return found
    created, uuid = query.after
    passed = (-created, uuid)
    return (one for one in found if (-microseconds(one.created_at), one.uuid) > passed)


def meta(
    page: RecordPage,
    query: Query,
    *,
    path: str,
    pairs: list[tuple[str, str]],
    behaviour: Options,
) -> dict[str, object]:
    """The page's `meta`, keys in the order the API writes them."""
    account_id = (
        [pair for pair in pairs if pair[0] in FILTERS] if behaviour.next_echo_filters else []
    )
    origin = PUBLIC_ORIGIN if behaviour.absolute_next else ""

    def link(name: str, value: object) -> str:
        return f"{origin}{path}?{urlencode([('limit', query.limit), *account_id, (name, value)])}"

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
    following = last and link("cursor", cursor(microseconds(last.created_at), last.uuid))
    place: dict[str, object] = {"offset": query.offset} if behaviour.pagination == "hybrid" else {}
    return {"limit": query.limit, **place, "next": following, "previous": None}
