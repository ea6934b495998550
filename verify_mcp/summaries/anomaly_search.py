"""What stands out in a window: runs the detectors, and collects the evidence of what they find."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from verify_mcp.analysis.anomalies import detect, pumping
from verify_mcp.analysis.anomalies.detect import Rates, Suspects
from verify_mcp.analysis.anomalies.finding import Finding
from verify_mcp.analysis.anomalies.pumping import Candidate, PrefixCell, PrefixHistory
from verify_mcp.analysis.anomalies.rates import same_time
from verify_mcp.analysis.anomalies.timeline import HOUR, MAX_STEPS, STEPS, timeline
from verify_mcp.database.base import Connection
from verify_mcp.domain.windows import Window, overlap
from verify_mcp.mirror import attempt_sql, cells
from verify_mcp.mirror.scope import EPOCH
from verify_mcp.mirror.selection import Selection, except_prefixes, of_place, of_prefixes
from verify_mcp.summaries import anomaly_levels, anomaly_series
from verify_mcp.summaries.anomaly_query import ReportedFinding
from verify_mcp.summaries.anomaly_reader import AnomalyReader, compute
from verify_mcp.summaries.anomaly_series import PastBlocks

MAX_FINDINGS = 20
SHARE_KINDS = {"pumping", "delivery", "conversion"}
"""The kinds for which sessions are read by place."""


class AnomalySearch:
    """Looks at what a reader reads. Its methods raise DatabaseUnavailable."""

    def __init__(self, reader: AnomalyReader) -> None:
        self._reader = reader
        self._kinds = reader.query.kinds

    async def run(self) -> tuple[ReportedFinding, ...]:
        """Every finding with its evidence, clearest first."""
        found = await self._find_shares() if SHARE_KINDS & set(self._kinds) else []
        found += await anomaly_levels.find_levels(self._reader, found)
        if "repeat" in self._kinds:
            found += await anomaly_levels.find_repeats(self._reader)
        if "stuck" in self._kinds:
            found += await anomaly_levels.find_stuck(self._reader)
        found.sort(key=lambda one: (one.finding.chance, one.finding.window))
        return tuple(found[:MAX_FINDINGS])

    async def _find_shares(self) -> list[ReportedFinding]:
        """Pumping, and what else fell: without the sessions of pumping."""
        reader = self._reader
        past = await reader.read_past()
        observed = await reader.read_rates(reader.selection, past)
        found: list[ReportedFinding] = []
        selection = reader.selection
        if "pumping" in self._kinds:
            pumped = await self._find_pumping(observed)
            found += [await self._report_pumping(*one) for one in pumped]
            selection = _without(selection, pumped)
            observed = await reader.read_rates(selection, past) if pumped else observed
        for finding in await self._find_falls(observed):
            placed = await self._place_begin(finding, selection, past)
            found.append(await self._report_fall(placed))
        return found

    async def _find_falls(self, observed: Rates) -> list[Finding]:
        kinds = self._kinds
        delivery: tuple[Finding, ...] = ()
        conversion: tuple[Finding, ...] = ()
        if "delivery" in kinds or "conversion" in kinds:
            delivery = await compute(partial(detect.find_delivery, observed, kinds))
        if "conversion" in kinds:
            conversion = await compute(partial(detect.find_conversion, observed, delivery, kinds))
        return [*(delivery if "delivery" in kinds else ()), *conversion]

    async def _place_begin(
        self, finding: Finding, selection: Selection, past: PastBlocks
    ) -> Finding:
        """The finding with its begin from the shortest steps, where the window has longer ones."""
        steps = timeline(self._reader.window)
        if steps.step == STEPS[0]:
            return finding
        most = (MAX_STEPS - 1) * STEPS[0]
        start = finding.window.start - min(4 * steps.step, most / 2)
        around = overlap(Window(start, start + most), self._reader.window)
        if around is None:
            return finding
        observed = await self._reader.read_rates(selection, past, around)
        search = detect.falls_at(finding.kind, dict(finding.where), observed)
        closer = await compute(search)
        if closer is None or not same_time(closer.window, finding.window):
            return finding
        if closer.window.end < around.end:
            return replace(closer, chance=finding.chance, also=finding.also)
        window = Window(closer.window.start, max(finding.window.end, closer.window.end))
        return replace(finding, window=window, begin=closer.begin)

    async def _find_pumping(self, observed: Rates) -> list[tuple[Candidate, Finding]]:
        """The pumping in the window, each with its prefixes as narrow as they are known."""
        counts = await self._reader.read(self._read_prefixes)
        suspects = await compute(partial(detect.find_suspects, counts, observed))
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
        histories = [await self._reader.read(partial(self._history, one)) for one in candidates]
        narrow = Suspects(candidates, suspects.tests)
        return list(detect.find_pumping(narrow, histories, self._kinds))

    def _read_prefixes(self, connection: Connection) -> list[PrefixCell]:
        """Prefixes of two lengths by hour, and the longer ones by day."""
        found = []
        for tail, hours in (
            (pumping.FINE_DIGITS, 1), (pumping.COARSE_DIGITS, 1), (pumping.FINE_DIGITS, 24)
        ):  # fmt: skip
            counts = cells.read_prefix_counts(
                connection,
                self._reader.selection,
                self._reader.now,
                tail=tail,
                step=hours * HOUR,
                least=pumping.MIN_SESSIONS,
            )
            found += anomaly_series.prefix_cells(counts, EPOCH, hours)
        return found

    def _history(self, candidate: Candidate, connection: Connection) -> PrefixHistory:
        reader = self._reader
        selection = _of_prefixes(reader.selection, candidate)
        evidence = cells.read_totals(connection, selection, candidate.window)
        past = cells.count_sessions(connection, selection, reader.past)
        window = evidence.window or candidate.window
        usual = pumping.usual_sessions(past, reader.past_length, window.length)
        return PrefixHistory(
            window, evidence.sessions, evidence.recipients, evidence.verified, usual
        )

    async def _report_pumping(self, candidate: Candidate, finding: Finding) -> ReportedFinding:
        selection = _of_prefixes(self._reader.selection, candidate)
        evidence = await self._reader.read_evidence(selection, finding.window, with_numbers=True)
        share = pumping.neighbour_share(evidence.numbers)
        return ReportedFinding(finding, evidence, share)

    async def _report_fall(self, finding: Finding) -> ReportedFinding:
        where = dict(finding.where)
        condition = "1 = 1"
        if finding.kind == "delivery":
            condition = attempt_sql.of_channel(where.pop("channel"))
        place, values = of_place(where.items())
        return await self._reader.report(finding, f"{condition} AND {place}", values)


def _of_prefixes(selection: Selection, candidate: Candidate) -> Selection:
    return selection.narrowed(*of_prefixes(candidate.prefixes))


def _without(selection: Selection, pumped: Sequence[tuple[Candidate, Finding]]) -> Selection:
    """The sessions that are no part of pumping."""
    for number, (candidate, finding) in enumerate(pumped):
        selection = except_prefixes(selection, number, candidate.prefixes, finding.window)
    return selection
