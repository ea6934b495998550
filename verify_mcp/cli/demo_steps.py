"""The demo's questions: the tool calls for each, and how its answers are put into words."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from verify_mcp.emulator import ASHA, BEN_SESSION

_ARRIVED = ("delivered", "answer", "read")
"""Statuses of an attempt with which a network reports that it arrived."""

Answer = Mapping[str, Any]


class DemoFailed(Exception):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A tool call as a model makes it."""

    tool: str
    arguments: Mapping[str, object]

    def __str__(self) -> str:
        arguments = ", ".join(
            f"{name}={json.dumps(value)}" for name, value in self.arguments.items()
        )
        return f"{self.tool}({arguments})"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call, the text of its answer, and what it took at the API."""

    call: PlannedCall
    text: str
    requests: int
    raw_bytes: int
    """Bytes of the API's own replies to those requests."""
    is_error: bool = False

    @property
    def size(self) -> int:
        """Bytes of the answer."""
        return len(self.text.encode())

    @property
    def answer(self) -> Answer:
        """The answer as values; empty for an error, which is a sentence."""
        answer: Answer = {} if self.is_error else json.loads(self.text)
        return answer


Calls = Sequence[ToolCall]
NextCall = Callable[[Calls], PlannedCall]


@dataclass(frozen=True, slots=True)
class DemoStep:
    """A person's question, the calls that a model makes for it, and the words for the answers."""

    question: str
    calls: Sequence[PlannedCall | NextCall]
    conclude: Callable[[Calls], str]
    expects_error: bool = False


def expired_recently(calls: Calls) -> str:
    """The list of expired sessions in words."""
    answer = calls[0].answer
    rows = _rows(answer)
    arrived = sum(any(map(_has_arrived, row["attempts"].split("; "))) for row in rows)
    cost = sum((Decimal(row["cost"]) for row in rows if row["cost"]), Decimal(0))
    more = " More follow: `next` says how to ask for them." if "next" in answer else ""
    return (
        f"The latest {len(rows)} sessions that expired cost {cost} together. For {arrived} of "
        "them a network reported a delivery or an answered call: there the code probably arrived "
        f"and was not entered in time.{more}"
    )


def _rows(answer: Answer) -> list[dict[str, str]]:
    return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]


def _has_arrived(attempt: str) -> bool:
    """Whether a network reported the arrival of an attempt such as `sms delivered +0s`."""
    _channel, _, status = re.sub(r" [+-]\d+s$", "", attempt).partition(" ")
    return status in _ARRIVED


def latest_unverified(calls: Calls) -> PlannedCall:
    """The call for the latest session that did not end verified. Raises DemoFailed."""
    rows = _rows(calls[0].answer)
    unverified = (row["session"] for row in rows if row["status"] != "verified")
    session = next(unverified, None)
    if session is None:
        raise DemoFailed("the made-up account holds no such session.")
    return PlannedCall("get_verify_session", {"session_uuid": session})


def no_code(calls: Calls) -> str:
    """Why a person says that no code came."""
    listed, latest = (call.answer for call in calls)
    attempts = latest["attempts"]
    arrivals = ", ".join(
        f"{attempt['channel']} {attempt['status']} at {attempt['time']}"
        for attempt in attempts
        if attempt["status"] in _ARRIVED
    )
    verdict = (
        f"the network does report arrivals ({arrivals}), but the code was not entered in time"
        if arrivals
        else "no network confirmed that a code arrived"
    )
    return (
        f"{count_of(len(listed['rows']), 'session')} in 7 days. The latest one is "
        f"{latest['status']}, after {count_of(len(attempts), 'attempt')}: {verdict}. A "
        "report is no proof that a person saw or heard the code."
    )


def rescued(calls: Calls) -> str:
    """The attempts and the end of one session in words."""
    answer = calls[0].answer
    *before, last = answer["attempts"]
    failed = sum(attempt["status"] == "failed" for attempt in before)
    spent = sum((Decimal(attempt["charge"]) for attempt in before), Decimal(0))
    return (
        f"{count_of(failed, 'attempt')} failed first (charged: {spent}). Then came one by "
        f"{last['channel']} ({last['status']}, at {last['time']} UTC), and the session ended "
        f"{answer['status']}. It cost {answer['cost']}, {answer['validation_cost']} of it for the "
        "verification."
    )


def refusal(calls: Calls) -> str:
    """What happens to a misspelt filter."""
    misspelt = next(iter(calls[0].call.arguments))
    return (
        f"`{misspelt}` is not a filter. Ignoring it would have shown every session as if it had "
        f"expired. The call was refused instead, at the cost of {calls[0].requests} requests, and "
        "the model reads what to write."
    )


def steps() -> tuple[DemoStep, ...]:
    """The steps of the demo, in order."""
    number = f"+{ASHA[:2]} {ASHA[2:7]} {ASHA[7:]}"
    list_tool = "list_verify_sessions"
    return (
        DemoStep(
            "Which codes expired lately without being used?",
            [PlannedCall(list_tool, {"status": "expired", "limit": 5})],
            expired_recently,
        ),
        DemoStep(
            f"{number} says that no code came. Why?",
            [
                PlannedCall(list_tool, {"recipient": number, "session_time__gte": "7d"}),
                latest_unverified,
            ],
            no_code,
        ),
        DemoStep(
            f"What happened in session {BEN_SESSION[:8]}?",
            [PlannedCall("get_verify_session", {"session_uuid": BEN_SESSION})],
            rescued,
        ),
        DemoStep(
            "Show me the expired ones. (Here the model misspells the filter.)",
            [PlannedCall(list_tool, {"statuss": "expired"})],
            refusal,
            expects_error=True,
        ),
    )


def count_of(number: int, noun: str) -> str:
    """A number with its noun, e.g. `2 sessions`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
