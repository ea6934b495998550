"""Word to a waiting client, while a call is under way and never after it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from mcp.server.session import ServerSession

from verify_mcp.plivo.call import CallContext

INTERVAL_SECONDS = 3.0
"""Seconds between two words."""


@asynccontextmanager
async def report_progress(
    session: ServerSession,
    effort: CallContext,
    *,
    enabled: bool = True,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> AsyncIterator[None]:
    """Tell the client every few seconds what the call waits for, if it `wished` to be told."""

    async def tell() -> None:
        spoken = 0
        while True:
            await sleep(INTERVAL_SECONDS)
            spoken += 1
            await session.report_progress(spoken * INTERVAL_SECONDS, None, effort.activity)

    if not enabled:
        yield
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tell)
        yield
        tasks.cancel_scope.cancel()
