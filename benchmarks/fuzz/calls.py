"""One call of a tool as it happened, and what an oracle finds wrong with its answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.fuzz.truth import SECOND, Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REACH = timedelta(days=90)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FEWEST = 40
"""Intervals of a figure that tell something: those of one table go together."""
_FILTERS = ("app_uuid", "country", "recipient", "subaccount", "brand_name")


@dataclass(frozen=True, slots=True)
class Call:
    """A call and its answer; times are the API's, `latency` is the longest that a reply took.

    `skew` is how far the server's clock is ahead where nothing can correct it.
    """

    tool: str
    arguments: Mapping[str, Any]
    called: datetime
    replied: datetime
    answer: Mapping[str, Any] | None
    error: str = ""
    latency: timedelta = timedelta(0)
    skew: timedelta = timedelta(0)

    @property
    def since(self) -> datetime:
        """The oldest instant that the answer may stand for."""
        as_of = moment(str((self.answer or {}).get("as_of", ""))) or self.called
        return min(as_of, as_of - self.skew, self.replied) - self.latency - SECOND

    @property
    def is_ahead(self) -> bool:
        """Whether `as_of` is later than the answer, so that the server's clock is ahead."""
        as_of = moment(str((self.answer or {}).get("as_of", ""))) or self.called
        ahead = max(self.skew, timedelta(0))  # a clock that is slow is put right by new sessions
        return as_of - ahead > self.replied + 5 * SECOND

    @property
    def filters(self) -> dict[str, str]:
        """The filters that never change for a session."""
        return {name: str(self.arguments[name]) for name in _FILTERS if self.arguments.get(name)}

    @property
    def tells_skipped(self) -> bool:
        """Whether the answer says that rows could not be read."""
        answer = self.answer or {}
        return "skipped" in answer or "could not be read" in answer.get("why", "")

    def asked_arguments(self) -> Span:
        """The window as it was asked, taken at the instant of the call."""
        now = self.called
        end = resolved(self.arguments, ("session_time__lt", "session_time__lte"), now)
        start = resolved(self.arguments, ("session_time__gte", "session_time__gt"), now)
        if start is None:
            start = (end or now) - DAY if self.tool.startswith("summarize") or not end else None
        return Span(start or now - REACH, min(end or now, now))

    def applied(self) -> Span | None:
        """The window in `applied`; its end is the reply's time where none stands there."""
        told: Mapping[str, Any] = (self.answer or {}).get("applied", {})
        start = resolved(told, ("session_time__gte", "session_time__gt"), self.called)
        end = resolved(told, ("session_time__lt", "session_time__lte"), self.called)
        if end and "session_time__lte" in told:
            end += timedelta(microseconds=1)
        return Span(start, end or self.replied) if start else None

    def missing(self) -> list[Span]:
        """The spans in `missing`."""
        texts: Sequence[str] = (self.answer or {}).get("missing", ())
        return [span for each in texts if (span := _span(each))]

    def __str__(self) -> str:
        reply = json.dumps(self.answer, ensure_ascii=False)[:700] if self.answer else self.error
        return (
            f"{self.tool} {json.dumps(dict(self.arguments))}\n"
            f"    called {self.called:%Y-%m-%d %H:%M:%S.%f}, "
            f"answered {self.replied:%Y-%m-%d %H:%M:%S.%f}\n    answer {reply}"
        )


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is not so, in an answer to a call."""

    kind: str
    text: str
    call: Call | None = None
    trace: str = ""
    """How to have it again: world, seed, server."""

    def __str__(self) -> str:
        place = f" [{self.trace}]" if self.trace else ""
        return f"VIOLATION {self.kind}{place}: {self.text}" + (f"\n  {self.call}" * bool(self.call))


@dataclass(slots=True)
class Odds:
    """How often an interval held the truth, by figure."""

    hits: dict[str, int] = field(default_factory=dict)
    misses: dict[str, int] = field(default_factory=dict)

    def note(self, name: str, *, hit: bool) -> None:
        """Count one interval."""
        found = self.hits if hit else self.misses
        found[name] = found.get(name, 0) + 1

    def violations(self) -> list[Violation]:
        """The figures whose intervals miss the truth too often for 95 %."""
        found = []
        for name in {**self.hits, **self.misses}:
            missed = self.misses.get(name, 0)
            total = missed + self.hits.get(name, 0)
            likely = 0.07 * total
            if total >= _FEWEST and missed > likely + 3 * (likely * 0.93) ** 0.5 + 1:
                text = f"{missed} of {total} intervals of {name} miss the truth"
                found.append(Violation("interval", text))
        return found


def moment(text: str) -> datetime | None:
    """An absolute instant, UTC unless it says otherwise."""
    try:
        read = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def resolved(applied: Mapping[str, Any], names: Sequence[str], now: datetime) -> datetime | None:
    """The instant that the first of these arguments means."""
    text = next((str(applied[name]) for name in names if applied.get(name)), "")
    ago = re.fullmatch(r"(\d+)([smhdw])", text)
    return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else moment(text)


def _span(text: str) -> Span | None:
    if text.startswith("until "):
        end = moment(text.removeprefix("until "))
        return Span(datetime(2000, 1, 1, tzinfo=UTC), end) if end else None
    first, _, last = text.partition(" to ")
    start, end = moment(first), moment(last)
    return Span(start, end) if start and end and start <= end else None


def without(span: Span, holes: Sequence[Span]) -> list[Span]:
    """What of a span lies in none of the holes."""
    left = [span]
    for hole in holes:
        cut = [
            part
            for each in left
            for part in (
                Span(each.start, min(each.end, hole.start)),
                Span(max(each.start, hole.end), each.end),
            )
        ]
        left = [each for each in cut if each.start < each.end]
    return left


def shortage(call: Call, applied: Span) -> timedelta:
    """By how much the window that was applied is shorter than the one that was asked."""
    arguments_of, none = call.asked_arguments(), timedelta(0)
    skew = abs(call.skew)
    lost = max(none, applied.start - arguments_of.start - skew) + max(
        none, arguments_of.end - applied.end - skew
    )
    return lost if arguments_of.start < arguments_of.end else none
