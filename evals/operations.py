"""Questions of operations: what broke, where, since when, and how much is going on."""

from datetime import timedelta

from evals import truths
from evals.question import Question, anomalies, list_, number, row_of, summarize, table, top
from evals.world import NOW, World
from verify_mcp.emulator import (
    INCIDENT_COUNTRY,
    INCIDENT_NETWORK,
    SessionRecord,
    incident_span,
)

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
START, END = incident_span(NOW)
BEGIN_TEXT, END_TEXT = f"{START:%Y-%m-%d %H:%M}", f"{END:%Y-%m-%d %H:%M}"
YESTERDAY, TODAY = f"{START:%Y-%m-%d}", f"{START + DAY:%Y-%m-%d}"


def in_incident(record: SessionRecord) -> bool:
    """Whether a session is of the country and the hours of the incident."""
    return record.country == INCIDENT_COUNTRY and START <= record.created_at < END


def undelivered(world: World) -> int:
    """The SMS of the incident's network that were not delivered in its hours."""
    found = [
        attempt
        for record in world.sessions(2 * DAY, where=in_incident)
        if record.network == INCIDENT_NETWORK
        for attempt in truths.attempts(record)
    ]
    return sum((each.channel, each.status) == ("sms", "undelivered") for each in found)


def by_hour(world: World) -> dict[str, list[SessionRecord]]:
    """The sessions of yesterday by hour, UTC."""
    found = world.sessions(2 * DAY, where=lambda each: f"{each.created_at:%Y-%m-%d}" == YESTERDAY)
    return truths.group(found, lambda each: f"{each.created_at:%Y-%m-%d %H}:00")


def by_day(world: World) -> dict[str, list[SessionRecord]]:
    """The sessions of the last 7 days by day, UTC."""
    return truths.group(world.sessions(WEEK), lambda each: f"{each.created_at:%Y-%m-%d}")


INCIDENT = {"session_time__lt": END_TEXT, "country": INCIDENT_COUNTRY}
QUESTIONS = (
    Question(
        "operations-sms-broke",
        "operations",
        "Where did SMS break since yesterday, country and network?",
        lambda _world: {"country": INCIDENT_COUNTRY, "network": INCIDENT_NETWORK},
        (anomalies(YESTERDAY, "delivery"),),
        lambda answers: {
            "country": table(answers[0])[0]["where"].split()[0],
            "network": table(answers[0])[0]["where"].split()[1],
        },
    ),
    Question(
        "operations-since-when",
        "operations",
        f"Since which hour (UTC) did SMS in {INCIDENT_COUNTRY} fail yesterday?",
        lambda _world: {"hour": f"{START:%H}"},
        (anomalies(YESTERDAY, "delivery", country=INCIDENT_COUNTRY),),
        lambda answers: {"hour": table(answers[0])[0]["from"][6:8]},
    ),
    Question(
        "operations-undelivered",
        "operations",
        f"How many SMS on {INCIDENT_NETWORK} in {INCIDENT_COUNTRY} were undelivered from "
        f"{BEGIN_TEXT} to {END_TEXT} UTC?",
        lambda world: {"attempts": undelivered(world)},
        (summarize(BEGIN_TEXT, "network", "attempt_status", top=50, **INCIDENT),),
        lambda answers: {
            "attempts": int(
                row_of(answers[0], network=INCIDENT_NETWORK, attempt_status="sms undelivered")[
                    "attempts"
                ]
            )
        },
    ),
    Question(
        "operations-incident-de",
        "operations",
        f"Wie hoch war die Konversion in {INCIDENT_COUNTRY} von {BEGIN_TEXT} bis {END_TEXT} UTC?",
        lambda world: {"conversion": truths.conversion(world.sessions(2 * DAY, where=in_incident))},
        (summarize(BEGIN_TEXT, "country", session_time__lt=END_TEXT),),
        lambda answers: {
            "conversion": number(row_of(answers[0], country=INCIDENT_COUNTRY)["conversion_pct"])
        },
        language="de",
    ),
    Question(
        "operations-worst-hour",
        "operations",
        "Which hour of yesterday (UTC) with at least 10 sessions converted worst?",
        lambda world: {
            "hour": truths.best(by_hour(world), truths.conversion, least=10, lowest=True)[11:]
        },
        (summarize(YESTERDAY, "hour", session_time__lt=TODAY, time_zone="UTC"),),
        lambda answers: {
            "hour": top(answers[0], "conversion_pct", least=10, lowest=True)["hour"][6:]
        },
    ),
    Question(
        "operations-in-progress",
        "operations",
        "How many sessions are in progress right now?",
        lambda world: {"sessions": truths.count(world.sessions(DAY), "in-progress")},
        (list_(status="in-progress"),),
        lambda answers: {"sessions": answers[0]["total"]},
    ),
    Question(
        "operations-busiest-day",
        "operations",
        "Which day (UTC) of the last 7 days had the most sessions, and how many?",
        lambda world: {
            "day": truths.best(by_day(world), truths.size),
            "sessions": max(map(len, by_day(world).values())),
        },
        (summarize("7d", "day", time_zone="UTC"),),
        lambda answers: {
            "day": top(answers[0], "sessions")["day"],
            "sessions": int(top(answers[0], "sessions")["sessions"]),
        },
    ),
    Question(
        "operations-last-hour",
        "operations",
        "How many sessions began in the last hour, and how many of them are verified?",
        lambda world: {
            "sessions": len(world.sessions(HOUR)),
            "verified": truths.count(world.sessions(HOUR), "verified"),
        },
        (summarize("1h"),),
        lambda answers: {
            "sessions": answers[0]["sessions"],
            "verified": answers[0]["verified"],
        },
    ),
)
