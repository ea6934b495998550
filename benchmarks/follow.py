"""A busy account for a simulated day, with people's questions beside the work in the background.

    python -m benchmarks.follow [--hours 24] [--modes off ahead follow]

Time is simulated: the emulator, the rate limit and the follower live by one clock that passes only
while somebody waits. The same questions are asked without any work in the background (`off`), with
unfinished answers completed (`ahead`), and with the last day followed too (`follow`). Every
complete answer's number of sessions is compared with the truth. Ends with 1 if one is wrong or a
request was one too many.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

import anyio
from mcp import Client

from tests.support.background import connect_with_background
from tests.support.client import NOW, FakeClock, call_tool
from tests.support.databases import sqlite_url
from verify_mcp.context import AppContext
from verify_mcp.emulator import AccountData, Emulator, Options, SessionRecord
from verify_mcp.emulator.account import microseconds
from verify_mcp.emulator.session_simulation import simulate_session
from verify_mcp.settings_parsers import DEFAULT_AHEAD

LATENCY = 0.3
"""Seconds that the API takes for a request."""
QUESTION_EVERY = 60.0
BURST, BURST_EVERY = 8, 30
"""How many people's sessions are asked for one after the other, and each so many questions."""
REPORT_HOURS = 4
MODES: dict[str, dict[str, Any]] = {
    "off": {"ahead": 0, "follow": None},
    "ahead": {"ahead": DEFAULT_AHEAD, "follow": None},
    "follow": {"ahead": DEFAULT_AHEAD, "follow": timedelta(days=1)},
}


@dataclass
class Seen:
    """What the questions took, and how the follower stood."""

    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds beyond the API's own time, by kind of question."""
    questions: int = 0
    requests: int = 0
    """Requests of the questions."""
    sent: int = 0
    refused: int = 0
    bases: Counter[str] = field(default_factory=Counter)
    behind: list[float] = field(default_factory=list)
    stored: list[float] = field(default_factory=list)
    wrong: int = 0


def make_records(start: datetime, hours: float, per_day: int) -> Iterator[SessionRecord]:
    """Sessions that come evenly, from the start of the simulation on."""
    dice = random.Random(1)
    for _ in range(round(per_day * hours / 24)):
        moment = start + timedelta(seconds=dice.uniform(0, hours * 3600))
        yield simulate_session(dice, moment)


@dataclass
class Day:
    """An account, a server and its clock."""

    clock: FakeClock
    world: AccountData
    emulator: Emulator
    client: Client
    context: AppContext
    seen: Seen = field(default_factory=Seen)

    async def live(self) -> None:
        """Let an hour pass, with a question every minute."""
        end, due_at = self.clock.ticks + 3600, self.clock.ticks + QUESTION_EVERY
        while self.clock.ticks < end:
            pause = await self._work()
            self.clock.pass_by(min(pause, max(0.0, due_at - self.clock.ticks)))
            if self.clock.ticks >= due_at:
                due_at += QUESTION_EVERY
                await self._note_follower()
                await self._ask()
        self._count_requests()

    async def _work(self) -> float:
        """A step of the background work; the seconds until the next one."""
        works = self.context.settings.ahead or self.context.settings.follow
        return await self.context.background.step() if works else QUESTION_EVERY

    async def _note_follower(self) -> None:
        follow = await self.context.background.follow_status()
        if follow is not None:
            self.seen.behind.append(follow.behind_s)
            self.seen.stored.append(follow.stored_share or 0.0)

    async def _ask(self) -> None:
        """The question whose turn it is."""
        self.seen.questions += 1
        if self.seen.questions % BURST_EVERY == 0:
            newest = self.world.between(0, microseconds(self.clock.now))[: 20 * BURST : 20]
            for each in newest:
                await self._list(f"one of {BURST} people in a row", each)
            return
        kind = self.seen.questions % 3
        if kind == 0:
            await self._list("a person", self.world.between(0, microseconds(self.clock.now))[0])
        else:
            length = "24h" if kind == 1 else "1h"
            answer = await self._call(
                f"summary of {length}", "summarize_verify_sessions", session_time__gte=length
            )
            how = answer["basis"] + ("" if answer["complete"] else " in part")
            self.seen.bases[how] += 1
            self.seen.wrong += not is_right(answer, self.world)

    async def _list(self, kind: str, record: SessionRecord) -> None:
        await self._call(kind, "list_verify_sessions", recipient=f"+{record.recipient}")

    async def _call(self, kind: str, tool: str, **arguments: Any) -> dict[str, Any]:
        """Ask, and note how long it took beyond the API's own time."""
        since = self.clock.ticks
        answer = await call_tool(self.client, tool, arguments)
        self.seen.requests += answer["api_requests"]
        waited = self.clock.ticks - since - LATENCY * answer["api_requests"]
        self.seen.waits[kind].append(max(0.0, waited))
        return answer

    def _count_requests(self) -> None:
        """Count and forget what the API received: it remembers only so many."""
        self.seen.sent += len(self.emulator.received)
        self.seen.refused += sum(each.status == 429 for each in self.emulator.received)
        self.emulator.received.clear()


def is_right(answer: dict[str, Any], world: AccountData) -> bool:
    """Whether a summary has each session of its window."""
    if not answer["complete"]:
        return True
    start, end = (
        microseconds(datetime.fromisoformat(answer["applied"][name] + "+00:00"))
        for name in ("session_time__gte", "session_time__lt")
    )
    return bool(answer["sessions"] == len(world.between(start, end - 1)))


async def play(mode: str, hours: int, per_day: int, settle: timedelta) -> Seen:
    """Simulate so many hours, and print what came of it."""
    clock, began = FakeClock(), monotonic()
    world = AccountData(make_records(NOW, hours, per_day))
    emulator = Emulator(
        world,
        behaviour=Options(latency=LATENCY),
        clock=lambda: clock.now,
        monotonic=lambda: clock.ticks,
        sleep=clock.sleep,
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "database_url": sqlite_url(Path(folder) / "verify.sqlite3"),
            "settle": settle,
            **MODES[mode],
        }
        async with connect_with_background(emulator, clock, **settings) as (client, context):
            context.background.is_running = bool(context.settings.ahead)
            day = Day(clock, world, emulator, client, context)
            for hour in range(1, hours + 1):
                await day.live()
                if hour % REPORT_HOURS == 0 or hour == hours:
                    report(mode, hour, day.seen, monotonic() - began)
            return day.seen


def report(mode: str, hours: int, seen: Seen, seconds: float) -> None:
    """Print the figures."""
    print(
        f"{mode}: {hours} h simulated in {seconds:.0f} s: {seen.sent} requests, "
        f"{seen.sent / (hours * 60):.1f} a minute, {seen.refused} times 429"
    )
    if seen.behind:
        print(f"behind: median {median(seen.behind):.0f} s, at most {max(seen.behind):.0f} s")
        print(f"of the last day stored: {100 * min(seen.stored):.1f} % at least")
    answers = sum(len(waits) for waits in seen.waits.values())
    print(f"{answers} calls, {seen.requests / answers:.2f} requests each, wrong {seen.wrong}")
    for kind, waits in seen.waits.items():
        print(f"    {len(waits):5} {kind:28} {spread(waits)}")
    print(f"bases: {dict(seen.bases)}", flush=True)


def spread(waits: list[float]) -> str:
    """The median of some waits, the wait that 95 % of them do not exceed, and the longest one."""
    ordered = sorted(waits)
    figures = (median(ordered), ordered[(len(ordered) * 95 - 1) // 100], ordered[-1])
    return " / ".join(f"{figure:.1f}" for figure in figures) + " s"


def compare(found: dict[str, Seen]) -> None:
    """Print people's waits of each mode side by side."""
    print(f"\n{'waits: median / 95 % / longest':32}" + "".join(f"{mode:>24}" for mode in found))
    for kind in next(iter(found.values())).waits:
        figures = "".join(f"{spread(seen.waits[kind]):>24}" for seen in found.values())
        print(f"{kind:32}{figures}")


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=4)
    parser.add_argument("--per-day", type=int, default=200_000)
    parser.add_argument("--settle-minutes", type=float, default=60)
    parser.add_argument("--modes", nargs="*", choices=MODES, default=list(MODES))
    options = parser.parse_args()
    settle = timedelta(minutes=options.settle_minutes)
    found = {
        mode: anyio.run(play, mode, options.hours, options.per_day, settle)
        for mode in options.modes
    }
    compare(found)
    return int(any(seen.wrong or seen.refused for seen in found.values()))


if __name__ == "__main__":
    sys.exit(main())
