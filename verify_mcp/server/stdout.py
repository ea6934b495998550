"""Messages to this process's output, written in the event loop while the reader keeps up."""

import fcntl
import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import anyio
import anyio.to_thread
from mcp.shared.message import SessionMessage


class OutputMessages:
    """Writes each message as a line to a descriptor, in the order of `send`.

    `on_broken` is called when nobody can read any more.
    """

    def __init__(self, descriptor: int, on_broken: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._on_broken = on_broken
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._lock = anyio.Lock(fast_acquire=True)

    async def send(self, item: SessionMessage, /) -> None:
        """Write a message; once begun it is written to its end."""
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        async with self._lock:
            with anyio.CancelScope(shield=True):
                try:
                    if rest := self._write_at_once(text.encode() + b"\n"):
                        await anyio.to_thread.run_sync(self._write_all, rest)
                except OSError:
                    self._on_broken()

    async def aclose(self) -> None:
        """Nothing to do: the descriptor belongs to the process."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    def _write_at_once(self, line: bytes) -> bytes:
        """Write while no write blocks. Returns what is left."""
        while line and self._poll.poll(0):
            line = line[os.write(self._descriptor, line[: select.PIPE_BUF]) :]
        return line

    def _write_all(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._descriptor, line) :]


@contextmanager
def private_stdout() -> Iterator[int]:
    """A descriptor of the output that is ours alone: for the block, descriptor 1 is stderr.

    What a library or a child prints would otherwise be read as a message.
    """
    try:
        descriptor = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)
        os.dup2(2, 1)
    except OSError:  # the process was started without one of them
        yield 1
        return
    try:
        yield descriptor
    finally:
        os.dup2(descriptor, 1)
