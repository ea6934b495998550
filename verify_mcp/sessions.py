"""A Verify session, as the API tells it: bytes in, values out.

Field facts: the payloads in Plivo's Verify reference and official SDKs. Statuses differ in case
between the two endpoints, money is a decimal string of unstable scale, fractions of a second have
4 to 6 digits, lists may be null, and `updated_at` is the last attempt's time (year 1 when there
was none), not the time of verification.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import from_json

from verify_mcp import phones
from verify_mcp.api_clock import ReplyTime
from verify_mcp.errors import ApiFailed
from verify_mcp.text import clean

MAX_ROWS = 200
"""Rows read from one page; the API sends at most 20."""

_YEARS = (2000, 2200)
_NEVER = "0001-01-01"  # Go's zero time is how the API writes "never"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_MONEY = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
SESSION_STATUSES = {"in-progress", "verified", "expired"}
_REQUIRED = {"session_uuid", "status", "created_at"}
_HUGE_NUMBER = re.compile(
    r"(?<=[:\[,\s])-?\d{4301,}(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[\s,}\]])", re.ASCII
)
"""A number of more digits than Python reads (`sys.int_info.default_max_str_digits`)."""
ATTEMPT_STATUSES = {
    "delivered", "undelivered", "failed", "queued", "sent", "read", "answer", "early media",
    "busy", "no answer", "cancel", "timeout", "in progress", "completed", "ringing",
}  # fmt: skip
CHANNELS = {"sms", "voice", "whatsapp", "rcs", "email"}


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in the canonical lower-case form the API uses."""
    return _UUID.fullmatch(text) is not None


def _clean_text(value: object) -> object:
    if value is None:
        return ""
    return clean(value) if isinstance(value, str) else value


def _uuid(value: object) -> object:
    if isinstance(value, str) and is_uuid(value.strip().lower()):
        return value.strip().lower()
    raise ValueError("not a UUID")


def _parse_time(value: object) -> datetime:
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("not a timestamp")
    read = datetime.fromisoformat(value.strip())
    aware = read if read.tzinfo else read.replace(tzinfo=UTC)
    try:
        return aware.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("not a timestamp") from error


def _parse_created(value: object) -> datetime:
    moment = _parse_time(value)
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        raise ValueError("not a time a session was created at")
    return moment


def _parse_updated(value: object) -> datetime | None:
    if value is None or (isinstance(value, str) and _is_never(value.strip())):
        return None
    return _parse_created(value)


def _is_never(text: str) -> bool:
    return not text or text.startswith(_NEVER)


def _parse_money(value: object) -> Decimal | None:
    if value is None or value == "":
        return None
    text = value.strip() if isinstance(value, str) else _digits_of(value)
    if not _MONEY.fullmatch(text):
        raise ValueError("not an amount of money")
    return Decimal(text)


def _digits_of(value: object) -> str:
    """A JSON number as it was sent: a float's repr is exact, but may have an exponent."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return f"{Decimal(repr(value)):f}"


def _known_value(words: set[str], separator: str, *, folded: bool = False) -> BeforeValidator:
    """Reads one of `words` in any case; another one as it is, in lower case when `folded`."""

    def canonical(value: object) -> object:
        text = _clean_text(value)
        if not isinstance(text, str):
            return text
        word = re.sub(r"[\s_-]+", separator, text.lower())
        return word if word in words else text.lower() if folded else text

    return BeforeValidator(canonical)


def _digits(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, str):
        return phones.normalize(value) or clean(value, 24)
    raise ValueError("not a number")


def _country(value: object) -> str | None:
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if re.fullmatch(r"[A-Z]{2}", code, re.ASCII) else None


def _rows(value: object) -> object:
    return () if value is None else value


Text = Annotated[str, BeforeValidator(_clean_text)]
Uuid = Annotated[str, BeforeValidator(_uuid)]
Moment = Annotated[datetime, BeforeValidator(_parse_created)]
OptionalMoment = Annotated[datetime | None, BeforeValidator(_parse_updated)]
Money = Annotated[Decimal | None, BeforeValidator(_parse_money)]
Channel = Annotated[str, _known_value(CHANNELS, " ")]
AttemptStatus = Annotated[str, _known_value(ATTEMPT_STATUSES, " ")]
SessionStatus = Annotated[
    str, _known_value(SESSION_STATUSES, "-", folded=True), Field(min_length=1)
]

_READING = ConfigDict(frozen=True, extra="ignore", validate_by_name=True)


class Attempt(BaseModel):
    """One try to deliver the code."""

    model_config = _READING
    uuid: Text = Field("", validation_alias="attempt_uuid")
    channel: Channel = ""
    status: AttemptStatus = ""
    time: OptionalMoment = None
    brand_name: Text = ""
    app_hash: Text = ""


class AttemptCharge(BaseModel):
    """What one attempt cost, as the API lists it beside the attempts."""

    model_config = _READING
    attempt_uuid: Text = ""
    charge: Money = None


class Session(BaseModel):
    """One OTP session. Times are aware UTC, money is exact, texts are cleaned.

    `recipient` is E.164 digits without `+`, empty where it cannot be read; `updated` is the last
    attempt's time; `cost` is the API's total, None when it tells none.
    """

    model_config = _READING
    uuid: Uuid = Field(validation_alias="session_uuid")
    app_uuid: Text = ""
    alias: Text = ""
    recipient: Annotated[str, BeforeValidator(_digits)] = Field("", repr=False)
    channel: Channel = ""
    status: SessionStatus
    count: int | None = None
    attempts: Annotated[tuple[Attempt, ...], BeforeValidator(_rows)] = Field(
        (), validation_alias="attempt_details"
    )
    cost: Money = Field(None, validation_alias=AliasPath("charges", "total_charge"))
    validation_cost: Money = Field(None, validation_alias=AliasPath("charges", "validation_charge"))
    attempt_charges: Annotated[tuple[AttemptCharge, ...], BeforeValidator(_rows)] = Field(
        (), validation_alias=AliasPath("charges", "attempt_charges"), repr=False
    )
    network: Text = Field("", validation_alias="destination_network")
    api_country: Annotated[str | None, BeforeValidator(_country)] = Field(
        None, validation_alias="destination_country_iso2"
    )
    created: Moment = Field(validation_alias="created_at")
    updated: OptionalMoment = Field(None, validation_alias="updated_at")
    own_brand: Text = Field("", validation_alias="brand_name")
    own_app_hash: Text = Field("", validation_alias="app_hash")
    partly_unread: bool = False
    """Whether an optional field could not be read and is unknown."""

    @property
    def country(self) -> str | None:
        """ISO 3166 code: the API's, else the number's, None when neither tells."""
        return self.api_country or phones.country_of(self.recipient)

    def charge(self, attempt: Attempt) -> Decimal | None:
        """What one of this session's attempts cost, None when the API does not tell."""
        listed = (row.charge for row in self.attempt_charges if row.attempt_uuid == attempt.uuid)
        return next(listed, None) if attempt.uuid else None

    @property
    def ended(self) -> bool:
        """Whether the API calls this session finished."""
        return self.status in ("verified", "expired")

    @property
    def brand_name(self) -> str:
        """The session's brand, else that of its attempts: the API gives it in either place."""
        named = (each.brand_name for each in self.attempts if each.brand_name)
        return self.own_brand or next(named, "")

    @property
    def app_hash(self) -> str:
        """The session's app hash, else that of its attempts."""
        hashes = (each.app_hash for each in self.attempts if each.app_hash)
        return self.own_app_hash or next(hashes, "")

    def inconsistencies(self) -> tuple[str, ...]:
        """What does not add up in the API's own figures, in fixed words."""
        found: list[str] = []
        if self.partly_unread:
            found.append("a field of the API's answer could not be read and is unknown")
        if self.count is not None and self.count != len(self.attempts):
            found.append("the API's attempt count differs from the attempts it lists")
        parts = [self.validation_cost, *(row.charge for row in self.attempt_charges)]
        listed = [part for part in parts if part is not None]
        if self.cost is not None and len(listed) > 1 and sum(listed) != self.cost:
            found.append("the charges listed do not add up to the API's total, which is shown")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of sessions, newest first; `skipped` rows could not be read.

    `receipt` says when the API made it; a page from the mirror has none, because its sessions do
    not change any more. `times` are the creation times of the sessions received, in the
    API's order, None where an unreadable row does not tell it.
    """

    sessions: tuple[Session, ...]
    skipped: int = 0
    received: int = 0
    more: bool | None = None
    """Whether the API says that more follow; None when it does not say."""
    cursor: str | None = None
    """An opaque continuation, when the API hands one out instead of an offset."""
    receipt: ReplyTime | None = None
    times: tuple[datetime | None, ...] = ()

    @property
    def repeats(self) -> bool:
        """Whether rows came twice, so that `received` does not tell how many sessions there are."""
        return self.received > len(self.sessions) + self.skipped

    @property
    def newest(self) -> datetime | None:
        """The latest creation time on the page, unreadable rows included; None when unknown."""
        return max((time for time in self.times if time), default=None)


def has_next(page: Page, limit: int) -> bool:
    """Whether sessions follow this page of at most `limit`: as the API says, else by its rows."""
    return bool(page.received) and (page.received >= limit if page.more is None else page.more)


def parse_json(body: bytes) -> object:
    """The JSON value in a reply's body. Raises ApiFailed for anything else."""
    try:
        text = body.decode(json.detect_encoding(body)) if body else ""
        text = _HUGE_NUMBER.sub("{}", text)  # which no field is, so that this one is unknown
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
    read = [each for each in map(_parse_row, rows) if each is not None]
    once = {each.uuid: each for each in read}
    more, cursor = _continuation(payload.get("meta"))
    skipped, times = len(rows) - len(read), tuple(map(_created_at, _distinct(rows)))
    return Page(tuple(once.values()), skipped, len(rows), more, cursor, times=times)


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
        return _parse_created(row.get("created_at")) if isinstance(row, Mapping) else None
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
    places = [each["loc"] for each in error.errors()]
    if not isinstance(row, dict) or any(place[0] in _REQUIRED for place in places if place):
        raise error
    pruned: object = row
    for place in places:
        pruned = _without(pruned, place)
    return pruned


def _without(value: Any, place: tuple[int | str, ...]) -> Any:
    """A copy of a JSON value with null at this place, or where the way to it ends."""
    step, *rest = place or ("",)
    if isinstance(value, dict) and step in value:
        return {**value, step: _without(value[step], tuple(rest)) if rest else None}
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        inner = _without(value[step], tuple(rest)) if rest else {}
        return [*value[:step], inner, *value[step + 1 :]]
    return None


def _continuation(meta: object) -> tuple[bool | None, str | None]:
    """What `meta.next` says, read for its query only: its host and path are never used."""
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
