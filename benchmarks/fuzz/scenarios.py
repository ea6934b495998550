"""One scenario for each way of being wrong that was found: named by its number."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

from benchmarks.fuzz.counted import (
    ask_again,
    ask_as_applied,
    groups_of_a_part,
    late_and_unreadable,
    rare_events,
)
from benchmarks.fuzz.stage import Report, Stage
from benchmarks.fuzz.world import DAY, HOUR, MINUTE, NOON, SECOND, ZERO, between, spread, written

Scenario = Callable[[Report], Awaitable[None]]


async def stale_kept_as_final(report: Report) -> None:
    """Pages read before their sessions settled are not final when a later call keeps them."""
    chance = Random(1)
    lives = [
        replace(each, charged_at=each.created_at + 59.5 * MINUTE)
        for each in spread(600, NOON - 59 * MINUTE, NOON - 49 * MINUTE, chance)
    ]
    window = between(NOON - DAY, NOON - 45 * MINUTE)
    async with Stage(lives, report, chance=chance) as stage:
        await stage.summarize(**window)
        await stage.pass_by(minutes=12)
        for _ in range(3):
            await stage.summarize(**window)
            await stage.pass_by(minutes=1.1)
        await stage.pass_by(days=2)
        await stage.summarize(**window)
        for each in lives[::50]:
            await stage.get(each.uuid)


async def suspended_walk(report: Report) -> None:
    """A walk that goes on after its machine was suspended does not keep what it read as final."""
    chance = Random(13)
    lives = [
        replace(each, charged_at=each.created_at + 50 * MINUTE)
        for each in spread(1200, NOON - 40 * MINUTE, NOON - 10 * MINUTE, chance)
    ]
    window = between(NOON - DAY, NOON - 9 * MINUTE)
    async with Stage(lives, report, chance=chance, works=True) as stage:
        await stage.summarize(**window)
        await stage.pass_by(minutes=2)
        stage.clock.pass_by(2 * 3600)
        await stage.pass_by(minutes=10)
        await stage.summarize(**window)
        for each in lives[::7]:
            await stage.get(each.uuid)


async def older_over_newer(report: Report) -> None:
    """What one server read earlier does not replace what another one read later."""
    chance = Random(11)
    lives = [
        replace(each, resolved_at=each.created_at + 50 * MINUTE, outcome="verified")
        for each in spread(600, NOON - 49 * MINUTE, NOON - 40 * MINUTE, chance)
    ]
    window = between(NOON - DAY, NOON - 39 * MINUTE)
    async with Stage(lives, report, chance=chance, skews=(ZERO, ZERO)).shared() as stage:
        await stage.summarize(**window)
        await stage.pass_by(minutes=12)
        await stage.summarize(1, **window, max_requests=200)
        await stage.pass_by(minutes=1.1)
        await stage.summarize(1, **window, max_requests=200)
        await stage.pass_by(minutes=1.1)
        for _ in range(3):
            await stage.summarize(**window)
            await stage.pass_by(minutes=1.1)
        await stage.summarize(1, **window)
        await stage.pass_by(days=1)
        await stage.summarize(1, **window)


async def count_outlives_reach(report: Report) -> None:
    """A count of 90 days goes on for nearly an hour, while its oldest sessions get out of reach."""
    chance = Random(2)
    edge = NOON - 90 * DAY
    lives = spread(240, edge, edge + HOUR, chance)
    lives += spread(540, edge + HOUR, NOON - 2 * HOUR, chance)
    async with Stage(lives, report, chance=chance) as stage:
        await stage.summarize(session_time__gte="90d", max_requests=6)
        for minutes in (30, 20, 2, 2, 2):
            await stage.pass_by(minutes=minutes)
            await stage.summarize(session_time__gte="90d")
        await stage.pass_by(hours=3)
        await stage.summarize(session_time__gte=written(edge), max_requests=200)


async def edges_of_90_days(report: Report) -> None:
    """The oldest five minutes of 90 days count, and a slow call stays complete."""
    chance = Random(3)
    edge = NOON - 90 * DAY
    lives = spread(6, edge + 70 * SECOND, edge + 5 * MINUTE, chance)
    lives += spread(200, edge + HOUR, NOON - 2 * HOUR, chance)
    async with Stage(lives, report, chance=chance) as stage:
        await stage.summarize(session_time__gte="90d", max_requests=100)
        await stage.pass_by(minutes=1.1)
        await stage.page_through(session_time__gte="90d", pause=7)
    async with Stage(lives, report, chance=chance, latency=(2.0, 3.0)) as stage:
        await stage.summarize(session_time__gte="90d", max_requests=100)
        await stage.pass_by(minutes=1.1)
        await stage.page_through(session_time__gte="90d", pause=7)


async def wrong_clock(report: Report) -> None:
    """A clock that is slow, a day ahead and then corrected, or two hours ahead without a Date."""
    chance = Random(4)
    busy = spread(260, NOON - 2 * HOUR, NOON, chance)
    async with Stage(busy, report, chance=chance, skews=(-20 * MINUTE,)) as stage:
        await stage.page_through(session_time__gte="15m")
        await stage.summarize(session_time__gte="24h", max_requests=100)
        edge = written(NOON - 25 * MINUTE)
        await stage.page_through(session_time__gte=edge)
    busy += spread(60, NOON, NOON + 8 * HOUR, chance)
    late = [replace(each, charged_at=each.created_at + 50 * MINUTE) for each in busy]
    async with Stage(late, report, chance=chance, skews=(DAY,)) as stage:
        for hours in (0, 2, 4):
            await stage.pass_by(hours=hours)
            await stage.summarize(session_time__gte="24h", max_requests=100)
            stage.skews[0] = ZERO
    async with Stage(late, report, chance=chance, skews=(2 * HOUR,), is_dated=False) as stage:
        window = between(NOON - 3 * HOUR, NOON - 5 * MINUTE)
        await stage.summarize(**window, max_requests=100)
        await stage.pass_by(days=1)
        await stage.summarize(**window)
        for each in late[200:260:6]:
            await stage.get(each.uuid)


async def now_is_minutes_old(report: Report) -> None:
    """Asked again 13 minutes later, a window that ends now has what came since."""
    chance = Random(5)
    lives = spread(142, NOON - 20 * HOUR, NOON - HOUR, chance)
    lives += spread(300, NOON + MINUTE, NOON + 3 * MINUTE, chance)
    for length in ("24h", "7d", "90d"):
        async with Stage(lives, report, chance=chance) as stage:
            await stage.summarize(session_time__gte=length, max_requests=100)
            for _ in range(3):
                await stage.pass_by(minutes=6.5)
                await stage.summarize(session_time__gte=length)


async def next_repeats(report: Report) -> None:
    """Page after page, each row comes once: ends in the future, ties, unreadable rows, offsets."""
    chance = Random(6)
    lives = spread(300, NOON - HOUR, NOON + HOUR, chance)
    async with Stage(lives, report, chance=chance) as stage:
        await stage.page_through(
            session_time__gte="1h", session_time__lt=written(NOON + DAY), pause=20
        )
    moment = NOON - 5 * HOUR
    ties = [
        replace(each, created_at=moment) for each in spread(70, moment, moment + SECOND, chance)
    ]
    rest = spread(50, NOON - 6 * HOUR, NOON - 4 * HOUR, chance)
    window = between(NOON - DAY, NOON - 3 * HOUR)
    async with Stage([*ties, *rest], report, chance=chance) as stage:
        first = await stage.page_through(**window, most=2)
        await stage.summarize(**window, max_requests=50)
        await stage.pass_by(minutes=1.1)
        await stage.page_on(first)
    async with Stage([*ties, *rest], report, chance=chance) as stage:
        for offset in (10, 33):
            await stage.page_through(session_time__gte="24h", offset=offset)
    unreadable = [
        replace(each, unreadable=(each.created_at, NOON + DAY)) if number == 3 else each
        for number, each in enumerate(reversed(rest))
    ]
    async with Stage([*ties, *unreadable], report, chance=chance) as stage:
        await stage.page_through(session_time__gte="24h")
    edge = NOON - 90 * DAY
    old = spread(30, edge + 45 * SECOND, edge + 75 * SECOND, chance)
    async with Stage(old, report, chance=chance) as stage:
        for number in range(20):
            await stage.call("list_verify_sessions", recipient=f"+1202555{number:04d}")
        await stage.pass_by(seconds=45)
        await stage.page_through(session_time__gte=written(stage.clock.now - 90 * DAY + SECOND))


async def zeros_of_nothing(report: Report) -> None:
    """A window beyond the reach has no figures."""
    chance = Random(7)
    edge = NOON - 90 * DAY
    lives = spread(60, edge - HOUR, edge + HOUR, chance)
    async with Stage(lives, report, chance=chance) as stage:
        for end in (edge - DAY, edge + 3 * MINUTE, edge - MINUTE):
            start = written(end - HOUR)
            await stage.summarize(session_time__gte=start, session_time__lt=written(end))
            await stage.page_through(session_time__gte=start, session_time__lt=written(end))
            await stage.pass_by(minutes=1)


SCENARIOS: dict[str, tuple[Scenario, ...]] = {
    "p01": (stale_kept_as_final, suspended_walk, older_over_newer),
    "p02": (count_outlives_reach,),
    "p03": (edges_of_90_days,),
    "p04": (wrong_clock,),
    "p05": (now_is_minutes_old,),
    "p06": (next_repeats,),
    "p07": (zeros_of_nothing,),
    "p08": (groups_of_a_part,),
    "p09": (ask_as_applied, ask_again),
    "p10": (rare_events,),
    "p11": (late_and_unreadable,),
}


async def play(name: str) -> Report:
    """What the scenarios of one point find."""
    report = Report()
    for scenario in SCENARIOS[name]:
        report.trace = f"--scenario {name}: {scenario.__name__}"
        await scenario(report)
    report.violations += report.odds.violations()
    return report
