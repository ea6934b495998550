"""Helpers of several tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from mcp import Client

from tests.support.client import (
    APP,
    NOW,
    call_tool,
    uuid,
)
from verify_mcp.emulator import AttemptRecord, SessionRecord

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


async def summarize(client: Client, **arguments: Any) -> dict[str, Any]:
    """The answer of summarize_verify_sessions, the same in both channels."""
    return await call_tool(client, "summarize_verify_sessions", arguments)


def attempt(channel: str, status: str, at: datetime, charge: str = "0.1") -> AttemptRecord:
    return AttemptRecord(
        uuid=uuid(0xA000), channel=channel, status=status, time=at, charge=Decimal(charge)
    )


def some(number: int, *, hours: float = 24, seed: int = 1) -> list[SessionRecord]:
    """Sessions of the last so many hours, of every kind; a few are not over yet."""
    random, made = Random(seed), []  # noqa: S311 - made-up data
    for each in range(number):
        at = NOW - timedelta(seconds=random.uniform(1, hours * 3600 - 1))
        tried = [
            attempt(
                random.choice(["sms", "voice", "whatsapp"]),
                random.choice(["delivered", "undelivered", "answer"]),
                at + step * MINUTE,
                f"0.{random.randrange(10**5):05d}",
            )
            for step in range(random.randrange(4))
        ]
        made.append(
            SessionRecord(
                uuid=uuid(each),
                recipient=random.choice(["14155550100", "919380013443", "33612345678"]),
                created_at=at,
                resolved_at=at + 5 * MINUTE,
                outcome=random.choice(["verified", "expired"]),
                attempts=tuple(tried),
                validation_charge=Decimal("0.05"),
                app_uuid=random.choice([APP, uuid(0xB)]),
                brand_name=random.choice(["Acme", "Globex"]),
            )
        )
    return made


def read_onset(since: str) -> tuple[str, str, str]:
    """When a driver began, and the interval of that, each as `11-20 14:00`."""
    at, _, interval = since.rstrip(")").partition(" (")
    earliest, latest = (
        bound if "-" in bound else at[: len("11-20 ")] + bound for bound in interval.split(" to ")
    )
    return at, earliest, latest
