"""Serving over stdin and stdout: one connection, and an end that always comes.

The process ends within two seconds of the end of its input, of SIGTERM or SIGINT, or of the death
of its parent, whatever is under way. Input is read by a daemon thread because a thread blocked in
a read would keep the interpreter from ending.
"""

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server import Server
from mcp.server.stdio import stdio_server

LINE_LIMIT = 1024 * 1024
"""Bytes of one message; a longer one is dropped. Tool calls are a thousandth of this."""
GRACE = 1.5
"""Seconds for an orderly end before the process is ended."""
_ESCAPES = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
PARENT_CHECK = 0.5
"""Seconds between two looks at whether the parent still lives."""


def run(server: Server[Any]) -> int:
    """Serve until the input ends or a signal comes; the exit code (0, or 128 and the signal)."""
    return anyio.run(serve, server)


async def serve(server: Server[Any]) -> int:
    """Serve one connection on this process's stdin and stdout."""
    code = 0

    def stop(status: int) -> None:
        nonlocal code
        code = status
        _end_anyway(status)
        tasks.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_until_signal, stop)
            tasks.start_soon(_until_orphaned, stop)
            await _serve_until_end(server)
            stop(0)
    except* (BrokenPipeError, anyio.BrokenResourceError):
        code = 0  # nobody reads any more, which is an end like any other
    return code


async def _serve_until_end(server: Server[Any]) -> None:
    send, receive = anyio.create_memory_object_stream[str](0)
    token = anyio.lowlevel.current_token()
    threading.Thread(target=_pump, args=(0, send, token), daemon=True).start()
    lines = cast("anyio.AsyncFile[str]", _Ending(receive))
    async with stdio_server(stdin=lines) as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


class _Ending:
    """Lines until the input ends, and from then on at most GRACE seconds of life."""

    def __init__(self, lines: MemoryObjectReceiveStream[str]) -> None:
        self._lines = lines

    def __aiter__(self) -> "_Ending":
        return self

    async def __anext__(self) -> str:
        try:
            return await self._lines.receive()
        except anyio.EndOfStream:
            _end_anyway(0)
            raise StopAsyncIteration from None


def _pump(descriptor: int, lines: MemoryObjectSendStream[str], token: Any) -> None:
    try:
        for line in capped_lines(lambda: os.read(descriptor, 65536), LINE_LIMIT):
            anyio.from_thread.run(lines.send, mended(line), token=token)
        anyio.from_thread.run_sync(lines.close, token=token)
    except (OSError, RuntimeError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return  # the server is gone; so is this thread's purpose


def mended(line: bytes) -> str:
    """A line as text; half of a surrogate pair, for which it would be dropped, becomes U+FFFD."""
    return _ESCAPES.sub(
        lambda found: "\\ufffd" if found["half"] else found[0], line.decode("utf-8", "replace")
    )


def capped_lines(read: Callable[[], bytes], limit: int) -> Iterator[bytes]:
    """The lines of a byte stream, those longer than `limit` left out; the rest stays in step."""
    line, dropping = bytearray(), False
    while chunk := read():
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            line += part
            if not dropping and len(line) <= limit:
                yield bytes(line)
            line, dropping = bytearray(), False
        line += rest
        if len(line) > limit:
            line, dropping = bytearray(), True
    if line and not dropping:
        yield bytes(line)


async def _until_signal(stop: Callable[[int], None]) -> None:
    if sys.platform == "win32":  # pragma: no cover - there the parent ends us itself
        return
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            stop(128 + number)


async def _until_orphaned(stop: Callable[[int], None]) -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - the system announces no parent's death
        await anyio.sleep(PARENT_CHECK)
    stop(0)


def _end_anyway(code: int) -> None:
    watchdog = threading.Timer(GRACE, os._exit, (code,))
    watchdog.daemon = True
    watchdog.start()
