"""What counts and estimates cost and are worth, on made-up traffic: requests, coverage, width.

    python -m benchmarks.estimates [--runs 1000] [--counts 200]

From the root of a checkout. Counts: the mean requests, one at a time and up to three at a time,
for all sessions and those of each status. Estimates: how many of the intervals (95 % is meant)
hold the truth, and how wide they are. The exit code is 1 when fewer than 93 % hold it in any row.
"""

import argparse
import sys
from collections import defaultdict
from random import Random
from statistics import fmean

from tests.traffic import Answer, counted, estimated, four_counts, traffic
from verify_mcp.counting import Count

DAY, WEEK, REACH = 24, 7 * 24, 90 * 24
DRAWS_EACH = 20
"""Draws from the same traffic, before other traffic is made."""


def main() -> int:
    """Print both tables."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--runs", type=int, default=1000)
    options.add_argument("--counts", type=int, default=200)
    chosen = options.parse_args()
    print_counts(chosen.counts)
    worst = min(
        print_estimates(chosen.runs, size, hours, budget, burst)
        for size, hours in ((2_000, DAY), (30_000, REACH))
        for budget in (10, 16)
        for burst in (0.02, 0.05)
    )
    print(f"\nlowest coverage: {worst:.1%}")
    return int(worst < 0.93)


def print_counts(times: int) -> None:
    """The four counts by size of the account and by how much they may ask at a time."""
    print("sessions  hints  width  requests  most  rounds  all  in-progress  verified  expired")
    for size, repeat in ((1_000, times), (10_000, times // 4), (100_000, times // 20)):
        random = Random(size)
        told = [
            traffic(
                random,
                int(size * random.uniform(0.9, 1.1)),
                hours=random.choice((DAY, WEEK, REACH)),
            )
            for _ in range(max(1, repeat))
        ]
        for hints, width in ((True, 1), (True, 2), (True, 3), (False, 1)):
            results = [four_counts(each, width=width, hints=hints) for each in told]
            spent = [[len(count.probes) for count in counts] for counts, _ in results]
            each = "  ".join(f"{fmean(column):4.1f}" for column in zip(*spent, strict=True))
            print(
                f"{size:8}  {'yes' if hints else 'no':5}  {width:5}  {fmean(map(sum, spent)):8.1f}"
                f"  {max(map(sum, spent)):4}  {fmean(rounds for _, rounds in results):6.1f}  {each}"
            )


def print_estimates(runs: int, size: int, hours: int, budget: int, burst: float) -> float:
    """Coverage and mean relative half-width of each figure; returns the lowest coverage."""
    random = Random(size + budget)
    answers: dict[str, list[Answer]] = defaultdict(list)
    for _ in range(max(1, runs // DRAWS_EACH)):
        told = traffic(random, int(size * random.uniform(0.9, 1.1)), hours=hours, burst=burst)
        count, _ = counted(Count(told.window), told.rows)
        for _ in range(DRAWS_EACH):
            for name, answer in estimated(told, count, budget, random.random).items():
                answers[name].append(answer)
    print(
        f"\n{size} sessions, {hours // 24} days, {budget} pages drawn, "
        f"{burst:.0%} in a burst, {runs} runs"
    )
    print("figure                    holds the truth  below  above  half-width")
    for name, each in answers.items():
        print(
            f"{name:24}  {fmean(answer.held for answer in each):15.1%}"
            f"  {fmean(answer.truth < answer.told.low for answer in each):5.1%}"
            f"  {fmean(answer.truth > answer.told.high for answer in each):5.1%}"
            f"  {fmean(answer.width for answer in each):10.0%}"
        )
    return min(fmean(answer.held for answer in each) for each in answers.values())


if __name__ == "__main__":
    sys.exit(main())
