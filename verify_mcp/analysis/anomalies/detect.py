"""Every kind's findings, after correction, of what was observed in a window and before it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from verify_mcp.analysis.anomalies import levels, pumping, rates, repeat, stuck
from verify_mcp.analysis.anomalies.finding import Finding, corrected
from verify_mcp.analysis.anomalies.levels import Amounts
from verify_mcp.analysis.anomalies.pumping import Candidate, PrefixCell, PrefixHistory
from verify_mcp.analysis.anomalies.rates import RateSeries
from verify_mcp.analysis.anomalies.stuck import OldSessions
from verify_mcp.analysis.anomalies.timeline import Timeline
from verify_mcp.domain.windows import Window

Kinds = tuple[str, ...]
ELSEWHERE_PRIOR = 10.0
"""Expected sessions that count as usual, so that a few other sessions say little."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Delivery by country, channel and network, and conversion by every dimension."""

    steps: Timeline
    delivery: tuple[RateSeries, ...]
    conversion: tuple[RateSeries, ...]


@dataclass(frozen=True, slots=True)
class Suspects:
    """Candidates of pumping, and how many cells were looked at for them."""

    candidates: tuple[Candidate, ...]
    tests: int


def find_suspects(cells: Sequence[PrefixCell], observed: Rates) -> Suspects:
    """The prefixes whose history is to be looked at."""
    countries = [one for one in observed.conversion if _is_country(one)]
    usual = rates.references(countries)
    elsewhere = _share_elsewhere(countries, usual, observed.steps)
    return Suspects(*pumping.find_candidates(cells, usual, elsewhere))


def find_pumping(
    suspects: Suspects, histories: Sequence[PrefixHistory], kinds: Kinds
) -> tuple[tuple[Candidate, Finding], ...]:
    """The candidates that are pumping, each with its finding."""
    judged = [
        (candidate, finding)
        for candidate, history in zip(suspects.candidates, histories, strict=True)
        if (finding := pumping.judge(candidate, history)) is not None
    ]
    search = pumping.search([finding for _, finding in judged], suspects.tests)
    kept = {
        (finding.where["prefix"], finding.window): finding for finding in corrected(search, kinds)
    }
    return tuple(
        (candidate, kept[key])
        for candidate, finding in judged
        if (key := (finding.where["prefix"], finding.window)) in kept
    )


def find_delivery(observed: Rates, kinds: Kinds) -> tuple[Finding, ...]:
    """Where messages failed more than usual."""
    usual = rates.references(observed.delivery)
    search = rates.find_falls("delivery", observed.delivery, usual, observed.steps)
    return rates.clearest(corrected(search, kinds), any_place=False)


def find_conversion(
    observed: Rates, faults: Sequence[Finding], kinds: Kinds
) -> tuple[Finding, ...]:
    """Where fewer sessions were verified than usual though messages arrived."""
    usual = rates.references(observed.conversion)
    search = rates.find_falls("conversion", observed.conversion, usual, observed.steps)
    found = rates.unexplained(corrected(search, kinds), faults)
    return rates.clearest(found, any_place=True)


def falls_at(kind: str, where: Mapping[str, str], observed: Rates) -> Callable[[], Finding | None]:
    """Looks for the clearest fall of one place, which is not corrected for anything."""

    def find() -> Finding | None:
        series = observed.delivery if kind == "delivery" else observed.conversion
        here = [one for one in series if dict(one.place) == where]
        found = rates.find_falls(kind, here, rates.references(series), observed.steps)
        return found.findings[0] if found.findings else None

    return find


def find_levels(
    kind: str, window: Window, now: Amounts, past: Amounts, unit: float, kinds: Kinds
) -> tuple[Finding, ...]:
    """Hours and days of unusual spend, or of an unusual number of sessions."""
    search = levels.find_levels(kind, window, now, past, unit, falls=kind == "volume")
    return levels.join_levels(corrected(search, kinds))


def find_repeats(
    window: Window, histogram: Mapping[int, int], top: Sequence[tuple[str, str, int]], kinds: Kinds
) -> tuple[Finding, ...]:
    """Recipients who ask far more often than others."""
    return corrected(repeat.find_repeats(window, histogram, top), kinds)


def find_stuck(
    window: Window, now: OldSessions, past: OldSessions, kinds: Kinds
) -> tuple[Finding, ...]:
    """Sessions that do not end."""
    return corrected(stuck.find_stuck(window, now, past), kinds)


def _is_country(series: RateSeries) -> bool:
    return series.parent is None or (len(series.place) == 1 and series.place[0][0] == "country")


def _share_elsewhere(
    countries: Sequence[RateSeries], usual: rates.References, steps: Timeline
) -> pumping.ShareElsewhere:
    """How much of the usual conversion the other countries had in a window, at most 1."""

    def conversion_share(country: str, window: Window) -> float:
        verified = expected = ELSEWHERE_PRIOR
        for one in countries:
            if one.parent is None or one.place[0][1] == country:
                continue
            reference = usual.of(one.place)
            for index in _steps_in(steps, window):
                cell = one.cells[index]
                verified += cell.successes
                expected += cell.trials * reference.rates[steps.block(index)]
        return min(1.0, verified / expected)

    return conversion_share


def _steps_in(steps: Timeline, window: Window) -> range:
    """The steps that overlap a window."""
    first = max(0, (window.start - steps.start) // steps.step)
    end = min(steps.steps, -(-(window.end - steps.start) // steps.step))
    return range(first, end)
