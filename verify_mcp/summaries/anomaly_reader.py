"""Reads the sums that one search for anomalies needs. Methods raise DatabaseUnavailable."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import anyio.to_thread

from verify_mcp.analysis.anomalies.detect import Rates
from verify_mcp.analysis.anomalies.finding import Finding
from verify_mcp.analysis.anomalies.timeline import BLOCK, HOUR, timeline
from verify_mcp.database.base import Connection, Value
from verify_mcp.domain.tallies import from_nanos
from verify_mcp.domain.windows import Window, join_closest, overlap
from verify_mcp.mirror import cells, unknown_texts
from verify_mcp.mirror.cells import Evidence, PlaceCell
from verify_mcp.mirror.scope import EPOCH, AccountScope
from verify_mcp.mirror.selection import Selection
from verify_mcp.mirror.store import Store
from verify_mcp.summaries import anomaly_series
from verify_mcp.summaries.anomaly_coverage import Known
from verify_mcp.summaries.anomaly_query import AnomalyQuery, ReportedFinding
from verify_mcp.summaries.anomaly_series import PastBlocks

WEEK = timedelta(days=7)
MAX_PARTS = 20
"""Parts of a window that are read one by one; the closest ones are joined."""
Result = TypeVar("Result")


class AnomalyReader:
    """The known parts of a query's window and past, and the sessions in them."""

    def __init__(self, store: Store, query: AnomalyQuery, known: Known) -> None:
        self._store = store
        self.query = query
        self.now = join_closest(known.now.parts, MAX_PARTS)
        self.past = join_closest(known.past.parts, MAX_PARTS)
        self.past_length = known.past.length
        self.window = Window(self.now[0].start, self.now[-1].end)
        self.scope = query.session_filter.subaccount or ""
        self.selection = Selection(AccountScope(store.account, self.scope), query.session_filter)

    async def prepare(self) -> None:
        """Complete what an earlier version wrote."""
        await self._store.rebuild(self.scope, (*self.past, *self.now))
        await self._store.add_cells(self.scope, (*self.past, *self.now))

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """What a read of the database brings."""
        return await self._store.database.read(work)

    async def count_sessions(self) -> int:
        """How many sessions of the window were looked at."""
        return await self.read(
            lambda connection: cells.count_sessions(connection, self.selection, self.now)
        )

    async def count_unknown_texts(self) -> dict[str, tuple[int, int]]:
        """For each text filter the sessions whose text is unknown, and all it looks at."""
        parts, query = (*self.past, *self.now), self.query
        return await self.read(
            lambda connection: unknown_texts.count_unknown_texts(
                connection, self.selection.account_scope, query.session_filter, parts
            )
        )

    async def read_past(self) -> PastBlocks:
        """What was usual at each place; a week at a time, since it has many cells."""
        past = PastBlocks()
        for parts in _weeks(self.past):
            cells_of_past = await self._read_places(self.selection, parts, EPOCH, BLOCK)
            await compute(partial(past.add, cells_of_past))
        return past

    async def read_rates(
        self, selection: Selection, past: PastBlocks, within: Window | None = None
    ) -> Rates:
        """The series of the window, or of a part of it."""
        window = within or self.window
        steps = timeline(window)
        parts = [part for known in self.now if (part := overlap(known, window))]
        now = await self._read_places(selection, parts, steps.start, steps.step)
        return await compute(partial(anomaly_series.rates, steps, now, past))

    async def _read_places(
        self, selection: Selection, parts: Sequence[Window], origin: datetime, step: timedelta
    ) -> list[PlaceCell]:
        return await self.read(
            lambda connection: cells.read_place_cells(connection, selection, parts, origin, step)
        )

    async def read_hours(self, parts: Sequence[Window]) -> dict[datetime, tuple[float, float]]:
        """The sessions and the cost of each hour that is wholly known."""
        tallies = await self._store.tally(
            self.selection.session_filter, self.scope, parts, ("hour",)
        )
        by_hour = {datetime.fromisoformat(f"{key[0]}+00:00"): one for key, one in tallies.items()}
        return {
            hour: (float(one.sessions), float(from_nanos(one.cost))) if one else (0.0, 0.0)
            for part in parts
            for hour in _whole_hours(part)
            for one in [by_hour.get(hour)]
        }

    async def report(
        self, finding: Finding, condition: str, values: dict[str, Value]
    ) -> ReportedFinding:
        """A finding with the sessions of its window that fulfil a condition."""
        selection = self.selection.narrowed(condition, values)
        return ReportedFinding(finding, await self.read_evidence(selection, finding.window))

    async def read_evidence(
        self, selection: Selection, window: Window, *, with_numbers: bool = False
    ) -> Evidence:
        """Some sessions of a window in numbers."""
        return await self.read(
            lambda connection: cells.read_evidence(
                connection, selection, window, with_numbers=with_numbers
            )
        )


async def compute(work: Callable[[], Result]) -> Result:
    """Compute in a worker thread: other calls go on meanwhile."""
    return await anyio.to_thread.run_sync(work)


def _weeks(parts: Sequence[Window]) -> list[list[Window]]:
    """What some windows have of each week, oldest first; a week begins at midnight UTC."""
    if not parts:
        return []
    first, last = (parts[0].start - EPOCH) // WEEK, (parts[-1].end - EPOCH) // WEEK
    weeks = (
        Window(EPOCH + number * WEEK, EPOCH + (number + 1) * WEEK)
        for number in range(first, last + 1)
    )
    return [[common for part in parts if (common := overlap(part, week))] for week in weeks]


def _whole_hours(part: Window) -> list[datetime]:
    """The hours of UTC that lie in a window."""
    first = -(-(part.start - EPOCH) // HOUR)
    end = (part.end - EPOCH) // HOUR
    return [EPOCH + number * HOUR for number in range(first, end)]
