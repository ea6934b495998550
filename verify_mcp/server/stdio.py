"""Serving over stdin and stdout: one connection, and an end that always comes.

The process ends within two seconds of the end of its input, of SIGTERM or SIGINT, or of the death
of its parent, whatever is under way.
"""

import os
import re
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self, cast

import anyio
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared._stream_protocols import WriteStream
from mcp.shared.message import SessionMessage
from mcp_types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import from_json

from verify_mcp.server.stdin import MAX_LINE_BYTES, InputLines, Overlong

SHUTDOWN_GRACE = 1.5
"""Seconds for an orderly end before the process is ended."""
_ESCAPES = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
# An unescaped quote before `id` opens a member's name, and a scalar before the last brace belongs
# to the outermost object.
_LAST_ID = re.compile(rb'[{,]\s*"id"\s*:\s*(-?[0-9]{1,18}|"[^"\\]*")\s*}\s*\Z')
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
        _force_exit_later(status)
        tasks.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_wait_for_signal, stop)
            tasks.start_soon(_wait_for_parent_exit, stop)
            await _serve_until_end(server, lambda: stop(0))
            stop(0)
    except* (BrokenPipeError, anyio.BrokenResourceError):
        code = 0  # nobody reads any more, which is an end like any other
    return code


async def _serve_until_end(server: Server[Any], on_broken: Callable[[], None]) -> None:
    async with _open_output(on_broken) as output:
        messages = _Messages(InputLines(0), output)
        await server.run(messages, output, server.create_initialization_options())


@asynccontextmanager
async def _open_output(on_broken: Callable[[], None]) -> AsyncIterator[WriteStream[SessionMessage]]:
    if sys.platform == "win32":  # pragma: no cover - there a write cannot be tried
        nothing = cast("anyio.AsyncFile[str]", _empty_input())
        async with stdio_server(stdin=nothing) as (unused, output), unused:
            yield output
    else:
        from verify_mcp.server.stdout import OutputMessages, private_stdout

        with private_stdout() as descriptor:
            yield OutputMessages(descriptor, on_broken)


async def _empty_input() -> AsyncIterator[str]:  # pragma: no cover - as above
    """The input of the SDK's reader, which drops what it cannot read."""
    lines: tuple[str, ...] = ()
    for line in lines:
        yield line


class _Messages:
    """The messages of a stream of lines; any other line is answered with an error of JSON-RPC 2.0.

    Each answer is written before the next line is read: who does not read the answers is not read.
    """

    def __init__(
        self,
        lines: InputLines,
        replies: WriteStream[SessionMessage],
    ) -> None:
        self._lines = lines
        self._replies = replies

    async def receive(self) -> SessionMessage | Exception:
        """The next message. Raises anyio.EndOfStream after the last one."""
        while isinstance(message := parse(await self._next_line()), Refusal):
            await self._replies.send(SessionMessage(message.answer()))
        return SessionMessage(message)

    async def _next_line(self) -> bytes | Overlong:
        try:
            return await self._lines.receive()
        except anyio.EndOfStream:
            _force_exit_later(0)
            raise

    async def aclose(self) -> None:
        self._lines.close()

    def __aiter__(self) -> "_Messages":
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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a line is no message: an error of JSON-RPC 2.0, section 5.1."""

    code: int
    message: str
    id: RequestId | None = None

    def answer(self) -> JSONRPCError:
        """The response to the line; its id is null where the line has none that can be read."""
        error = ErrorData(code=self.code, message=self.message)
        return JSONRPCError(jsonrpc="2.0", id=self.id, error=error)


def parse(line: bytes | Overlong) -> JSONRPCMessage | Refusal:
    """The message in a line, or why it is none.

    A request's id is a string or an integer (MCP, base protocol): with any other id it is no
    notification but an invalid request.
    """
    if isinstance(line, Overlong):
        text = f"Invalid request: a message is at most {MAX_LINE_BYTES:,} bytes long."
        return Refusal(INVALID_REQUEST, text, _overlong_id(line))
    try:
        value = from_json(replace_lone_surrogates(line))
    except ValueError:
        return Refusal(PARSE_ERROR, "Parse error: one JSON value a line is read.")
    text = "Invalid request: no JSON-RPC 2.0 message."
    try:
        message = jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValidationError:
        return Refusal(INVALID_REQUEST, text, _request_id(value))
    if isinstance(message, JSONRPCNotification) and "id" in value:
        text = "Invalid request: an id is a string or an integer."
        return Refusal(INVALID_REQUEST, text)
    return message


def _request_id(value: object) -> RequestId | None:
    """The id of what may be a request; None for a response, whose id is one of ours."""
    if not isinstance(value, dict) or "result" in value or "error" in value:
        return None
    number = value.get("id")
    return number if isinstance(number, int | str) and not isinstance(number, bool) else None


def _overlong_id(line: Overlong) -> RequestId | None:
    """The id before or after the long member of a request."""
    try:
        # A number at the end may go on in what was cut off.
        members = from_json(
            replace_lone_surrogates(line.head).rstrip("0123456789.eE+-"), allow_partial=True
        )
    except ValueError:
        return None
    if isinstance(members, dict) and (found := _LAST_ID.search(line.tail)):
        members.setdefault("id", from_json(found[1]))
    return _request_id(members)


def replace_lone_surrogates(line: bytes) -> str:
    """A line as text; half of a surrogate pair, for which it would be dropped, becomes U+FFFD."""
    return _ESCAPES.sub(
        lambda found: "\\ufffd" if found["half"] else found[0], line.decode("utf-8", "replace")
    )


async def _wait_for_signal(stop: Callable[[int], None]) -> None:
    if sys.platform == "win32":  # pragma: no cover - there the parent ends us itself
        return
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            stop(128 + number)


async def _wait_for_parent_exit(stop: Callable[[int], None]) -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - the system announces no parent's death
        await anyio.sleep(PARENT_CHECK)
    stop(0)


def _force_exit_later(code: int) -> None:
    watchdog = threading.Timer(SHUTDOWN_GRACE, os._exit, (code,))
    watchdog.daemon = True
    watchdog.start()
