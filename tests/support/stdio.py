"""Helpers of several tests."""

from __future__ import annotations

import json
import os
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN

PATIENCE = 60
"""Seconds for anything to happen at all; a machine may be busy."""
END = 4
"""Seconds to be gone: two are promised, the rest is for a busy machine."""


def environment(**more: str) -> dict[str, str]:
    """This process's environment with the sandbox's credentials and nothing on disk."""
    ours = ("PLIVO_", "VERIFY_MCP_")
    others = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    return {
        **others,
        "PLIVO_AUTH_ID": SANDBOX_AUTH_ID,
        "PLIVO_AUTH_TOKEN": SANDBOX_AUTH_TOKEN,
        "VERIFY_MCP_DATABASE_URL": "sqlite://",
        **more,
    }


class Child:
    """The server's process, spoken to line by line."""

    def __init__(self, process: anyio.abc.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self.stdin = process.stdin
        self.stdout = BufferedByteReceiveStream(process.stdout)

    async def write(self, raw: bytes) -> None:
        await self.stdin.send(raw)

    async def say(self, method: str, number: int | None = None, **params: Any) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if number is not None:
            message["id"] = number
        await self.write(json.dumps(message).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        with anyio.fail_after(PATIENCE):
            line = await self.stdout.receive_until(b"\n", 4_000_000)
        message: dict[str, Any] = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        return message

    async def ask(self, method: str, number: int, **params: Any) -> dict[str, Any]:
        await self.say(method, number, **params)
        while (heard := await self.hear()).get("id") != number:
            pass
        return heard

    async def greet(self) -> None:
        await self.ask(
            "initialize", 0, protocolVersion="2025-11-25", capabilities={},
            clientInfo={"name": "test", "version": "1"},
        )  # fmt: skip
        await self.say("notifications/initialized")

    async def call(self, number: int = 1, name: str = "list_verify_sessions") -> dict[str, Any]:
        heard = await self.ask("tools/call", number, name=name, arguments={})
        result: dict[str, Any] = heard["result"]
        return result

    async def wait_ended(self) -> int:
        """The exit code, after the rest of its output proved to be JSON-RPC too."""
        with anyio.fail_after(END):
            rest = b"".join([chunk async for chunk in self.stdout])
            code = await self.process.wait()
        for line in rest.splitlines():
            assert json.loads(line)["jsonrpc"] == "2.0"
        return code
