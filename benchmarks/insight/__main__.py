"""How reliably planted events are found, and how often quiet days are not left alone.

    python -m benchmarks.insight [--months 500] [--seed 1]

Each month has 28 days of the past and one day that is looked at three times: quiet, with a fault of
known size (of delivery, or of conversion), and with bursts of pumping, recipients who ask again and
again, and stuck sessions of known sizes. The exit code is 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np

from benchmarks.insight import counts, months
from benchmarks.insight.months import Burst, Fault, Month
from verify_mcp.analysis.anomalies import detect
from verify_mcp.analysis.anomalies.finding import KINDS, Finding
from verify_mcp.analysis.anomalies.pumping import Candidate, PrefixHistory

BURSTS = (10, 15, 20, 30, 60, 120)
REPEATS = (8, 10, 12, 15, 20, 30)
"""How often one recipient asks."""
STUCK = (1, 2, 3, 5, 10, 20)
"""How many sessions more than usual do not end."""
USUAL = (0.05, 0.1, 0.2, 0.3)
"""The usual share of failures, which doubles."""
SIZES = (100, 150, 200, 300, 500)
"""The least attempts, or sessions, of each class of faults."""
HOUR = timedelta(hours=1)
MAX_FALSE = 1.0
"""False findings in 30 quiet days."""
MIN_FOUND = 0.95


@dataclass(slots=True)
class Outcomes:
    """What became of the events of one kind and size."""

    found: list[bool] = field(default_factory=list)
    hours_off: list[float] = field(default_factory=list)
    inside: list[bool] = field(default_factory=list)

    def line(self) -> str:
        """The outcomes as a row of a table."""
        cells = [f"{np.mean(self.found):.1%} of {len(self.found)}"]
        if self.hours_off:
            cells += [
                f"{np.mean(np.array(self.hours_off) <= 1):.0%}",
                f"{np.mean(self.inside):.0%}",
            ]
        return " | ".join([*cells, "", ""][:3])


def look(month: Month) -> list[Finding]:
    """All findings of a month's window, as the tool makes them."""
    observed = months.rates(month)
    delivery = detect.find_delivery(observed, KINDS)
    conversion = detect.find_conversion(observed, delivery, KINDS)
    pumped = [finding for _, finding in find_pumping(month)]
    return [*pumped, *delivery, *conversion, *levels(month, "volume"), *levels(month, "spend")]


def find_pumping(month: Month) -> tuple[tuple[Candidate, Finding], ...]:
    """The pumping in a month's window."""
    suspects = detect.find_suspects(months.prefix_cells(month), months.rates(month))
    histories = [history(candidate) for candidate in suspects.candidates]
    return detect.find_pumping(suspects, histories, KINDS)


def history(candidate: Candidate) -> PrefixHistory:
    """A prefix of a burst was quiet before; any other has as many sessions as ever."""
    usual = 0.1 if "burst" in candidate.prefixes else 100.0
    return PrefixHistory(candidate.window, 100, 100, 2, usual)


def levels(month: Month, kind: str) -> tuple[Finding, ...]:
    """The sessions, or the cost, by hour."""
    unit = months.PRICE if kind == "spend" else 1.0
    start = month.window.start
    counts = month.attempts.sum(0).reshape(24, -1).sum(1)
    now = {start + hour * HOUR: unit * float(count) for hour, count in enumerate(counts)}
    past = {
        months.START + hour * HOUR: unit * float(count)
        for hour, count in enumerate(month.past_attempts.sum(0))
    }
    return detect.find_levels(kind, month.window, now, past, unit, KINDS)


def fault_month(
    random: np.random.Generator, usual: float, trials: float, *, loses: bool
) -> tuple[Month, Fault]:
    """A month whose window has a fault of one to six hours, on about so many trials."""
    network = int(random.integers(0, 14))
    length = max(2, round(float(random.uniform(1, 6)) * months.STEPS_PER_HOUR))
    first = int(random.integers(4, 96 - length + 1))
    moments = months.PAST_DAYS * 24 + np.arange(first, first + length) / months.STEPS_PER_HOUR
    per_step = months.NETWORKS[network][2] * months.SESSIONS_A_DAY / 24 / months.STEPS_PER_HOUR
    fault = Fault(network, first, first + length, usual, loses)
    month = months.make_month(
        random, fault, trials / float(per_step * months.busyness(moments).sum())
    )
    counts = month.delivered if loses else month.attempts
    return month, replace(fault, trials=int(counts[network, first : first + length].sum()))


def is_of(finding: Finding, fault: Fault, month: Month) -> bool:
    """Whether a finding is about a fault: its network, or its country, at its time."""
    country, network, _, _ = months.NETWORKS[fault.network]
    where, window = finding.where, month.steps.window(fault.first, fault.end)
    return (
        finding.kind == ("conversion" if fault.loses else "delivery")
        and where.get("country", country) == country
        and where.get("network", network) == network
        and finding.window.start < window.end
        and finding.window.end > window.start
    )


def note_fault(outcomes: Outcomes, findings: list[Finding], fault: Fault, month: Month) -> None:
    """Whether a fault was found, and how far off its begin was."""
    hits = [finding for finding in findings if is_of(finding, fault, month)]
    outcomes.found.append(bool(hits))
    if hits:
        clearest = min(hits, key=lambda finding: finding.chance)
        true, begin = month.steps.moment(fault.first), clearest.begin or clearest.window
        outcomes.hours_off.append(abs((clearest.window.start - true) / HOUR))
        outcomes.inside.append(begin.start <= true <= begin.end)


def plant_bursts(random: np.random.Generator, month: Month, outcomes: dict[str, Outcomes]) -> None:
    """Look for a burst of each size, one at a time."""
    for size in BURSTS:
        start, length = int(random.integers(0, 24 * 60 - 121)), int(random.integers(20, 121))
        country = str(random.choice(list(months.COUNTRIES)))
        verified = int(random.binomial(size, 0.02))
        month.bursts = [Burst(country, size, start, start + length, verified)]
        hits = [one for one, _ in find_pumping(month) if "burst" in one.prefixes]
        outcomes[f"pumping | {size} sessions"].found.append(bool(hits))
    month.bursts = []


def plant_counts(
    random: np.random.Generator, month: Month, outcomes: dict[str, Outcomes]
) -> Counter[str]:
    """Look for a recipient and for stuck sessions of each size; the false findings without them."""
    recipients = counts.make_recipients(random)
    false = Counter(finding.kind for finding in counts.find_repeats(month, recipients))
    for size in REPEATS:
        found = counts.find_repeats(month, recipients, size)
        hit = any(finding.where["recipient"] == counts.PLANTED for finding in found)
        outcomes[f"repeat | {size} sessions"].found.append(hit)
    usual = str(random.choice(list(counts.STUCK)))
    stuck = counts.make_stuck(random, counts.STUCK[usual])
    false.update(finding.kind for finding in counts.find_stuck(month, stuck))
    for size in STUCK:
        is_found = bool(counts.find_stuck(month, stuck, size))
        outcomes[f"stuck, {usual} | {size} session{'s' * (size > 1)}"].found.append(is_found)
    return false


def simulate(count: int, seed: int) -> tuple[Counter[str], Counter[str], dict[str, Outcomes]]:
    """The false findings of quiet days, those beside faults, and what became of the events."""
    random = np.random.default_rng(seed)
    others = np.random.default_rng([seed, 1])
    quiet: Counter[str] = Counter()
    beside: Counter[str] = Counter()
    outcomes: dict[str, Outcomes] = defaultdict(Outcomes)
    for number in range(count):
        month = months.make_month(random)
        quiet.update(finding.kind for finding in look(month))
        plant_bursts(random, month, outcomes)
        quiet.update(plant_counts(others, month, outcomes))
        loses = number % 5 == 0
        usual = USUAL[number % len(USUAL)]
        trials = 100 * 2 ** random.uniform(0, 3)
        month, fault = fault_month(random, usual, trials, loses=loses)
        size = max((least for least in SIZES if least <= fault.trials), default=0)
        what = "conversion halved" if loses else f"delivery, {usual:.0%} failed before"
        findings = look(month)
        note_fault(outcomes[f"{what} | {size} and more"], findings, fault, month)
        beside.update(one.kind for one in findings if not is_of(one, fault, month))
    return quiet, beside, outcomes


def missed_targets(false: float, outcomes: dict[str, Outcomes]) -> list[str]:
    """The targets that were not reached."""
    bursts = [
        hit for size in BURSTS if size >= 30 for hit in outcomes[f"pumping | {size} sessions"].found
    ]
    faults = [
        outcome
        for name, outcome in outcomes.items()
        if name.startswith(("delivery, 20%", "delivery, 30%"))
        and "| 1" not in name
        and "| 0" not in name
    ]
    found = [hit for outcome in faults for hit in outcome.found]
    near = [hours <= 1 for outcome in faults for hours in outcome.hours_off]
    figures = {
        "bursts of 30 sessions and more found": np.mean(bursts),
        "faults of 200 attempts and more at 20 % and more found": np.mean(found),
        "their begin within an hour": np.mean(near),
    }
    for name, share in figures.items():
        print(f"{name}: {share:.1%}")
    return [
        *(name for name, share in figures.items() if share < MIN_FOUND),
        *(["false findings"] if false > MAX_FALSE else []),
    ]


def main() -> int:
    """Make the months, look, print; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--months", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.perf_counter()
    quiet, beside, outcomes = simulate(options.months, options.seed)
    false = 30 * quiet.total() / options.months
    print(f"{options.months} months in {time.perf_counter() - begun:.0f} s")
    print(f"false findings in {options.months} quiet days: {dict(quiet)}, {false:.2f} in 30 days")
    print(f"further findings in {options.months} windows with a fault: {dict(beside)}")
    print("| event | size | found | begin within 1 h | interval holds the begin |")
    print("|---|---|---|---|---|")
    for name, outcome in sorted(outcomes.items(), key=sort_key):
        print(f"| {name} | {outcome.line()} |")
    missed = missed_targets(false, outcomes)
    print(f"missed: {', '.join(missed)}" if missed else "every target reached")
    return int(bool(missed))


def sort_key(item: tuple[str, Outcomes]) -> tuple[str, int]:
    """By kind, then by size."""
    what, _, size = item[0].partition(" | ")
    return what, int(size.split()[0])


if __name__ == "__main__":
    sys.exit(main())
