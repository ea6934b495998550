"""Follows a busy account for a simulated day, with people's questions beside it.

Time is simulated: the emulator, the rate limit and the follower live by one clock that passes only
while somebody waits. Every answer's number of sessions is compared with the truth.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
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

LATENCY = 0.3
"""Seconds that the API takes for a request."""
QUESTION_EVERY = 60.0
REPORT_HOURS = 4


@dataclass
class Seen:
    """What the questions took, and how the follower stood."""

    waits: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
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


async def ask(client: Client, clock: FakeClock, world: AccountData, seen: Seen) -> None:
    """One question of a person, and how long it took beyond the API's own time."""
    number, since = len(seen.waits), clock.ticks
    if number % 3 == 0:
        recent = world.between(0, microseconds(clock.now))[0]
        tool, arguments = "list_verify_sessions", {"recipient": f"+{recent.recipient}"}
    else:
        tool = "summarize_verify_sessions"
        arguments = {"session_time__gte": "24h" if number % 3 == 1 else "1h"}
    answer = await call_tool(client, tool, arguments)
    seen.requests.append(answer["api_requests"])
    seen.waits.append(clock.ticks - since - LATENCY * answer["api_requests"])
    if "basis" in answer:
        seen.bases[answer["basis"] + ("" if answer["complete"] else " in part")] += 1
        seen.wrong += not is_right(answer, world)


def is_right(answer: dict[str, Any], world: AccountData) -> bool:
    """Whether a summary has each session of its window."""
    if not answer["complete"]:
        return True
    start, end = (
        microseconds(datetime.fromisoformat(answer["applied"][name] + "+00:00"))
        for name in ("session_time__gte", "session_time__lt")
    )
    return bool(answer["sessions"] == len(world.between(start, end - 1)))


async def play(hours: float, per_day: int, settle: timedelta, *, follows: bool) -> None:
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
    seen = Seen()
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {
            "database_url": sqlite_url(Path(folder) / "verify.sqlite3"),
            "settle": settle,
            "follow": timedelta(days=1) if follows else None,
        }
        async with connect_with_background(emulator, clock, **settings) as (client, context):
            for hour in range(1, round(hours) + 1):
                await live(clock, client, context, world, seen)
                if hour % REPORT_HOURS == 0 or hour == round(hours):
                    report(hour, emulator, seen, monotonic() - began)
            if follows:
                status = await call_tool(client, "get_verify_status", {"about": "mirror"})
                print(f"status: {status['follow']}")


async def live(
    clock: FakeClock,
    client: Client,
    context: AppContext,
    world: AccountData,
    seen: Seen,
) -> None:
    """Let an hour pass, with a question every minute."""
    end, next_question = clock.ticks + 3600, clock.ticks + QUESTION_EVERY
    while clock.ticks < end:
        clock.pass_by(await context.background.step())
        if clock.ticks >= next_question:
            next_question += QUESTION_EVERY
            follow = await context.background.follow_status()
            if follow is not None:
                seen.behind.append(follow.behind_s)
                seen.stored.append(follow.stored_share or 0.0)
            await ask(client, clock, world, seen)


def report(hours: float, emulator: Emulator, seen: Seen, seconds: float) -> None:
    """Print the figures."""
    sent = len(emulator.received)
    refused = sum(each.status == 429 for each in emulator.received)
    print(f"{hours:g} h simulated in {seconds:.0f} s: {sent} requests, {refused} times 429")
    print(f"requests a minute: {sent / (hours * 60):.1f}")
    if seen.behind:
        print(f"behind: median {median(seen.behind):.0f} s, at most {max(seen.behind):.0f} s")
        print(f"of the last day stored: {100 * min(seen.stored):.1f} % at least")
    waits = sorted(seen.waits)
    print(
        f"{len(waits)} questions: waits median {median(waits):.1f} s, "
        f"95 % {waits[len(waits) * 95 // 100]:.1f} s, at most {waits[-1]:.1f} s; "
        f"requests each {sum(seen.requests) / len(waits):.2f}; wrong {seen.wrong}"
    )
    print(f"bases: {dict(seen.bases)}", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=4)
    parser.add_argument("--per-day", type=int, default=200_000)
    parser.add_argument("--settle-minutes", type=float, default=60)
    parser.add_argument("--without", action="store_true", help="nobody follows")
    options = parser.parse_args()
    settle = timedelta(minutes=options.settle_minutes)
    anyio.run(lambda: play(options.hours, options.per_day, settle, follows=not options.without))


if __name__ == "__main__":
    main()
