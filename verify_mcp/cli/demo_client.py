"""The MCP client of the demo, which starts the real server as a child process."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TextIO

from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import TextContent

from verify_mcp.cli.demo_steps import Calls, DemoFailed, DemoStep, PlannedCall, ToolCall
from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, Emulator


async def answer_step(client: Client, emulator: Emulator, step: DemoStep) -> Calls:
    """Make the calls of a step. Raises DemoFailed for an unexpected error or an unexpected answer.

    A later call may depend on the answers before it.
    """
    calls: list[ToolCall] = []
    for planned in step.calls:
        call = planned if isinstance(planned, PlannedCall) else planned(calls)
        calls.append(await call_tool(client, emulator, call))
        if calls[-1].is_error != step.expects_error:
            raise DemoFailed(f"{call} was answered with: {calls[-1].text}")
    return calls


@asynccontextmanager
async def connect_client(url: str, log: TextIO) -> AsyncIterator[Client]:
    """Connect a client to the real server, a child process that uses the API at `url`."""
    # The settings of the user's own account stay out of the demo.
    ours = ("PLIVO_", "VERIFY_MCP_")
    rest = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    server = StdioServerParameters(
        command=sys.executable,
        # -P: the package that is installed, not one that happens to lie in this folder.
        args=["-P", "-m", "verify_mcp", "serve"],
        env={
            **rest,
            "PLIVO_AUTH_ID": SANDBOX_AUTH_ID,
            "PLIVO_AUTH_TOKEN": SANDBOX_AUTH_TOKEN,
            "VERIFY_MCP_API_URL": url,
            "VERIFY_MCP_DATABASE_URL": "sqlite://",
        },
    )
    async with Client(stdio_client(server, errlog=log)) as client:
        yield client


async def call_tool(client: Client, emulator: Emulator, call: PlannedCall) -> ToolCall:
    """Make a call and count its requests at the API."""
    before = len(emulator.received)
    result = await client.call_tool(call.tool, dict(call.arguments))
    text = "".join(part.text for part in result.content if isinstance(part, TextContent))
    spent = emulator.received[before:]
    raw_bytes = sum(request.sent for request in spent)
    return ToolCall(call, text, len(spent), raw_bytes, is_error=bool(result.is_error))
