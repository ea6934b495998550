"""Questions about money: exact amounts, in the account's currency."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from evals import truths
from evals.question import Answer, Question, compare, number, row_of, summarize, table, top
from evals.world import World
from verify_mcp.emulator import SessionRecord

WEEK, MONTH = timedelta(days=7), timedelta(days=30)


def charge(records: Iterable[SessionRecord], channel: str, status: str) -> Decimal:
    """What the attempts of one kind cost."""
    found = (attempt for record in records for attempt in truths.attempts(record))
    return sum(
        (
            attempt.charge
            for attempt in found
            if (attempt.channel, attempt.status) == (channel, status)
        ),
        Decimal(0),
    )


def by_country(world: World) -> dict[str, list[SessionRecord]]:
    """The sessions of the last 30 days by country."""
    return truths.group(world.sessions(MONTH), lambda each: each.country or "?")


def by_day(world: World) -> dict[str, list[SessionRecord]]:
    """The sessions of the last 7 days by day, UTC."""
    return truths.group(world.sessions(WEEK), lambda each: f"{each.created_at:%Y-%m-%d}")


def charge_in(answer: Answer, status: str) -> Decimal:
    """The charge of an attempt status."""
    return number(row_of(answer, attempt_status=status)["charge"])


QUESTIONS = (
    Question(
        "finance-total",
        "finance",
        "What did our verifications cost in the last 30 days?",
        lambda world: {"cost": truths.cost(world.sessions(MONTH))},
        (summarize("30d"),),
        lambda answers: {"cost": number(answers[0]["cost"])},
    ),
    Question(
        "finance-total-fr",
        "finance",
        "Combien nos vérifications ont-elles coûté ces 7 derniers jours ?",
        lambda world: {"cost": truths.cost(world.sessions(WEEK))},
        (summarize("7d"),),
        lambda answers: {"cost": number(answers[0]["cost"])},
        language="fr",
    ),
    Question(
        "finance-per-verified",
        "finance",
        "What does a verified session cost us, over the last 7 days?",
        lambda world: {"cost": truths.cost_per_verified(world.sessions(WEEK))},
        (summarize("7d"),),
        lambda answers: {"cost": number(answers[0]["cost_per_verified"])},
    ),
    Question(
        "finance-dearest-country",
        "finance",
        "Which country cost the most in the last 30 days, and how much?",
        lambda world: {
            "country": truths.best(by_country(world), truths.cost),
            "cost": max(map(truths.cost, by_country(world).values())),
        },
        (summarize("30d", "country"),),
        lambda answers: {
            "country": top(answers[0], "cost")["country"],
            "cost": number(top(answers[0], "cost")["cost"]),
        },
    ),
    Question(
        "finance-dear-per-verified",
        "finance",
        "In which country with at least 20 sessions is a verified session dearest (30 days)?",
        lambda world: {
            "country": truths.best(by_country(world), truths.cost_per_verified, least=20)
        },
        (summarize("30d", "country"),),
        lambda answers: {"country": top(answers[0], "cost_per_verified", least=20)["country"]},
    ),
    Question(
        "finance-undelivered",
        "finance",
        "What did SMS that were undelivered or failed cost in the last 30 days?",
        lambda world: {
            "cost": charge(world.sessions(MONTH), "sms", "undelivered")
            + charge(world.sessions(MONTH), "sms", "failed")
        },
        (summarize("30d", "attempt_status", top=50),),
        lambda answers: {
            "cost": charge_in(answers[0], "sms undelivered") + charge_in(answers[0], "sms failed")
        },
    ),
    Question(
        "finance-expired",
        "finance",
        "How much did we spend on sessions that expired in the last 7 days?",
        lambda world: {"cost": truths.expired_cost(world.sessions(WEEK))},
        (summarize("7d"),),
        lambda answers: {"cost": number(answers[0]["expired_cost"])},
    ),
    Question(
        "finance-dearest-day",
        "finance",
        "Which day (UTC) of the last 7 days cost the most?",
        lambda world: {"day": truths.best(by_day(world), truths.cost)},
        (summarize("7d", "day", time_zone="UTC"),),
        lambda answers: {"day": top(answers[0], "cost")["day"]},
    ),
    Question(
        "finance-calls",
        "finance",
        "What did answered voice calls cost in the last 30 days?",
        lambda world: {"cost": charge(world.sessions(MONTH), "voice", "answer")},
        (summarize("30d", "attempt_status", top=50),),
        lambda answers: {"cost": charge_in(answers[0], "voice answer")},
    ),
    Question(
        "finance-change",
        "finance",
        "By how much did cost change in the last 7 days against the 7 days before?",
        lambda world: {
            "before": truths.cost(world.sessions(2 * WEEK, WEEK)),
            "after": truths.cost(world.sessions(WEEK)),
        },
        (compare("7d", by="country"),),
        lambda answers: {
            side: number(row_of(answers[0], figure="cost")[side]) for side in ("before", "after")
        },
    ),
    Question(
        "finance-ten-countries",
        "finance",
        "In how many countries did we have sessions in the last 30 days?",
        lambda world: {"countries": len(by_country(world))},
        (summarize("30d", "country"),),
        lambda answers: {"countries": len(table(answers[0]))},
    ),
)
