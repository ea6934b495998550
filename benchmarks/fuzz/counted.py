"""The scenarios about counted answers: groups, intervals, rare events, rows that come late."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from random import Random
from statistics import fmean
from typing import Any

from benchmarks.fuzz.calls import Violation
from benchmarks.fuzz.stage import Report, Stage
from benchmarks.fuzz.world import DAY, HOUR, MINUTE, NOON, SECOND, Life, between, spread


async def groups_of_a_part(report: Report) -> None:
    """The groups of a counted answer cover what is held, too."""
    chance = Random(8)
    lives = spread(720, NOON - 72 * HOUR, NOON - 48 * HOUR, chance, country="US")
    lives += spread(4680, NOON - 7 * DAY, NOON - 72 * HOUR, chance, country="IN")
    async with Stage(lives, report, chance=chance) as stage:
        saved = between(NOON - 72 * HOUR, NOON - 48 * HOUR)
        for _ in range(4):
            await stage.summarize(**saved, max_requests=200)
            await stage.pass_by(minutes=1.1)
        window = between(NOON - 7 * DAY, NOON - 48 * HOUR)
        for _ in range(3):
            await stage.summarize(**window, group_by=["country"])
            await stage.pass_by(minutes=1.1)


WORLDS, TIMES = 12, 6
NOISE = 1.02
"""By how much so few worlds may differ from the mean of all."""


async def ask_again(report: Report) -> None:
    """Over some worlds, the mean width of every interval falls from call to call."""
    widths: dict[str, list[list[float]]] = {}
    for number in range(WORLDS):
        chance = Random(900 + number)
        lives = spread(3000, NOON - 5 * DAY, NOON - 3 * HOUR, chance)
        dear = {chance.randrange(3000): Decimal(chance.choice(("2", "5"))) for _ in range(12)}
        lives = [
            replace(each, validation_charge=dear[place], outcome="verified")
            if place in dear
            else each
            for place, each in enumerate(lives)
        ]
        window = between(NOON - 5 * DAY, NOON - 2 * HOUR)
        async with Stage(lives, report, chance=chance) as stage:
            rows: set[str] = set()
            for time in range(TIMES):
                answer = await stage.summarize(**window, group_by=["country"])
                await stage.pass_by(minutes=1.1)
                for name, interval in answer.get("estimated", {}).items():
                    columns = widths.setdefault(name, [[] for _ in range(TIMES)])
                    columns[time].append(float(interval[1]) - float(interval[0]))
                groups = {row[0] for row in answer.get("rows", ())}
                if rows - groups:
                    report.add([Violation("vanished-group", f"{rows - groups} at call {time + 1}")])
                rows = groups
    for name, columns in widths.items():
        means = [fmean(each) if each else None for each in columns]
        for time, (before, after) in enumerate(pairwise(means), 2):
            if before is not None and after is not None and after > before * NOISE:
                text = f"{name}: mean width {before:.3f}, then {after:.3f} at call {time}"
                report.add([Violation("wider", text)])


async def ask_as_applied(report: Report) -> None:
    """The times that `applied` told, asked again, are the same question, which goes on."""
    chance = Random(21)
    lives = spread(3000, NOON - 5 * DAY, NOON - 3 * HOUR, chance)
    async with Stage(lives, report, chance=chance) as stage:
        first = await stage.summarize(**between(NOON - 5 * DAY, NOON - 2 * HOUR))
        await stage.pass_by(minutes=1.1)
        applied = first.get("applied", {})
        window = {name: applied[name] for name in applied if name.startswith("session_time")}
        second = await stage.summarize(**window)
        before, after = (_sampled(each) for each in (first, second))
        if before is not None and after is not None and after < before + 10:
            text = f"{before} pages sampled, then {after} when `applied` was asked"
            report.add([Violation("began-anew", text)])


def _sampled(answer: dict[str, Any]) -> int | None:
    """How many pages an answer's estimates come from."""
    match = re.search(r"from (\d+) of \d+ pages", answer.get("why", ""))
    return int(match[1]) if match else None


async def rare_events(report: Report) -> None:
    """What no page drawn had a case of is not told as exact."""
    for number in range(8):
        chance = Random(1000 + number)
        lives = [
            replace(each, attempts=each.attempts[:1])
            for each in spread(3000, NOON - 5 * DAY, NOON - 3 * HOUR, chance)
        ]
        for _ in range(2):
            place = chance.randrange(3000)
            lives[place] = _rescued(lives[place])
        window = between(NOON - 5 * DAY, NOON - 2 * HOUR)
        async with Stage(lives, report, chance=chance) as stage:
            for _ in range(3):
                await stage.summarize(**window)
                await stage.pass_by(minutes=1.1)


def _rescued(life: Life) -> Life:
    first = life.attempts[0]
    call = replace(first, uuid=first.uuid.replace("-0001-", "-0002-"), channel="voice")
    later = replace(call, time=first.time + 20 * SECOND, charge=Decimal("0.5"))
    return replace(life, outcome="verified", attempts=(first, later))


async def late_and_unreadable(report: Report) -> None:
    """While a count goes on, rows become visible late, or cannot be read."""
    chance = Random(12)
    base = spread(600, NOON - 55 * MINUTE, NOON - 10 * MINUTE, chance)
    base = [replace(each, resolved_at=each.created_at + MINUTE) for each in base]
    window = between(NOON - DAY, NOON - 5 * MINUTE)
    late = [
        replace(each, visible_at=NOON + 30 * SECOND)
        if number in (590, 595)
        else _dear(number, each)
        for number, each in enumerate(base)
    ]
    unreadable = [
        replace(each, unreadable=(each.created_at, NOON + DAY)) if number in (300, 550) else each
        for number, each in enumerate(base)
    ]
    for lives in (late, unreadable):
        async with Stage(lives, report, chance=chance) as stage:
            for _ in range(7):
                await stage.summarize(**window)
                await stage.pass_by(minutes=1.1)


def _dear(number: int, life: Life) -> Life:
    """Dear where a page ends: there a row is counted twice when the pages shift."""
    is_last = (597 - number) % 20 in (18, 19)
    return replace(life, validation_charge=Decimal(3), outcome="verified") if is_last else life
