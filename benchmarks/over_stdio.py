"""A list call over stdio, against a direct request of the same page with httpx2.

    python -m benchmarks.over_stdio [--rate 20/60] [--calls 100] [--taken 100000]

The real server runs as a child and asks the pretend Verify API, which is a process of its own; the
mirror is on, so every page is saved, too. After each call the same page is requested directly, with
a client that stays open. Both reply before the next begins. With `--taken` so many slots of the
rate limit are taken already. The exit code is 1 when the ratio of the medians is above --at-most.
"""

import argparse
import asyncio
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, cast

import httpx2

from benchmarks.start import HIDING, PROTOCOL, emulator, received, sent
from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN

WARM_UP = 2
"""Calls of each server that are not measured: the first one loads what the others have."""
TOOL = "list_verify_sessions"


@dataclass
class Compared:
    """Seconds of each call, and of the direct request after it."""

    calls: list[float] = field(default_factory=list)
    direct: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The median of the calls by that of the direct requests."""
        return statistics.median(self.calls) / statistics.median(self.direct)


@contextmanager
def serving(environ: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A server over stdio after its handshake."""
    command = [sys.executable, "-m", "verify_mcp", "serve"]
    who = {"name": "benchmark", "version": "1"}
    hello = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": who}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environ)
    ) as server:
        reading, writing = pipes(server)
        sent(writing, {"id": 0, "method": "initialize", "params": hello})
        received(reading, 0)
        sent(writing, {"method": "notifications/initialized"})
        yield server
        writing.close()
        server.wait(timeout=10)


def pipes(server: "subprocess.Popen[bytes]") -> tuple[IO[bytes], IO[bytes]]:
    """A child's output and input."""
    return cast("IO[bytes]", server.stdout), cast("IO[bytes]", server.stdin)


def call(server: "subprocess.Popen[bytes]", number: int) -> float:
    """Seconds of one call, which must ask the API."""
    reading, writing = pipes(server)
    begun = time.perf_counter()
    params = {"name": TOOL, "arguments": {}}
    sent(writing, {"id": number, "method": "tools/call", "params": params})
    answer = received(reading, number)["structuredContent"]
    taken = time.perf_counter() - begun
    if answer["api_requests"] != 1:
        raise SystemExit(f"not asked: {answer}")
    return taken


async def request(http: httpx2.AsyncClient, api: str) -> float:
    """Seconds of the same request without a server."""
    begun = time.perf_counter()
    since = datetime.now(UTC) - timedelta(days=1)
    params = {"session_time__gte": f"{since:%Y-%m-%d %H:%M:%S}", "limit": "20", "offset": "0"}
    url = f"{api}/v1/Account/{SANDBOX_AUTH_ID}/Verify/Session/"
    reply = await http.get(url, params=params)
    reply.raise_for_status().json()
    return time.perf_counter() - begun


def take(database: Path, slots: int) -> None:
    """Take so many slots of the list's rate limit, as if their requests were just completed."""
    now = time.monotonic()
    with sqlite3.connect(database) as connection:
        connection.executemany(
            "INSERT INTO verify_slots (bucket, slot, owner, noted_at, free_at, number) "
            "VALUES (?, ?, 'benchmark', ?, ?, ?)",
            (
                (f"{SANDBOX_AUTH_ID}:list", f"taken{n}", now, now + 50 + n * 1e-6, n + 1000)
                for n in range(slots)
            ),
        )
    connection.close()


def compare(rate: str, calls: int, *, taken: int = 0) -> Compared:
    """Call servers with a fresh database each, as often as the rate allows without a wait."""
    plain = {name: value for name, value in os.environ.items() if name not in HIDING}
    process, api = emulator(plain)
    found, most = Compared(), min(int(rate.partition("/")[0]), calls + WARM_UP)
    with asyncio.Runner() as runner:
        credentials = (SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN)
        http = httpx2.AsyncClient(auth=credentials, trust_env=False)
        while len(found.calls) < calls:
            with tempfile.TemporaryDirectory() as folder:
                database = Path(folder) / "verify.sqlite3"
                environ = plain | {
                    "PLIVO_AUTH_ID": SANDBOX_AUTH_ID,
                    "PLIVO_AUTH_TOKEN": SANDBOX_AUTH_TOKEN,
                    "VERIFY_MCP_API_URL": api,
                    "VERIFY_MCP_RATE_LIMIT": rate,
                    "VERIFY_MCP_DATABASE_URL": f"sqlite:///{database}",
                }
                with serving(environ) as server:
                    for number in range(1, most + 1):
                        seconds, beside = call(server, number), runner.run(request(http, api))
                        if number == WARM_UP:
                            take(database, taken)
                        if number > WARM_UP:
                            found.calls.append(seconds)
                            found.direct.append(beside)
        runner.run(http.aclose())
    process.terminate()
    process.wait(timeout=10)
    return found


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", default="20/60")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--taken", type=int, default=0)
    parser.add_argument("--at-most", type=float, default=2.2)
    options = parser.parse_args()
    found = compare(options.rate, options.calls, taken=options.taken)
    for name, seconds in (("list call", found.calls), ("direct request", found.direct)):
        print(f"{name:15} median {statistics.median(seconds) * 1000:7.2f} ms  ({len(seconds)})")
    print(f"ratio           {found.ratio:.2f}  (at most {options.at_most})")
    return int(found.ratio > options.at_most)


if __name__ == "__main__":
    sys.exit(main())
