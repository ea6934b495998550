"""The question asked with the OpenAI Agents SDK.

    pip install -r examples/requirements-openai-agents.txt
    python examples/openai_agents.py

The server answers from made-up sessions and the model is a script, so there is no key and no
network. For a real model:

    EXAMPLE_MODEL=gpt-5-mini OPENAI_API_KEY=sk-… python examples/openai_agents.py

    EXAMPLE_MODEL     any model that the SDK knows; unset, the script in script.py answers
    VERIFY_MCP        the verify-mcp command, if it is not on the PATH
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Runner, ToolCallItem, Usage
from agents.items import TResponseInputItem, TResponseStreamEvent
from agents.mcp import MCPServerStdio
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
from script import INSTRUCTIONS, QUESTION, next_step


class Scripted(Model):
    """A model that follows the script."""

    async def get_response(
        self,
        system_instructions: str | None,  # noqa: ARG002 - the script needs no instructions
        input: str | list[TResponseInputItem],  # noqa: A002 - the SDK's name for it
        *_more: Any,
        **_options: Any,
    ) -> ModelResponse:
        """What the model says next."""
        items: list[Any] = [] if isinstance(input, str) else list(input)
        outputs = [each for each in items if each.get("type") == "function_call_output"]
        step = next_step([json.loads(text_of(each["output"])) for each in outputs])
        said: ResponseOutputMessage | ResponseFunctionToolCall
        if isinstance(step, str):
            text = ResponseOutputText(type="output_text", text=step, annotations=[])
            said = ResponseOutputMessage(
                id="said", type="message", role="assistant", status="completed", content=[text]
            )
        else:
            said = ResponseFunctionToolCall(
                type="function_call",
                call_id=f"call-{len(outputs)}",
                name=step.tool,
                arguments=json.dumps(step.arguments),
            )
        return ModelResponse(output=[said], usage=Usage(), response_id=None)

    def stream_response(self, *_more: Any, **_options: Any) -> AsyncIterator[TResponseStreamEvent]:
        """The example does not stream."""
        raise RuntimeError("The scripted model does not stream.")


def text_of(output: Any) -> str:
    """A tool's output as the SDK shows it to a model: text, or a list of texts."""
    return output if isinstance(output, str) else "".join(part["text"] for part in output)


def server() -> MCPServerStdio:
    """The server as a child process; without --sandbox it asks your own account."""
    passed_on = ("PLIVO_", "VERIFY_MCP_")  # a model's key stays here
    return MCPServerStdio(
        {
            "command": os.environ.get("VERIFY_MCP", "verify-mcp"),
            "args": ["serve", "--sandbox"],
            "env": {key: text for key, text in os.environ.items() if key.startswith(passed_on)},
        },
        # The SDK's own 5 seconds are too few: a call may wait 20 for its turn at the API.
        client_session_timeout_seconds=60,
    )


async def main() -> None:
    """Ask the question, and show the calls that led to the answer."""
    name = os.environ.get("EXAMPLE_MODEL")
    print(QUESTION)
    async with server() as tools:
        agent = Agent(
            name="Verify",
            instructions=INSTRUCTIONS,
            model=name or Scripted(),
            mcp_servers=[tools],
        )
        # Tracing would send each step to OpenAI.
        result = await Runner.run(agent, QUESTION, run_config=RunConfig(tracing_disabled=True))
    for item in result.new_items:
        if isinstance(item, ToolCallItem) and isinstance(item.raw_item, ResponseFunctionToolCall):
            print(f"  calls {item.raw_item.name} {item.raw_item.arguments}")
    print(result.final_output)


if __name__ == "__main__":
    asyncio.run(main())
