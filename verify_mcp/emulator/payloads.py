"""Session records as JSON objects, in the API's lean or rich shape and in either casing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .account import AttemptRecord, SessionRecord
    from .options import Casing, Endpoint, Shape

Payload = dict[str, Any]

_INDIA = timezone(timedelta(hours=5, minutes=30))
_ZERO_TIMES: dict[Shape, str] = {
    "lean": "0001-01-01T00:00:00Z",
    "rich": "0001-01-01T05:53:28+05:53",
}


def session(
    record: SessionRecord, now: datetime, *, endpoint: Endpoint, shape: Shape, casing: Casing
) -> Payload:
    """One session as the API writes it at `now`."""
    attempts = record.attempts_at(now)
    is_rich = shape == "rich"
    last = attempts[-1].time if attempts else None
    return {
        "session_uuid": record.uuid,
        "app_uuid": record.app_uuid,
        **({"alias": record.alias} if is_rich else {}),
        "recipient": record.recipient,
        "channel": attempts[-1].channel if attempts else record.channel,
        "status": _session_status(record.status_at(now), endpoint, casing),
        "count": len(attempts),
        **(_origin(record) if is_rich else {}),
        "attempt_details": [
            _attempt(record, item, endpoint=endpoint, casing=casing, rich=is_rich)
            for item in attempts
        ]
        or None,
        "charges": _charges(record, attempts, now, rich=is_rich),
        "created_at": timestamp(record.created_at, shape),
        "updated_at": timestamp(last, shape) if last else _ZERO_TIMES[shape],
    }


def timestamp(moment: datetime, shape: Shape) -> str:
    """RFC 3339 without trailing zeros of the fraction, in UTC (lean) or Indian time (rich)."""
    local = moment.astimezone(UTC if shape == "lean" else _INDIA)
    text = local.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{local.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{text}{fraction}{'Z' if shape == 'lean' else '+05:30'}"


def trimmed(amount: Decimal) -> str:
    """An amount without trailing zeros, such as `0.113` and `0`."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _session_status(status: str, endpoint: Endpoint, casing: Casing) -> str:
    return status.capitalize() if casing == "docs" and endpoint == "get" else status


def _attempt_status(attempt: AttemptRecord, endpoint: Endpoint, casing: Casing) -> str:
    is_upper = casing == "docs" and endpoint == "list" and attempt.channel == "voice"
    return attempt.status.upper() if is_upper else attempt.status


def _origin(record: SessionRecord) -> Payload:
    return {
        "locale": record.locale,
        "requestor_ip": record.requestor_ip,
        "destination_country_iso2": record.country or "",
        "destination_network": record.network,
    }


def _attempt(
    record: SessionRecord, attempt: AttemptRecord, *, endpoint: Endpoint, casing: Casing, rich: bool
) -> Payload:
    plain: Payload = {
        "channel": attempt.channel,
        "attempt_uuid": attempt.uuid,
        "status": _attempt_status(attempt, endpoint, casing),
        "time": timestamp(attempt.time, "rich" if rich else "lean"),
    }
    if not rich:
        return plain
    return plain | {
        "brand_name": record.brand_name,
        "app_hash": record.app_hash,
        "code_length": record.code_length,
        "dtmf": record.dtmf,
        "fraud_check": "disabled",
    }


def _charges(
    record: SessionRecord, attempts: tuple[AttemptRecord, ...], now: datetime, *, rich: bool
) -> Payload:
    is_verified = record.status_at(now) == "verified"
    validation = record.validation_charge if is_verified else None
    total = sum((attempt.charge for attempt in attempts), validation or Decimal(0))
    return {
        "total_charge": f"{total:.5f}" if rich else trimmed(total),
        "validation_charge": f"{validation:f}" if validation else "0.0000",
        "attempt_charges": [
            {"attempt_uuid": item.uuid, "channel": item.channel, "charge": f"{item.charge:.5f}"}
            for item in attempts
        ]
        or None,
    }
