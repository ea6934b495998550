"""Worlds and questions by chance: a seed makes the same world and the same questions again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Protocol

from benchmarks.fuzz.calls import Call
from benchmarks.fuzz.stage import Report, Stage
from benchmarks.fuzz.world import (
    APPS,
    DAY,
    HOUR,
    MINUTE,
    NOON,
    NUMBERS,
    ZERO,
    Life,
    odd,
    spread,
    written,
)
from verify_mcp.emulator import Fault

SETTLE = HOUR
FAULTS = (
    Fault.SERVER_ERROR,
    Fault.BAD_GATEWAY,
    Fault.UNAVAILABLE,
    Fault.OK_HTML,
    Fault.OK_NULL,
    Fault.TRUNCATED_JSON,
    Fault.TOO_MANY_RETRY_AFTER,
    Fault.DUPLICATE_ROWS,
)
SKEWS = (-DAY, -20 * MINUTE, 20 * MINUTE, 2 * HOUR, DAY)
_LENGTHS = ("15m", "1h", "6h", "24h", "7d", "30d", "90d")
_WORKS = ((400, None), (12, None), (0, DAY), (400, DAY), (400, 7 * DAY))
"""Requests that a question may take in the background, and how much is followed."""
_GROUPS = ("status", "channel", "country", "app", "day")


@dataclass(frozen=True)
class Plan:
    """What kind of world it is."""

    seed: int
    skews: tuple[timedelta, ...]
    is_dated: bool
    mirror: bool
    fault_rate: float
    latency: tuple[float, float]
    steps: int
    ahead: int
    follow: timedelta | None

    @property
    def works(self) -> bool:
        """Whether its servers work between two calls."""
        return self.mirror and bool(self.ahead or self.follow)

    def __str__(self) -> str:
        skews = ", ".join(f"{skew / HOUR:+g} h" for skew in self.skews)
        follow = f"{self.follow / DAY:g} d" if self.follow else "off"
        background = "on" if self.ahead or self.follow else "off"
        return (
            f"--seed {self.seed} --worlds 1 --background {background}: clocks {skews}, "
            f"Date {self.is_dated}, mirror {self.mirror}, faults {self.fault_rate}, "
            f"latency {self.latency[1]} s, ahead {self.ahead}, follow {follow}"
        )


@dataclass(frozen=True)
class Choice:
    """What is chosen of every world; None leaves it to chance."""

    mirror: bool | None = None
    background: bool | None = None


BY_CHANCE = Choice()


def planned(seed: int, choice: Choice = BY_CHANCE) -> Plan:
    """The plan of a world."""
    chance, background = Random(seed), Random(f"{seed} background")
    ahead, follow = background.choice(_WORKS)
    if choice.background is False or (choice.background is None and background.random() < 0.5):
        ahead, follow = 0, None
    is_dated = chance.random() < 0.8
    servers = chance.choice((1, 1, 2))
    wrong = chance.random() < 0.3
    skews = SKEWS if is_dated else SKEWS[1:4]
    return Plan(
        seed,
        tuple(chance.choice(skews) if wrong else ZERO for _ in range(servers)),
        is_dated,
        mirror=chance.random() < 0.8 if choice.mirror is None else choice.mirror,
        fault_rate=chance.choice((0.0, 0.0, 0.05)),
        latency=chance.choice(((0.0, 0.0), (0.0, 0.0), (0.1, 1.5))),
        steps=chance.randint(10, 30),
        ahead=ahead,
        follow=follow,
    )


def peopled(chance: Random, now: datetime) -> list[Life]:
    """Sessions of 91 days, the last hours busier, and those that will come within two days."""
    old = chance.choice((0, 100, 1000, 2500))
    busy = chance.choice((60, 300, 900))
    coming = chance.choice((40, 400))
    lives = spread(old, now - 91 * DAY, now - 4 * HOUR, chance) if old else []
    edge = now - 90 * DAY
    lives += spread(40, edge - 10 * MINUTE, edge + HOUR, chance)
    start = now - chance.choice((HOUR / 2, 2 * HOUR, 6 * HOUR))
    lives += spread(busy, start, now, chance)
    lives += spread(coming, now, now + chance.choice((2 * HOUR, 48 * HOUR)), chance)
    return odd(lives, chance, SETTLE)


class Asker(Protocol):
    """What can be asked of a stage, whichever way its servers run."""

    async def summarize(self, server: int = 0, **arguments: Any) -> dict[str, Any]: ...
    async def page_through(
        self, server: int = 0, *, pause: float = 0.0, most: int = 60, **arguments: Any
    ) -> list[Call]: ...
    async def get(self, uuid: str, server: int = 0) -> dict[str, Any]: ...


class Questions:
    """Questions by chance, asked again now and then."""

    def __init__(self, chance: Random, lives: list[Life]) -> None:
        self._chance = chance
        self._lives = lives
        self._earlier: list[dict[str, Any]] = []

    async def ask(self, stage: Asker, server: int, now: datetime) -> None:
        """Ask one question of that server."""
        kinds: list[Callable[[Asker, int, datetime], Awaitable[None]]] = [
            self._summarize, self._summarize, self._summarize, self._list, self._get,
        ]  # fmt: skip
        await self._chance.choice(kinds)(stage, server, now)

    async def _summarize(self, stage: Asker, server: int, now: datetime) -> None:
        chance = self._chance
        if self._earlier and chance.random() < 0.5:
            arguments = chance.choice(self._earlier)
        else:
            arguments = self._window(now)
            if chance.random() < 0.4:
                arguments["group_by"] = chance.sample(_GROUPS, chance.randint(1, 2))
            if chance.random() < 0.15:
                arguments["app_uuid"] = chance.choice(APPS)
            if chance.random() < 0.15:
                arguments["country"] = chance.choice(tuple(NUMBERS))
            if chance.random() < 0.4:
                arguments["max_requests"] = chance.choice((2, 5, 60, 200))
            self._earlier.append(arguments)
        await stage.summarize(server, **arguments)

    async def _list(self, stage: Asker, server: int, now: datetime) -> None:
        chance, arguments = self._chance, self._window(now)
        if chance.random() < 0.3:
            arguments["status"] = chance.choice(("in-progress", "verified", "expired"))
        if chance.random() < 0.3:
            arguments["recipient"] = f"+{chance.choice(self._lives).recipient}"
        if chance.random() < 0.3:
            arguments["limit"] = chance.choice((3, 7))
        pause = chance.choice((0.0, 3.0, 90.0))
        await stage.page_through(server, pause=pause, most=chance.choice((2, 12)), **arguments)

    async def _get(self, stage: Asker, server: int, now: datetime) -> None:
        past = [one for one in self._lives if one.created_at <= now]
        await stage.get(self._chance.choice(past).uuid, server)

    def _window(self, now: datetime) -> dict[str, Any]:
        chance, found = self._chance, {}
        draw = chance.random()
        if draw < 0.5:
            found["session_time__gte"] = chance.choice(_LENGTHS)
        elif draw < 0.95:
            length = chance.choice((HOUR, 5 * HOUR, DAY, 10 * DAY, 90 * DAY)) * chance.random()
            found["session_time__gte"] = written(now - length)
        if chance.random() < 0.4 and found:
            ends = (now + HOUR, now, now - chance.random() * HOUR / 6)
            if found["session_time__gte"] != "15m":
                found["session_time__lt"] = written(chance.choice(ends))
        return found


async def wander(seed: int, report: Report, choice: Choice = BY_CHANCE) -> None:
    """One world of that seed, in this process."""
    plan, chance = planned(seed, choice), Random(seed + 1)
    report.trace = str(plan)
    lives = peopled(chance, NOON)
    behaviour = {"fault_rate": plan.fault_rate, "faults": FAULTS}
    async with Stage(
        lives,
        report,
        skews=plan.skews,
        is_dated=plan.is_dated,
        chance=chance,
        latency=plan.latency,
        behaviour=behaviour,
        mirror=plan.mirror,
        settle=SETTLE,
        works=plan.works,
        ahead=plan.ahead,
        follow=plan.follow,
    ) as stage:
        if len(plan.skews) > 1 or chance.random() < 0.3:
            stage.shared()
        questions = Questions(chance, lives)
        for _ in range(plan.steps):
            server = chance.randrange(len(plan.skews))
            if chance.random() < 0.08:
                await stage.stop(server)
            await questions.ask(stage, server, stage.clock.now)
            await stage.pass_by(seconds=chance.choice((1, 30, 65, 65, 300, 900, 3600, 4 * 3600)))
