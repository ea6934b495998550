"""The records of a session's attempts, as `get_verify_session` shows them."""

from collections.abc import Sequence
from typing import Any

from verify_mcp.domain.delivery_records import DeliveryRecord
from verify_mcp.domain.message_errors import MESSAGE_ERRORS
from verify_mcp.domain.times import format_time_short
from verify_mcp.errors import QuotaExhausted
from verify_mcp.mirror.deliveries import DeliveryLookup
from verify_mcp.tools.formatting import ceil_seconds

NO_RECORD = "no such record"
NOT_AVAILABLE = "not available"


def record_fields(lookup: DeliveryLookup) -> dict[str, Any] | str:
    """What an attempt's record tells, else that there is none or that it is not available."""
    if lookup.record is None:
        return NOT_AVAILABLE if lookup.failure else NO_RECORD
    record = lookup.record
    fields = {
        "state": record.state,
        "error_code": record.error_code,
        "error": MESSAGE_ERRORS.get(record.error_code),
        "network": record.network,
        "mcc": record.mcc,
        "mnc": record.mnc,
        **_times(record),
        "hangup_cause": record.hangup_cause,
        "hangup_code": record.hangup_code,
        "hangup_source": record.hangup_source,
        "duration_s": record.duration_s,
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _times(record: DeliveryRecord) -> dict[str, Any]:
    is_call = record.kind == "call"
    return {
        "started" if is_call else "sent": record.sent and format_time_short(record.sent),
        "ended" if is_call else "updated": record.updated and format_time_short(record.updated),
        "delay_s": record.delay_s,
        "answered_after_s": record.answered_after_s,
    }


def unavailable_fields(lookups: Sequence[DeliveryLookup]) -> dict[str, Any]:
    """Why the records of some attempts are not available; empty when all of them were read."""
    failures = [lookup.failure for lookup in lookups if lookup.failure is not None]
    if not failures:
        return {}
    waits = [failure.eta_s for failure in failures if isinstance(failure, QuotaExhausted)]
    number = f"{len(failures)} of {len(lookups)}" if len(failures) < len(lookups) else "the"
    return {
        "complete": False,
        "why": f"The records of {number} attempts are not available: {failures[0]}",
        **({"eta_s": ceil_seconds(max(waits))} if waits else {}),
    }
