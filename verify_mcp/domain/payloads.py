"""Replies of the API: their bytes parsed into sessions and pages."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import ValidationError
from pydantic_core import from_json

from verify_mcp.domain.field_types import parse_created
from verify_mcp.domain.sessions import REQUIRED_FIELDS, Page, Session
from verify_mcp.domain.text import clean
from verify_mcp.errors import ApiFailed

MAX_ROWS = 200
"""Rows accepted on one page: many more than the API's pages have."""
_HUGE_NUMBER = re.compile(
    r"(?<=[:\[,\s])-?\d{4301,}(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[\s,}\]])", re.ASCII
)
"""A number of more digits than Python reads (`sys.int_info.default_max_str_digits`)."""


def has_next(page: Page, limit: int) -> bool:
    """Whether sessions follow this page of at most `limit`: as the API says, else by its rows."""
    return bool(page.received) and (page.received >= limit if page.more is None else page.more)


def parse_json(body: bytes) -> object:
    """The JSON value in a reply's body. Raises ApiFailed for anything else."""
    try:
        text = body.decode(json.detect_encoding(body)) if body else ""
        text = _HUGE_NUMBER.sub("{}", text)  # no field is an object there, so it is unknown
        return from_json(text, allow_inf_nan=True, cache_strings="keys")
    except (ValueError, RecursionError) as error:
        raise ApiFailed("The Verify API answered with something that is not JSON.") from error


def parse_session(body: bytes) -> Session:
    """The one session in a reply to GET …/Session/{uuid}/. Raises ApiFailed."""
    payload = _payload(body)
    try:
        return _parse_session(payload)
    except ValidationError as error:
        raise ApiFailed(
            "The Verify API's answer holds no readable session "
            f"({', '.join(sorted({str(row['loc'][0]) for row in error.errors()}))})."
        ) from None


def parse_page(body: bytes) -> Page:
    """The page in a reply to GET …/Session/. Raises ApiFailed rather than give half a page."""
    payload = _payload(body)
    if "sessions" not in payload:
        raise ApiFailed("The Verify API's answer has no list of sessions.")
    rows = [] if payload["sessions"] is None else payload["sessions"]
    if not isinstance(rows, list):
        raise ApiFailed("The Verify API's answer has something else where its sessions belong.")
    if len(rows) > MAX_ROWS:
        raise ApiFailed("The Verify API's answer holds far more sessions than a page can.")
    sessions = [session for session in map(_parse_row, rows) if session is not None]
    by_uuid = {session.uuid: session for session in sessions}
    more, cursor = _continuation(payload.get("meta"))
    skipped, times = len(rows) - len(sessions), tuple(map(_created_at, _distinct(rows)))
    return Page(tuple(by_uuid.values()), skipped, len(rows), more, cursor, times=times)


def _payload(body: bytes) -> Mapping[str, Any]:
    payload = parse_json(body)
    if not isinstance(payload, Mapping):
        raise ApiFailed("The Verify API's answer is JSON, but not an object.")
    if "error" in payload and "sessions" not in payload and "session_uuid" not in payload:
        raise ApiFailed("The Verify API answered with an error inside a success (200).")
    return payload


def _parse_row(row: object) -> Session | None:
    try:
        return _parse_session(row)
    except ValidationError:
        return None


def _distinct(rows: list[Any]) -> list[Any]:
    """The rows without those whose session came before on the page."""
    ids = [row.get("session_uuid") if isinstance(row, Mapping) else None for row in rows]
    return [
        row
        for place, (row, uuid) in enumerate(zip(rows, ids, strict=True))
        if uuid is None or uuid not in ids[:place]
    ]


def _created_at(row: object) -> datetime | None:
    """When a row's session was created, though the rest of the row may be unreadable."""
    try:
        return parse_created(row.get("created_at")) if isinstance(row, Mapping) else None
    except ValueError:
        return None


def _parse_session(row: object) -> Session:
    """A session; an optional field that cannot be read is unknown. Raises ValidationError."""
    if isinstance(row, dict):  # the flag is not the API's to set
        row = {name: value for name, value in row.items() if name != "partly_unread"}
    try:
        session = _validate(row)
    except ValidationError as error:
        return _mark_unread(_validate(_prune(row, error)))
    return session if _is_readable(row) else _mark_unread(session)


def _validate(row: object) -> Session:
    """A session by the API's names only. Raises ValidationError."""
    return Session.model_validate(row, by_alias=True, by_name=False)


def _mark_unread(session: Session) -> Session:
    return session.model_copy(update={"partly_unread": True})


def _is_readable(row: object) -> bool:
    """Whether a valid row names its recipient, and its charges, if any, are an object."""
    if not isinstance(row, Mapping):
        return False
    charges = row.get("charges")
    return isinstance(row.get("recipient"), str) and isinstance(charges, Mapping | None)


def _prune(row: object, error: ValidationError) -> object:
    """The row without the optional fields that `error` names; raises it for a required one."""
    places = [detail["loc"] for detail in error.errors()]
    if not isinstance(row, dict) or any(place[0] in REQUIRED_FIELDS for place in places if place):
        raise error
    pruned: object = row
    for place in places:
        pruned = _without(pruned, place)
    return pruned


def _without(value: Any, place: tuple[int | str, ...]) -> Any:
    """A copy of a JSON value with null at this place, or at the last part of it that exists."""
    step, *rest = place or ("",)
    if isinstance(value, dict) and step in value:
        return {**value, step: _without(value[step], tuple(rest)) if rest else None}
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        inner = _without(value[step], tuple(rest)) if rest else {}
        return [*value[:step], inner, *value[step + 1 :]]
    return None


def _continuation(meta: object) -> tuple[bool | None, str | None]:
    """Whether more follows, and the cursor: of `meta.next` only the query is used."""
    if not isinstance(meta, Mapping) or "next" not in meta:
        return None, None
    following = meta["next"]
    if not isinstance(following, str) or not following.strip():
        return False, None
    try:
        query = parse_qs(urlsplit(following[:4096]).query)
    except ValueError:
        return True, None
    cursor = query.get("cursor", [None])[0]
    return True, clean(cursor, 1024) if cursor else None
