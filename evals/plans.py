"""Runs the scripted plan of a question, as a model that knows what to ask would."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from mcp import Client
from mcp_types import TextContent, Tool

from evals.question import Answer, Call, Facts, Question

MAX_CALLS, MAX_TOKENS = 3, 2_500
"""What an answerable question may take from data that the server has."""

Tools = Mapping[str, Tool]


class CallNotOffered(Exception):
    """A plan makes a call that this server does not offer."""


@dataclass(frozen=True, slots=True)
class PlanResult:
    """The facts that a plan found, and what they took."""

    facts: Facts
    calls: int
    tokens: int
    answers: tuple[Answer, ...]


async def run_plan(client: Client, tools: Tools, question: Question) -> PlanResult:
    """Make the calls of a question's plan. Raises CallNotOffered."""
    answers: list[Answer] = []
    tokens = 0
    for step in question.steps:
        call = step if isinstance(step, Call) else step(answers)
        check_offered(tools, call)
        text, answer = await make_call(client, call)
        answers.append(answer)
        tokens += count_tokens(text)
    return PlanResult(question.read(answers), len(answers), tokens, tuple(answers))


async def make_call(client: Client, call: Call) -> tuple[str, Answer]:
    """A tool's answer, as text and as a value. Raises AssertionError for an error."""
    result = await client.call_tool(call.tool, call.arguments)
    text = "".join(part.text for part in result.content if isinstance(part, TextContent))
    assert not result.is_error, f"{call}: {text}"
    return text, dict(result.structured_content or {})


def check_offered(tools: Tools, call: Call) -> None:
    """Raise CallNotOffered unless a server has the tool, its arguments and their choices."""
    if call.tool not in tools:
        raise CallNotOffered(call.tool)
    properties: dict[str, Any] = tools[call.tool].input_schema["properties"]
    for name, value in call.arguments.items():
        if name not in properties:
            raise CallNotOffered(f"{call.tool}({name})")
        choices = properties[name].get("items", {}).get("enum")
        for choice in value if choices and isinstance(value, list) else ():
            if choice not in choices:
                raise CallNotOffered(f"{call.tool}({name}={choice})")


@cache
def _vocabulary() -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how it opens its own vocabulary
        from bpe_openai import get_encoding  # type: ignore[import-untyped] # it has no types

        return get_encoding("o200k_base")


def count_tokens(text: str) -> int:
    """What a text costs a model, counted with o200k."""
    return len(_vocabulary().encode(text))
