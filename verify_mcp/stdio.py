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
from typing import Any, Self, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

LINE_LIMIT = 1024 * 1024
"""Bytes of one message; a longer one is dropped. Tool calls are a thousandth of this."""
GRACE = 1.5
"""Seconds for an orderly end before the process is ended."""
_ESCAPES = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
MOST_REFUSALS = 20
"""Unreadable lines in a row that are answered; the rest is dropped until one can be read."""
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
        readable = _Readable(reading, writing)
        await server.run(readable, writing, server.create_initialization_options())


class _Readable:
    """The messages of a stream; what is none is answered with an error of JSON-RPC 2.0.

    The id is null: section 5.1 of the specification asks for it where none could be read.
    """

    def __init__(
        self,
        messages: ReadStream[SessionMessage | Exception],
        replies: WriteStream[SessionMessage],
    ) -> None:
        self._messages = messages
        self._replies = replies
        self._refusals = 0

    async def receive(self) -> SessionMessage | Exception:
        """The next message. Raises anyio.EndOfStream after the last one."""
        while isinstance(message := await self._messages.receive(), Exception):
            self._refusals += 1
            if self._refusals <= MOST_REFUSALS:
                await self._replies.send(SessionMessage(_refusal(message)))
        self._refusals = 0
        return message

    async def aclose(self) -> None:
        await self._messages.aclose()

    def __aiter__(self) -> "_Readable":
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()


def _refusal(error: Exception) -> JSONRPCError:
    """Parse error (-32700) for what is no JSON, invalid request (-32600) for other JSON."""
    kinds = [each["type"] for each in error.errors()] if isinstance(error, ValidationError) else []
    if kinds and "json_invalid" not in kinds:
        data = ErrorData(code=INVALID_REQUEST, message="Invalid request: no JSON-RPC 2.0 message.")
    else:
        data = ErrorData(code=PARSE_ERROR, message="Parse error: one JSON value a line is read.")
    return JSONRPCError(jsonrpc="2.0", id=None, error=data)


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
            if line.strip():
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
