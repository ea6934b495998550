"""Several real processes on one quota, and what the API sees of them.

Run as a module it is one of those processes: it asks the API until told to stop, and writes a line
for each request on stdout.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, Emulator, Options, serve

REQUESTS = 20
TOLERANCE = 1e-6
"""Of a floating-point number of seconds, not of the promise."""
SAME_MOMENT = 0.001
"""Seconds within which several processes cannot agree who came first."""


@dataclass(frozen=True)
class Plan:
    """How many ask how hard for how long; `window` stands for the API's minute.

    `jitter` is the most that a request takes, half of it on its way there. The first process dies
    by SIGKILL at its request number `dies_at`, holding slots and tickets, and is replaced; the
    second one's wall clock jumps by ten seconds, to and fro.
    """

    url: str
    window: float = 3.0
    seconds: float = 8.0
    jitter: float = 0.1
    hold: float = 2.0
    lapse: float = 1.5
    processes: int = 4
    callers: int = 8
    dies_at: int | None = None
    wall_jumps: bool = True


@dataclass(frozen=True)
class Member:
    """One process's part in a plan."""

    plan: Plan
    api_url: str
    number: int


@dataclass(frozen=True, order=True)
class Grant:
    """One request: when its caller came, and when it was let through."""

    granted: float
    came: float
    process: int


@dataclass
class Outcome:
    """What the API saw, and what the processes did."""

    window: float
    arrivals: list[float]
    statuses: list[int | None]
    grants: list[Grant]
    died: int = 0
    problems: list[str] = field(default_factory=list)

    def violations(self) -> int:
        """Arrivals that were one too many in the window before them."""
        late = zip(self.arrivals, self.arrivals[REQUESTS:], strict=False)
        return sum(new - old < self.window - TOLERANCE for old, new in late)

    def used(self) -> float:
        """The share of the quota used: a window, by the time from a request to the 20th next."""
        late = zip(self.arrivals, self.arrivals[REQUESTS:], strict=False)
        cycles = [new - old for old, new in late]
        return self.window * len(cycles) / sum(cycles)

    def overtaken(self) -> float:
        """The share of grants that went before somebody who had come earlier."""
        last_first = sorted(self.grants, reverse=True)
        earliest, jumped = float("inf"), 0
        for each in last_first:
            jumped += each.came > earliest + SAME_MOMENT
            earliest = min(earliest, each.came)
        return jumped / len(self.grants)

    def fairness(self) -> float:
        """Jain's index over the processes: 1 when all got the same."""
        numbers = {each.process for each in self.grants}
        got = [sum(each.process == number for each in self.grants) for number in numbers]
        return sum(got) ** 2 / (len(got) * sum(each**2 for each in got))

    def longest_pause(self) -> float:
        """Seconds between two arrivals at most."""
        return max(new - old for old, new in pairwise(self.arrivals))


async def run_processes(plan: Plan) -> Outcome:
    """Let the processes ask an emulator on loopback as planned."""
    half = plan.jitter / 2
    emulator = Emulator(
        behaviour=Options(list_limit=REQUESTS, list_window=plan.window, latency=(0.0, half))
    )
    _ = emulator.data  # made before the clock starts
    outcome = Outcome(plan.window, [], [], [])
    async with serve(emulator) as api_url:
        start = _Start(plan.processes)
        async with anyio.create_task_group() as tasks:
            for number in range(plan.processes):
                tasks.start_soon(_start_members, Member(plan, api_url, number), start, outcome)
    outcome.arrivals = [each.at for each in emulator.received]
    outcome.statuses = [each.status for each in emulator.received]
    outcome.grants.sort()
    return outcome


class _Start:
    """The moment at which all processes are there, so that they can begin."""

    def __init__(self, awaited: int) -> None:
        self._awaited = awaited
        self._all_there = anyio.Event()
        self._at = 0.0

    async def shot(self) -> float:
        self._awaited -= 1
        if self._awaited == 0:
            self._at = time.monotonic()
            self._all_there.set()
        await self._all_there.wait()
        return self._at


async def _start_members(member: Member, start: _Start, outcome: Outcome) -> None:
    """One process, and another one in its place when it dies."""
    code = await _member(member, start, outcome)
    if code == -signal.SIGKILL:
        outcome.died += 1
        second = replace(member, number=member.number + member.plan.processes)
        await _member(second, start, outcome)
    elif code:
        outcome.problems.append(f"process {member.number} ended with {code}")


async def _member(member: Member, start: _Start, outcome: Outcome) -> int | None:
    command = [sys.executable, "-m", "tests.support.processes", json.dumps(asdict(member))]
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdin
        assert process.stdout
        lines = BufferedByteReceiveStream(process.stdout)
        try:
            await lines.receive_until(b"\n", 1000)
            until = await start.shot() + member.plan.seconds
            await process.stdin.send(f"{until}\n".encode())
            while True:
                line = await lines.receive_until(b"\n", 1000)
                granted, came = json.loads(line)
                outcome.grants.append(Grant(granted, came, member.number))
        except (anyio.IncompleteRead, anyio.EndOfStream):
            return await process.wait()


async def _ask_until_stopped(member: Member) -> None:
    from verify_mcp.database.base import Connection
    from verify_mcp.database.resilient import ResilientDatabase
    from verify_mcp.domain.filters import SessionFilter
    from verify_mcp.plivo.client import open_client
    from verify_mcp.plivo.page_request import PageRequest
    from verify_mcp.plivo.rate_limit_store import Slot
    from verify_mcp.plivo.rate_limiter import RateLimiter
    from verify_mcp.plivo.shared_rate_limit import DatabaseRateLimitStore
    from verify_mcp.settings import Credentials, Rate, Settings

    plan, numbers, began = member.plan, count(1), time.monotonic()
    settings = Settings(Credentials(SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN), api_url=member.api_url)

    def shift() -> float:
        jumps = plan.wall_jumps and member.number == 1
        return (0.0, 10.0, 0.0, -10.0)[int(time.monotonic() - began) % 4] if jumps else 0.0

    wall = time.time
    time.time = lambda: wall() + shift()

    class Observed(DatabaseRateLimitStore):
        """A ledger that tells when it granted, as it saw it itself."""

        def _grant(self, connection: Connection, now: float) -> Slot:
            slot = super()._grant(connection, now)
            granted[slot.key] = now
            return slot

    granted: dict[str, float] = {}
    access = ResilientDatabase(plan.url, clock=time.monotonic, on_problem=warnings.warn)
    rate = Rate(REQUESTS, plan.window)
    ledger = Observed(access, "fleet:list", rate, lease=plan.hold, ticket_ttl=plan.lapse)
    quota = RateLimiter(ledger, clock=time.monotonic)

    async def ask() -> None:
        while (came := time.monotonic()) < until:
            async with quota.slot(max_wait=3600) as slot:
                number = next(numbers)
                sys.stdout.write(json.dumps([granted.pop(slot.key), came]) + "\n")
                sys.stdout.flush()
                slot.sent = True
                if number == plan.dies_at and member.number == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                await anyio.sleep(random.uniform(0, plan.jitter / 2))  # noqa: S311 - a delay
                if time.monotonic() < until:
                    await api.list_sessions(PageRequest(SessionFilter(), 1, 0))

    now = lambda: datetime.now(UTC) + timedelta(seconds=shift())  # noqa: E731
    await ledger.status()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    until = float(sys.stdin.readline())
    async with open_client(settings, now=now) as api, anyio.create_task_group() as tasks:
        tasks.cancel_scope.deadline = anyio.current_time() + until - time.monotonic() + 0.2
        for _ in range(plan.callers):
            tasks.start_soon(ask)
    access.close()


def _read(text: str) -> Member:
    said = json.loads(text)
    return Member(**{**said, "plan": Plan(**said["plan"])})


def main(words: Sequence[str]) -> None:
    """Be one process of a fleet."""
    anyio.run(_ask_until_stopped, _read(words[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
