"""Compare answers with the truth; see `python -m benchmarks.fuzz --help`."""

from __future__ import annotations

import argparse
import sys
import time

import anyio

from benchmarks.fuzz.scenarios import SCENARIOS, played
from benchmarks.fuzz.stage import Report

MOST_PRINTED = 12


def _told(name: str, report: Report, seconds: float) -> bool:
    """Print what was found; whether that was nothing."""
    found = " ".join(f"{kind} {times}" for kind, times in report.kinds().items())
    print(f"{name}: {report.calls} calls, {seconds:.1f} s: {found or 'no violation'}", flush=True)
    for each in report.violations[:MOST_PRINTED]:
        print(each)
    return not report.violations


def main() -> int:
    """Run what is asked for; 1 when an answer is not so."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--scenario", action="append", choices=[*SCENARIOS, "all"], default=[])
    options = parser.parse_args()
    names = list(SCENARIOS) if "all" in options.scenario else options.scenario
    good = True
    for name in names:
        began = time.monotonic()
        good &= _told(name, anyio.run(played, name), time.monotonic() - began)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
