"""Questions about fraud: who pumps, where, and what it cost."""

from datetime import timedelta

from evals import truths
from evals.question import Question, anomalies, number, row_of, summarize, table, top
from evals.world import NOW, World
from verify_mcp.emulator import BURST_COUNTRY, BURST_PREFIX, SessionRecord, burst_span

WEEK, MONTH = timedelta(days=7), timedelta(days=30)
BURST_DAY = f"{burst_span(NOW)[0]:%Y-%m-%d}"
DAY_AFTER = f"{burst_span(NOW)[0] + timedelta(days=1):%Y-%m-%d}"


def is_there(record: SessionRecord) -> bool:
    """Whether a session is of the country of the burst."""
    return record.country == BURST_COUNTRY


def on_burst_day(record: SessionRecord) -> bool:
    """Whether a session is of that country and of the day of the burst."""
    return is_there(record) and f"{record.created_at:%Y-%m-%d}" == BURST_DAY


def burst_week(world: World) -> tuple[SessionRecord, ...]:
    """The sessions of that country in the last week."""
    return world.sessions(WEEK, where=is_there)


def pumped(world: World) -> tuple[SessionRecord, ...]:
    """The sessions of the burst."""
    return world.sessions(WEEK, where=lambda each: each.recipient.startswith(BURST_PREFIX))


QUESTIONS = (
    Question(
        "fraud-pumping",
        "fraud",
        "Is somebody pumping our SMS? Look at the last 7 days: which country and which prefix?",
        lambda _world: {"country": BURST_COUNTRY, "prefix": BURST_PREFIX},
        (anomalies("7d", "pumping"),),
        lambda answers: {
            "country": table(answers[0])[0]["where"][:2],
            "prefix": next(
                word.strip("+*")[: len(BURST_PREFIX)]
                for word in table(answers[0])[0]["where"].split()
                if word.endswith("*")
            ),
        },
    ),
    Question(
        "fraud-pumping-size",
        "fraud",
        "If somebody pumped our SMS in the last 7 days: how many sessions was that, to how many "
        "different numbers, and what did it cost?",
        lambda world: {
            "sessions": len(pumped(world)),
            "recipients": len({each.recipient for each in pumped(world)}),
            "cost": truths.cost(pumped(world)),
        },
        (anomalies("7d", "pumping"),),
        lambda answers: {
            "sessions": int(table(answers[0])[0]["sessions"]),
            "recipients": int(table(answers[0])[0]["recipients"]),
            "cost": number(table(answers[0])[0]["cost"]),
        },
    ),
    Question(
        "fraud-prefix",
        "fraud",
        f"Which prefix (number without its last four digits) in {BURST_COUNTRY} had the most "
        "sessions in the last 7 days, and how many?",
        lambda world: {
            "prefix": truths.best(
                truths.group(burst_week(world), lambda each: each.recipient[:-4]), truths.size
            ),
            "sessions": max(
                map(len, truths.group(burst_week(world), lambda each: each.recipient[:-4]).values())
            ),
        },
        (summarize("7d", "prefix", country=BURST_COUNTRY),),
        lambda answers: {
            "prefix": top(answers[0], "sessions")["prefix"].strip("+*"),
            "sessions": int(top(answers[0], "sessions")["sessions"]),
        },
    ),
    Question(
        "fraud-cost-of-day",
        "fraud",
        f"What did all sessions to {BURST_COUNTRY} cost on {BURST_DAY} (UTC)?",
        lambda world: {"cost": truths.cost(world.sessions(WEEK, where=on_burst_day))},
        (summarize(BURST_DAY, "country", session_time__lt=DAY_AFTER, time_zone="UTC"),),
        lambda answers: {"cost": number(row_of(answers[0], country=BURST_COUNTRY)["cost"])},
    ),
    Question(
        "fraud-numbers",
        "fraud",
        f"How many different numbers in {BURST_COUNTRY} asked for codes in the last 7 days?",
        lambda world: {"recipients": len({each.recipient for each in burst_week(world)})},
        (summarize("7d", country=BURST_COUNTRY),),
        lambda answers: {"recipients": answers[0]["recipients"]},
    ),
    Question(
        "fraud-conversion",
        "fraud",
        f"How did {BURST_COUNTRY} convert on {BURST_DAY} (UTC)?",
        lambda world: {"conversion": truths.conversion(world.sessions(WEEK, where=on_burst_day))},
        (summarize(BURST_DAY, "country", session_time__lt=DAY_AFTER, time_zone="UTC"),),
        lambda answers: {
            "conversion": number(row_of(answers[0], country=BURST_COUNTRY)["conversion_pct"])
        },
    ),
    Question(
        "fraud-top-recipient",
        "fraud",
        "How many sessions did the number with the most of them have in the last 30 days?",
        lambda world: {
            "sessions": max(
                map(len, truths.group(world.sessions(MONTH), lambda e: e.recipient).values())
            )
        },
        (summarize("30d", "recipient"),),
        lambda answers: {"sessions": int(top(answers[0], "sessions")["sessions"])},
    ),
    Question(
        "fraud-wasted",
        "fraud",
        f"How much did sessions to {BURST_COUNTRY} cost that expired in the last 30 days?",
        lambda world: {"cost": truths.expired_cost(world.sessions(MONTH, where=is_there))},
        (summarize("30d", country=BURST_COUNTRY),),
        lambda answers: {"cost": number(answers[0]["expired_cost"])},
    ),
)
