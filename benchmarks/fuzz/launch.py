"""A real server as a process on simulated time: `python -m benchmarks.fuzz.launch serve [--http]`.

FUZZ_CLOCK names the file of the shared clock, FUZZ_SKEW tells by how many seconds this process's
clock is ahead, FUZZ_PID is the file for its process id. All else are the server's own settings.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Self

import anyio

from verify_mcp.clock import Clock

_LAYOUT = struct.Struct("<dd")
_LONGEST_NAP = 0.05
"""Seconds until a sleeper looks whether the clock has jumped."""


class SharedClock:
    """Simulated time that many processes read from one file; it passes like real time, and jumps.

    The file holds the time on the monotonic clock's zero, and the seconds by which it has jumped.
    """

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), _LAYOUT.size)

    @classmethod
    def made(cls, path: Path, now: datetime) -> Self:
        """A new clock file whose time is `now`."""
        path.write_bytes(_LAYOUT.pack(now.timestamp() - time.monotonic(), 0.0))
        return cls(path)

    def _read(self) -> tuple[float, float]:
        zero, jumped = _LAYOUT.unpack(self._bytes[:])
        return float(zero), float(jumped)

    def pass_by(self, seconds: float) -> None:
        """Jump ahead."""
        zero, jumped = self._read()
        self._bytes[:] = _LAYOUT.pack(zero, jumped + seconds)

    def ticks(self) -> float:
        """Monotonic seconds of simulated time."""
        return time.monotonic() + self._read()[1]

    def now(self, skew: float = 0.0) -> datetime:
        """The simulated wall clock, `skew` seconds ahead."""
        zero, jumped = self._read()
        return datetime.fromtimestamp(zero + time.monotonic() + jumped, UTC) + timedelta(
            seconds=skew
        )

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds of simulated time."""
        until = self.ticks() + seconds
        await anyio.lowlevel.checkpoint()
        while (left := until - self.ticks()) > 0:  # noqa: ASYNC110 - a file announces no jump
            await anyio.sleep(min(left, _LONGEST_NAP))

    def world(self, skew: float, chance: Random) -> Clock:
        """The surroundings of a server whose clock is `skew` seconds ahead."""
        return Clock(
            now=lambda: self.now(skew), monotonic=self.ticks, sleep=self.sleep, random=chance.random
        )


def main(words: list[str]) -> int:
    """Serve as `verify-mcp serve` does, but on simulated time."""
    from verify_mcp import logs
    from verify_mcp.context import open_serving_context
    from verify_mcp.http import listen, serve
    from verify_mcp.server import stdio
    from verify_mcp.server.server import build_server
    from verify_mcp.settings import read_settings

    clock = SharedClock(Path(os.environ["FUZZ_CLOCK"]))
    if "FUZZ_PID" in os.environ:
        Path(os.environ["FUZZ_PID"]).write_text(str(os.getpid()))
    settings = read_settings(os.environ)
    logs.configure(settings)
    world = clock.world(float(os.environ["FUZZ_SKEW"]), Random(os.environ["FUZZ_SKEW"]))
    opened = partial(open_serving_context, settings, clock=world)
    if "--http" in words:
        return serve.run(settings, listen.ListenAddress("127.0.0.1", 0), opened)
    return stdio.run(build_server(opened))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
