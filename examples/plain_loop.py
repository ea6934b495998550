"""An agent in one loop: ask the model, make the calls it wants, show it the answers, again.

    python examples/plain_loop.py

It needs the `mcp` client only (requirements-plain.txt). The server answers from made-up sessions
and the model is a script, so there is no key and no network. For a real model, any that speaks
OpenAI's chat completions:

    EXAMPLE_MODEL=gpt-5-mini OPENAI_API_KEY=sk-… python examples/plain_loop.py

    EXAMPLE_MODEL     the model's name; unset, the script in script.py answers
    OPENAI_BASE_URL   another provider or a local server (default https://api.openai.com/v1)
    VERIFY_MCP        the verify-mcp command, if it is not on the PATH
"""

import json
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import anyio
import httpx2
from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import TextContent, Tool
from script import INSTRUCTIONS, QUESTION, Call, next_step

Message = dict[str, Any]
"""As in OpenAI's chat completions."""
Model = Callable[[Sequence[Message], Sequence[Tool]], Awaitable[Message]]

MOST_TURNS = 10
PASSED_ON = ("PLIVO_", "VERIFY_MCP_")  # a model's key stays here
SERVER = StdioServerParameters(
    command=os.environ.get("VERIFY_MCP", "verify-mcp"),
    # Without --sandbox it asks your own account.
    args=["serve", "--sandbox"],
    env={name: text for name, text in os.environ.items() if name.startswith(PASSED_ON)},
)


async def run_script(messages: Sequence[Message], _tools: Sequence[Tool]) -> Message:
    """A model that follows the script."""
    step = next_step([json.loads(each["content"]) for each in messages if each["role"] == "tool"])
    if isinstance(step, str):
        return {"role": "assistant", "content": step}
    function = {"name": step.tool, "arguments": json.dumps(step.arguments)}
    call = {"id": f"call-{len(messages)}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


async def real(name: str, messages: Sequence[Message], tools: Sequence[Tool]) -> Message:
    """A model behind an API. Raises httpx2.HTTPStatusError when it refuses."""
    base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
    offered = [
        {"name": each.name, "description": each.description, "parameters": each.input_schema}
        for each in tools
    ]
    body = {
        "model": name,
        "messages": list(messages),
        "tools": [{"type": "function", "function": each} for each in offered],
    }
    headers = {"authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}"}
    async with httpx2.AsyncClient(timeout=120) as http:
        reply = await http.post(f"{base}/chat/completions", json=body, headers=headers)
    message: Message = reply.raise_for_status().json()["choices"][0]["message"]
    return message


async def answer(client: Client, model: Model, question: str) -> str:
    """The model's answer, after as many calls as it wants."""
    tools = (await client.list_tools()).tools
    messages: list[Message] = [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": question},
    ]
    for _ in range(MOST_TURNS):
        message = await model(messages, tools)
        messages.append(message)
        if not message.get("tool_calls"):
            return str(message["content"])
        for wanted in message["tool_calls"]:
            text = await result(client, wanted["function"])
            messages.append({"role": "tool", "tool_call_id": wanted["id"], "content": text})
    return f"No answer after {MOST_TURNS} turns."


async def result(client: Client, function: Message) -> str:
    """What a tool says; a refusal too is text that the model can act on."""
    call = Call(function["name"], json.loads(function["arguments"] or "{}"))
    print(f"  calls {call.tool} {json.dumps(call.arguments)}")
    told = await client.call_tool(call.tool, call.arguments)
    return "".join(part.text for part in told.content if isinstance(part, TextContent))


async def main() -> None:
    """Ask the question."""
    name = os.environ.get("EXAMPLE_MODEL")
    model = partial(real, name) if name else run_script
    print(QUESTION)
    async with Client(stdio_client(SERVER)) as client:
        print(await answer(client, model, QUESTION))


if __name__ == "__main__":
    anyio.run(main)
