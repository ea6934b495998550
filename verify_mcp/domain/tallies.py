"""Tallies: the numbers of many sessions, in total and by group.

Tallies add up exactly and in any order: those of the parts make that of the total. Money is in
billionths, so that databases can add it without losing a digit.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal

from verify_mcp.domain.api_limits import STATUSES
from verify_mcp.domain.sessions import Session

NANO = Decimal("1e-9")
GROUPS = (
    "status",
    "channel",
    "country",
    "app",
    "brand",
    "recipient",
    "day",
    "hour",
    "attempt_status",
)
"""What sessions can be grouped by."""
UNKNOWN = "?"
"""The group of sessions whose payload does not have the field."""

GroupKey = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """Sessions in numbers; `cost` and `expired_cost` in billionths, `uncosted` have no cost.

    `rescued` were verified on another channel than the first one tried; `other` have a status
    that is not documented.
    """

    sessions: int = 0
    verified: int = 0
    expired: int = 0
    attempts: int = 0
    cost: int = 0
    expired_cost: int = 0
    rescued: int = 0
    uncosted: int = 0
    other: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, name) + getattr(other, name) for name in FIELDS))

    @property
    def in_progress(self) -> int:
        """Sessions in progress: neither verified nor expired, nor of a status unknown to us."""
        return self.sessions - self.verified - self.expired - self.other

    @property
    def conversion_pct(self) -> Decimal | None:
        """Verified of those that ended, in per cent to two places; None when none ended."""
        ended = self.verified + self.expired
        return percent(self.verified, ended) if ended else None

    @property
    def cost_per_verified(self) -> Decimal | None:
        """All cost over all verified, to six places; None when none was verified."""
        if not self.verified:
            return None
        exact = from_nanos(self.cost) / self.verified
        return exact.quantize(Decimal("1e-6"), ROUND_HALF_EVEN)


FIELDS = tuple(field.name for field in fields(Tally))
Tallies = dict[GroupKey, Tally]


def percent(part: Decimal | int, total: Decimal | int, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """`part` of `total` in per cent, to two places; both in the same unit."""
    return (Decimal(part) * 100 / Decimal(total)).quantize(Decimal("0.01"), rounding)


def to_nanos(money: Decimal) -> int | None:
    """An amount as an integer, None when it has digits finer than a billionth."""
    scaled = money / NANO
    return int(scaled) if scaled == scaled.to_integral_value() else None


def from_nanos(scaled: int) -> Decimal:
    """The amount that so many billionths are."""
    return Decimal(scaled) * NANO


def tally(session: Session) -> Tally:
    """One session as a tally."""
    cost = None if session.cost is None else to_nanos(session.cost)
    expired = session.status == "expired"
    return Tally(
        sessions=1,
        verified=session.status == "verified",
        expired=expired,
        attempts=len(session.attempts),
        cost=cost or 0,
        expired_cost=(cost or 0) if expired else 0,
        rescued=is_rescued(session),
        uncosted=cost is None,
        other=session.status not in STATUSES,
    )


def is_rescued(session: Session) -> bool:
    """Whether it was verified after another channel than the first one was tried."""
    tried = [attempt.channel for attempt in session.attempts]
    return session.status == "verified" and bool(tried) and session.channel != tried[0]


def attempts_text(session: Session) -> str:
    """Every attempt's channel and result in order: `sms failed; voice answer`."""
    return "; ".join(f"{attempt.channel} {attempt.status}".strip() for attempt in session.attempts)


def tally_by(sessions: Iterable[Session], by: tuple[str, ...], zone: tzinfo = UTC) -> Tallies:
    """The tallies of sessions, by up to two of GROUPS; day and hour are of `zone`."""
    tallies: Tallies = {}
    for session in sessions:
        session_key = tuple(_group_of(session, name, zone) for name in by)
        for key, part in expand_attempt_statuses(session_key, by, tally(session)).items():
            tallies[key] = tallies.get(key, Tally()) + part
    return tallies


def group_keys(session: Session, by: tuple[str, ...], zone: tzinfo = UTC) -> Iterable[GroupKey]:
    """The groups that a session is counted in."""
    key = tuple(_group_of(session, name, zone) for name in by)
    return expand_attempt_statuses(key, by, Tally()) if "attempt_status" in by else (key,)


def _group_of(session: Session, by: str, zone: tzinfo) -> str:
    match by:
        case "app":
            return session.app_uuid or UNKNOWN
        case "brand":
            return session.brand_name or UNKNOWN
        case "country":
            return session.country or UNKNOWN
        case "attempt_status":
            return attempts_text(session)
        case "day" | "hour":
            return time_group(session.created, by, zone)
        case _:
            return str(getattr(session, by)) or UNKNOWN


def time_group(moment: datetime, by: str, zone: tzinfo) -> str:
    """The local day (`2026-11-21`) or hour (`2026-11-21 09:00`) of an instant."""
    return moment.astimezone(zone).strftime("%Y-%m-%d" if by == "day" else "%Y-%m-%d %H:00")


def expand_attempt_statuses(key: GroupKey, by: tuple[str, ...], tally_: Tally) -> Tallies:
    """One group's tally under each attempt status it holds, when grouped so; else under `key`.

    A session is in the group of each status that an attempt of it had, so these groups overlap,
    and they have no cost: it would be counted more than once.
    """
    if "attempt_status" not in by:
        return {key: tally_}
    place = by.index("attempt_status")
    counted = Counter(part for part in key[place].split("; ") if part)
    return {
        (*key[:place], status, *key[place + 1 :]): Tally(
            tally_.sessions,
            tally_.verified,
            tally_.expired,
            times * tally_.sessions,
            other=tally_.other,
        )
        for status, times in counted.items()
    }


def merge(*parts: Mapping[GroupKey, Tally]) -> Tallies:
    """Tallies of parts added up, group by group."""
    merged: Tallies = {}
    for part in parts:
        for key, tally_ in part.items():
            merged[key] = merged.get(key, Tally()) + tally_
    return merged


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them in one."""
    return sum(tallies, Tally())
