"""Questions of product people: conversion, channels, what changed."""

from datetime import timedelta
from decimal import Decimal

from evals import truths
from evals.question import Question, compare, number, row_of, summarize, table, top
from evals.world import World
from verify_mcp.emulator import SessionRecord

WEEK, MONTH, FOUR_WEEKS = timedelta(days=7), timedelta(days=30), timedelta(days=28)
ENOUGH = 40


def fallbacks(world: World) -> int:
    """Sessions that began on another channel and came to a call."""
    paths = map(truths.path, world.sessions(MONTH))
    return sum("voice" in path and path[0] != "voice" for path in paths)


def first_try(world: World) -> Decimal:
    """Verified with a single attempt, of the sessions that ended, in per cent."""
    ended = [each for each in world.sessions(MONTH) if truths.status(each) != "in-progress"]
    single = sum(
        truths.status(each) == "verified" and len(truths.attempts(each)) == 1 for each in ended
    )
    return (Decimal(100 * single) / len(ended)).quantize(Decimal("0.01"))


def median_gap(world: World) -> int:
    """The seconds from the first attempt to the second, in the (lower) median."""
    pairs = [truths.attempts(each)[:2] for each in world.sessions(MONTH)]
    gaps = sorted((pair[1].time - pair[0].time).total_seconds() for pair in pairs if pair[1:])
    return int(gaps[(len(gaps) - 1) // 2] + 0.5)


def country(record: SessionRecord) -> str:
    """A session's country, as the account tells it."""
    return record.country or "?"


def brand(record: SessionRecord) -> str:
    """A session's brand, which the API tells with attempts only."""
    return record.brand_name if truths.attempts(record) else "?"


QUESTIONS = (
    Question(
        "product-conversion",
        "product",
        "What was our conversion in the last 7 days?",
        lambda world: {"conversion": truths.conversion(world.sessions(WEEK))},
        (summarize("7d"),),
        lambda answers: {"conversion": number(answers[0]["conversion_pct"])},
    ),
    Question(
        "product-conversion-hi",
        "product",
        "पिछले 7 दिनों में हमारी कन्वर्ज़न दर कितनी रही?",
        lambda world: {"conversion": truths.conversion(world.sessions(WEEK))},
        (summarize("7d"),),
        lambda answers: {"conversion": number(answers[0]["conversion_pct"])},
        language="hi",
    ),
    Question(
        "product-worst-country",
        "product",
        f"Which country with at least {ENOUGH} sessions converted worst in the last 30 days?",
        lambda world: {
            "country": truths.best(
                truths.group(world.sessions(MONTH), country),
                truths.conversion,
                least=ENOUGH,
                lowest=True,
            )
        },
        (summarize("30d", "country"),),
        lambda answers: {
            "country": top(answers[0], "conversion_pct", least=ENOUGH, lowest=True)["country"]
        },
    ),
    Question(
        "product-channels",
        "product",
        "How do SMS and voice convert in the last 30 days?",
        lambda world: {
            name: truths.conversion(truths.group(world.sessions(MONTH), truths.channel)[name])
            for name in ("sms", "voice")
        },
        (summarize("30d", "channel"),),
        lambda answers: {
            name: number(row_of(answers[0], channel=name)["conversion_pct"])
            for name in ("sms", "voice")
        },
    ),
    Question(
        "product-rescued",
        "product",
        "How many sessions of the last 30 days were saved by a second channel?",
        lambda world: {"rescued": sum(map(truths.is_rescued, world.sessions(MONTH)))},
        (summarize("30d"),),
        lambda answers: {"rescued": answers[0]["rescued"]},
    ),
    Question(
        "product-fallback",
        "product",
        "How many sessions of the last 30 days needed the fallback to a voice call?",
        lambda world: {"sessions": fallbacks(world)},
        (summarize("30d", "path", top=200),),
        lambda answers: {
            "sessions": sum(
                int(row["sessions"])
                for row in table(answers[0])
                if "voice" in row["path"].split(">")[1:] and not row["path"].startswith("voice")
            )
        },
    ),
    Question(
        "product-first-try",
        "product",
        "What share of the ended sessions verified with a single attempt in the last 30 days?",
        lambda world: {"share": first_try(world)},
        (summarize("30d", "tries", show=["first_try_pct"]),),
        lambda answers: {"share": number(answers[0]["first_try_pct"])},
    ),
    Question(
        "product-gap",
        "product",
        "How many seconds lie between the first and the second attempt, in the median of the last "
        "30 days?",
        lambda world: {"seconds": median_gap(world)},
        (summarize("30d", "tries", show=["gap_s"]),),
        lambda answers: {"seconds": int(answers[0]["gap_s"])},
    ),
    Question(
        "product-attempts",
        "product",
        "How many attempts were made for how many sessions in the last 7 days?",
        lambda world: {
            "attempts": sum(len(truths.attempts(each)) for each in world.sessions(WEEK)),
            "sessions": len(world.sessions(WEEK)),
        },
        (summarize("7d"),),
        lambda answers: {
            "attempts": answers[0]["attempts"],
            "sessions": answers[0]["sessions"],
        },
    ),
    Question(
        "product-busiest-hour",
        "product",
        "At which hour of the day (UTC) do most sessions of the last 28 days begin?",
        lambda world: {
            "hour": truths.best(
                truths.group(world.sessions(FOUR_WEEKS), lambda each: f"{each.created_at:%H}:00"),
                truths.size,
            )
        },
        (summarize("28d", "hour_of_day", time_zone="UTC", top=24),),
        lambda answers: {"hour": top(answers[0], "sessions")["hour_of_day"]},
    ),
    Question(
        "product-weekday",
        "product",
        "On which weekday (UTC) was conversion lowest in the last 28 days?",
        lambda world: {
            "weekday": truths.best(
                truths.group(world.sessions(FOUR_WEEKS), lambda each: f"{each.created_at:%a}"),
                truths.conversion,
                lowest=True,
            )
        },
        (summarize("28d", "weekday", time_zone="UTC"),),
        lambda answers: {"weekday": top(answers[0], "conversion_pct", lowest=True)["weekday"]},
    ),
    Question(
        "product-what-changed",
        "product",
        "What was conversion in the last 7 days and in the 7 days before?",
        lambda world: {
            "before": truths.conversion(world.sessions(2 * WEEK, WEEK)),
            "after": truths.conversion(world.sessions(WEEK)),
        },
        (compare("7d"),),
        lambda answers: {
            side: number(row_of(answers[0], figure="conversion_pct")[side])
            for side in ("before", "after")
        },
    ),
    Question(
        "product-brand",
        "product",
        "Which brand had the most sessions in the last 30 days, and how many?",
        lambda world: {
            "brand": truths.best(truths.group(world.sessions(MONTH), brand), truths.size),
            "sessions": max(map(len, truths.group(world.sessions(MONTH), brand).values())),
        },
        (summarize("30d", "brand"),),
        lambda answers: {
            "brand": top(answers[0], "sessions")["brand"],
            "sessions": int(top(answers[0], "sessions")["sessions"]),
        },
    ),
)
