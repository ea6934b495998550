"""Four processes of eight callers on one quota: what the API sees of them, per engine.

    python -m benchmarks.quota [--windows 20] [--window 3] [--engine sqlite --engine postgresql]

The API's minute is scaled to `--window` seconds, and a reply's latency of 0-2 s with it. One
process is killed with -9 while it holds slots and tickets, another one's wall clock jumps by ten
seconds, to and fro. Ends with 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

from tests.support.databases import engines, postgres_place, postgres_server, sqlite_place
from tests.support.processes import Outcome, Plan, run_processes
from verify_mcp.plivo.rate_limit_store import SLOT_LEASE_SECONDS
from verify_mcp.plivo.shared_rate_limit import TICKET_TTL

MINUTE, MOST_LATENCY = 60.0, 2.0
LEAST_USED, MOST_OVERTAKEN = 0.95, 0.02


@contextmanager
def opened(engine: str) -> Iterator[str]:
    """The URL of an empty database."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield sqlite_place(Path(folder)).url
    else:
        with postgres_server() as server:
            yield postgres_place(server).url


def measured(engine: str, *, window: float, windows: int, kill: bool) -> Outcome:
    """One run on one engine."""
    scale = window / MINUTE
    with opened(engine) as url:
        plan = Plan(
            url,
            window=window,
            seconds=window * windows,
            jitter=MOST_LATENCY * scale,
            hold=SLOT_LEASE_SECONDS * scale,
            lapse=TICKET_TTL,
            dies_at=20 if kill else None,
        )
        return anyio.run(run_processes, plan)


def main() -> int:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", action="append", choices=("sqlite", "postgresql"))
    parser.add_argument("--window", type=float, default=3.0)
    parser.add_argument("--windows", type=int, default=20)
    options = parser.parse_args()
    print(
        "engine      kill -9  requests  viol  429  used %  overtaken %  fairness  longest pause s"
    )
    good = True
    for engine in options.engine or engines():
        for kill in (False, True):
            found = measured(engine, window=options.window, windows=options.windows, kill=kill)
            refused = found.statuses.count(429)
            print(
                f"{engine:11} {'yes' if kill else 'no':7}  {len(found.arrivals):8}  "
                f"{found.violations():4}  {refused:3}  {found.used() * 100:6.1f}  "
                f"{found.overtaken() * 100:11.2f}  {found.fairness():8.3f}  "
                f"{found.longest_pause():15.2f}",
                flush=True,
            )
            good &= not found.violations() and not refused and not found.problems
            good &= found.overtaken() <= MOST_OVERTAKEN and (kill or found.used() >= LEAST_USED)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
