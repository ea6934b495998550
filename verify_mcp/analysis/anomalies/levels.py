"""Amounts by hour and by day that lie outside of what is usual: spend, and the number of sessions.

The same hour of other days is the measure. Amounts are compared by their square roots, whose spread
hardly depends on how large they are. The spread is a robust one, and its chance is that of a t
distribution with few degrees of freedom: real amounts have heavier tails than the normal one. So
the chance is an approximation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import exp, lgamma, log, sqrt
from statistics import median

from verify_mcp.analysis.anomalies.finding import Finding, Search
from verify_mcp.analysis.anomalies.timeline import DAY, HOUR
from verify_mcp.analysis.robust import spread
from verify_mcp.domain.windows import Window

MIN_DAYS = 7
"""The fewest days on which the same hour must be known."""
DEGREES_OF_FREEDOM = 10
MIN_RATIO = 2.0
"""How many times the usual amount it must be, or what part of it at most."""
MEASURES = {"spend": "cost", "volume": "sessions"}

Amounts = Mapping[datetime, float]
"""An amount by the hour at which it begins; hours that are not wholly known are left out."""


@dataclass(frozen=True, slots=True)
class _Level:
    """An amount in a window, the usual one, and how far they are apart."""

    window: Window
    seen: float
    usual: float
    chance: float


def find_levels(
    kind: str, window: Window, now: Amounts, past: Amounts, unit: float, *, falls: bool = False
) -> Search:
    """The hours and days of a window whose amount is unusual, neighbours joined.

    `unit` is what one event adds to an amount on average; `falls` says that too little counts, too.
    """
    hours = [
        level
        for hour in sorted(now)
        if (level := _compare([hour], now, past, unit, falls=falls)) is not None
    ]
    days = [
        level
        for day in _days(window, now)
        if (level := _compare(day, now, past, unit, falls=falls)) is not None
    ]
    tests = max(1, len(hours) + len(days))
    found = [level for level in (*hours, *days) if level.chance * tests < 1]
    return Search(kind, tests, tuple(_finding(kind, level) for level in found))


def _days(window: Window, now: Amounts) -> list[list[datetime]]:
    """The known hours of each 24 hours, counted back from the window's end."""
    count = int(window.length / DAY)
    return [
        [hour for hour in sorted(now) if -(number + 1) * DAY <= hour - window.end < -number * DAY]
        for number in range(count)
    ]


def _compare(
    hours: Sequence[datetime], now: Amounts, past: Amounts, unit: float, *, falls: bool
) -> _Level | None:
    """The amount of some hours, compared with the same hours of other days; None if unknown."""
    others = _same_hours(hours, past)
    if len(others) < MIN_DAYS:
        return None
    seen = sum(now[hour] for hour in hours)
    usual = median(others)
    roots = spread([sqrt(amount) for amount in others])
    # A count of n events has a root with a standard deviation of a half; sizes of events vary, too.
    scale = max(roots.scale, sqrt(unit) * 0.75)
    deviation = (sqrt(seen) - roots.median) / scale
    is_far = seen >= MIN_RATIO * usual if deviation > 0 else falls and seen * MIN_RATIO <= usual
    window = Window(hours[0], hours[-1] + HOUR)
    return _Level(window, seen, usual, t_upper_tail(abs(deviation)) if is_far else 1.0)


def _same_hours(hours: Sequence[datetime], past: Amounts) -> list[float]:
    """The amounts of the same hours on each earlier day of which all are known."""
    if not hours or not past:
        return []
    days = (hours[-1] - min(past)) // DAY + 1
    shifted = [[hour - number * DAY for hour in hours] for number in range(1, days + 1)]
    return [sum(past[hour] for hour in day) for day in shifted if all(hour in past for hour in day)]


def _finding(kind: str, level: _Level) -> Finding:
    return Finding(kind, {}, level.window, MEASURES[kind], level.usual, level.seen, level.chance)


def join_levels(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Hours beside each other as one finding; a day only where none of its hours is one."""
    joined: list[Finding] = []
    hours = [one for one in findings if one.window.length == HOUR]
    for hour in sorted(hours, key=lambda one: one.window):
        last = joined[-1] if joined else None
        is_same_way = last and (last.seen > last.expected) == (hour.seen > hour.expected)
        if last and is_same_way and hour.window.start <= last.window.end:
            joined[-1] = _join(last, hour)
        else:
            joined.append(hour)
    days = [one for one in findings if one.window.length > HOUR]
    alone = [
        day
        for day in days
        if not any(day.window.start <= one.window.start < day.window.end for one in hours)
    ]
    return (*joined, *alone)


def _join(a: Finding, b: Finding) -> Finding:
    return replace(
        a,
        window=Window(a.window.start, b.window.end),
        expected=a.expected + b.expected,
        seen=a.seen + b.seen,
        chance=min(a.chance, b.chance),
    )


def t_upper_tail(t: float, degrees: int = DEGREES_OF_FREEDOM) -> float:
    """The chance that Student's t with these degrees of freedom is at least `t`, from 0 up.

    Half the regularized incomplete beta function I(x; n/2, 1/2) at x = n/(n + t²), by its power
    series (DLMF 8.17.7).
    """
    a, b = degrees / 2, 0.5
    x = degrees / (degrees + t * t)
    if x >= 1:
        return 0.5
    log_front = a * log(x) - log(a) - (lgamma(a) + lgamma(b) - lgamma(a + b))
    term = total = 1.0
    for k in range(10_000):
        term *= (k + 1 - b) * x / (k + 1)
        step = term * a / (a + k + 1)
        total += step
        if step < total * 1e-16:
            break
    return exp(log_front) * total / 2
