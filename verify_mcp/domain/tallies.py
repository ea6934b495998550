"""Tallies: the numbers of many sessions, in total and by group.

Tallies add up exactly and in any order: those of the parts make that of the total. Money is in
billionths, so that databases can add it without losing a digit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from operator import attrgetter
from typing import Any

from verify_mcp.domain.api_limits import REACHED_STATUSES, STATUSES
from verify_mcp.domain.groups import GroupKey, attempt_text, group_of
from verify_mcp.domain.sessions import Session

NANO = Decimal("1e-9")
MAX_COST = 10**15
"""Billionths of the dearest session added up: a million, so that sums of thousands stay integers.
"""


@dataclass(frozen=True, slots=True)
class Tally:
    """Sessions in numbers; `cost` and `expired_cost` in billionths, `uncosted` have no cost.

    `rescued` were verified on another channel than the first one tried, `first_try` with a single
    attempt; `resent` had a second attempt; an attempt of those `reached` was delivered or
    answered. `other` have a status that is not documented. The tally of an attempt status has the
    charge of those attempts as its cost, and `uncosted` attempts have none.
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
    first_try: int = 0
    resent: int = 0
    reached: int = 0
    first: datetime | None = None
    """When the first of them was created; None without sessions, and by attempt status."""
    last: datetime | None = None

    def __add__(self, other: "Tally") -> "Tally":
        return total((self, other))

    @property
    def in_progress(self) -> int:
        """Sessions in progress: neither verified nor expired, nor of a status unknown to us."""
        return self.sessions - self.verified - self.expired - self.other

    @property
    def ended(self) -> int:
        """Sessions that were verified or expired."""
        return self.verified + self.expired

    @property
    def conversion_pct(self) -> Decimal | None:
        """Verified of those that ended, in per cent to two places; None when none ended."""
        return percent(self.verified, self.ended) if self.ended else None

    @property
    def first_try_pct(self) -> Decimal | None:
        """Verified with a single attempt, of those that ended; None when none ended."""
        return percent(self.first_try, self.ended) if self.ended else None

    @property
    def cost_per_verified(self) -> Decimal | None:
        """All cost over all verified, to six places; None when none was verified."""
        if not self.verified:
            return None
        exact = from_nanos(self.cost) / self.verified
        return exact.quantize(Decimal("1e-6"), ROUND_HALF_EVEN)


COUNTS = tuple(field.name for field in fields(Tally) if field.name not in ("first", "last"))
"""The fields of a tally that add up."""
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
    expired, verified = session.status == "expired", session.status == "verified"
    return Tally(
        sessions=1,
        verified=verified,
        expired=expired,
        attempts=len(session.attempts),
        cost=cost or 0,
        expired_cost=(cost or 0) if expired else 0,
        rescued=is_rescued(session),
        uncosted=cost is None,
        other=session.status not in STATUSES,
        first_try=verified and len(session.attempts) == 1,
        resent=len(session.attempts) > 1,
        reached=is_reached(session),
        first=session.created,
        last=session.created,
    )


def is_reached(session: Session) -> bool:
    """Whether any of its attempts was delivered or answered."""
    return any(attempt.status in REACHED_STATUSES for attempt in session.attempts)


def is_rescued(session: Session) -> bool:
    """Whether it was verified after another channel than the first one was tried."""
    tried = [attempt.channel for attempt in session.attempts]
    return session.status == "verified" and bool(tried) and session.channel != tried[0]


def tally_by(sessions: Iterable[Session], by: tuple[str, ...], zone: tzinfo = UTC) -> Tallies:
    """The tallies of sessions by any number of GROUPS; groups of time are of `zone`."""
    tallies: Tallies = {}
    for session in sessions:
        key = tuple(group_of(session, name, zone) for name in by)
        charges = status_charges(session) if "attempt_status" in by else None
        for group, part in expand_attempt_statuses(key, by, tally(session), charges).items():
            tallies[group] = tallies.get(group, Tally()) + part
    return tallies


def group_keys(session: Session, by: tuple[str, ...], zone: tzinfo = UTC) -> Iterable[GroupKey]:
    """The groups that a session is counted in."""
    key = tuple(group_of(session, name, zone) for name in by)
    return expand_attempt_statuses(key, by, Tally()) if "attempt_status" in by else (key,)


def status_counts(outcomes: str) -> dict[str, int]:
    """How many attempts had each status, of the text of all attempts, in order of appearance."""
    counts: dict[str, int] = {}
    for status in outcomes.split("; "):
        if status:
            counts[status] = counts.get(status, 0) + 1
    return counts


def status_charges(session: Session) -> tuple[int, ...] | None:
    """What the attempts of each status cost, in the order of `status_counts`.

    None where a charge is not listed, or does not fit the database to the last digit.
    """
    sums: dict[str, int] = {}
    for attempt in session.attempts:
        charge = session.charge(attempt)
        nanos = None if charge is None else to_nanos(charge)
        if nanos is None:
            return None
        if status := attempt_text(attempt):
            sums[status] = sums.get(status, 0) + nanos
    return tuple(sums.values()) if max(sums.values(), default=0) <= MAX_COST else None


def expand_attempt_statuses(
    key: GroupKey,
    by: tuple[str, ...],
    group_tally: Tally,
    charges: Iterable[int] | None = None,
    uncharged: int | None = None,
) -> Tallies:
    """One group's tally under each attempt status it holds, when grouped so; else under `key`.

    A session is in the group of each status that an attempt of it had, so these groups overlap.
    Their cost is that of the attempts: `charges` in the order of `status_counts`, without those of
    `uncharged` sessions (by default of all of them, where there are no charges).
    """
    if "attempt_status" not in by:
        return {key: group_tally}
    place = by.index("attempt_status")
    counts = status_counts(key[place])
    if uncharged is None:
        uncharged = 0 if charges is not None else group_tally.sessions
    sums = [*(charges or ()), *(0 for _ in counts)]
    return {
        (*key[:place], status, *key[place + 1 :]): Tally(
            group_tally.sessions,
            group_tally.verified,
            group_tally.expired,
            times * group_tally.sessions,
            charge,
            uncosted=times * uncharged,
            other=group_tally.other,
        )
        for (status, times), charge in zip(counts.items(), sums, strict=False)
    }


def merge(*parts: Mapping[GroupKey, Tally]) -> Tallies:
    """Tallies of parts added up, group by group."""
    merged: Tallies = {}
    for part in parts:
        for key, group_tally in part.items():
            merged[key] = merged[key] + group_tally if key in merged else group_tally
    return merged


def subtract(minuend: Tally, subtrahend: Tally) -> Tally:
    """What is left of a tally without a part of it; when its sessions came is not known then."""
    counts: dict[str, Any] = {
        name: getattr(minuend, name) - getattr(subtrahend, name) for name in COUNTS
    }
    return Tally(**counts)


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them in one."""
    parts = list(tallies)
    counts: dict[str, Any] = {name: sum(map(attrgetter(name), parts)) for name in COUNTS}
    firsts = [part.first for part in parts if part.first]
    lasts = [part.last for part in parts if part.last]
    return Tally(**counts, first=min(firsts, default=None), last=max(lasts, default=None))
