"""The lines of this process's input, read in the event loop where the system can tell of them."""

import os
import stat
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

MAX_LINE_BYTES = 1024 * 1024
"""Bytes of one message; a longer one is refused. Tool calls are a thousandth of this."""
MAX_TAIL_BYTES = 1024
"""Bytes at the end of a longer one in which its id is looked for."""
_CHUNK_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Overlong:
    """The first and the last bytes of a line that is too long."""

    head: bytes
    tail: bytes


class LineSplitter:
    """Splits a byte stream into lines; of those longer than `limit` bytes both ends are left."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._line: bytearray | Overlong = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes | Overlong]:
        """The lines that end in this chunk."""
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._append(part)
            yield self.take_rest()
        self._append(rest)

    def take_rest(self) -> bytes | Overlong:
        """The line that has not ended."""
        line, self._line = self._line, bytearray()
        return line if isinstance(line, Overlong) else bytes(line)

    def _append(self, part: bytes) -> None:
        line = self._line
        if isinstance(line, Overlong):
            self._line = Overlong(line.head, (line.tail + part)[-MAX_TAIL_BYTES:])
            return
        line += part
        if len(line) > self._limit:
            self._line = Overlong(bytes(line[: self._limit]), bytes(line[-MAX_TAIL_BYTES:]))


class InputLines:
    """The lines of a descriptor that are not blank."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._splitter = LineSplitter(MAX_LINE_BYTES)
        self._lines: deque[bytes | Overlong] = deque()
        self._chunks = None if _is_awaitable(descriptor) else _read_in_thread(descriptor)

    async def receive(self) -> bytes | Overlong:
        """The next line. Raises anyio.EndOfStream after the last one."""
        while not self._lines:
            chunk = await self._read_chunk()
            lines = self._splitter.feed(chunk) if chunk else [self._splitter.take_rest()]
            self._lines += [line for line in lines if isinstance(line, Overlong) or line.strip()]
            if not (chunk or self._lines):
                raise anyio.EndOfStream
        return self._lines.popleft()

    def close(self) -> None:
        """Read no more."""
        if self._chunks is not None:
            self._chunks.close()

    async def _read_chunk(self) -> bytes:
        """Some bytes, none at the end of the input."""
        try:
            if self._chunks is not None:
                return await self._chunks.receive()
            await anyio.wait_readable(self._descriptor)
            return os.read(self._descriptor, _CHUNK_BYTES)
        except (anyio.EndOfStream, OSError):
            return b""


def _is_awaitable(descriptor: int) -> bool:
    """Whether an event loop can wait for the descriptor: it can for pipes and sockets of POSIX."""
    if sys.platform == "win32":
        return False
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _read_in_thread(descriptor: int) -> MemoryObjectReceiveStream[bytes]:
    """The chunks of a descriptor.

    A daemon thread reads them, because a thread blocked in a read would keep the interpreter from
    ending.
    """
    send, receive = anyio.create_memory_object_stream[bytes](0)
    token = anyio.lowlevel.current_token()
    threading.Thread(target=_pump, args=(descriptor, send, token), daemon=True).start()
    return receive


def _pump(descriptor: int, chunks: MemoryObjectSendStream[bytes], token: Any) -> None:
    try:
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            anyio.from_thread.run(chunks.send, chunk, token=token)
        anyio.from_thread.run_sync(chunks.close, token=token)
    except (OSError, RuntimeError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return  # the server is gone; so is this thread's purpose
