"""Progress notifications for a waiting client, during a call and never after it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from mcp.server.session import ServerSession

from verify_mcp.plivo.call import CallContext

INTERVAL_SECONDS = 3.0
"""Seconds between two notifications."""


@asynccontextmanager
async def report_progress(
    session: ServerSession,
    call: CallContext,
    *,
    enabled: bool = True,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> AsyncIterator[None]:
    """Notify the client every `INTERVAL_SECONDS` of what the call waits for, if `enabled`."""

    async def notify() -> None:
        sent = 0
        while True:
            await sleep(INTERVAL_SECONDS)
            sent += 1
            await session.report_progress(sent * INTERVAL_SECONDS, None, call.activity)

    if not enabled:
        yield
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(notify)
        yield
        tasks.cancel_scope.cancel()
