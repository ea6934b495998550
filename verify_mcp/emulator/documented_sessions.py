"""The two documented sessions as bytes and as records."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from .account import AccountData, AttemptRecord, SessionRecord

ASHA_SESSION = "60ea68db-b123-46d9-9eb2-1201d516dbbd"
OTHER_DOCUMENTED_SESSION = "51e965f3-65a5-4ca0-9542-57154118a991"
DOCUMENTED_NOW = datetime(2023, 6, 1, 12, tzinfo=UTC)

_HERE = Path(__file__).parent
_APP_ALIASES = {
    "ec66515e-86f6-4507-8620-31c039538d7a": "Sandbox Login",
    "59728519-d145-45d6-8d46-60c06f7e8bbb": "Sandbox Checkout",
}


def documented_list() -> bytes:
    """The documented list reply, byte for byte."""
    return (_HERE / "golden_list.json").read_bytes()


def documented_get() -> bytes:
    """The documented reply for one session, byte for byte."""
    return (_HERE / "golden_get.json").read_bytes()


def documented_payload() -> AccountData:
    """The documented account: two sessions of 2023 with their exact replies."""
    return AccountData(
        documented_sessions(), verbatim={"": documented_list(), ASHA_SESSION: documented_get()}
    )


def documented_sessions() -> tuple[SessionRecord, ...]:
    """Both documented sessions with their own dates, newest first."""
    return tuple(_record(row) for row in json.loads(documented_list())["sessions"])


def _record(row: dict[str, Any]) -> SessionRecord:
    created_at = datetime.fromisoformat(row["created_at"])
    return SessionRecord(
        uuid=row["session_uuid"],
        recipient=row["recipient"],
        created_at=created_at,
        resolved_at=created_at + timedelta(seconds=300),
        outcome=row["status"],
        attempts=_attempts(row),
        validation_charge=Decimal(row["charges"]["validation_charge"]),
        channel=row["channel"],
        app_uuid=row["app_uuid"],
        alias=_APP_ALIASES[row["app_uuid"]],
        country="IN",
        network="Jio",
        brand_name="Acme",
    )


def _attempts(row: dict[str, Any]) -> tuple[AttemptRecord, ...]:
    charges = {
        charge["attempt_uuid"]: charge["charge"] for charge in row["charges"]["attempt_charges"]
    }
    return tuple(
        AttemptRecord(
            uuid=attempt["attempt_uuid"],
            channel=attempt["channel"],
            status=attempt["status"].lower(),
            time=datetime.fromisoformat(attempt["time"]),
            charge=Decimal(charges[attempt["attempt_uuid"]]),
        )
        for attempt in row["attempt_details"]
    )
