"""A question: its words, its true answer, and how a careful reader of the tools finds it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from evals.world import World

Answer = Mapping[str, Any]
Value = int | Decimal | str | tuple[str, ...]
"""A fact: a number, a text that has to be named, or several texts."""
Facts = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool."""

    tool: str
    arguments: dict[str, Any]


Step = Call | Callable[[Sequence[Answer]], Call]
"""A call, or what makes one from the answers before it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of one person.

    `truth` works the facts out from the account's records. `steps` and `read` are the scripted
    plan: the calls, and the facts as their answers tell them. A question without steps cannot be
    answered from the tools: an answer has to say so.
    """

    id: str
    area: str
    text: str
    truth: Callable[[World], Facts] = lambda _world: {}
    steps: tuple[Step, ...] = ()
    read: Callable[[Sequence[Answer]], Facts] = lambda _answers: {}
    language: str = "en"
    forbidden: tuple[str, ...] = field(default=())
    """Texts that no answer may have."""

    @property
    def is_answerable(self) -> bool:
        """Whether the tools know the answer."""
        return bool(self.steps)


def list_(**arguments: Any) -> Call:
    """A call of `list_verify_sessions`."""
    return Call("list_verify_sessions", arguments)


def get(session_uuid: str, **arguments: Any) -> Call:
    """A call of `get_verify_session`."""
    return Call("get_verify_session", {"session_uuid": session_uuid, **arguments})


def summarize(since: str, *groups: str, **arguments: Any) -> Call:
    """A call of `summarize_verify_sessions`."""
    by = {"group_by": list(groups)} if groups else {}
    return Call("summarize_verify_sessions", {"session_time__gte": since, **by, **arguments})


def compare(since: str, **arguments: Any) -> Call:
    """A call of `compare_verify_sessions`."""
    return Call("compare_verify_sessions", {"session_time__gte": since, **arguments})


def anomalies(since: str, *kinds: str, **arguments: Any) -> Call:
    """A call of `find_verify_anomalies`."""
    return Call(
        "find_verify_anomalies", {"session_time__gte": since, "kinds": list(kinds), **arguments}
    )


def get_latest(answers: Sequence[Answer], **arguments: Any) -> Call:
    """The call for the newest session of the list before it."""
    return get(table(answers[0])[0]["session"], **arguments)


def table(answer: Answer) -> list[dict[str, str]]:
    """The rows of a table, by column."""
    return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]


def row_of(answer: Answer, **where: str) -> dict[str, str]:
    """The row whose columns have these values."""
    (found,) = [row for row in table(answer) if where.items() <= row.items()]
    return found


def top(answer: Answer, column: str, *, least: int = 1, lowest: bool = False) -> dict[str, str]:
    """The row with the highest (or lowest) figure, of those with at least so many sessions."""
    rows = [row for row in table(answer) if row[column] and int(row["sessions"]) >= least]
    rows = [row for row in rows if not next(iter(row.values())).startswith(("other (", "?"))]
    return (min if lowest else max)(rows, key=lambda row: Decimal(row[column]))


def number(text: object) -> Decimal:
    """A figure of an answer."""
    return Decimal(str(text))
