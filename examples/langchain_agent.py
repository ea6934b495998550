"""The question asked with LangChain: its agent, and the server's tools by way of its adapters.

    python -m venv lc && lc/bin/pip install -r examples/requirements-langchain.txt
    VERIFY_MCP=/absolute/path/to/verify-mcp lc/bin/python examples/langchain_agent.py

An environment of its own, because langchain-mcp-adapters 0.3 wants the `mcp` package below 2 and
the server wants 2. Over stdio they understand each other all the same.

The server answers from made-up sessions and the model is a script, so there is no key and no
network. For a real model, with its package (`pip install langchain-openai`) and its key:

    EXAMPLE_MODEL=openai:gpt-5-mini OPENAI_API_KEY=sk-… python examples/langchain_agent.py

    EXAMPLE_MODEL     any model that `init_chat_model` knows; unset, the script in script.py answers
    VERIFY_MCP        the verify-mcp command, if it is not on the PATH
"""

import asyncio
import json
import os
from typing import Any

from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.sessions import StdioConnection
from langchain_mcp_adapters.tools import load_mcp_tools
from script import INSTRUCTIONS, QUESTION, next_step


class Scripted(BaseChatModel):
    """A model that follows the script."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, *_tools: Any, **_options: Any) -> Runnable[Any, AIMessage]:
        """The script knows its tools already."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002 - LangChain passes it by name
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - as above
        **_options: Any,
    ) -> ChatResult:
        told = [json.loads(each.text) for each in messages if isinstance(each, ToolMessage)]
        step = next_step(told)
        if isinstance(step, str):
            message = AIMessage(step)
        else:
            call = {"name": step.tool, "args": step.arguments, "id": f"call-{len(told)}"}
            message = AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=message)])


def model() -> str | BaseChatModel:
    """The model that the environment names, or the script."""
    return os.environ.get("EXAMPLE_MODEL") or Scripted()


def server() -> StdioConnection:
    """The server as a child process; without --sandbox it asks your own account."""
    passed_on = ("PLIVO_", "VERIFY_MCP_")  # a model's key stays here
    return StdioConnection(
        transport="stdio",
        command=os.environ.get("VERIFY_MCP", "verify-mcp"),
        args=["serve", "--sandbox"],
        env={name: text for name, text in os.environ.items() if name.startswith(passed_on)},
    )


async def main() -> None:
    """Ask the question, and show the calls that led to the answer."""
    print(QUESTION)
    # One session for the whole talk. `client.get_tools()` would start a server for each call, and
    # a new server knows neither the short ids that were shown nor what was fetched.
    async with MultiServerMCPClient({"verify": server()}).session("verify") as session:
        agent = create_agent(model(), await load_mcp_tools(session), system_prompt=INSTRUCTIONS)
        said = await agent.ainvoke({"messages": [HumanMessage(QUESTION)]})
    for message in said["messages"]:
        for call in getattr(message, "tool_calls", []):
            print(f"  calls {call['name']} {json.dumps(call['args'])}")
    print(said["messages"][-1].text)


if __name__ == "__main__":
    asyncio.run(main())
