"""Answers from the mirror over HTTP, against a bare `mcp` server that answers at once.

    python benchmarks/over_http.py [--replicas 1 2 4] [--callers 1 200] [--calls 2000]

Every server is a process of its own on loopback. The product's answer one question from a filled
mirror, which they share; the bare server gives back a text of the same size. Callers ask in both
protocols' common form: one POST a call. Rounds of both are interleaved, because other work on the
machine slows them alike. The exit code is 1 after an error, or when the median of the most callers
is more than --at-most times the bare server's.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, Emulator, Options, serve

BARE = """
import sys
from mcp.server import Server
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool
import json, socket, uvicorn
ANSWER = json.loads(sys.stdin.read())
TEXT = json.dumps(ANSWER, separators=(",", ":"))
async def tools(context, params):
    tool = Tool(name="list_verify_sessions", input_schema={"type": "object"})
    return ListToolsResult(tools=[tool])
async def call(context, params):
    return CallToolResult(content=[TextContent(text=TEXT)], structured_content=ANSWER)
server = Server("bare", on_list_tools=tools, on_call_tool=call)
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
listener.listen(2048)
app = server.streamable_http_app(stateless_http=True)
sys.stderr.write(f"bare serves MCP on http://127.0.0.1:{listener.getsockname()[1]}/mcp\\n")
sys.stderr.flush()
config = uvicorn.Config(app, log_config=None, access_log=False)
uvicorn.Server(config).run(sockets=[listener])
"""
ROUNDS = 5
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@dataclass
class Served:
    """Some equal processes, and what was measured of them."""

    name: str
    processes: Sequence["subprocess.Popen[bytes]"]
    urls: Sequence[str]
    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    spent: float = 0.0
    took: float = 0.0

    def cpu(self) -> float:
        """CPU seconds that its processes have used."""
        fields = [Path(f"/proc/{each.pid}/stat").read_text().split() for each in self.processes]
        return sum(int(each[13]) + int(each[14]) for each in fields) / TICKS


def started(
    stack: ExitStack, command: Sequence[str], fed: bytes, **more: str
) -> tuple["subprocess.Popen[bytes]", str]:
    """A server's process and its address."""
    process = subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, env={**os.environ, **more},
    )  # fmt: skip
    stack.callback(process.wait, 15)
    stack.callback(process.terminate)
    if process.stdin is None or process.stderr is None:
        raise RuntimeError("no pipes")
    process.stdin.write(fed)
    process.stdin.close()
    for line in process.stderr:
        if b" on http" in line:
            return process, line.decode().partition(" on ")[2].partition("/mcp")[0]
    raise RuntimeError("the server did not start")


async def ask(served: Served, callers: int, calls: int, question: object) -> None:
    """Let so many callers ask, each as soon as it has its answer."""
    body = json.dumps(question).encode()
    left = iter(range(calls))

    async def caller(http: httpx2.AsyncClient, number: int) -> None:
        url = served.urls[number % len(served.urls)] + "/mcp"
        for _ in left:
            began = time.perf_counter()
            try:
                reply = await http.post(url, content=body, headers=HEADERS)
                good = reply.status_code == 200 and '"isError":false' in reply.text
            except httpx2.HTTPError:
                good = False
            served.seconds.append(time.perf_counter() - began)
            served.errors += not good

    limits = httpx2.Limits(max_connections=callers, max_keepalive_connections=callers)
    async with httpx2.AsyncClient(trust_env=False, timeout=60, limits=limits) as http:
        before, began = served.cpu(), time.perf_counter()
        await asyncio.gather(*(caller(http, number) for number in range(callers)))
    served.took += time.perf_counter() - began
    served.spent += served.cpu() - before


@dataclass
class Pair:
    """The bare server and ours, asked by so many callers of so many replicas."""

    callers: int
    replicas: int
    bare: Served
    ours: Served

    @property
    def ratio(self) -> float:
        """Our median by that of the bare server."""
        return statistics.median(self.ours.seconds) / statistics.median(self.bare.seconds)

    @property
    def errors(self) -> int:
        """Calls without an answer."""
        return self.bare.errors + self.ours.errors


async def measure(options: argparse.Namespace, folder: str, url: str) -> list[Pair]:
    """Start everything and ask."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    arguments = {
        "session_time__gte": f"{now - timedelta(hours=30):%Y-%m-%d %H:%M}",
        "session_time__lt": f"{now - timedelta(hours=3):%Y-%m-%d %H:%M}",
    }
    question = _call("list_verify_sessions", arguments)
    more = {
        "HOME": folder,
        "PLIVO_AUTH_ID": SANDBOX_AUTH_ID,
        "PLIVO_AUTH_TOKEN": SANDBOX_AUTH_TOKEN,
        "VERIFY_MCP_API_URL": url,
        "VERIFY_MCP_RATE_LIMIT": "1000/1",
        "VERIFY_MCP_DATABASE_URL": options.database or f"sqlite://{folder}/mirror.sqlite3",
        "VERIFY_MCP_AUDIT_FILE": f"{folder}/audit.log",
    }
    pairs = []
    with ExitStack() as stack:
        command = ["-m", "verify_mcp", "serve", "--http", "--port", "0"]
        most = max(options.replicas)
        ours = [started(stack, command, b"", **more) for _ in range(most)]
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
            fill = _call("summarize_verify_sessions", {**arguments, "max_requests": 200})
            await http.post(ours[0][1] + "/mcp", json=fill, headers=HEADERS)
            reply = await http.post(ours[0][1] + "/mcp", json=question, headers=HEADERS)
        answer = json.loads(reply.text.rpartition("data: ")[2])["result"]["structuredContent"]
        if answer["api_requests"] or not answer["rows"]:
            raise SystemExit(f"the mirror did not answer: {answer}")
        fed = json.dumps(answer).encode()
        bare = [started(stack, ["-c", BARE], fed) for _ in range(most)]
        for callers in options.callers:
            for replicas in options.replicas:
                groups = _group("bare", bare, replicas), _group("verify-mcp", ours, replicas)
                for _ in range(ROUNDS):
                    for served in groups:
                        await ask(served, callers, options.calls // ROUNDS, question)
                pairs.append(Pair(callers, replicas, *groups))
    return pairs


def _group(
    name: str, all_of_them: Sequence[tuple["subprocess.Popen[bytes]", str]], number: int
) -> Served:
    chosen = all_of_them[:number]
    return Served(name, [each[0] for each in chosen], [each[1] for each in chosen])


def _call(tool: str, arguments: object) -> dict[str, object]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def _print(pairs: Sequence[Pair]) -> None:
    for pair in pairs:
        for served in (pair.bare, pair.ours):
            _tell(served, pair.callers, pair.replicas)
        print(f"{'':38}p50 ratio {pair.ratio:.2f}")


def _tell(served: Served, callers: int, replicas: int) -> None:
    ordered = sorted(served.seconds)
    milli: Callable[[float], str] = lambda seconds: f"{seconds * 1000:7.1f}"  # noqa: E731 - a format
    print(
        f"{served.name:11} callers {callers:3} replicas {replicas}  "
        f"p50 {milli(statistics.median(ordered))} ms  "
        f"p99 {milli(ordered[int(len(ordered) * 0.99)])} ms  errors {served.errors}  "
        f"{len(ordered) / served.took:6.0f}/s  CPU {milli(served.spent / len(ordered))} ms a call"
    )


async def with_api(options: argparse.Namespace, folder: str) -> list[Pair]:
    """Measure with a pretend API to fill the mirror from."""
    emulator = Emulator(behaviour=Options(list_limit=None))
    async with serve(emulator) as url:
        return await measure(options, folder, url)


def compare(options: argparse.Namespace) -> list[Pair]:
    """Measure with a mirror of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(with_api(options, folder))


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 200])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--at-most", type=float, default=1.5)
    parser.add_argument("--database", help="postgresql://… instead of a SQLite file")
    return parser.parse_args(arguments)


def main() -> int:
    """Read the options, measure, print and judge."""
    options = read_options()
    pairs = compare(options)
    _print(pairs)
    most = max(options.callers)
    slow = any(pair.callers == most and pair.ratio > options.at_most for pair in pairs)
    return int(slow or any(pair.errors for pair in pairs))


if __name__ == "__main__":
    sys.exit(main())
