"""What counts and estimates cost and are worth, on made-up traffic: requests, coverage, width.

    python -m benchmarks.estimates [--runs 1000] [--counts 200]

From the root of a checkout. Counts: the mean requests for all sessions and those of each status,
with what earlier counts found and without. Estimates: how many of the intervals (95 % is meant)
hold the truth, and how wide they are on average, after one to six calls, with and without bursts.
The exit code is 1 when fewer than 93 % hold it in any cell, when a mean width does not fall from a
call to the next, or when a group vanishes.
"""

import argparse
import sys
from collections import defaultdict
from itertools import pairwise
from random import Random
from statistics import fmean

from tests.support.traffic import READ, Answer, ask_again, four_counts, run_count, traffic
from verify_mcp.summaries.exact_count import CountSearch

DAY, WEEK, REACH = 24, 7 * 24, 90 * 24
DRAWS_EACH = 4
"""Draws from the same traffic, before other traffic is made."""
LEAST_SHARE = 0.93
"""Of the intervals of a cell, those that hold the truth at least."""
BURSTS = (0.0, 0.02, 0.05)


def main() -> int:
    """Print both tables."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--runs", type=int, default=1000)
    options.add_argument("--counts", type=int, default=200)
    chosen = options.parse_args()
    print_counts(chosen.counts)
    results = [
        print_estimates(chosen.runs, size, hours, burst)
        for size, hours in ((2_000, DAY), (6_000, WEEK), (30_000, REACH))
        for burst in BURSTS
    ]
    print(f"\nlowest coverage: {min(lowest for lowest, _ in results):.1%}")
    faults = [fault for _, faults in results for fault in faults]
    print("\n".join(faults) or "every mean width falls from call to call, and no group vanishes")
    return int(bool(faults) or min(lowest for lowest, _ in results) < LEAST_SHARE)


def print_counts(times: int) -> None:
    """The four counts by size of the account, with hints and without."""
    print("sessions  hints  requests  most  all  in-progress  verified  expired")
    for size, repeat in ((1_000, times), (10_000, times // 4), (100_000, times // 20)):
        random = Random(size)
        windows = [
            traffic(
                random,
                int(size * random.uniform(0.9, 1.1)),
                hours=random.choice((DAY, WEEK, REACH)),
            )
            for _ in range(max(1, repeat))
        ]
        for hints in (True, False):
            results = [four_counts(each, hints=hints) for each in windows]
            spent = [[len(count.probes) for count in counts] for counts in results]
            each = "  ".join(f"{fmean(column):4.1f}" for column in zip(*spent, strict=True))
            print(
                f"{size:8}  {'yes' if hints else 'no':5}  {fmean(map(sum, spent)):8.1f}"
                f"  {max(map(sum, spent)):4}  {each}"
            )


def print_estimates(runs: int, size: int, hours: int, burst: float) -> tuple[float, list[str]]:
    """Coverage and mean relative half-width after each call; the lowest coverage, and faults."""
    random, vanished = Random(size), 0
    calls: list[dict[str, list[Answer]]] = [defaultdict(list) for _ in READ]
    for _ in range(max(1, runs // DRAWS_EACH)):
        told = traffic(random, int(size * random.uniform(0.9, 1.1)), hours=hours, burst=burst)
        count = run_count(CountSearch(told.window), told.rows)
        for _ in range(DRAWS_EACH):
            answers = ask_again(told, count, random.random)
            vanished += sum(bool(set(a) - set(b)) for a, b in pairwise(answers))
            for call, figures in zip(calls, answers, strict=True):
                for name, answer in figures.items():
                    call[name].append(answer)
    where = f"{size} sessions, {hours // 24} days, {burst:.0%} in a burst"
    print(f"\n{where}, {runs} runs: intervals that hold the truth, mean half-width")
    print(f"{'pages drawn':20}" + "".join(f"{number:>14}" for number in READ))
    for name in sorted(calls[-1]):
        print(f"{name:20}" + "".join(_cell(call[name]) for call in calls))
    wider = [
        f"{where}: {name} widens from call {number} to call {number + 1}"
        for number, (earlier, later) in enumerate(pairwise(calls), 1)
        for name, answers in earlier.items()
        if len(answers) == len(later[name]) and _width(later[name]) > _width(answers)
    ]
    lowest = min(_coverage(answers) for call in calls for answers in call.values())
    return lowest, wider + [f"{where}: a group vanished"] * bool(vanished)


def _cell(answers: list[Answer]) -> str:
    return f"{_coverage(answers):8.1%} {_width(answers):5.0%}" if answers else f"{'-':>14}"


def _coverage(answers: list[Answer]) -> float:
    return fmean(answer.contains_truth for answer in answers)


def _width(answers: list[Answer]) -> float:
    return fmean(answer.width for answer in answers)


if __name__ == "__main__":
    sys.exit(main())
