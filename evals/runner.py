"""Asks a model the questions and measures its answers: right or not, calls, tokens, requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client
from mcp_types import Tool as McpTool
from pydantic_ai import Agent, Tool
from pydantic_ai.exceptions import UsageLimitExceeded
from pydantic_ai.models import Model
from pydantic_ai.usage import UsageLimits

from evals.judge import Verdict, judge
from evals.plans import count_tokens
from evals.question import Question
from evals.world import NOW, World, fill, make_emulator, open_client
from verify_mcp.emulator import Emulator

MAX_CALLS = 25
"""Tool calls that a model may make for one question."""
INSTRUCTIONS = (
    "You answer questions about Plivo Verify (OTP) sessions from the tools only. "
    f"It is {NOW:%A, %Y-%m-%d %H:%M} UTC. Answer in the language of the question, in a few "
    "sentences, with the exact figures. If the tools do not know the answer, say so."
)


@dataclass(frozen=True, slots=True)
class Run:
    """One answer of a model: its verdict, and what it took.

    `tool_tokens` are those of the tools' answers, `input_tokens` all that the model read.
    """

    question: Question
    text: str
    verdict: Verdict
    calls: int
    api_requests: int
    tool_tokens: int
    input_tokens: int = 0
    output_tokens: int = 0


class Toolbox:
    """The server's tools as a model calls them, with a count of what that takes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.calls = 0
        self.tokens = 0

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Call a tool; the text of its answer or of its error."""
        result = await self._client.call_tool(name, arguments)
        text = "".join(getattr(part, "text", "") for part in result.content)
        self.calls += 1
        self.tokens += count_tokens(text)
        return text

    def tool(self, definition: McpTool) -> Tool[None]:
        """A tool in the framework's form."""

        async def call_tool(**arguments: Any) -> str:
            return await self.call(definition.name, arguments)

        return Tool.from_schema(
            call_tool, definition.name, definition.description, definition.input_schema
        )


async def run_questions(
    world: World,
    questions: Sequence[Question],
    model: Model | str,
    *,
    runs: int,
    file: Path,
) -> list[Run]:
    """Ask each question so many times; `file` becomes the server's database."""
    await fill(world, file)
    emulator = make_emulator(world)
    async with open_client(emulator, file) as client:
        return [
            await run_question(world, emulator, client, question, model)
            for question in questions
            for _ in range(runs)
        ]


async def run_question(
    world: World, emulator: Emulator, client: Client, question: Question, model: Model | str
) -> Run:
    """Ask one question; an answer that takes too many calls is wrong."""
    toolbox, before = Toolbox(client), len(emulator.received)
    tools = [toolbox.tool(definition) for definition in (await client.list_tools()).tools]
    agent = Agent(model, instructions=INSTRUCTIONS, tools=tools)
    text, read, written = "", 0, 0
    try:
        result = await agent.run(
            question.text, usage_limits=UsageLimits(tool_calls_limit=MAX_CALLS)
        )
        text, usage = str(result.output), result.usage
        read, written = usage.input_tokens, usage.output_tokens
        verdict = judge(question, question.truth(world), text)
    except UsageLimitExceeded:
        verdict = Verdict((f"an answer within {MAX_CALLS} calls",))
    requests = len(emulator.received) - before
    return Run(question, text, verdict, toolbox.calls, requests, toolbox.tokens, read, written)
