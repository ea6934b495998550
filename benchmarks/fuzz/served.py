"""A server in this process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Self

from mcp import Client

from verify_mcp.server.server import OpenContext, build_server


@dataclass
class Served:
    """A server in a task of its own: servers end in any order, tasks' scopes only nested."""

    client: Client
    over: asyncio.Event
    task: asyncio.Task[None]

    @classmethod
    async def start_server(cls, opened: OpenContext) -> Self:
        """Start it."""
        over = asyncio.Event()
        ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()

        async def live() -> None:
            async with Client(build_server(opened)) as client:
                ready.set_result(client)
                await over.wait()

        task = asyncio.create_task(live())
        return cls(await ready, over, task)

    async def end(self) -> None:
        """End it in good order."""
        self.over.set()
        await self.task
