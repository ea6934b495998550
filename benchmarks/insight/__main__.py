"""How reliably planted events are found, and how often quiet days are not left alone.

    python -m benchmarks.insight [--months 500] [--seed 1]

Each month has 28 days of the past and one day that is looked at: quiet, with a fault of delivery of
known size, and with bursts of pumping of known sizes. The exit code is 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from datetime import timedelta

import numpy as np

from benchmarks.insight import months
from benchmarks.insight.months import Burst, Fault, Month
from verify_mcp.analysis.anomalies import detect
from verify_mcp.analysis.anomalies.finding import KINDS, Finding
from verify_mcp.analysis.anomalies.pumping import Candidate, PrefixHistory

BURSTS = (10, 15, 20, 30, 60, 120)
USUAL = (0.05, 0.1, 0.2, 0.2, 0.3)
"""The usual share of failures, which doubles."""
SIZES = (0, 150, 200, 300, 500)
"""The least attempts of each class of faults."""
HOUR = timedelta(hours=1)


def look(month: Month) -> tuple[list[Finding], list[tuple[Candidate, Finding]]]:
    """All findings of a month's window, as the tool makes them."""
    observed = months.rates(month)
    suspects = detect.find_suspects(months.prefix_cells(month), observed)
    pumped = detect.find_pumping(
        suspects, [history(candidate) for candidate in suspects.candidates], KINDS
    )
    delivery = detect.find_delivery(observed, KINDS)
    conversion = detect.find_conversion(observed, delivery, KINDS)
    volume = levels(month, "volume")
    spend = levels(month, "spend")
    return [*(f for _, f in pumped), *delivery, *conversion, *volume, *spend], list(pumped)


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


def fault_month(random: np.random.Generator, usual: float, attempts: float) -> tuple[Month, Fault]:
    """A month whose window has a fault that doubles a share of failures."""
    network = int(random.integers(0, 14))
    hours = float(random.uniform(1, 6))
    length = max(2, round(hours * months.STEPS_PER_HOUR))
    first = int(random.integers(4, 96 - length + 1))
    moments = months.PAST_DAYS * 24 + np.arange(first, first + length) / months.STEPS_PER_HOUR
    share = months.NETWORKS[network][2]
    expected = (
        share * months.SESSIONS_A_DAY / 24 / months.STEPS_PER_HOUR * months.busyness(moments).sum()
    )
    fault = Fault(network, first, first + length, usual)
    month = months.make_month(random, fault, busy=attempts / float(expected))
    seen = int(month.attempts[network, first : first + length].sum())
    return month, Fault(network, first, first + length, usual, seen)


def is_of(finding: Finding, fault: Fault, month: Month) -> bool:
    """Whether a finding is about a fault: its network, or its country, at its time."""
    country, network, _, _ = months.NETWORKS[fault.network]
    where = finding.where
    window = month.steps.window(fault.first, fault.end)
    return (
        finding.kind == "delivery"
        and where.get("country", country) == country
        and where.get("network", network) == network
        and finding.window.start < window.end
        and finding.window.end > window.start
    )


def main() -> int:
    """Make the months, look, print; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--months", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.perf_counter()
    random = np.random.default_rng(options.seed)
    quiet: Counter[str] = Counter()
    other: Counter[str] = Counter()
    found: dict[str, list[bool]] = defaultdict(list)
    placed: dict[str, list[float]] = defaultdict(list)
    within: dict[str, list[bool]] = defaultdict(list)
    for number in range(options.months):
        findings, _ = look(months.make_month(random))
        quiet.update(finding.kind for finding in findings)
        usual = USUAL[number % len(USUAL)]
        month, fault = fault_month(random, usual, 100 * 2 ** random.uniform(0, 3))
        for size in BURSTS:
            start = int(random.integers(0, 24 * 60 - 121))
            length = int(random.integers(20, 121))
            country = str(random.choice(list(months.COUNTRIES)))
            verified = int(random.binomial(size, 0.02))
            month.bursts = [Burst(country, size, start, start + length, verified)]
            observed = months.rates(month)
            suspects = detect.find_suspects(months.prefix_cells(month), observed)
            pumped = detect.find_pumping(
                suspects, [history(one) for one in suspects.candidates], KINDS
            )
            hits = [f for c, f in pumped if "burst" in c.prefixes]
            found[f"pumping {size}"].append(bool(hits))
        month.bursts = []
        findings, _ = look(month)
        size = max(least for least in SIZES if least <= fault.attempts)
        name = f"delivery {usual:4.0%} x {size:3}"
        hits = [finding for finding in findings if is_of(finding, fault, month)]
        found[name].append(bool(hits))
        if hits:
            true = month.steps.moment(fault.first)
            clearest = min(hits, key=lambda one: one.chance)
            placed[name].append(abs((clearest.window.start - true) / HOUR))
            begin = clearest.begin or clearest.window
            within[name].append(begin.start <= true <= begin.end)
        other.update(one.kind for one in findings if not is_of(one, fault, month))
    print(f"{options.months} months in {time.perf_counter() - begun:.0f} s")
    print("quiet findings", dict(quiet), f"{30 * quiet.total() / options.months:.2f} in 30 days")
    print("other findings in windows with a fault", dict(other))
    for name, hits in sorted(found.items()):
        line = f"{name:22} {np.mean(hits):6.1%} of {len(hits)}"
        if placed[name]:
            line += f"  begin within 1 h {np.mean(np.array(placed[name]) <= 1):.1%}"
            line += f"  interval holds it {np.mean(within[name]):.1%}"
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
