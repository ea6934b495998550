"""The question asked with Pydantic AI, which starts the server and hands its tools to the model.

    pip install -r examples/requirements-pydantic-ai.txt
    python examples/pydantic_ai_agent.py

The server answers from made-up sessions and the model is a script, so there is no key and no
network. For a real model, with its package (`pip install 'pydantic-ai-slim[openai]'`) and its key:

    EXAMPLE_MODEL=openai:gpt-5-mini OPENAI_API_KEY=sk-… python examples/pydantic_ai_agent.py

    EXAMPLE_MODEL     any model that Pydantic AI knows; unset, the script in script.py answers
    VERIFY_MCP        the verify-mcp command, if it is not on the PATH
"""

import asyncio
import json
import os

from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from script import INSTRUCTIONS, QUESTION, next_step


def scripted(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    """A model that follows the script."""
    parts = [part for message in messages for part in message.parts]
    returned = [part for part in parts if isinstance(part, ToolReturnPart)]
    step = next_step([part.model_response_object() for part in returned])
    if isinstance(step, str):
        return ModelResponse(parts=[TextPart(step)])
    return ModelResponse(parts=[ToolCallPart(step.tool, step.arguments)])


def server() -> MCPToolset[None]:
    """The server as a child process; without --sandbox it asks your own account."""
    passed_on = ("PLIVO_", "VERIFY_MCP_")  # a model's key stays here
    transport = StdioTransport(
        command=os.environ.get("VERIFY_MCP", "verify-mcp"),
        args=["serve", "--sandbox"],
        env={name: text for name, text in os.environ.items() if name.startswith(passed_on)},
    )
    # A call may wait for its turn at the API, and a busy machine starts slowly.
    return MCPToolset(transport, init_timeout=60, read_timeout=60)


async def main() -> None:
    """Ask the question, and show the calls that led to the answer."""
    agent = Agent(
        os.environ.get("EXAMPLE_MODEL") or FunctionModel(scripted),
        instructions=INSTRUCTIONS,
        toolsets=[server()],
    )
    print(QUESTION)
    async with agent:
        result = await agent.run(QUESTION)
    for message in result.all_messages():
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                print(f"  calls {part.tool_name} {json.dumps(part.args_as_dict())}")
    print(result.output)


if __name__ == "__main__":
    asyncio.run(main())
