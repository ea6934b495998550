"""Compare every answer with the truth of a made world.

    python -m benchmarks.fuzz [--seconds 600] [--seed 1] [--worlds N] [--mirror on|off]
    python -m benchmarks.fuzz --scenario p01

Worlds are made by chance, one for each seed, in simulated time: sessions that arrive, change late,
tie, cannot be read or become visible late; faults of the API; clocks that are wrong; two servers on
one database. A violation is printed with its seed, simulated times, call, answer and truth. Ends
with 1 if there is one.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time

import anyio

from benchmarks.fuzz.scenarios import SCENARIOS, played
from benchmarks.fuzz.stage import Report
from benchmarks.fuzz.wander import wandered

MOST_PRINTED = 3
"""Violations of one kind."""


def _told(name: str, report: Report, seconds: float) -> bool:
    """Print what was found; whether that was nothing."""
    found = " ".join(f"{kind} {times}" for kind, times in report.kinds().items())
    print(f"{name}: {report.calls} calls, {seconds:.1f} s: {found or 'no violation'}", flush=True)
    for kind in report.kinds():
        for each in [one for one in report.violations if one.kind == kind][:MOST_PRINTED]:
            print(each)
    return not report.violations


def _wander(options: argparse.Namespace) -> bool:
    """Worlds by chance until the time is over."""
    report, began = Report(), time.monotonic()
    mirror = None if options.mirror is None else options.mirror == "on"
    for number in itertools.count():
        over = time.monotonic() - began >= options.seconds
        if (over if options.worlds is None else number >= options.worlds) or (
            len(report.violations) >= options.most
        ):
            break
        anyio.run(wandered, options.seed + number, report, mirror)
    report.violations += report.odds.violations()
    return _told(f"{number} worlds", report, time.monotonic() - began)


def main() -> int:
    """Run what is asked for; 1 when an answer is not so."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--scenario", action="append", choices=[*SCENARIOS, "all"], default=[])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worlds", type=int, help="so many worlds instead of so many seconds")
    parser.add_argument("--mirror", choices=("on", "off"), help="by chance unless given")
    parser.add_argument("--most", type=int, default=200, help="violations after which to stop")
    options = parser.parse_args()
    names = list(SCENARIOS) if "all" in options.scenario else options.scenario
    if not names:
        return 0 if _wander(options) else 1
    good = True
    for name in names:
        began = time.monotonic()
        good &= _told(name, anyio.run(played, name), time.monotonic() - began)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
