"""What days of 30,000 sessions over 90 days cost to count, on made-up accounts.

    python -m benchmarks.days [--runs 10]

From the root of a checkout. For each kind of account: how far the days' numbers are from the true
ones, how wide their intervals are, and how many intervals do not hold the truth, after 16, 40, 80
and 120 requests, those for the total included; then how many requests make every day exact, and
how many more the days' conversion. The exit code is 1 when a figure is not what is wanted: 5 % for
the median day after 40, an interval in a thousand that fails, 250 requests for the days and as many
for the conversion.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import pi, sin
from random import Random
from statistics import fmean, median

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.boundary_ranks import BoundaryRanks, Pace
from verify_mcp.summaries.exact_count import CountSearch
from verify_mcp.summaries.span_counts import span_estimates
from verify_mcp.summaries.time_spans import local_spans

END = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
WINDOW = Window(END - timedelta(days=90), END)
SESSIONS = 30_000
MARKS = (16, 40, 80, 120)
DAY = timedelta(days=1)

Rate = Callable[[float, float], float]
"""How busy an account is so many days before the end, at an hour of the day."""


def _daily(amplitude: float, peak: float = 15) -> Rate:
    return lambda _, hour: 1 + amplitude * sin(2 * pi * (hour - peak + 6) / 24)


def _weekly(ago: float, hour: float) -> float:
    return _daily(0.7)(ago, hour) * (0.55 if int(ago) % 7 in (1, 2) else 1)


def _growing(ago: float, hour: float) -> float:
    return _daily(0.6, 20)(ago, hour) * (1 - ago / 130)


def _outage(ago: float, hour: float) -> float:
    return 0.0 if 31.2 < ago < 32.6 or 60 < ago < 60.4 else _daily(0.7)(ago, hour)


def _two_peaks(_ago: float, hour: float) -> float:
    return 0.15 + sin(2 * pi * (hour - 3) / 24) ** 2 * (1.4 if hour > 12 else 0.8)


def _jump(ago: float, hour: float) -> float:
    return _daily(0.7)(ago, hour) * (6 if ago < 1 else 1)


ACCOUNTS: Mapping[str, tuple[Rate, float]] = {
    "even": (_daily(0.0), 0.0),
    "daily rhythm": (_daily(0.8), 0.0),
    "two peaks a day": (_two_peaks, 0.0),
    "quiet weekends": (_weekly, 0.0),
    "growing": (_growing, 0.0),
    "two outages": (_outage, 0.0),
    "a burst of 2 %": (_daily(0.8, 3), 0.02),
    "a burst of 5 %": (_daily(0.8), 0.05),
    "a last day six times as busy": (_jump, 0.0),
}
"""Each kind with its rate, and the share of sessions that come in a burst of two hours."""


@dataclass(slots=True)
class Findings:
    """What the counts of one kind of account showed."""

    errors: dict[int, list[float]] = field(default_factory=lambda: {mark: [] for mark in MARKS})
    widths: dict[int, list[float]] = field(default_factory=lambda: {mark: [] for mark in MARKS})
    failures: int = 0
    intervals: int = 0
    requests: list[int] = field(default_factory=list)
    more: list[int] = field(default_factory=list)


def arrivals(random: Random, rate: Rate, burst: float) -> list[tuple[datetime, bool]]:
    """The sessions of an account, newest first, and whether each was verified."""
    size = int(SESSIONS * random.uniform(0.9, 1.1))
    most, sudden = 12.0, int(size * burst)
    burst_at = random.uniform(1, 88)
    moments = [burst_at + random.uniform(0, 2 / 24) for _ in range(sudden)]
    while len(moments) < size:
        ago = random.uniform(0, 90)
        if random.random() * most < rate(ago, ((END - ago * DAY).hour + random.random()) % 24):
            moments.append(ago)
    return [(END - ago * DAY, random.random() < 0.8) for ago in sorted(moments)]


def total_of(times: Sequence[datetime]) -> tuple[CountSearch, set[int]]:
    """The finished search for the number of sessions, and the pages it read."""
    search = CountSearch(WINDOW)
    while (offset := search.next_offset()) is not None:
        page = times[offset : offset + PAGE_SIZE]
        search = search.with_page(
            offset, len(page), min(page, default=None), max(page, default=None)
        )
    return search, {probe.offset for probe in search.probes}


def count_days(
    times: Sequence[datetime], findings: Findings | None, pace: Pace | None = None
) -> tuple[int, Pace | None]:
    """Count the days; the requests that it took beside those for the total, and the pace found."""
    search, read = total_of(times)
    spans = local_spans(WINDOW, "day", UTC)
    ranks = BoundaryRanks.begun(WINDOW, len(times), [span.window.start for span in spans], pace)
    for offset in read:
        ranks = ranks.with_page(offset, times[offset : offset + PAGE_SIZE])
    true = [sum(time in span.window for time in times) for span in spans]
    requests, ranks = len(search.probes), ranks.with_rhythm()
    while (offset_ := ranks.next_offset(read)) is not None:
        ranks = ranks.with_page(offset_, times[offset_ : offset_ + PAGE_SIZE]).with_rhythm()
        read.add(offset_)
        requests += 1
        if findings and requests in MARKS:
            note(findings, requests, ranks, true)
    assert [each.value for each in span_estimates(ranks)] == true  # noqa: S101 - what is measured
    if findings:
        findings.requests.append(requests)
    return requests - len(search.probes), ranks.as_pace()


def note(findings: Findings, requests: int, ranks: BoundaryRanks, true: Sequence[int]) -> None:
    """Compare the days' numbers with the true ones."""
    days = list(zip(span_estimates(ranks), true, strict=True))
    errors = [abs(float(day.value) - real) / max(real, 1) for day, real in days]
    widths = [float(day.high - day.low) / 2 / max(real, 1) for day, real in days]
    findings.errors[requests].append(median(errors))
    findings.widths[requests].append(median(widths))
    findings.intervals += len(days)
    findings.failures += sum(not day.low <= real <= day.high for day, real in days)


def main() -> int:
    """Print the table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--runs", type=int, default=10)
    runs = options.parse_args().runs
    marks = " | ".join(f"error, ± after {mark}" for mark in MARKS)
    print(f"| account | {marks} | intervals that fail | days exact | conversion |")
    print("|---|" + "---|" * (len(MARKS) + 3))
    return max([_print_account(runs, name, *kind) for name, kind in ACCOUNTS.items()])


def _print_account(runs: int, name: str, rate: Rate, burst: float) -> int:
    random, findings = Random(name), Findings()
    for _ in range(runs):
        sessions = arrivals(random, rate, burst)
        _, pace = count_days([time for time, _ in sessions], findings)
        verified = [time for time, is_verified in sessions if is_verified]
        findings.more.append(count_days(verified, None, pace)[0])
    cells = [
        f"{fmean(findings.errors[mark]):.1%}, {fmean(findings.widths[mark]):.0%}" for mark in MARKS
    ]
    print(
        f"| {name} | {' | '.join(cells)} | {findings.failures} of {findings.intervals} "
        f"| {fmean(findings.requests):.0f}, at most {max(findings.requests)} "
        f"| {fmean(findings.more):.0f}, at most {max(findings.more)} |"
    )
    return int(
        max(findings.errors[40]) > 0.05
        or findings.failures > findings.intervals / 1000
        or max(findings.requests) > 250
        or max(findings.more) > 250
    )


if __name__ == "__main__":
    sys.exit(main())
