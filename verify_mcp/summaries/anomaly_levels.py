"""Anomalies that are no shares: spend and volume, single recipients, and stuck sessions."""

from collections.abc import Sequence
from datetime import datetime

from verify_mcp.analysis.anomalies import detect
from verify_mcp.analysis.anomalies.finding import Finding
from verify_mcp.analysis.anomalies.stuck import MIN_AGE, OldSessions
from verify_mcp.database.base import Value
from verify_mcp.domain.tallies import from_nanos
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, overlap
from verify_mcp.mirror import cells
from verify_mcp.mirror.selection import IS_OLD_AND_OPEN
from verify_mcp.summaries.anomaly_query import ReportedFinding
from verify_mcp.summaries.anomaly_reader import AnomalyReader

TOP_RECIPIENTS = 5
"""Recipients with the most sessions that are looked at."""


async def find_levels(
    reader: AnomalyReader, found: Sequence[ReportedFinding]
) -> list[ReportedFinding]:
    """Unusual spend and volume that no pumping in `found` explains."""
    kinds = [kind for kind in reader.query.kinds if kind in ("spend", "volume")]
    if not kinds:
        return []
    now, past = await reader.read_hours(reader.now), await reader.read_hours(reader.past)
    reported = []
    for kind in kinds:
        index = int(kind == "spend")
        levels = detect.find_levels(
            kind,
            reader.window,
            {hour: amounts[index] for hour, amounts in now.items()},
            {hour: amounts[index] for hour, amounts in past.items()},
            _unit(past) if kind == "spend" else 1.0,
            reader.query.kinds,
        )
        reported += [
            ReportedFinding(level, await reader.read_evidence(reader.selection, level.window))
            for level in levels
            if not _is_explained(level, found)
        ]
    return reported


async def find_repeats(reader: AnomalyReader) -> list[ReportedFinding]:
    """Recipients who asked far more often than others."""
    counts = await reader.read(
        lambda connection: cells.read_recipient_counts(
            connection, reader.selection, reader.window, top=TOP_RECIPIENTS
        )
    )
    reported = []
    for finding in detect.find_repeats(
        reader.window, counts.histogram, counts.top, reader.query.kinds
    ):
        values: dict[str, Value] = {"repeated": finding.where["recipient"]}
        reported.append(await reader.report(finding, "recipient = :repeated", values))
    return reported


async def find_stuck(reader: AnomalyReader) -> list[ReportedFinding]:
    """Sessions that do not end."""
    now = await _count_old(reader, reader.now)
    past = await _count_old(reader, reader.past)
    age: dict[str, Value] = {"age": MIN_AGE // MICROSECOND}
    return [
        await reader.report(finding, IS_OLD_AND_OPEN, age)
        for finding in detect.find_stuck(reader.window, now, past, reader.query.kinds)
    ]


async def _count_old(reader: AnomalyReader, parts: Sequence[Window]) -> OldSessions:
    counts = await reader.read(
        lambda connection: cells.count_old(connection, reader.selection, parts, MIN_AGE)
    )
    return OldSessions(*counts)


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
        if one.finding.kind == "pumping" and overlap(one.finding.window, level.window)
    ]
    return excess > 0 and sum(pumped) >= excess / 2
