"""Falls of a success rate: of delivery by country, channel and network, and of conversion.

Failures of delivery and lost conversions are found alike: every series of a kind is compared with
its own past, and the clearest places remain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from verify_mcp.analysis.anomalies.finding import Finding, Search
from verify_mcp.analysis.anomalies.reference import (
    Reference,
    dispersion,
    pooled_rates,
    reference,
)
from verify_mcp.analysis.anomalies.scan import Fall, Scan
from verify_mcp.analysis.anomalies.timeline import Timeline
from verify_mcp.analysis.change_point import Cell
from verify_mcp.domain.windows import Window, overlap

Place = tuple[tuple[str, str], ...]
"""Names of dimensions and their values; none for all sessions."""
MIN_FALL = {"delivery": 0.02, "conversion": 0.05}
"""The least share of trials that must be lost: clearer is not the same as larger."""
MIN_RATIO = {"delivery": 1.5, "conversion": 1.2}
"""How many times as many failures as usual there must be at least."""
MEASURES = {"delivery": "delivered_share", "conversion": "conversion"}
MIN_OVERLAP = 0.5
"""The share of the shorter window from which on two findings are of the same time."""
MIN_PART = 0.8
"""The part of the largest loss that a narrower place must hold to be named instead."""


@dataclass(frozen=True, slots=True)
class RateSeries:
    """One place's trials in the steps of the window, and in blocks of the past."""

    place: Place
    cells: tuple[Cell, ...]
    blocks: tuple[tuple[int, Cell], ...]
    parent: Place | None = None
    """The larger place that this one is a part of, None for the largest."""


@dataclass(frozen=True, slots=True)
class References:
    """The usual rate of every place of a kind."""

    by_place: Mapping[Place, Reference]
    everywhere: Reference

    def of(self, place: Place) -> Reference:
        """A place's reference; that of all places for one that has no past."""
        return self.by_place.get(place, self.everywhere)


def references(series: Sequence[RateSeries]) -> References:
    """The usual rates of some series, each drawn towards that of its parent where it is small."""
    rates = {one.place: pooled_rates([one.blocks]) for one in series}
    top = pooled_rates([one.blocks for one in series if one.parent is None])
    spread = dispersion((one.blocks, rates[one.place]) for one in series)
    known = {
        one.place: reference(one.blocks, rates.get(one.parent or (), top), spread) for one in series
    }
    return References(known, reference((), top, spread))


def find_falls(
    kind: str, series: Sequence[RateSeries], usual: References, steps: Timeline
) -> Search:
    """Where and when a rate fell, before correction; of places in one another the clearest."""
    tests, found = 0, []
    for one in series:
        scan = Scan(one.cells, usual.of(one.place), steps)
        fall, looked_at = scan.clearest_fall(MIN_FALL[kind], MIN_RATIO[kind])
        tests += looked_at
        if fall is not None:
            found.append(_finding(kind, one.place, fall, steps))
    return Search(kind, max(1, tests), tuple(found))


def _finding(kind: str, place: Place, fall: Fall, steps: Timeline) -> Finding:
    begin = Window(steps.moment(fall.earliest), steps.moment(fall.latest))
    return Finding(
        kind,
        dict(place),
        steps.window(fall.first, fall.end),
        MEASURES[kind],
        fall.expected / fall.cell.trials,
        fall.cell.successes / fall.cell.trials,
        fall.chance,
        begin,
        fall.cell.trials,
    )


def clearest(findings: Sequence[Finding], *, any_place: bool) -> tuple[Finding, ...]:
    """One finding of each time; the others go into its `also`.

    Two findings of one time are the same where one's place holds the other's, or, with `any_place`,
    wherever they are. Of these the narrowest that holds most of the loss remains.
    """
    clusters: list[list[Finding]] = []
    for finding in sorted(findings, key=lambda one: (one.chance, -len(one.where))):
        for cluster in clusters:
            is_same = any_place or _holds(cluster[0].where, finding.where)
            if is_same and same_time(cluster[0].window, finding.window):
                cluster.append(finding)
                break
        else:
            clusters.append([finding])
    return tuple(map(_narrowest, clusters))


def _narrowest(cluster: Sequence[Finding]) -> Finding:
    most = max(finding.lost for finding in cluster)
    chosen = min(
        (finding for finding in cluster if finding.lost >= MIN_PART * most),
        key=lambda finding: (finding.trials, finding.chance),
    )
    return replace(chosen, also=tuple(one.where for one in cluster if one is not chosen))


def _holds(a: Mapping[str, str], b: Mapping[str, str]) -> bool:
    return a.items() <= b.items() or b.items() <= a.items()


def same_time(a: Window, b: Window) -> bool:
    """Whether the shorter of two windows lies in the other one for its larger part."""
    shared = overlap(a, b)
    shorter = min(a.length, b.length)
    return shared is not None and shared.length >= MIN_OVERLAP * shorter


def unexplained(findings: Sequence[Finding], faults: Sequence[Finding]) -> tuple[Finding, ...]:
    """The falls of conversion that no fault of delivery at the same time and place explains."""
    return tuple(
        finding
        for finding in findings
        if not any(
            finding.where.items() <= fault.where.items() and same_time(finding.window, fault.window)
            for fault in faults
        )
    )
