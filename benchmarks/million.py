"""The processor time and the clock time of a summary, a comparison and a search for anomalies.

    python -m benchmarks.million sqlite:////tmp/mirror.sqlite3 [--times 3] [--at-most 1]

The database has a million sessions of 90 days that `benchmarks.mirror` made. The questions go to
the real server over stdio. Its processor time is compared with the targets, because the clock
depends on what else runs; on PostgreSQL the time of the database's own processes is not in it, so
the clock is compared there. The first answer is told apart: it loads modules. The exit code is 1
when a figure is worse than its target; `--at-most 3` allows three times each target.
"""

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, stdio_client

from benchmarks import mirror

TARGETS = {
    "summarize_verify_sessions": 1.0,
    "compare_verify_sessions": 2.0,
    "find_verify_anomalies": 4.0,
}
"""Seconds."""


@dataclass(frozen=True)
class Taken:
    """Seconds of one answer: the server's processors, and the clock."""

    processor: float
    clock: float


@dataclass(frozen=True)
class Figure:
    """One question's first answer, and the middle one of the further ones."""

    name: str
    first: Taken
    middle: Taken
    target: float

    def row(self, factor: float, *, by_clock: bool) -> str:
        """The figure as text."""
        worse = "" if self.seconds(by_clock=by_clock) <= factor * self.target else "  worse"
        return (
            f"{self.name:42} {self.middle.processor:9.2f} {self.middle.clock:7.2f} "
            f"{self.first.processor:9.2f} {self.first.clock:7.2f} {self.target:7.1f}{worse}"
        )

    def seconds(self, *, by_clock: bool) -> float:
        """What is compared with the target."""
        return self.middle.clock if by_clock else self.middle.processor


def questions(end: datetime) -> dict[str, tuple[str, dict[str, Any]]]:
    """What is asked: a name, the tool and its arguments."""
    whole = mirror.days_before(end)
    half = {**whole, "session_time__gte": mirror.written(end - 44 * mirror.DAY)}
    found: dict[str, tuple[str, dict[str, Any]]] = {
        "a summary of 90 days": ("summarize_verify_sessions", whole),
        "the same by country and channel": (
            "summarize_verify_sessions", {**whole, "group_by": ["country", "channel"]},
        ),
        "a comparison of 44 days": ("compare_verify_sessions", half),
    }  # fmt: skip
    for name, days in (("a day", 1), ("a week", 7), ("four weeks", 28)):
        window = {**whole, "session_time__gte": mirror.written(end - timedelta(days=days))}
        found[f"anomalies of {name}"] = ("find_verify_anomalies", window)
    return found


def processor_seconds(pid: int) -> float:
    """The processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def ask(client: Client, pid: int, tool: str, arguments: dict[str, Any]) -> Taken:
    """The time of one call, which may not ask the API."""
    processor, clock = processor_seconds(pid), time.perf_counter()
    await mirror.ask(client, tool, arguments, times=1)
    return Taken(processor_seconds(pid) - processor, time.perf_counter() - clock)


async def measure(url: str, times: int) -> list[Figure]:
    """Each question's figures."""
    end = await mirror.fill(url, 0, 1, datetime.now(UTC))
    figures = []
    async with Client(stdio_client(mirror.server_of(url))) as client:
        (pid,) = mirror.children()
        for name, (tool, arguments) in questions(end).items():
            first, *others = [await ask(client, pid, tool, arguments) for _ in range(times + 1)]
            middle = Taken(
                statistics.median(one.processor for one in others),
                statistics.median(one.clock for one in others),
            )
            figures.append(Figure(name, first, middle, TARGETS[tool]))
    return figures


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--at-most", type=float, default=1.0)
    options = parser.parse_args()
    by_clock = not options.url.startswith("sqlite:")
    figures = anyio.run(measure, options.url, options.times)
    print(f"{'seconds':42} {'processor':>9} {'clock':>7} {'first':>9} {'clock':>7} {'wanted':>7}")
    for figure in figures:
        print(figure.row(options.at_most, by_clock=by_clock))
    print(f"load: {' '.join(f'{each:.1f}' for each in os.getloadavg())}")
    return int(
        any(one.seconds(by_clock=by_clock) > options.at_most * one.target for one in figures)
    )


if __name__ == "__main__":
    sys.exit(main())
