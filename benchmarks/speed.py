"""Every figure of speed in one table, each beside its own comparison of the same run.

    python -m benchmarks.speed [--only list http start] [--mirror sqlite:////tmp/mirror.sqlite3]

Compared with: a direct request with httpx2 (list), a bare `mcp` server (http, start), the shortest
time that the quota allows (calls), and the whole quota (quota). The rows of the mirror need a
database that `benchmarks.mirror` has filled; its targets are for a million sessions, and a copy of
it gets the totals of ten million. The exit code is 1 when a figure is worse than wanted.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio

from benchmarks import (
    concurrency,
    memory,
    million,
    mirror,
    over_http,
    over_stdio,
    quota,
    start,
    ten_million,
)
from tests.support.databases import engines
from verify_mcp.database.resilient import sqlite_path


@dataclass(frozen=True)
class Figure:
    """One row: ours, what it is compared with, their ratio, and the worst ratio wanted."""

    name: str
    ours: str
    beside: str
    ratio: float
    target: float
    more_is_better: bool = False

    @property
    def is_good(self) -> bool:
        """Whether the ratio meets the target."""
        return self.ratio >= self.target if self.more_is_better else self.ratio <= self.target

    def row(self) -> str:
        """The row as text."""
        bound = "≥" if self.more_is_better else "≤"
        return (
            f"{self.name:52} {self.ours:>9} {self.beside:>9} {self.ratio:7.2f} "
            f"{bound} {self.target:<5g} {'' if self.is_good else 'worse'}"
        )


def _ms(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} ms"


def list_calls() -> Iterator[Figure]:
    """List calls over stdio, with few slots of the rate limit and with many."""
    for name, rate, taken, target in (
        ("list over stdio, 20/60, beside a direct request", "20/60", 0, 2.2),
        ("the same, 900,000/60", "900000/60", 0, 2.5),
        ("the same with 100,000 slots taken", "900000/60", 100_000, 2.5),
    ):
        found = over_stdio.compare(rate, 200, taken=taken)
        yield Figure(name, _ms(found.calls), _ms(found.direct), found.ratio, target)


def http_calls() -> Iterator[Figure]:
    """An answer from the mirror over HTTP, one caller."""
    arguments = ["--replicas", "1", "--callers", "1", "--calls", "1500"]
    (pair,) = over_http.compare(over_http.read_options(arguments))
    ours, bare = pair.ours.seconds, pair.bare.seconds
    yield Figure("from the mirror over HTTP, beside a bare server", _ms(ours), _ms(bare),
                 pair.ratio, 1.25)  # fmt: skip


def starts() -> Iterator[Figure]:
    """From the start of a process to its first result."""
    ours, bare = start.measured(12)
    ratio = min(ours) / min(bare)
    name = "start to first result, beside a bare server"
    yield Figure(name, _ms([min(ours)]), _ms([min(bare)]), ratio, 1.15)


def many_calls() -> Iterator[Figure]:
    """Sixty calls at once of two processes, 20 allowed in 5 s."""
    with tempfile.TemporaryDirectory() as folder:
        measure = partial(concurrency.measure, 60, 20, 5.0, Path(folder), servers=2)
        found = anyio.run(measure)
    if found.refused or found.failed:
        raise SystemExit(f"calls were refused: {found}")
    name = "60 calls, 20 in 5 s, two processes, beside the optimum"
    yield Figure(name, f"{found.seconds:.2f} s", "10.00 s", found.seconds / 10.0, 1.05)


def quota_used() -> Iterator[Figure]:
    """The share of the quota used while one process is killed."""
    for engine in engines():
        found = quota.measured(engine, window=3.0, windows=20, kill=True)
        if found.violations() or found.problems:
            raise SystemExit(f"the quota was exceeded: {found.problems}")
        name = f"quota used with a process killed, {engine}"
        used = found.used()
        yield Figure(name, f"{used * 100:.1f} %", "100 %", used, 0.95, more_is_better=True)


def mirror_figures(url: str) -> Iterator[Figure]:
    """What the mirror answers, beside its targets."""

    async def measure() -> dict[str, float]:
        end = await mirror.fill(url, 0, 1, datetime.now(UTC))
        return await mirror.measure(url, end)

    for name, figure in anyio.run(measure).items():
        target, in_mb = mirror.target(name), name == mirror.MEMORY
        ours, most = (
            f"{value:.0f} MB" if in_mb else f"{value * 1000:.0f} ms" for value in (figure, target)
        )
        yield Figure(name, ours, most, figure / target, 1.0)


def processor_figures(url: str) -> Iterator[Figure]:
    """The server's processor time of a summary, a comparison and anomalies, beside its target."""
    if not url.startswith("sqlite:"):
        return  # the processor time of a database server is not in it
    for figure in anyio.run(million.measure, url, 3):
        name = f"processor time, {figure.name}"
        seconds, target = figure.middle.processor, figure.target
        yield Figure(name, _ms([seconds]), _ms([target]), seconds / target, 1.0)


def many_sessions(url: str) -> Iterator[Figure]:
    """Ten times the sessions of a SQLite file, by hour in several time zones."""
    path = sqlite_path(url) if url.startswith("sqlite:") else None
    if path is None:
        return
    most = ten_million.MAX_SECONDS
    for zone, taken in ten_million.measured(path).items():
        name = f"ten million sessions by hour, {zone}"
        yield Figure(name, _ms([taken.seconds]), _ms([most]), taken.seconds / most, 1.0)


def memory_used(url: str) -> Iterator[Figure]:
    """The memory of a server after a thousand mixed calls about a million sessions."""
    found = anyio.run(memory.measure, url)
    ours, most = found[memory.CALLS], memory.MAX_MB
    name = "memory after 1,000 mixed calls"
    yield Figure(name, f"{ours:.0f} MB", f"{most:.0f} MB", ours / most, 1.0)


KINDS: dict[str, Callable[[], Iterator[Figure]]] = {
    "list": list_calls,
    "http": http_calls,
    "start": starts,
    "calls": many_calls,
    "quota": quota_used,
}


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--mirror", metavar="URL", help="a database that benchmarks.mirror filled")
    options = parser.parse_args()
    print(f"{'figure':52} {'ours':>9} {'beside':>9} {'ratio':>7}  wanted")
    kinds = [KINDS[name] for name in options.only]
    if options.mirror:
        kinds += [
            partial(of, options.mirror)
            for of in (mirror_figures, processor_figures, memory_used, many_sessions)
        ]
    good = True
    for kind in kinds:
        for figure in kind():
            print(figure.row(), flush=True)
            good &= figure.is_good
    if not options.mirror:
        print("the mirror's figures were not measured: give --mirror")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
