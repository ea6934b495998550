"""Carries bytes between addresses until it is ended.

`python -m tests.support.relay HOST:PORT=HOST:PORT…` starts it.
"""

from __future__ import annotations

import sys

import anyio
import anyio.abc


async def relay(here: str, there: str) -> None:
    """Carry what comes to one address to another one and back, until cancelled."""
    host, _, port = here.rpartition(":")
    listener = await anyio.create_tcp_listener(local_host=host, local_port=int(port))
    target_host, _, target_port = there.rpartition(":")

    async def carry(caller: anyio.abc.SocketStream) -> None:
        async with caller:
            try:
                target = await anyio.connect_tcp(target_host, int(target_port))
            except OSError:
                return  # as if nobody listened
            async with target:
                await join(caller, target)

    async with listener:
        await listener.serve(carry)


async def join(one: anyio.abc.SocketStream, other: anyio.abc.SocketStream) -> None:
    """Carry bytes both ways until either end is closed."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_pour, one, other, tasks.cancel_scope)
        tasks.start_soon(_pour, other, one, tasks.cancel_scope)


async def _pour(
    source: anyio.abc.ByteReceiveStream, sink: anyio.abc.ByteSendStream, scope: anyio.CancelScope
) -> None:
    try:
        async for chunk in source:
            await sink.send(chunk)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        pass
    scope.cancel()


async def main(pairs: list[str]) -> None:
    """Carry between every pair."""
    async with anyio.create_task_group() as tasks:
        for pair in pairs:
            here, _, there = pair.partition("=")
            tasks.start_soon(relay, here, there)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1:])
