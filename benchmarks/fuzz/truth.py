"""What is true of a world at every instant, as bounds that an answer's figures must lie in."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from benchmarks.fuzz.world import Life
from tests.support.expected import channel, cost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FIGURES = (
    "sessions", "verified", "expired", "in_progress", "attempts", "cost", "expired_cost", "rescued",
)  # fmt: skip
Vector = tuple[int, ...]
"""The figures in order, money in billionths."""
NOTHING: Vector = (0,) * len(FIGURES)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class State:
    """A session as it stands for a while: what it adds to each figure, and its groups."""

    figures: Vector
    status: str = ""
    channel: str = ""

    @property
    def cost(self) -> Decimal:
        """What it costs."""
        return Decimal(self.figures[FIGURES.index("cost")]).scaleb(-9)


class Track:
    """One session's states over time."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self._times = life.changes()
        self._states = [_state(life, at) for at in self._times]

    def states(self, start: datetime, end: datetime) -> list[State]:
        """The states it had at instants from `start` to `end`; absence is a state, too."""
        first, last = bisect_right(self._times, start), bisect_right(self._times, end)
        found = self._states[max(0, first - 1) : last]
        return found if first else [_ABSENT, *found]

    def was_unreadable(self, start: datetime, end: datetime) -> bool:
        """Whether its row could not be read at some instant from `start` to `end`."""
        span = self.life.unreadable
        return span is not None and span[0] <= end and start < span[1]


_ABSENT = State(NOTHING)


def _state(life: Life, at: datetime) -> State:
    if at < max(life.created_at, life.visible_at):
        return _ABSENT
    status, attempts = life.status_at(at), life.attempts_at(at)
    spent = int(cost(life, at).scaleb(9))
    current_channel = channel(life, at)
    verified, expired = int(status == "verified"), int(status == "expired")
    rescued = int(bool(verified and attempts and current_channel != attempts[0].channel))
    figures = (1, verified, expired, 1 - verified - expired, len(attempts), spent, spent * expired)
    return State((*figures, rescued), status, current_channel)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the most that each figure can be."""

    least: Vector = NOTHING
    most: Vector = NOTHING

    def of(self, name: str) -> tuple[int, int]:
        """The bounds of one figure."""
        place = FIGURES.index(name)
        return self.least[place], self.most[place]


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` up to, but not including, `end`."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """What an answer speaks of: the sessions of `spans` at instants from `since` to `until`.

    It may speak of those of `maybe`, too. `slack` says by how much a bound of a span may be off;
    `may_skip` that rows that cannot be read may be left out.
    """

    spans: Sequence[Span]
    since: datetime
    until: datetime
    filters: Mapping[str, str]
    may_skip: bool = False
    slack: timedelta = timedelta(0)
    maybe: Sequence[Span] = ()


class Truth:
    """Every session's states."""

    def __init__(self, lives: Iterable[Life]) -> None:
        self.tracks = [Track(each) for each in sorted(lives, key=_created)]
        self._created = [each.life.created_at for each in self.tracks]
        self.by_uuid = {each.life.uuid: each for each in self.tracks}
        self.by_short = {each.life.uuid[:8]: each for each in self.tracks}
        if len(self.by_short) < len(self.tracks):
            raise ValueError("two sessions of this world have the same short id")

    def chosen(self, claim: Claim) -> Iterable[tuple[Track, bool]]:
        """The sessions a claim speaks of, and whether each may be left out."""
        for place in self._places(claim):
            track, at = self.tracks[place], self._created[place]
            if claim.filters and not matches(track.life, claim.filters):
                continue
            inside = any(_within(at, span, -claim.slack) for span in claim.spans)
            skipped = claim.may_skip and track.was_unreadable(claim.since, claim.until)
            yield track, skipped or not inside

    def _places(self, claim: Claim) -> Iterable[int]:
        """Where the sessions of a claim's spans stand, each once."""
        done = 0
        for span in sorted((*claim.spans, *claim.maybe), key=_start):
            first = bisect_left(self._created, span.start - claim.slack)
            end = bisect_left(self._created, span.end + claim.slack)
            yield from range(max(first, done), end)
            done = max(done, end)

    def bounds(self, claim: Claim) -> Bounds:
        """The bounds of the totals."""
        least, most = list(NOTHING), list(NOTHING)
        for track, optional in self.chosen(claim):
            states = track.states(claim.since, claim.until)
            _add(least, most, [each.figures for each in states], optional=optional)
        return Bounds(tuple(least), tuple(most))

    def groups(self, claim: Claim, by: Sequence[str]) -> dict[tuple[str, ...], Bounds]:
        """The bounds of each group."""
        found: dict[tuple[str, ...], tuple[list[int], list[int]]] = {}
        for track, optional in self.chosen(claim):
            states = track.states(claim.since, claim.until)
            keyed = [(_key(track.life, each, by), each.figures) for each in states]
            for key in {key for key, figures in keyed if figures[0]}:
                least, most = found.setdefault(key, (list(NOTHING), list(NOTHING)))
                vectors = [figures if key == other else NOTHING for other, figures in keyed]
                _add(least, most, vectors, optional=optional)
        return {key: Bounds(tuple(least), tuple(most)) for key, (least, most) in found.items()}


def _created(life: Life) -> datetime:
    return life.created_at


def _start(span: Span) -> datetime:
    return span.start


def _within(at: datetime, span: Span, slack: timedelta) -> bool:
    return span.start - slack <= at < span.end + slack


def _add(least: list[int], most: list[int], vectors: Sequence[Vector], *, optional: bool) -> None:
    if len(vectors) == 1 and not optional:
        for place, value in enumerate(vectors[0]):
            least[place] += value
            most[place] += value
        return
    for place, values in enumerate(zip(*vectors, strict=True)):
        least[place] += 0 if optional else min(values)
        most[place] += max(values)


def matches(life: Life, filters: Mapping[str, str]) -> bool:
    """Whether a session answers the filters that never change."""
    return all(
        getattr(life, name) == value.lstrip("+")
        for name, value in filters.items()
        if name in ("app_uuid", "recipient", "subaccount", "brand_name", "country")
    )


def _key(life: Life, state: State, by: Sequence[str]) -> tuple[str, ...]:
    return tuple(_group(life, state, each) for each in by)


def _group(life: Life, state: State, by: str) -> str:
    if by in ("day", "hour"):
        return life.created_at.strftime("%Y-%m-%d" if by == "day" else "%Y-%m-%d %H:00")
    if by in ("status", "channel"):
        return str(getattr(state, by))
    names = {"country": life.country or "?", "app": life.app_uuid, "recipient": life.recipient}
    return names[by]
