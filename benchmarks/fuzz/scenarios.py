"""One scenario for each way of being wrong that was found: named by its number."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from statistics import fmean
from typing import Any

from benchmarks.fuzz.calls import Violation
from benchmarks.fuzz.stage import Report, Stage
from benchmarks.fuzz.world import NOON, Life, spread

HOUR, DAY, MINUTE, SECOND = (timedelta(**{unit: 1}) for unit in ("hours", "days", "minutes", "seconds"))
ZERO = timedelta(0)
Scenario = Callable[[Report], Awaitable[None]]


def written(moment: Any) -> str:
    """An instant as an argument."""
    return moment.replace(tzinfo=None).isoformat(sep=" ")


async def stale_kept_as_final(report: Report) -> None:
    """Pages read before their sessions settled are not final when a later call keeps them."""
    chance = Random(1)
    lives = [
        replace(each, charged_at=each.created_at + timedelta(minutes=59, seconds=30))
        for each in spread(600, NOON - 59 * MINUTE, NOON - 49 * MINUTE, chance)
    ]
    window = {
        "session_time__gte": written(NOON - DAY),
        "session_time__lt": written(NOON - 45 * MINUTE),
    }
    async with Stage(lives, report, chance=chance) as stage:
        await stage.summarize(**window)
        stage.pass_by(minutes=12)
        for _ in range(3):
            await stage.summarize(**window)
            stage.pass_by(minutes=1.1)
        stage.pass_by(days=2)
        await stage.summarize(**window)
        for each in lives[::50]:
            await stage.get(each.uuid)


async def older_over_newer(report: Report) -> None:
    """What one server read earlier does not replace what another one read later."""
    chance = Random(11)
    lives = [
        replace(each, resolved_at=each.created_at + 50 * MINUTE, outcome="verified")
        for each in spread(600, NOON - 49 * MINUTE, NOON - 40 * MINUTE, chance)
    ]
    window = {
        "session_time__gte": written(NOON - DAY),
        "session_time__lt": written(NOON - 39 * MINUTE),
    }
    async with Stage(lives, report, chance=chance, skews=(ZERO, ZERO)).shared() as stage:
        await stage.summarize(**window)
        stage.pass_by(minutes=12)
        await stage.summarize(1, **window, max_requests=200)
        stage.pass_by(minutes=1.1)
        await stage.summarize(1, **window, max_requests=200)
        stage.pass_by(minutes=1.1)
        for _ in range(3):
            await stage.summarize(**window)
            stage.pass_by(minutes=1.1)
        await stage.summarize(1, **window)
        stage.pass_by(days=1)
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
            stage.pass_by(minutes=minutes)
            await stage.summarize(session_time__gte="90d")
        stage.pass_by(hours=3)
        await stage.summarize(session_time__gte=written(edge), max_requests=200)


async def edges_of_90_days(report: Report) -> None:
    """The oldest five minutes of 90 days count, and a slow call stays complete."""
    chance = Random(3)
    edge = NOON - 90 * DAY
    lives = spread(6, edge + 70 * SECOND, edge + 5 * MINUTE, chance)
    lives += spread(200, edge + HOUR, NOON - 2 * HOUR, chance)
    async with Stage(lives, report, chance=chance) as stage:
        await stage.summarize(session_time__gte="90d", max_requests=100)
        stage.pass_by(minutes=1.1)
        await stage.page_through(session_time__gte="90d", pause=7)
    async with Stage(lives, report, chance=chance, latency=(2.0, 3.0)) as stage:
        await stage.summarize(session_time__gte="90d", max_requests=100)
        stage.pass_by(minutes=1.1)
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
            stage.pass_by(hours=hours)
            await stage.summarize(session_time__gte="24h", max_requests=100)
            stage.skews[0] = ZERO
    async with Stage(late, report, chance=chance, skews=(2 * HOUR,), is_dated=False) as stage:
        window = {
            "session_time__gte": written(NOON - 3 * HOUR),
            "session_time__lt": written(NOON - 5 * MINUTE),
        }
        await stage.summarize(**window, max_requests=100)
        stage.pass_by(days=1)
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
                stage.pass_by(minutes=6.5)
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
    ties = [replace(each, created_at=moment) for each in spread(70, moment, moment + SECOND, chance)]
    rest = spread(50, NOON - 6 * HOUR, NOON - 4 * HOUR, chance)
    window = {"session_time__gte": written(NOON - DAY), "session_time__lt": written(NOON - 3 * HOUR)}
    async with Stage([*ties, *rest], report, chance=chance) as stage:
        first = await stage.page_through(**window, most=2)
        await stage.summarize(**window, max_requests=50)
        stage.pass_by(minutes=1.1)
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
        stage.pass_by(seconds=45)
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
            stage.pass_by(minutes=1)


async def groups_of_a_part(report: Report) -> None:
    """The groups of a counted answer cover what is held, too."""
    chance = Random(8)
    lives = spread(720, NOON - 72 * HOUR, NOON - 48 * HOUR, chance, country="US")
    lives += spread(4680, NOON - 7 * DAY, NOON - 72 * HOUR, chance, country="IN")
    async with Stage(lives, report, chance=chance) as stage:
        held = {
            "session_time__gte": written(NOON - 72 * HOUR),
            "session_time__lt": written(NOON - 48 * HOUR),
        }
        for _ in range(4):
            await stage.summarize(**held, max_requests=200)
            stage.pass_by(minutes=1.1)
        window = {
            "session_time__gte": written(NOON - 7 * DAY),
            "session_time__lt": written(NOON - 48 * HOUR),
        }
        for _ in range(3):
            await stage.summarize(**window, group_by=["country"])
            stage.pass_by(minutes=1.1)


WORLDS, TIMES = 16, 6


async def asking_again(report: Report) -> None:
    """Over some worlds, the mean width of every interval falls from call to call."""
    widths: dict[str, list[list[float]]] = {}
    for number in range(WORLDS):
        chance = Random(900 + number)
        lives = spread(3000, NOON - 5 * DAY, NOON - 3 * HOUR, chance)
        dear = {
            chance.randrange(3000): Decimal(chance.choice(("2", "5"))) for _ in range(12)
        }
        lives = [
            replace(each, validation_charge=dear[place], outcome="verified") if place in dear else each
            for place, each in enumerate(lives)
        ]
        window = {
            "session_time__gte": written(NOON - 5 * DAY),
            "session_time__lt": written(NOON - 2 * HOUR),
        }
        async with Stage(lives, report, chance=chance) as stage:
            rows: set[str] = set()
            for time in range(TIMES):
                answer = await stage.summarize(**window, group_by=["country"])
                stage.pass_by(minutes=1.1)
                for name, interval in answer.get("estimated", {}).items():
                    own = widths.setdefault(name, [[] for _ in range(TIMES)])
                    own[time].append(float(interval[1]) - float(interval[0]))
                shown = {row[0] for row in answer.get("rows", ())}
                if rows - shown:
                    report.add([Violation("vanished-group", f"{rows - shown} at call {time + 1}")])
                rows = shown
    for name, own in widths.items():
        means = [fmean(each) if each else None for each in own]
        for time, (before, after) in enumerate(zip(means, means[1:], strict=False), 2):
            if before is not None and after is not None and after > before:
                text = f"{name}: mean width {before:.3f}, then {after:.3f} at call {time}"
                report.add([Violation("wider", text)])


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
        window = {
            "session_time__gte": written(NOON - 5 * DAY),
            "session_time__lt": written(NOON - 2 * HOUR),
        }
        async with Stage(lives, report, chance=chance) as stage:
            for _ in range(3):
                await stage.summarize(**window)
                stage.pass_by(minutes=1.1)


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
    window = {
        "session_time__gte": written(NOON - DAY),
        "session_time__lt": written(NOON - 5 * MINUTE),
    }
    late = [
        replace(each, visible_at=NOON + 30 * SECOND) if number in (590, 595) else _dear(number, each)
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
                stage.pass_by(minutes=1.1)


def _dear(number: int, life: Life) -> Life:
    """Dear where a page ends: there a row is counted twice when the pages shift."""
    is_last = (597 - number) % 20 in (18, 19)
    return replace(life, validation_charge=Decimal(3), outcome="verified") if is_last else life


SCENARIOS: dict[str, tuple[Scenario, ...]] = {
    "p01": (stale_kept_as_final, older_over_newer),
    "p02": (count_outlives_reach,),
    "p03": (edges_of_90_days,),
    "p04": (wrong_clock,),
    "p05": (now_is_minutes_old,),
    "p06": (next_repeats,),
    "p07": (zeros_of_nothing,),
    "p08": (groups_of_a_part,),
    "p09": (asking_again,),
    "p10": (rare_events,),
    "p11": (late_and_unreadable,),
}


async def played(name: str) -> Report:
    """What the scenarios of one point find."""
    report = Report()
    for scenario in SCENARIOS[name]:
        report.trace = f"--scenario {name}: {scenario.__name__}"
        await scenario(report)
    report.violations += report.odds.violations()
    return report
