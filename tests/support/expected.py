"""What a pretend account's sessions really add up to, worked out from its own records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from verify_mcp.emulator import AccountData, SessionRecord
from verify_mcp.emulator.account import microseconds


def among(world: AccountData, start: datetime, end: datetime) -> tuple[SessionRecord, ...]:
    """The sessions created from `start` until before `end`."""
    return world.between(microseconds(start), microseconds(end) - 1)


def cost(record: SessionRecord, now: datetime) -> Decimal:
    """What a session has cost by then."""
    checked = record.validation_charge if record.status_at(now) == "verified" else Decimal(0)
    return sum((each.charge for each in record.attempts_at(now)), checked)


def channel(record: SessionRecord, now: datetime) -> str:
    """The channel the API tells for a session: its last attempt's."""
    attempts = record.attempts_at(now)
    return attempts[-1].channel if attempts else record.channel


def totals(records: Iterable[SessionRecord], now: datetime) -> dict[str, Any]:
    """The totals of an exact answer."""
    found = list(records)
    status = [each.status_at(now) for each in found]
    verified, expired = status.count("verified"), status.count("expired")
    total = sum((cost(each, now) for each in found), Decimal(0))
    return {
        "sessions": len(found),
        "verified": verified,
        "expired": expired,
        "in_progress": len(found) - verified - expired,
        **({"conversion_pct": conversion(verified, expired)} if verified + expired else {}),
        "attempts": sum(len(each.attempts_at(now)) for each in found),
        "cost": short(total),
        **({"cost_per_verified": per(total, verified)} if verified else {}),
        "expired_cost": short(
            sum((cost(each, now) for each in found if each.status_at(now) == "expired"), Decimal(0))
        ),
        "rescued": sum(
            each.status_at(now) == "verified"
            and bool(each.attempts_at(now))
            and channel(each, now) != each.attempts_at(now)[0].channel
            for each in found
        ),
    }


def grouped(
    records: Iterable[SessionRecord], now: datetime, by: Sequence[Callable[[SessionRecord], str]]
) -> dict[tuple[str, ...], list[str]]:
    """Each group's sessions, verified, expired, conversion, cost and cost per verified."""
    groups: dict[tuple[str, ...], list[SessionRecord]] = defaultdict(list)
    for each in records:
        groups[tuple(key(each) for key in by)].append(each)
    columns = ("sessions", "verified", "expired", "conversion_pct", "cost", "cost_per_verified")
    by_name = {name: totals(members, now) for name, members in groups.items()}
    return {
        name: [str(told.get(column, "")) for column in columns] for name, told in by_name.items()
    }


def conversion(verified: int, expired: int) -> str:
    share = Decimal(verified) * 100 / (verified + expired)
    return f"{share.quantize(Decimal('0.01'), ROUND_HALF_EVEN):f}"


def per(total: Decimal, verified: int) -> str:
    return short((total / verified).quantize(Decimal("1e-6"), ROUND_HALF_EVEN))


def short(money: Decimal) -> str:
    """Money without zeros that say nothing."""
    text = f"{money:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
