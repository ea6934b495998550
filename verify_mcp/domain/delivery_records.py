"""The record of one message or call, which tells why an attempt arrived or did not.

Facts about the fields: error code `000` means none, and times carry an offset in the documents'
examples. Of a time without one only differences are used: the account's time zone is not known.
Numbers and addresses in a record (`from_number`, `to_number`, `requester_ip`) are not read.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from verify_mcp.domain.api_limits import ATTEMPT_STATUSES
from verify_mcp.domain.payloads import parse_json
from verify_mcp.domain.text import clean
from verify_mcp.errors import ApiFailed

RecordKind = Literal["message", "call"]
MAX_WORD = 40
"""Characters of a word in a record that an answer shows."""
MAX_SECONDS = 90 * 86_400
"""Seconds that a difference of two times of a record can be: longer ones are mistakes."""
FINAL_STATES = {"delivered", "undelivered", "failed", "rejected", "read"}
"""The states of a message after which no report is expected but that it was read."""


class DeliveryRecord(BaseModel):
    """What the API's own record of an attempt tells; empty and None where it tells nothing.

    `delay_s` are the seconds from the sending to the report of the delivery, `answered_after_s`
    those from the start of a call until somebody picked up.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: RecordKind
    state: str = ""
    error_code: str = ""
    mcc: str = ""
    mnc: str = ""
    network: str = ""
    sent: AwareDatetime | None = None
    updated: AwareDatetime | None = None
    delay_s: float | None = None
    hangup_cause: str = ""
    hangup_code: str = ""
    hangup_source: str = ""
    answered_after_s: float | None = None
    duration_s: int | None = None
    is_final: bool = False
    """Whether the record will not change any more."""


def parse_delivery_record(body: bytes, kind: RecordKind, uuid: str) -> DeliveryRecord:
    """The record in a reply to GET …/Message/{uuid}/ or …/Call/{uuid}/. Raises ApiFailed.

    A field that cannot be read is unknown.
    """
    payload = parse_json(body)
    if not isinstance(payload, Mapping):
        raise ApiFailed("The API's record of an attempt is JSON, but not an object.")
    if str(payload.get(f"{kind}_uuid", "")).strip().lower() != uuid:
        raise ApiFailed("The API answered with another record than asked for.")
    return _parse_message(payload) if kind == "message" else _parse_call(payload)


def _parse_message(payload: Mapping[str, object]) -> DeliveryRecord:
    state = _state(payload.get("message_state"))
    sent = _time(payload.get("message_sent_time"))
    updated = _time(payload.get("message_updated_time"))
    return DeliveryRecord(
        kind="message",
        state=state,
        error_code=_error_code(payload.get("error_code")),
        mcc=_digits(payload.get("mcc"), 3),
        mnc=_digits(payload.get("mnc"), 3),
        network=_word(payload.get("destination_network")),
        sent=_instant(sent),
        updated=_instant(updated),
        delay_s=_seconds_between(sent, updated) if state == "delivered" else None,
        is_final=state in FINAL_STATES,
    )


def _parse_call(payload: Mapping[str, object]) -> DeliveryRecord:
    started = _time(payload.get("initiation_time"))
    ended = _time(payload.get("end_time"))
    return DeliveryRecord(
        kind="call",
        state=_state(payload.get("call_state")),
        sent=_instant(started),
        updated=_instant(ended),
        hangup_cause=_word(payload.get("hangup_cause_name")),
        hangup_code=_digits(payload.get("hangup_cause_code"), 6),
        hangup_source=_word(payload.get("hangup_source")),
        answered_after_s=_seconds_between(started, _time(payload.get("answer_time"))),
        duration_s=_whole_number(payload.get("call_duration")),
        is_final=ended is not None,
    )


def _word(value: object) -> str:
    return clean(value, MAX_WORD) if isinstance(value, str) else ""


def _state(value: object) -> str:
    """A state in lower case, with spaces where it is a known one."""
    word = _word(value).lower()
    spaced = re.sub(r"[\s_-]+", " ", word)
    return spaced if spaced in ATTEMPT_STATUSES else word


def _digits(value: object, most: int) -> str:
    text = str(value).strip() if isinstance(value, str | int) else ""
    return text if re.fullmatch(rf"[0-9]{{1,{most}}}", text, re.ASCII) else ""


def _error_code(value: object) -> str:
    """The code without leading zeros, empty for none."""
    return _digits(value, 6).lstrip("0")


def _whole_number(value: object) -> int | None:
    text = _digits(value, 6)
    return int(text) if text else None


def _time(value: object) -> datetime | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        return None


def _instant(time: datetime | None) -> datetime | None:
    """A time as UTC; None for one without an offset or of an impossible year."""
    if time is None or time.tzinfo is None or not 2000 <= time.year <= 2200:
        return None
    return time.astimezone(UTC)


def _seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """The seconds between two times of one record, None when they cannot be compared."""
    if start is None or end is None or (start.tzinfo is None) != (end.tzinfo is None):
        return None
    seconds = (end - start).total_seconds()
    return round(seconds, 1) if 0 <= seconds <= MAX_SECONDS else None
