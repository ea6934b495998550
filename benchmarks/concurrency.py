"""Sixty questions at once, where the API allows twenty requests in a window.

    python benchmarks/concurrency.py [--calls 60] [--limit 20] [--window 6] [--at-most 1.1]
    python benchmarks/concurrency.py --servers 2 --window 5

The real server runs as a child over stdio (or several, the calls shared out evenly) and asks the
pretend Verify API, which counts arrivals in a sliding window and answers 429 beyond the limit. The
window is scaled down from a minute. Nobody can be faster than one window for each further batch of
`limit`; that is the optimum. The exit code is 1 after a 429, a failure, or when the time is further
from the optimum than allowed.
"""

import argparse
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
from mcp import Client, StdioServerParameters, stdio_client

from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, Emulator, Options, serve


@dataclass
class Outcome:
    """What came of all the calls."""

    seconds: float
    failed: int
    refused: int
    requests: int
    busiest: int


def busiest(moments: list[float], window: float) -> int:
    """The most arrivals in any span of the window's length."""
    return max(sum(begun <= at < begun + window for at in moments) for begun in moments)


async def measure(
    calls: int, limit: int, window: float, folder: Path, *, servers: int = 1
) -> Outcome:
    """Make all the calls at once and wait for the last answer."""
    emulator = Emulator(behaviour=Options(list_limit=limit, list_window=window, latency=0.02))
    _ = emulator.data  # made before the clock starts
    failed: list[str] = []
    async with serve(emulator) as url:
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "verify_mcp", "serve"],
            env=os.environ
            | {
                "PLIVO_AUTH_ID": SANDBOX_AUTH_ID,
                "PLIVO_AUTH_TOKEN": SANDBOX_AUTH_TOKEN,
                "VERIFY_MCP_API_URL": url,
                "VERIFY_MCP_RATE_LIMIT": f"{limit}/{window:g}",
                "VERIFY_MCP_DATABASE_URL": f"sqlite:///{folder}/quota.sqlite3",
                "VERIFY_MCP_MIRROR": "off",  # every question is to cost its request
            },
        )
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(Client(stdio_client(server)))
                for _ in range(servers)
            ]
            for client in clients:
                await client.list_tools()

            async def ask(offset: int) -> None:
                client = clients[offset % servers]
                arguments = {"limit": 1, "offset": offset}
                result = await client.call_tool("list_verify_sessions", arguments)
                answer = result.structured_content or {}
                if result.is_error or not answer.get("complete"):
                    failed.append(str(answer.get("why") or result.content))

            began = time.perf_counter()
            async with anyio.create_task_group() as tasks:
                for number in range(calls):
                    tasks.start_soon(ask, number)
            seconds = time.perf_counter() - began
    for why in failed[:3]:
        print("failed:", why)
    listed = [each for each in emulator.received if each.endpoint == "list"]
    return Outcome(
        seconds,
        failed=len(failed),
        refused=sum(each.status == 429 for each in listed),
        requests=len(listed),
        busiest=busiest([each.at for each in listed], window),
    )


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--window", type=float, default=6.0)
    parser.add_argument("--at-most", type=float, default=1.1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = anyio.run(
            partial(
                measure,
                options.calls,
                options.limit,
                options.window,
                Path(folder),
                servers=options.servers,
            )
        )
    optimum = (-(-options.calls // options.limit) - 1) * options.window
    ratio = found.seconds / optimum
    print(
        f"{options.calls} calls at once, {options.limit} allowed in {options.window:g} s\n"
        f"requests   {found.requests}\n"
        f"429        {found.refused}\n"
        f"failed     {found.failed}\n"
        f"busiest    {found.busiest} in a window\n"
        f"time       {found.seconds:.2f} s, optimum {optimum:.2f} s, "
        f"ratio {ratio:.3f} (at most {options.at_most})"
    )
    return int(bool(found.refused or found.failed) or ratio > options.at_most)


if __name__ == "__main__":
    sys.exit(main())
