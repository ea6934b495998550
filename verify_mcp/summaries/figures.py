"""Totals and groups of all sessions counted, with their intervals, from the pages read."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from decimal import Decimal
from functools import cached_property
from math import ceil

from verify_mcp.domain import tallies
from verify_mcp.domain.filters import IN_PROGRESS, ColumnCondition
from verify_mcp.domain.groups import GroupKey
from verify_mcp.domain.matching import fulfils
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.tallies import Tally
from verify_mcp.summaries.estimate import Estimate, Number
from verify_mcp.summaries.sampling import StratifiedSample

MAX_GROUPS = 200
"""Groups estimated, those seen most; an answer has room for a few of them."""
TYPICAL_ATTEMPTS = 4
"""Attempts that a session may have though no session seen had as many."""
TYPICAL_COST = Decimal(1)
"""What a session may cost where every session seen was free of charge."""

Measure = Callable[[Session], Number]


@dataclass(frozen=True, slots=True)
class GroupEstimate:
    """One group's figures; `conversion` is a share from 0 to 1, None where none ended.

    `cost` is None while it is not known; `verified` and `ended` are there where they were counted.
    """

    sessions: Estimate
    conversion: Estimate | None
    cost: Estimate | None
    verified: int | None = None
    ended: int | None = None


@dataclass(slots=True)
class _GroupSums:
    """One group's sums by page."""

    sessions: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    verified: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    ended: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    costs: dict[int, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    max_cost: Decimal = Decimal(0)

    def add(self, offset: int, session: Session) -> None:
        self.sessions[offset] += 1
        self.verified[offset] += session.status == "verified"
        self.ended[offset] += session.ended
        self.costs[offset] += cost(session)
        self.max_cost = max(self.max_cost, cost(session))

    @property
    def seen(self) -> int:
        """Sessions on the pages read."""
        return sum(self.sessions.values())


@dataclass(frozen=True)
class SampledPages:
    """The pages read so far, and the order they were drawn in.

    The figures are about those of their sessions that fulfil the `conditions`.
    """

    drawn: StratifiedSample
    pages: Mapping[int, Page]
    conditions: tuple[ColumnCondition, ...] = ()

    @cached_property
    def sessions(self) -> dict[int, tuple[Session, ...]]:
        """Each page's sessions that are on no page before it: rows may move meanwhile."""
        seen: set[str] = set()
        found: dict[int, tuple[Session, ...]] = {}
        for offset in sorted(page for page in self.pages if page < self.drawn.total):
            page = self.pages[offset].sessions
            found[offset] = tuple(session for session in page if session.uuid not in seen)
            seen.update(session.uuid for session in page)
        return found

    @cached_property
    def _admitted(self) -> dict[int, tuple[Session, ...]]:
        """Those of each page's sessions that the figures are about."""
        return {
            offset: tuple(session for session in page if fulfils(session, self.conditions))
            for offset, page in self.sessions.items()
        }

    def totals(self) -> dict[str, Estimate]:
        """Attempts, cost, expired_cost and rescued of all sessions; none before pages are drawn."""
        found = {
            name: self._sum(
                self._by_page(measure),
                max_per_session=self._typical(name),
                cap=1 if name == "rescued" else None,
            )
            for name, measure in MEASURES.items()
        }
        return {name: estimate for name, estimate in found.items() if estimate is not None}

    def numbers(self) -> dict[str, Estimate]:
        """How many sessions there are, and of each status; none before pages are drawn."""
        found = {
            name: self._sum(self._by_page(measure), max_per_session=1, cap=1)
            for name, measure in NUMBERS.items()
        }
        return {name: estimate for name, estimate in found.items() if estimate is not None}

    def conversion(self) -> Estimate | None:
        """The share of verified sessions among those that ended, from 0 to 1."""
        ended = self._by_page(lambda session: int(session.ended))
        return self.drawn.share(self._by_page(NUMBERS["verified"]), ended)

    def _by_page(self, measure: Measure) -> dict[int, Number]:
        return {offset: sum(map(measure, page)) for offset, page in self._admitted.items()}

    def groups(self, by: tuple[str, ...], zone: tzinfo = UTC) -> dict[GroupKey, GroupEstimate]:
        """The groups of which sessions were seen; none before pages are drawn."""
        sums: dict[GroupKey, _GroupSums] = defaultdict(_GroupSums)
        for offset, session in self._observed() if by else ():
            for key in tallies.group_keys(session, by, zone):
                sums[key].add(offset, session)
        largest = sorted(sums, key=lambda key: (-sums[key].seen, key))[:MAX_GROUPS]
        found = {key: self._group(sums[key]) for key in largest}
        return {key: group for key, group in found.items() if group is not None}

    def unseen_group(self) -> int:
        """The most sessions that a group may have of which the pages read show none."""
        unseen = self._sum(self._values({}), max_per_session=1, cap=1)
        return 0 if unseen is None else ceil(unseen.high)

    def _group(self, sums: _GroupSums) -> GroupEstimate | None:
        sessions = self._sum(self._values(sums.sessions), max_per_session=1, cap=1)
        max_cost = sums.max_cost or self._typical("cost")
        costs = self._sum(self._values(sums.costs), max_per_session=max_cost)
        if sessions is None or costs is None:
            return None
        share = self.drawn.share(self._values(sums.verified), self._values(sums.ended))
        return GroupEstimate(sessions, share, costs)

    def _typical(self, name: str) -> Number:
        """What a session that was not seen may add to a measure."""
        most = max((MEASURES[name](session) for _, session in self._observed()), default=0)
        match name:
            case "rescued":
                return 1
            case "attempts":
                return max(TYPICAL_ATTEMPTS, most)
            case _:
                max_cost = max(
                    (cost(session) for _, session in self._observed()), default=Decimal(0)
                )
                return most or max_cost or TYPICAL_COST

    def _sum(
        self, values: Mapping[int, Number], *, max_per_session: Number, cap: int | None = None
    ) -> Estimate | None:
        """A sum over all sessions, with room for rows that the pages lack."""
        estimate = self.drawn.estimate(values, max_per_session=max_per_session, cap=cap)
        return estimate and estimate.widened_by(Decimal(max_per_session) * self._max_unreadable)

    @cached_property
    def _max_unreadable(self) -> int:
        """At most so many rows of all pages were unreadable, or were seen before."""
        lost = {
            offset: max(0, self.drawn.rows(offset) - len(page))
            for offset, page in self.sessions.items()
        }
        estimate = (
            self.drawn.estimate(lost, max_per_session=1, cap=1) if any(lost.values()) else None
        )
        return int(estimate.high) if estimate else 0

    def _values(self, sums: Mapping[int, Number]) -> dict[int, Number]:
        return {offset: sums.get(offset, 0) for offset in self.sessions}

    def _observed(self) -> Iterable[tuple[int, Session]]:
        return ((offset, session) for offset, page in self._admitted.items() for session in page)


@dataclass(frozen=True)
class SessionBounds:
    """Figures from all pages where `missing` sessions more than those read may exist.

    The figures are about those that fulfil the `conditions`.
    """

    read: Sequence[Session]
    missing: int
    conditions: tuple[ColumnCondition, ...] = ()

    @cached_property
    def sessions(self) -> Sequence[Session]:
        """The sessions read that the figures are about."""
        return [session for session in self.read if fulfils(session, self.conditions)]

    def totals(self) -> dict[str, Estimate]:
        """Attempts, cost, expired_cost and rescued of all sessions."""
        typical = {"attempts": TYPICAL_ATTEMPTS, "rescued": 1}
        return {
            name: self._bounded(sum(map(measure, self.sessions)), typical.get(name, self._max_cost))
            for name, measure in MEASURES.items()
        }

    def numbers(self) -> dict[str, Estimate]:
        """How many sessions there are, and of each status."""
        return {
            name: self._bounded(sum(map(measure, self.sessions)), 1)
            for name, measure in NUMBERS.items()
        }

    def conversion(self) -> Estimate | None:
        """The share of verified sessions among those that ended, from 0 to 1."""
        return self._conversion(tallies.total(tallies.tally_by(self.sessions, ()).values()))

    def unseen_group(self) -> int:
        """The most sessions that a group may have of which the pages read show none."""
        return self.missing

    def groups(self, by: tuple[str, ...], zone: tzinfo = UTC) -> dict[GroupKey, GroupEstimate]:
        """The groups of the sessions read."""
        return {
            key: GroupEstimate(
                self._bounded(tally.sessions, 1),
                self._conversion(tally),
                self._bounded(tallies.from_nanos(tally.cost), self._max_cost),
            )
            for key, tally in (tallies.tally_by(self.sessions, by, zone) if by else {}).items()
        }

    @cached_property
    def _max_cost(self) -> Decimal:
        return max(map(cost, self.read), default=Decimal(0))

    def _bounded(self, value: Number, max_per_session: Number) -> Estimate:
        low = Decimal(value)
        return Estimate(low, low, Decimal(value + self.missing * max_per_session))

    def _conversion(self, tally: Tally) -> Estimate | None:
        """A group's conversion, where every missing session may belong to it."""
        ended = tally.verified + tally.expired
        if not ended:
            return None
        return Estimate(
            Decimal(tally.verified) / ended,
            Decimal(tally.verified) / (ended + self.missing),
            Decimal(tally.verified + self.missing) / (ended + self.missing),
        )


def mix_conversion(
    known: Tally, shares: tuple[Decimal, Decimal, Decimal] | None, sizes: tuple[Decimal, ...]
) -> Estimate | None:
    """The conversion of known sessions and of others whose share and number are estimated."""
    ended = Decimal(known.verified + known.expired)
    if shares is None:
        share = Decimal(known.verified) / ended if ended else None
        return None if share is None else Estimate.certain(share)
    mixed = [
        (known.verified + share * size) / (ended + size)
        for share in shares
        for size in sizes
        if ended + size
    ]
    return Estimate(mixed[0], min(mixed), max(mixed)) if mixed else None


def cost(session: Session) -> Decimal:
    """What a session cost, nothing where the API gives no cost."""
    return session.cost or Decimal(0)


MEASURES: dict[str, Measure] = {
    "attempts": lambda session: len(session.attempts),
    "cost": cost,
    "expired_cost": lambda session: cost(session) if session.status == "expired" else Decimal(0),
    "rescued": lambda session: int(tallies.is_rescued(session)),
}
NUMBERS: dict[str, Measure] = {
    "sessions": lambda _: 1,
    "verified": lambda session: int(session.status == "verified"),
    "expired": lambda session: int(session.status == "expired"),
    "in_progress": lambda session: int(session.status == IN_PROGRESS),
}
