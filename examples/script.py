"""What a model would do with the examples' question, written down: two calls, then an answer.

It stands in for a model, so that each example runs without a key. It needs no package at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

QUESTION = "+91 93800 13443 says that no code came. Why?"
INSTRUCTIONS = (
    "Answer from the tools only, in three sentences at most. If an answer has complete: false, say "
    "what is missing. A delivery report is no proof that a person saw the code."
)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that the model wants made."""

    tool: str
    arguments: dict[str, Any]


def next_step(answers: Sequence[Mapping[str, Any]]) -> Call | str:
    """The next call, or the final words, after the tools' answers so far."""
    if not answers:
        recipient = QUESTION.partition(" says")[0]
        return Call("list_verify_sessions", {"recipient": recipient, "session_time__gte": "7d"})
    if len(answers) == 1:
        listed = answers[0]
        sessions = [dict(zip(listed["columns"], row, strict=True)) for row in listed["rows"]]
        unused = [each["session"] for each in sessions if each["status"] == "expired"]
        if not unused:
            return "No session of the last 7 days expired."
        return Call("get_verify_session", {"session_uuid": unused[0]})
    latest = answers[-1]
    return f"{latest['summary']} So the networks report; it is no proof that anybody saw the code."
