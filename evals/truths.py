"""Figures worked out from the account's own records, without anything of the server."""

from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_EVEN, Decimal

from evals.world import NOW
from verify_mcp.emulator import AttemptRecord, SessionRecord

Records = Iterable[SessionRecord]


def status(record: SessionRecord) -> str:
    """A session's status when the questions are asked."""
    return record.status_at(NOW)


def attempts(record: SessionRecord) -> tuple[AttemptRecord, ...]:
    """The attempts of a session so far."""
    return record.attempts_at(NOW)


def channel(record: SessionRecord) -> str:
    """The channel of the last attempt."""
    found = attempts(record)
    return found[-1].channel if found else record.channel


def path(record: SessionRecord) -> tuple[str, ...]:
    """The channels of a session's attempts, in their order."""
    return tuple(attempt.channel for attempt in attempts(record))


def cost_of(record: SessionRecord) -> Decimal:
    """What a session has cost so far."""
    checked = record.validation_charge if status(record) == "verified" else Decimal(0)
    return sum((attempt.charge for attempt in attempts(record)), checked)


def cost(records: Records) -> Decimal:
    """What sessions have cost together."""
    return sum(map(cost_of, records), Decimal(0))


def count(records: Records, wanted_status: str) -> int:
    """How many sessions have a status."""
    return sum(status(record) == wanted_status for record in records)


def expired_cost(records: Records) -> Decimal:
    """What the sessions that expired cost."""
    return cost(record for record in records if status(record) == "expired")


def conversion(records: Records) -> Decimal:
    """Verified of the sessions that ended, in per cent to two places."""
    found = list(records)
    verified, expired = count(found, "verified"), count(found, "expired")
    share = Decimal(100 * verified) / (verified + expired)
    return share.quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def cost_per_verified(records: Records) -> Decimal:
    """All cost over all verified sessions, to six places."""
    found = list(records)
    exact = cost(found) / count(found, "verified")
    return exact.quantize(Decimal("1e-6"), ROUND_HALF_EVEN)


def is_rescued(record: SessionRecord) -> bool:
    """Whether a session was verified on another channel than the first one tried."""
    tried = attempts(record)
    return status(record) == "verified" and bool(tried) and channel(record) != tried[0].channel


def group(records: Records, key: Callable[[SessionRecord], str]) -> dict[str, list[SessionRecord]]:
    """The sessions by a key."""
    groups: dict[str, list[SessionRecord]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups


def best(
    groups: dict[str, list[SessionRecord]],
    figure: Callable[[Records], Decimal | int],
    *,
    least: int = 1,
    lowest: bool = False,
) -> str:
    """The group with the highest (or lowest) figure, of those with at least so many sessions."""
    figures = {name: figure(found) for name, found in groups.items() if len(found) >= least}
    return (min if lowest else max)(figures, key=lambda name: figures[name])


def size(records: Records) -> int:
    """How many sessions there are."""
    return len(list(records))
