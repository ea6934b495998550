"""From the start of a process to its first tool result over stdio, beside a bare `mcp` server.

    python benchmarks/start.py [--runs 15] [--at-most 1.25]

Ours asks the pretend Verify API on this machine; the bare server has one tool that adds nothing.
Runs alternate, so that a busy machine disturbs both alike. Both speak raw JSON-RPC to us, so that
no client's own start is measured. The exit code is 1 when the ratio of the minima is too high.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

BARE = '''
from mcp.server import MCPServer

server = MCPServer("bare", log_level="WARNING")


@server.tool()
async def ping(name: str) -> str:
    """One line."""
    return f"hello {name}"


server.run()
'''
PROTOCOL = "2025-11-25"
HIDING = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")


def sent(pipe: IO[bytes], message: Mapping[str, Any]) -> None:
    """Write one message."""
    pipe.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    pipe.flush()


def received(pipe: IO[bytes], number: int) -> dict[str, Any]:
    """The result of the request with this number."""
    while line := pipe.readline():
        message: dict[str, Any] = json.loads(line)
        if message.get("id") == number:
            result: dict[str, Any] = message["result"]
            return result
    raise SystemExit("the server ended before it answered")


def seconds(
    command: Sequence[str], environ: Mapping[str, str], tool: str, arguments: object
) -> float:
    """One start, from before the process exists to the tool's result."""
    who = {"name": "benchmark", "version": "1"}
    hello = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": who}
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environ)
    ) as server:
        reading, writing = cast("IO[bytes]", server.stdout), cast("IO[bytes]", server.stdin)
        sent(writing, {"id": 1, "method": "initialize", "params": hello})
        received(reading, 1)
        sent(writing, {"method": "notifications/initialized"})
        call = {"name": tool, "arguments": arguments}
        sent(writing, {"id": 2, "method": "tools/call", "params": call})
        result = received(reading, 2)
        took = time.perf_counter() - began
        writing.close()
        server.wait(timeout=10)
    if result.get("isError"):
        raise SystemExit(f"{tool} was refused: {result}")
    return took


def emulator(environ: Mapping[str, str]) -> tuple[subprocess.Popen[str], str]:
    """The pretend API on a free port, without a limit, and its address."""
    command = [sys.executable, "-m", "verify_mcp", "emulator", "--port", "0", "--limit", "off"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(environ))
    arguments = cast("IO[str]", process.stderr).readline()
    return process, arguments.split()[-1]


def measured(runs: int) -> tuple[list[float], list[float]]:
    """Seconds of each run, ours and the bare server's, taken in turn."""
    environ = {name: value for name, value in os.environ.items() if name not in HIDING}
    process, url = emulator(environ)
    ours = {
        "PLIVO_AUTH_ID": "MASANDBOXACCOUNT0000",
        "PLIVO_AUTH_TOKEN": "sandbox-token-not-a-secret",
        "VERIFY_MCP_API_URL": url,
        "VERIFY_MCP_RATE_LIMIT": "1000/60",
    }
    with tempfile.TemporaryDirectory() as folder:
        ours["VERIFY_MCP_DATABASE_URL"] = f"sqlite:///{folder}/kept.sqlite3"
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE, encoding="utf-8")
        pairs = [
            (
                seconds(
                    [sys.executable, "-m", "verify_mcp", "serve"],
                    environ | ours,
                    "list_verify_sessions",
                    {"limit": 1},
                ),
                seconds([sys.executable, str(bare)], environ, "ping", {"name": "you"}),
            )
            for _ in range(runs + 1)
        ]
    process.terminate()
    process.wait(timeout=10)
    first, second = zip(*pairs[1:], strict=True)  # the first pair compiled what was not compiled
    return list(first), list(second)


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--at-most", type=float, default=1.25)
    options = parser.parse_args()
    ours, bare = measured(options.runs)
    for name, took in (("verify-mcp", ours), ("bare mcp", bare)):
        print(
            f"{name:12} median {statistics.median(took) * 1000:6.0f} ms   "
            f"min {min(took) * 1000:6.0f} ms   ({len(took)} runs)"
        )
    ratio = min(ours) / min(bare)
    print(
        f"ratio        median {statistics.median(ours) / statistics.median(bare):6.2f}      "
        f"min {ratio:6.2f}      (at most {options.at_most})"
    )
    return int(ratio > options.at_most)


if __name__ == "__main__":
    sys.exit(main())
