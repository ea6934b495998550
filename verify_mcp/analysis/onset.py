"""When the change of a driver began."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from verify_mcp.analysis.change_point import Cell, change_point
from verify_mcp.analysis.drivers import Driver
from verify_mcp.analysis.effects import ended
from verify_mcp.domain.tallies import Tally

MAX_ONSET_CHANCE = 0.01
"""A change of rate is clear if its chance, times the drivers looked at, is at most so large."""


@dataclass(frozen=True, slots=True)
class TimeStep:
    """A group's sessions in one step of time, and those of all groups."""

    start: datetime
    length: timedelta
    group: Tally
    total: Tally


@dataclass(frozen=True, slots=True)
class Onset:
    """The start of the step with which another rate begins, and the interval of that instant."""

    at: datetime
    earliest: datetime
    latest: datetime
    chance: float
    step: timedelta
    """The length of that step."""


def onset(driver: Driver, steps: Sequence[TimeStep], *, looked_at: int) -> Onset | None:
    """The instant at which a driver began, where that is clear; None otherwise.

    The series is the group's conversion, or its share of the sessions that ended, whichever makes
    the larger part of its effect. A change within a step counts half for each side of it, so the
    interval reaches over the steps beside the likely points.
    """
    point = change_point([_cell(driver, step) for step in steps])
    if point is None or point.chance * looked_at > MAX_ONSET_CHANCE:
        return None
    step_before = steps[point.first - 1]
    likeliest, last = steps[point.index], steps[point.last]
    return Onset(
        likeliest.start,
        step_before.start,
        last.start + last.length,
        point.chance,
        likeliest.length,
    )


def _cell(driver: Driver, step: TimeStep) -> Cell:
    if driver.is_rate:
        return Cell(step.group.verified, ended(step.group))
    return Cell(ended(step.group), ended(step.total))
