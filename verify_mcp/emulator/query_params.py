"""The query parameters of the list endpoint: parsed, or refused with a reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from .account import microseconds
from .cursors import position

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .options import Options

MAX_LIMIT = 20
TIME_FILTERS = (
    "session_time",
    "session_time__gt",
    "session_time__gte",
    "session_time__lt",
    "session_time__lte",
)
EXACT_FILTERS = ("brand_name", "app_hash", "country", "alias")
FILTERS = ("app_uuid", "status", "recipient", "subaccount", *TIME_FILTERS, *EXACT_FILTERS)
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

_STATUSES = ("in-progress", "verified", "expired")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d)(?::(\d\d)(?:[.:](\d{1,6}))?)?", re.ASCII)
_COUNT = re.compile(r"-?\d{1,12}", re.ASCII)
_RECIPIENT = re.compile(r"\+?(\d{1,20})", re.ASCII)
_SUBACCOUNT = re.compile(r"SA[A-Z0-9]{18}", re.ASCII)


class QueryError(Exception):
    """A parameter that the API refuses with 400; the text goes into the reply."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """A valid list query. Times are inclusive microseconds, None is unbounded."""

    limit: int = MAX_LIMIT
    offset: int = 0
    after: tuple[int, str] | None = None
    low: int | None = None
    high: int | None = None
    equal: tuple[tuple[str, str], ...] = ()
    nothing: bool = False

    @property
    def timed(self) -> bool:
        """Whether the query has a time, which replaces the default of one day."""
        return self.low is not None or self.high is not None


def parse(pairs: list[tuple[str, str]], behaviour: Options, *, subaccount: bool) -> Query:
    """The query of these parameters; the first of a repeated name counts."""
    given = {name: value for name, value in reversed(pairs) if value}
    if behaviour.unknown_params == "refuse":
        _refuse_unknown(given, behaviour)
    low, high = _span(given)
    app_uuid = given.get("app_uuid", "")
    nothing = bool(app_uuid) and not UUID.fullmatch(app_uuid)
    if nothing and behaviour.malformed_app == "refuse":
        _refuse("app_uuid", "is not a UUID")
    offset, after = _start(given, behaviour)
    return Query(
        limit=_limit(given, clamp=behaviour.clamp),
        offset=offset,
        after=after,
        low=low,
        high=high,
        equal=tuple(_equal(given, behaviour, subaccount=subaccount)),
        nothing=nothing,
    )


def _refuse(name: str, reason: str) -> NoReturn:
    raise QueryError(f"{name} {reason}")


def _refuse_unknown(given: Mapping[str, str], behaviour: Options) -> None:
    known = {"limit", "offset", *FILTERS}
    if behaviour.pagination != "offset":
        known.add("cursor")
    for name in given:
        if name not in known:
            _refuse(name, "is not a parameter of this resource")


def _count(given: Mapping[str, str], name: str, default: int, *, clamp: bool) -> int:
    text = given.get(name, str(default))
    if _COUNT.fullmatch(text):
        return int(text)
    if not clamp:
        _refuse(name, "must be an integer")
    return default


def _limit(given: Mapping[str, str], *, clamp: bool) -> int:
    limit = _count(given, "limit", MAX_LIMIT, clamp=clamp)
    if not clamp and not 1 <= limit <= MAX_LIMIT:
        _refuse("limit", f"must be from 1 to {MAX_LIMIT}")
    return min(max(limit, 1), MAX_LIMIT)


def _start(given: Mapping[str, str], behaviour: Options) -> tuple[int, tuple[int, str] | None]:
    offset = _count(given, "offset", 0, clamp=behaviour.clamp)
    if offset < 0 and not behaviour.clamp:
        _refuse("offset", "must not be negative")
    offset = max(offset, 0)
    if behaviour.max_offset is not None and offset > behaviour.max_offset:
        _refuse("offset", f"must not be above {behaviour.max_offset}")
    if behaviour.pagination == "offset":
        return offset, None
    return offset, _after(given, offset, behaviour)


def _after(given: Mapping[str, str], offset: int, behaviour: Options) -> tuple[int, str] | None:
    cursor = given.get("cursor")
    if offset and (cursor or behaviour.pagination == "cursor"):
        _refuse("offset", "cannot be used with a cursor")
    if cursor is None:
        return None
    after = position(cursor)
    if after is None:
        _refuse("cursor", "is not one this resource gave out")
    return after


def _moment(name: str, text: str) -> int:
    match = _TIME.fullmatch(text)
    minute, second, fraction = match.groups() if match else ("", None, None)
    try:
        moment = datetime.fromisoformat(f"{minute}:{second or '00'}").replace(tzinfo=UTC)
    except ValueError:
        raise QueryError(f"{name} must be written YYYY-MM-DD HH:MM[:SS[.ffffff]]") from None
    return microseconds(moment) + int((fraction or "0").ljust(6, "0"))


_BOUNDS: dict[str, Callable[[int], tuple[int | None, int | None]]] = {
    "session_time": lambda at: (at, at),
    "session_time__gt": lambda at: (at + 1, None),
    "session_time__gte": lambda at: (at, None),
    "session_time__lt": lambda at: (None, at - 1),
    "session_time__lte": lambda at: (None, at),
}


def _span(given: Mapping[str, str]) -> tuple[int | None, int | None]:
    bounds = [_BOUNDS[name](_moment(name, given[name])) for name in TIME_FILTERS if name in given]
    lows = [low for low, _ in bounds if low is not None]
    highs = [high for _, high in bounds if high is not None]
    return max(lows, default=None), min(highs, default=None)


def _equal(
    given: Mapping[str, str], behaviour: Options, *, subaccount: bool
) -> list[tuple[str, str]]:
    equal = [(name, given[name]) for name in EXACT_FILTERS if name in given]
    if "app_uuid" in given:
        equal.append(("app_uuid", given["app_uuid"].lower()))
    if "status" in given:
        equal.append(("status", _status(given["status"], behaviour)))
    if "recipient" in given:
        equal.append(("recipient", _recipient(given["recipient"])))
    if "subaccount" in given:
        equal += _subaccount(given["subaccount"], behaviour, by_subaccount=subaccount)
    return equal


def _status(text: str, behaviour: Options) -> str:
    status = text.lower() if behaviour.any_case_status else text
    if status not in _STATUSES:
        _refuse("status", f"must be one of {', '.join(_STATUSES)}")
    return status


def _recipient(text: str) -> str:
    match = _RECIPIENT.fullmatch(text)
    if match is None:
        _refuse("recipient", "must be a number in E.164 form")
    return match[1]


def _subaccount(text: str, behaviour: Options, *, by_subaccount: bool) -> list[tuple[str, str]]:
    if by_subaccount:
        if behaviour.subaccount_asks_subaccount == "refuse":
            _refuse("subaccount", "is for the parent account's credentials")
        return []
    if not _SUBACCOUNT.fullmatch(text):
        _refuse("subaccount", "must be a subaccount's Auth ID")
    return [("subaccount", text)]
