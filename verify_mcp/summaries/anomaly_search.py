"""What stands out in a window: reads the sums, runs the detectors, and collects the evidence."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import anyio.to_thread

from verify_mcp.analysis.anomalies import detect, pumping
from verify_mcp.analysis.anomalies.detect import Rates, Suspects
from verify_mcp.analysis.anomalies.finding import Finding
from verify_mcp.analysis.anomalies.pumping import Candidate, PrefixHistory
from verify_mcp.analysis.anomalies.stuck import MIN_AGE, OldSessions
from verify_mcp.analysis.anomalies.timeline import BLOCK, HOUR, timeline
from verify_mcp.database.base import Connection, Value
from verify_mcp.domain.tallies import from_nanos
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, join_closest
from verify_mcp.mirror import cells
from verify_mcp.mirror.cells import Evidence, Selection
from verify_mcp.mirror.scope import EPOCH, AccountScope
from verify_mcp.mirror.store import Store
from verify_mcp.summaries import anomaly_series
from verify_mcp.summaries.anomaly_coverage import Known
from verify_mcp.summaries.anomaly_query import AnomalyQuery, ReportedFinding

MAX_PARTS = 20
"""Parts of a window that are read one by one; the closest ones are joined."""
MAX_FINDINGS = 20
TOP_RECIPIENTS = 5
Result = TypeVar("Result")


class AnomalySearch:
    """Looks at the known parts of one query's window. Its methods raise DatabaseUnavailable."""

    def __init__(self, store: Store, query: AnomalyQuery, known: Known) -> None:
        self._store = store
        self._query = query
        self._now = join_closest(known.now.parts, MAX_PARTS)
        self._past = join_closest(known.past.parts, MAX_PARTS)
        self._known = known
        self._window = Window(self._now[0].start, self._now[-1].end)
        scope = AccountScope(store.account, query.session_filter.subaccount or "")
        self._selection = Selection(scope, query.session_filter)

    async def run(self) -> tuple[ReportedFinding, ...]:
        """Every finding with its evidence, clearest first."""
        kinds = self._query.kinds
        scope = self._selection.account_scope.scope
        await self._store.rebuild(scope, (*self._past, *self._now))
        found: list[ReportedFinding] = []
        pumped: list[tuple[Candidate, Finding]] = []
        if {"pumping", "delivery", "conversion"} & set(kinds):
            past = await self._read_places(self._selection, self._past, EPOCH, BLOCK)
            observed = await self._read_rates(self._selection, past)
            if "pumping" in kinds:
                pumped = await self._find_pumping(observed)
                found += [await self._report_pumping(*one) for one in pumped]
            if pumped:
                observed = await self._read_rates(self._without(pumped), past)
            found += await self._find_falls(observed)
        found += await self._find_levels(found)
        found += await self._find_others()
        found.sort(key=lambda one: (one.finding.chance, one.finding.window))
        return tuple(found[:MAX_FINDINGS])

    async def count_sessions(self) -> int:
        """How many sessions of the window were looked at."""
        return await self._read(
            lambda connection: cells.count_sessions(connection, self._selection, self._now)
        )

    async def _find_falls(self, observed: Rates) -> list[ReportedFinding]:
        kinds = self._query.kinds
        delivery: tuple[Finding, ...] = ()
        conversion: tuple[Finding, ...] = ()
        if "delivery" in kinds or "conversion" in kinds:
            delivery = await _compute(partial(detect.find_delivery, observed, kinds))
        if "conversion" in kinds:
            conversion = await _compute(partial(detect.find_conversion, observed, delivery, kinds))
        chosen = [*(delivery if "delivery" in kinds else ()), *conversion]
        return [await self._report_fall(finding) for finding in chosen]

    async def _find_pumping(self, observed: Rates) -> list[tuple[Candidate, Finding]]:
        """The pumping in the window, each with its prefixes as narrow as they are known."""
        counts = await self._read(self._read_prefixes)
        suspects = await _compute(partial(detect.find_suspects, counts, observed))
        sessions: dict[str, int] = {}
        for count in counts:
            if count.window.length == HOUR:
                sessions[count.prefix] = sessions.get(count.prefix, 0) + count.sessions
        candidates = tuple(
            pumping.with_prefixes(
                one, pumping.narrowest(one.prefixes, lambda p: sessions.get(p, 0))
            )
            for one in suspects.candidates
        )
        histories = [await self._read(partial(self._history, one)) for one in candidates]
        narrow = Suspects(candidates, suspects.tests)
        return list(detect.find_pumping(narrow, histories, self._query.kinds))

    def _read_prefixes(self, connection: Connection) -> list[pumping.PrefixCell]:
        """Prefixes of two lengths by hour, and the longer ones by day."""
        found = []
        for tail, hours in (
            (pumping.FINE_DIGITS, 1), (pumping.COARSE_DIGITS, 1), (pumping.FINE_DIGITS, 24)
        ):  # fmt: skip
            counts = cells.read_prefix_counts(
                connection,
                self._selection,
                self._now,
                tail=tail,
                step=hours * HOUR,
                least=pumping.MIN_SESSIONS,
            )
            found += anomaly_series.prefix_cells(counts, EPOCH, hours)
        return found

    def _history(self, candidate: Candidate, connection: Connection) -> PrefixHistory:
        condition, values = cells.of_prefixes(candidate.prefixes)
        selection = self._selection.narrowed(condition, values)
        evidence = cells.read_evidence(connection, selection, candidate.window)
        past = cells.count_sessions(connection, selection, self._past)
        window = evidence.window or candidate.window
        usual = pumping.usual_sessions(past, self._known.past.length, window.length)
        return PrefixHistory(
            window, evidence.sessions, evidence.recipients, evidence.verified, usual
        )

    def _without(self, pumped: Sequence[tuple[Candidate, Finding]]) -> Selection:
        """The sessions that are no part of pumping."""
        selection = self._selection
        for number, (candidate, finding) in enumerate(pumped):
            selection = cells.except_prefixes(selection, number, candidate.prefixes, finding.window)
        return selection

    async def _read_rates(self, selection: Selection, past: list[cells.PlaceCell]) -> Rates:
        steps = timeline(self._window)
        now = await self._read_places(selection, self._now, steps.start, steps.step)
        return await _compute(partial(anomaly_series.rates, steps, now, past))

    async def _read_places(
        self, selection: Selection, parts: Sequence[Window], origin: datetime, step: timedelta
    ) -> list[cells.PlaceCell]:
        return await self._read(
            lambda connection: cells.read_place_cells(connection, selection, parts, origin, step)
        )

    async def _find_levels(self, found: Sequence[ReportedFinding]) -> list[ReportedFinding]:
        kinds = [kind for kind in self._query.kinds if kind in ("spend", "volume")]
        if not kinds:
            return []
        now, past = await self._hourly(self._now), await self._hourly(self._past)
        reported = []
        for kind in kinds:
            index = int(kind == "spend")
            unit = _unit(past) if kind == "spend" else 1.0
            levels = detect.find_levels(
                kind,
                self._window,
                {hour: amounts[index] for hour, amounts in now.items()},
                {hour: amounts[index] for hour, amounts in past.items()},
                unit,
                self._query.kinds,
            )
            reported += [
                ReportedFinding(level, await self._evidence(self._selection, level.window))
                for level in levels
                if not _is_explained(level, found)
            ]
        return reported

    async def _hourly(self, parts: Sequence[Window]) -> dict[datetime, tuple[float, float]]:
        """The sessions and the cost of each hour that is wholly known."""
        tallies = await self._store.tally(
            self._selection.session_filter, self._selection.account_scope.scope, parts, ("hour",)
        )
        by_hour = {datetime.fromisoformat(f"{key[0]}+00:00"): one for key, one in tallies.items()}
        hours = [hour for part in parts for hour in _whole_hours(part)]
        return {
            hour: (float(one.sessions), float(from_nanos(one.cost))) if one else (0.0, 0.0)
            for hour in hours
            for one in [by_hour.get(hour)]
        }

    async def _find_others(self) -> list[ReportedFinding]:
        kinds, reported = self._query.kinds, []
        if "repeat" in kinds:
            counts = await self._read(
                lambda connection: cells.read_recipient_counts(
                    connection, self._selection, self._window, top=TOP_RECIPIENTS
                )
            )
            for finding in detect.find_repeats(self._window, counts.histogram, counts.top, kinds):
                condition = "recipient = :repeated"
                values: dict[str, Value] = {"repeated": finding.where["recipient"]}
                reported.append(await self._report(finding, condition, values))
        if "stuck" in kinds:
            now = await self._read(lambda connection: self._old(connection, self._now))
            past = await self._read(lambda connection: self._old(connection, self._past))
            for finding in detect.find_stuck(self._window, now, past, kinds):
                age: dict[str, Value] = {"age": MIN_AGE // MICROSECOND}
                reported.append(await self._report(finding, cells.IS_OLD_AND_OPEN, age))
        return reported

    def _old(self, connection: Connection, parts: Sequence[Window]) -> OldSessions:
        return OldSessions(*cells.count_old(connection, self._selection, parts, MIN_AGE))

    async def _report_fall(self, finding: Finding) -> ReportedFinding:
        where = dict(finding.where)
        condition = "1 = 1"
        if finding.kind == "delivery":
            condition = cells.of_channel(where.pop("channel"))
        place, values = cells.of_place(where.items())
        return await self._report(finding, f"{condition} AND {place}", values)

    async def _report_pumping(self, candidate: Candidate, finding: Finding) -> ReportedFinding:
        condition, values = cells.of_prefixes(candidate.prefixes)
        selection = self._selection.narrowed(condition, values)
        evidence = await self._evidence(selection, finding.window, with_numbers=True)
        share = pumping.neighbour_share(evidence.numbers)
        return ReportedFinding(finding, evidence, share)

    async def _report(
        self, finding: Finding, condition: str, values: dict[str, Value]
    ) -> ReportedFinding:
        selection = self._selection.narrowed(condition, values)
        return ReportedFinding(finding, await self._evidence(selection, finding.window))

    async def _evidence(
        self, selection: Selection, window: Window, *, with_numbers: bool = False
    ) -> Evidence:
        return await self._read(
            lambda connection: cells.read_evidence(
                connection, selection, window, with_numbers=with_numbers
            )
        )

    async def _read(self, work: Callable[[Connection], Result]) -> Result:
        return await self._store.database.read(work)


async def _compute(work: Callable[[], Result]) -> Result:
    """Compute in a worker thread: other calls go on meanwhile."""
    return await anyio.to_thread.run_sync(work)


def _whole_hours(part: Window) -> list[datetime]:
    """The hours of UTC that lie in a window."""
    first = -(-(part.start - EPOCH) // HOUR)
    end = (part.end - EPOCH) // HOUR
    return [EPOCH + number * HOUR for number in range(first, end)]


def _unit(past: dict[datetime, tuple[float, float]]) -> float:
    """What a session costs on average."""
    sessions = sum(amounts[0] for amounts in past.values())
    return sum(amounts[1] for amounts in past.values()) / sessions if sessions else 1.0


def _is_explained(level: Finding, found: Sequence[ReportedFinding]) -> bool:
    """Whether pumping at the same time makes up for half of what is too much."""
    excess = level.seen - level.expected
    pumped = [
        float(from_nanos(one.evidence.cost)) if level.kind == "spend" else one.evidence.sessions
        for one in found
        if one.finding.kind == "pumping" and _overlap(one.finding.window, level.window)
    ]
    return excess > 0 and sum(pumped) >= excess / 2


def _overlap(a: Window, b: Window) -> bool:
    return a.start < b.end and b.start < a.end
