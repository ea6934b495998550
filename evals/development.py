"""Questions of developers: ids, limits, what the data has."""

from datetime import timedelta

from evals import truths
from evals.question import Call, Question, get, get_latest, list_, row_of, summarize
from evals.world import NOW, World
from verify_mcp.emulator import APPS, ASHA_SESSION, BEN, BEN_SESSION, SessionRecord

DAY, WEEK = timedelta(days=1), timedelta(days=7)
APP = APPS[0].uuid


def is_of_app(record: SessionRecord) -> bool:
    """Whether a session is of the first app."""
    return record.app_uuid == APP


def undelivered(world: World) -> int:
    """The SMS of the last week that were not delivered."""
    found = (attempt for record in world.sessions(WEEK) for attempt in truths.attempts(record))
    return sum((each.channel, each.status) == ("sms", "undelivered") for each in found)


QUESTIONS = (
    Question(
        "development-app",
        "development",
        f"How many sessions did the app {APP} have in the last 24 hours?",
        lambda world: {"sessions": len(world.sessions(DAY, where=is_of_app))},
        (summarize("24h", app_uuid=APP),),
        lambda answers: {"sessions": answers[0]["sessions"]},
    ),
    Question(
        "development-attempt-ids",
        "development",
        f"Plivo's support asks for the ids of the failed messages to +{BEN} today. Which are they?",
        lambda world: {
            "ids": tuple(
                each.uuid for each in world.find(BEN_SESSION).attempts if each.status == "failed"
            )
        },
        (list_(recipient=f"+{BEN}"), get_latest),
        lambda answers: {
            "ids": tuple(
                each["attempt_uuid"]
                for each in answers[1]["attempts"]
                if each["status"] == "failed"
            )
        },
    ),
    Question(
        "development-reach",
        "development",
        "We look for a session of 120 days ago. From which day on can the tools see sessions?",
        lambda _world: {"day": f"{NOW - timedelta(days=90):%Y-%m-%d}"},
        (list_(session_time__gte="120d", limit=1),),
        lambda answers: {"day": answers[0]["missing"][0].partition(" to ")[2][:10]},
    ),
    Question(
        "development-quota",
        "development",
        "How long may a call wait for its turn with the present settings, in seconds?",
        lambda _world: {"seconds": 20},
        (Call("get_verify_status", {"about": "settings"}),),
        lambda answers: {"seconds": answers[0]["settings"]["max_wait_s"]},
    ),
    Question(
        "development-first-channel",
        "development",
        f"Over which channel did the first attempt of session {ASHA_SESSION} go?",
        lambda world: {"channel": truths.attempts(world.find(ASHA_SESSION))[0].channel},
        (get(ASHA_SESSION),),
        lambda answers: {"channel": answers[0]["attempts"][0]["channel"]},
    ),
    Question(
        "development-undelivered",
        "development",
        "How many SMS attempts ended as undelivered in the last 7 days?",
        lambda world: {"attempts": undelivered(world)},
        (summarize("7d", "attempt_status"),),
        lambda answers: {
            "attempts": int(row_of(answers[0], attempt_status="sms undelivered")["attempts"])
        },
    ),
)
