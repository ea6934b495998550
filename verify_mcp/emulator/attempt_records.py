"""The records of single messages and calls, which the account's other endpoints have."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from .countries import BY_ISO2
from .payloads import timestamp

if TYPE_CHECKING:
    from .account import AttemptRecord, SessionRecord

SENDER = "12025550100"
_FAILED = ("50", "450", "420")
_UNDELIVERED = ("70", "80", "30", "1000")
_MOBILE_COUNTRY_CODES = {
    "IN": "404", "US": "310", "BR": "724", "ID": "510", "GB": "234", "FR": "208", "DE": "262",
    "MX": "334", "PH": "515", "NG": "621", "AE": "424", "AZ": "400",
}  # fmt: skip


def message(record: SessionRecord, attempt: AttemptRecord, now: datetime) -> dict[str, Any]:
    """The record of a message as the API writes it at `now`."""
    sent, updated = _message_times(attempt)
    is_reported = updated <= now
    is_failed = attempt.status == "failed"
    return {
        "message_uuid": attempt.uuid,
        "message_type": "whatsapp" if attempt.channel == "whatsapp" else "sms",
        "message_direction": "outbound",
        "message_state": attempt.status if is_reported else "sent",
        "error_code": _error_code(attempt) if is_reported else None,
        "error_message": "",
        "message_time": _written(attempt.time),
        "message_sent_time": None if is_failed else _written(sent),
        "message_updated_time": _written(updated if is_reported else sent),
        **_network(record),
        "destination_country_iso2": record.country or "",
        "from_number": SENDER,
        "to_number": record.recipient,
        "requester_ip": record.requestor_ip,
        "powerpack_id": None,
        "units": 1,
        "total_rate": f"{attempt.charge:.5f}",
        "total_amount": f"{attempt.charge:.5f}",
    }


def call(record: SessionRecord, attempt: AttemptRecord, now: datetime) -> dict[str, Any]:
    """The record of a call as the API writes it at `now`."""
    is_answered = attempt.status == "answer"
    answered = attempt.time + timedelta(seconds=4 + _draw(attempt, 8))
    ended = answered + timedelta(seconds=18 if is_answered else 20)
    is_over = ended <= now
    return {
        "call_uuid": attempt.uuid,
        "call_direction": "outbound",
        "call_state": attempt.status.upper(),
        "initiation_time": _written(attempt.time),
        "answer_time": _written(answered) if is_answered else None,
        "end_time": _written(ended) if is_over else None,
        "call_duration": 18 if is_answered and is_over else 0,
        "bill_duration": 18 if is_answered and is_over else 0,
        "billed_duration": 60 if is_answered and is_over else 0,
        "hangup_cause_name": ("Normal Hangup" if is_answered else "No Answer") if is_over else None,
        "hangup_cause_code": (4000 if is_answered else 3000) if is_over else None,
        "hangup_source": ("Callee" if is_answered else "Carrier") if is_over else None,
        "from_number": SENDER,
        "to_number": record.recipient,
        "source_ip": record.requestor_ip,
        "parent_call_uuid": None,
        "total_rate": f"{attempt.charge:.5f}",
        "total_amount": f"{attempt.charge:.5f}",
    }


def _message_times(attempt: AttemptRecord) -> tuple[datetime, datetime]:
    """When a message was handed to its carrier, and when the last report about it came."""
    sent = attempt.time + timedelta(milliseconds=180 + _draw(attempt, 600))
    if attempt.status == "failed":
        return sent, sent
    seconds = 60 + _draw(attempt, 240) if attempt.status == "undelivered" else 1
    return sent, sent + timedelta(seconds=seconds, milliseconds=_draw(attempt, 5_000))


def _error_code(attempt: AttemptRecord) -> str:
    if attempt.status not in ("failed", "undelivered"):
        return "000"
    codes = _FAILED if attempt.status == "failed" else _UNDELIVERED
    return attempt.error_code or codes[_draw(attempt, len(codes))]


def _network(record: SessionRecord) -> dict[str, str]:
    country = BY_ISO2.get(record.country or "")
    names = [network.name for network in country.networks] if country else []
    if record.network not in names:
        return {"mcc": "", "mnc": ""}
    return {
        "mcc": _MOBILE_COUNTRY_CODES[record.country or ""],
        "mnc": f"{10 + names.index(record.network):02d}",
        "destination_network": record.network,
    }


def _draw(attempt: AttemptRecord, below: int) -> int:
    """A number that depends on the attempt alone, so that its record never changes."""
    return int(attempt.uuid.replace("-", "")[:12], 16) % below


def _written(moment: datetime) -> str:
    return timestamp(moment, "rich").replace("T", " ")
