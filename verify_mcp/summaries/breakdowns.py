"""The groups of both windows of a comparison, read from the mirror or added up from sessions."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from verify_mcp.analysis.drivers import Driver
from verify_mcp.analysis.effects import Breakdown
from verify_mcp.analysis.onset import Onset, TimeStep, onset
from verify_mcp.domain import tallies as tallies_module
from verify_mcp.domain.tallies import Tallies, Tally
from verify_mcp.domain.windows import Window, overlap
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.summaries.mirror_reader import MirrorReader
from verify_mcp.summaries.query import SummaryQuery, SummaryResult

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FEW_GROUPS = ("country", "channel", "first_channel", "tries")
"""Dimensions with so few groups that their combinations are read at once."""
MAX_HOURLY = timedelta(days=8)
"""Time over which a change is looked for hour by hour; over more, days come first."""
MAX_ONSET_DIMENSIONS = 3
"""Dimensions that are read again to find when their drivers began, the largest drivers' first."""
MAX_HOURLY_GROUPS = 300
"""Groups of a dimension that are read hour by hour."""


class ExactResult:
    """The sessions behind an exact result of one window, by group."""

    def __init__(self, mirror: Mirror, query: SummaryQuery, result: SummaryResult) -> None:
        self.window = result.window
        self.total = tallies_module.total(result.tallies.values())
        self._result = result
        self._reader = MirrorReader(mirror, query)

    async def tally(
        self, by: tuple[str, ...], zone: tzinfo, within: Window | None = None
    ) -> Tallies | None:
        """The tallies of the window or of a part of it; None when they cannot be read any more."""
        within = within or self.window
        parts = [part for cached in self._result.parts if (part := overlap(cached, within))]
        stored = await self._reader.tally(parts, by, zone)
        if stored is None:
            return None
        sessions = (session for session in self._result.sessions if session.created in within)
        return tallies_module.merge(stored, tallies_module.tally_by(sessions, by, zone))


class WindowPair:
    """Two windows whose every session is known."""

    def __init__(self, before: ExactResult, after: ExactResult, zone: tzinfo) -> None:
        self._sides = (before, after)
        self._zone = zone
        self._series: dict[tuple[str, tuple[Window, ...], timedelta], _Series] = {}

    async def read_breakdowns(self, dimensions: Sequence[str]) -> tuple[Breakdown, ...]:
        """The groups of each dimension, without those that do not add up to the totals any more."""
        few = tuple(dimension for dimension in dimensions if dimension in FEW_GROUPS)
        others = [(dimension,) for dimension in dimensions if dimension not in FEW_GROUPS]
        found = [
            breakdown
            for by in ([few] if few else []) + others
            for breakdown in await self._read_together(by)
        ]
        return tuple(sorted(found, key=lambda breakdown: dimensions.index(breakdown.dimension)))

    async def _read_together(self, by: tuple[str, ...]) -> list[Breakdown]:
        """The groups of some dimensions, read at once; none when they do not add up."""
        sides = [await side.tally(by, self._zone) or {} for side in self._sides]
        totals = [tallies_module.total(groups.values()) for groups in sides]
        if totals != [side.total for side in self._sides]:
            return []
        return [
            Breakdown(dimension, *(_groups_at(index, groups) for groups in sides))
            for index, dimension in enumerate(by)
        ]

    async def find_onsets(
        self, drivers: Sequence[Driver], breakdowns: Sequence[Breakdown]
    ) -> tuple[Onset | None, ...]:
        """When each driver began, where that is clear: to the hour, or to the day of many groups.

        A begin before the later window is left out: it does not explain what changed since, and
        nothing is known of the time between two windows. Begins are looked for in few dimensions,
        and not in hours of the day, which begin every day. `breakdowns` are of the drivers'
        dimensions.
        """
        sizes = {breakdown.dimension: len(breakdown.groups()) for breakdown in breakdowns}
        dimensions = list(dict.fromkeys(driver.effect.dimension for driver in drivers))
        found: list[Onset | None] = []
        for driver in drivers:
            dimension = driver.effect.dimension
            is_read = dimension in dimensions[:MAX_ONSET_DIMENSIONS] and dimension != "hour_of_day"
            begun = (
                await self._find_onset(driver, sizes[dimension], len(drivers)) if is_read else None
            )
            is_later = begun and begun.at + begun.step > self._sides[-1].window.start
            found.append(begun if is_later else None)
        return tuple(found)

    async def _find_onset(self, driver: Driver, groups: int, looked_at: int) -> Onset | None:
        """When one driver began, of a dimension with so many groups."""
        dimension, is_hourly = driver.effect.dimension, groups <= MAX_HOURLY_GROUPS
        step = HOUR if is_hourly and self._length <= MAX_HOURLY else DAY
        windows = tuple(side.window for side in self._sides)
        series = await self._read_series(dimension, windows, step)
        found = onset(driver, series.steps(driver), looked_at=looked_at)
        return await self._refine(driver, found) if is_hourly and step == DAY else found

    @property
    def _length(self) -> timedelta:
        return sum((side.window.length for side in self._sides), timedelta())

    async def _refine(self, driver: Driver, coarse: Onset | None) -> Onset | None:
        """The hour within the days in which a change lies; the days where that is not clear."""
        if coarse is None or coarse.latest - coarse.earliest > MAX_HOURLY:
            return coarse
        around = Window(coarse.earliest - DAY, coarse.latest + DAY)
        parts = tuple(part for side in self._sides if (part := overlap(side.window, around)))
        series = await self._read_series(driver.effect.dimension, parts, HOUR)
        return onset(driver, series.steps(driver), looked_at=1) or coarse

    async def _read_series(
        self, dimension: str, windows: tuple[Window, ...], step: timedelta
    ) -> "_Series":
        key = (dimension, windows, step)
        if key not in self._series:
            self._series[key] = await self._read_new_series(*key)
        return self._series[key]

    async def _read_new_series(
        self, dimension: str, windows: tuple[Window, ...], step: timedelta
    ) -> "_Series":
        by = (dimension, "hour" if step == HOUR else "day")
        merged: Tallies = {}
        for side in self._sides:
            for window in windows:
                if part := overlap(side.window, window):
                    merged = tallies_module.merge(merged, await side.tally(by, UTC, part) or {})
        return _Series(merged, windows, step)


class _Series:
    """The groups of one dimension, step by step through some windows."""

    def __init__(self, tallies: Tallies, windows: Sequence[Window], step: timedelta) -> None:
        self._step = step
        self._starts = sorted({start for window in windows for start in _starts(window, step)})
        self._totals: Mapping[datetime, Tally] = _by_time(tallies)
        self._groups = tallies

    def steps(self, driver: Driver) -> list[TimeStep]:
        """The steps of a driver's group, the oldest first."""
        group = {key: tally for key, tally in self._groups.items() if key[0] == driver.effect.group}
        by_time = _by_time(group)
        return [
            TimeStep(
                start, self._step, by_time.get(start, Tally()), self._totals.get(start, Tally())
            )
            for start in self._starts
        ]


def _groups_at(index: int, tallies: Tallies) -> Tallies:
    """Tallies by several groups added up by one of them."""
    found: Tallies = defaultdict(Tally)
    for key, tally in tallies.items():
        found[key[index : index + 1]] += tally
    return dict(found)


def _by_time(tallies: Tallies) -> dict[datetime, Tally]:
    """Tallies by a group and a time added up by that time."""
    found: dict[datetime, Tally] = defaultdict(Tally)
    for (_, label), tally in tallies.items():
        found[datetime.fromisoformat(label).replace(tzinfo=UTC)] += tally
    return found


def _starts(window: Window, step: timedelta) -> list[datetime]:
    """The starts of the days or hours of UTC that a window touches."""
    first = window.start.replace(minute=0, second=0, microsecond=0)
    if step == DAY:
        first = first.replace(hour=0)
    count = -(-(window.end - first) // step)
    return [first + index * step for index in range(count)]
