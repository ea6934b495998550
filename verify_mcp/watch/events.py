"""Events out of findings: which are new, which go on, and which are over.

Every look at a sliding window finds the same event again, at slightly other times and places. A
finding belongs to a known event of its kind when their times touch and no dimension contradicts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from verify_mcp.summaries.anomaly_query import ReportedFinding

GRACE = timedelta(hours=2)
"""How long nothing more must have been seen of an event that is over."""

Change = Literal["began", "ended", "passed"]
"""What is to be reported of an event; `passed` says both at once."""


@dataclass(frozen=True, slots=True)
class WatchedEvent:
    """An event that was reported; `is_over` says that its end was reported, too."""

    kind: str
    where: tuple[tuple[str, str], ...]
    start: datetime
    end: datetime
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """How an event is known after a look; `change` is what is to be reported, None if nothing.

    `before` is how it stays known if the report fails.
    """

    before: WatchedEvent | None
    after: WatchedEvent
    change: Change | None = None
    reported: ReportedFinding | None = None


def transitions(
    known: Sequence[WatchedEvent],
    findings: Sequence[ReportedFinding],
    *,
    now: datetime,
    start: datetime,
    is_complete: bool,
) -> tuple[Transition, ...]:
    """What became of the known events, and the new ones.

    `start` is that of the window; events that were over before it are forgotten. Without a complete
    look no event is over because it was not found.
    """
    left = list(findings)
    made: list[Transition] = []
    for event in known:
        matching = [reported for reported in left if _is_same(event, reported)]
        left = [reported for reported in left if reported not in matching]
        if matching:
            made.append(_go_on(event, matching, now))
        elif event.is_over and event.end < start - GRACE:
            continue
        elif event.is_over or not is_complete:
            made.append(Transition(event, event))
        else:
            made.append(Transition(event, replace(event, is_over=True), "ended"))
    return (*made, *(_begin(reported, now) for reported in left))


def _begin(reported: ReportedFinding, now: datetime) -> Transition:
    window = reported.finding.window
    is_over = window.end < now - GRACE
    event = WatchedEvent(
        reported.finding.kind,
        tuple(sorted(reported.finding.where.items())),
        window.start,
        window.end,
        is_over=is_over,
    )
    return Transition(None, event, "passed" if is_over else "began", reported)


def _go_on(event: WatchedEvent, matching: Sequence[ReportedFinding], now: datetime) -> Transition:
    end = max(event.end, *(reported.finding.window.end for reported in matching))
    is_over = end < now - GRACE
    after = replace(event, end=end, is_over=is_over)
    if is_over and not event.is_over:
        return Transition(event, after, "ended", matching[0])
    return Transition(event, after)


def _is_same(event: WatchedEvent, reported: ReportedFinding) -> bool:
    finding, where = reported.finding, dict(event.where)
    contradicts = any(
        where.get(name, value) != value
        for name, value in finding.where.items()
        if name != "prefix"  # more prefixes join while pumping goes on
    )
    touches = (
        finding.window.start <= event.end + GRACE and finding.window.end >= event.start - GRACE
    )
    return event.kind == finding.kind and touches and not contradicts
