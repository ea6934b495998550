"""Questions of support: one person, one session."""

from datetime import timedelta

from evals import truths
from evals.question import Question, Value, get, get_latest, list_, number, summarize, table
from evals.world import World
from verify_mcp.emulator import (
    ASHA,
    ASHA_SESSION,
    ASHA_VERIFIED_SESSION,
    BEN,
    BEN_SESSION,
)
from verify_mcp.emulator.attempt_records import message

WEEK, MONTH = timedelta(days=7), timedelta(days=30)
ASHA_NUMBER, BEN_NUMBER = f"+{ASHA}", f"+{BEN}"


def latest_of_asha(world: World) -> dict[str, Value]:
    """Asha's last session: how it ended, and what its attempts reported."""
    record = world.find(ASHA_SESSION)
    return {
        "status": truths.status(record),
        "attempts": len(truths.attempts(record)),
        "reported": tuple(sorted({attempt.status for attempt in truths.attempts(record)})),
    }


def error_of_ben(world: World) -> dict[str, Value]:
    """The error code of the last message to Ben."""
    record = world.find(BEN_SESSION)
    failed = [attempt for attempt in record.attempts if attempt.status == "failed"]
    codes = {str(message(record, attempt, attempt.time + WEEK)["error_code"]) for attempt in failed}
    return {"codes": tuple(sorted(codes))}


ASHA_LATEST = (list_(recipient=ASHA_NUMBER, session_time__gte="7d"), get_latest)
QUESTIONS = (
    Question(
        "support-no-code",
        "support",
        f"{ASHA_NUMBER} says that no code came today. What happened?",
        latest_of_asha,
        ASHA_LATEST,
        lambda answers: {
            "status": answers[1]["status"],
            "attempts": len(answers[1]["attempts"]),
            "reported": tuple(sorted({each["status"] for each in answers[1]["attempts"]})),
        },
    ),
    Question(
        "support-no-code-es",
        "support",
        f"¿Qué pasó con el último código de {ASHA_NUMBER}? Dice que no le llegó.",
        lambda world: {"attempts": len(world.find(ASHA_SESSION).attempts)},
        ASHA_LATEST,
        lambda answers: {"attempts": len(answers[1]["attempts"])},
        language="es",
    ),
    Question(
        "support-why-failed",
        "support",
        f"Which error code did the carrier's record give for the failed SMS to {BEN_NUMBER} today?",
        error_of_ben,
        (list_(recipient=BEN_NUMBER), lambda answers: get_latest(answers, delivery=True)),
        lambda answers: {
            "codes": tuple(
                sorted(
                    {
                        each["record"]["error_code"]
                        for each in answers[1]["attempts"]
                        if each["status"] == "failed"
                    }
                )
            )
        },
    ),
    Question(
        "support-got-in",
        "support",
        f"Did {BEN_NUMBER} get in today, and over which channel in the end?",
        lambda world: {
            "status": truths.status(world.find(BEN_SESSION)),
            "channel": truths.channel(world.find(BEN_SESSION)),
        },
        (list_(recipient=BEN_NUMBER),),
        lambda answers: {
            "status": table(answers[0])[0]["status"],
            "channel": table(answers[0])[0]["channel"],
        },
    ),
    Question(
        "support-wait",
        "support",
        f"How many seconds after the request did {BEN_NUMBER} get the call today?",
        lambda world: {
            "seconds": round(
                (
                    truths.attempts(world.find(BEN_SESSION))[-1].time
                    - world.find(BEN_SESSION).created_at
                ).total_seconds()
            )
        },
        (list_(recipient=BEN_NUMBER),),
        lambda answers: {
            "seconds": int(table(answers[0])[0]["attempts"].rpartition("+")[2].rstrip("s"))
        },
    ),
    Question(
        "support-last-success",
        "support",
        f"When was {ASHA_NUMBER} last verified, in UTC?",
        lambda world: {"time": f"{world.find(ASHA_VERIFIED_SESSION).created_at:%H:%M}"},
        (list_(recipient=ASHA_NUMBER, status="verified", session_time__gte="30d"),),
        lambda answers: {"time": table(answers[0])[0]["created"][6:11]},
    ),
    Question(
        "support-how-often",
        "support",
        f"How many codes did {ASHA_NUMBER} ask for in the last 30 days, and how many verified?",
        lambda world: {
            "sessions": len(world.sessions(MONTH, where=lambda each: each.recipient == ASHA)),
            "verified": truths.count(
                world.sessions(MONTH, where=lambda each: each.recipient == ASHA), "verified"
            ),
        },
        (summarize("30d", recipient=ASHA_NUMBER),),
        lambda answers: {
            "sessions": answers[0]["sessions"],
            "verified": answers[0]["verified"],
        },
    ),
    Question(
        "support-cost-of-session",
        "support",
        f"What did session {ASHA_SESSION} cost?",
        lambda world: {"cost": truths.cost_of(world.find(ASHA_SESSION))},
        (get(ASHA_SESSION),),
        lambda answers: {"cost": number(answers[0]["cost"])},
    ),
)
