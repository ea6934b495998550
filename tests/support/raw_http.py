"""Helpers of several tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.abc

from tests.support.http_server import (
    PATIENCE,
    RunningServer,
)
from verify_mcp.http.timeouts import DeadlineProtocol


class Hasty(DeadlineProtocol):
    """The real protocol in less of a hurry to wait."""

    request_seconds = 0.4


class Small(DeadlineProtocol):
    """The real protocol with room for few."""

    max_connections = 20


@asynccontextmanager
async def connection(here: RunningServer) -> AsyncIterator[anyio.abc.SocketStream]:
    async with await anyio.connect_tcp("127.0.0.1", here.port) as stream:
        yield stream


async def heard(stream: anyio.abc.ByteReceiveStream) -> bytes:
    """All that comes until the server ends the connection, which it must."""
    came = b""
    with anyio.fail_after(PATIENCE), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            came += await stream.receive()
    return came
