"""Compare every answer with the truth of a made world.

    python -m benchmarks.fuzz [--seconds 600] [--seed 1] [--worlds N] [--mirror on|off]
                             [--background on|off]
    python -m benchmarks.fuzz --processes [--engine sqlite|postgresql]
    python -m benchmarks.fuzz --scenario p01

Worlds are made by chance, one for each seed, in simulated time: sessions that arrive, change late,
tie, cannot be read or become visible late; faults of the API; clocks that are wrong; two servers on
one database; servers that complete windows and follow the newest days between two calls. With
--processes the servers are real ones over stdio or HTTP, and die at any moment.
A violation is printed with its seed, simulated times, call, answer and truth. Ends with 1 if there
is one.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from benchmarks.fuzz.processes import run_life
from benchmarks.fuzz.scenarios import SCENARIOS, play
from benchmarks.fuzz.stage import Report
from benchmarks.fuzz.wander import Choice, wander
from tests.support.databases import postgres_place, postgres_server

MOST_PRINTED = 3
"""Violations of one kind."""


def _report(name: str, report: Report, seconds: float) -> bool:
    """Print what was found; whether that was nothing."""
    found = " ".join(f"{kind} {times}" for kind, times in report.kinds().items())
    print(f"{name}: {report.calls} calls, {seconds:.1f} s: {found or 'no violation'}", flush=True)
    for text, times in report.errors.most_common(6):
        print(f"    {times} times an error: {text}")
    for kind in report.kinds():
        for each in [one for one in report.violations if one.kind == kind][:MOST_PRINTED]:
            print(each)
    return not report.violations


def _wander(options: argparse.Namespace) -> bool:
    """Worlds by chance until the time is over."""
    report, began = Report(), time.monotonic()
    killed = number = 0
    with ExitStack() as stack:
        run = _processes(options, stack) if options.processes else _in_process(options)
        for number in itertools.count():
            over = time.monotonic() - began >= options.seconds
            if (over if options.worlds is None else number >= options.worlds) or (
                len(report.violations) >= options.most
            ):
                break
            killed += run(options.seed + number, report)
    report.violations += report.odds.violations()
    name = f"{number} worlds" + f", {killed} servers killed" * options.processes
    return _report(name, report, time.monotonic() - began)


def _choice(options: argparse.Namespace) -> Choice:
    switches = {None: None, "on": True, "off": False}
    return Choice(switches[options.mirror], switches[options.background])


def _in_process(options: argparse.Namespace) -> Callable[[int, Report], int]:
    def run(seed: int, report: Report) -> int:
        anyio.run(wander, seed, report, _choice(options))
        return 0

    return run


def _processes(options: argparse.Namespace, stack: ExitStack) -> Callable[[int, Report], int]:
    folder = Path(stack.enter_context(TemporaryDirectory()))
    postgres = options.engine == "postgresql"
    server = stack.enter_context(postgres_server()) if postgres else None

    def run(seed: int, report: Report) -> int:
        url = postgres_place(server).url if server else f"sqlite:///{folder}/{seed}.sqlite3"
        killed: int = anyio.run(
            partial(run_life, seed, report, url, options.engine, folder, _choice(options))
        )
        return killed

    return run


def main() -> int:
    """Run what is asked for; 1 when an answer is not so."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--scenario", action="append", choices=[*SCENARIOS, "all"], default=[])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worlds", type=int, help="so many worlds instead of so many seconds")
    parser.add_argument("--mirror", choices=("on", "off"), help="by chance unless given")
    parser.add_argument(
        "--background", choices=("on", "off"), help="whether servers work between two calls"
    )
    parser.add_argument("--processes", action="store_true", help="real processes, killed with -9")
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--most", type=int, default=200, help="violations after which to stop")
    options = parser.parse_args()
    names = list(SCENARIOS) if "all" in options.scenario else options.scenario
    if not names:
        return 0 if _wander(options) else 1
    good = True
    for name in names:
        began = time.monotonic()
        good &= _report(name, anyio.run(play, name), time.monotonic() - began)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
