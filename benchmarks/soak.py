"""Real servers on one account for minutes, while replies fail, calls are cancelled, servers killed.

    python -m benchmarks.soak [--seconds 600] [--servers 4] [--engine sqlite|postgresql] [--follow]

The API's minute is scaled to 3 s. A fifth of its replies go wrong; every server is asked random
questions by several callers, who lose patience now and then; all servers but the first are killed
with -9 now and then, and started again. Half of them keep a mirror. What is checked: no request too
many at the API, no answer that differs from what the account holds, no call without an answer, no
growing memory, nothing on stderr but what was foreseen. Ends with 1 if a promise is broken. With
`--follow` the servers also work between two calls.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Any

import anyio
from mcp import Client, StdioServerParameters, stdio_client

from benchmarks.quota import opened
from tests.support.processes import TOLERANCE
from verify_mcp.emulator import (
    SANDBOX_AUTH_ID,
    SANDBOX_AUTH_TOKEN,
    Emulator,
    Fault,
    Options,
    SessionRecord,
    generate,
    serve,
)
from verify_mcp.emulator.account import microseconds

WINDOW, LISTS, RETRIEVES = 3.0, 20, 60
FAULTS = (
    Fault.BAD_GATEWAY,
    Fault.UNAVAILABLE,
    Fault.GATEWAY_TIMEOUT,
    Fault.SERVER_ERROR,
    Fault.OK_HTML,
    Fault.OK_NULL,
    Fault.RESET,
    Fault.TRUNCATED_BODY,
    Fault.TRUNCATED_JSON,
    Fault.TOO_MANY_RETRY_AFTER,
)
CALLERS = 5
MOST_SECONDS = 40.0
"""Within which every call must have an answer: it waits 20 s at most, a request takes 15."""
MOST_GROWTH = 12_000_000
"""Bytes that a server may grow between the second and the last quarter of its life."""
LAUNCH = "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); os.execv(sys.executable, "
LAUNCH += "[sys.executable, '-m', 'verify_mcp', 'serve'])"


@dataclass
class Soak:
    """One run: its surroundings, and what came of it."""

    url: str
    folder: Path
    seconds: float
    emulator: Emulator
    records: list[SessionRecord]
    random: Random
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    follows: bool = False
    api_url: str = ""
    until: float = 0.0

    async def run(self, servers: int) -> None:
        """Let so many servers be asked until the time is over."""
        async with serve(self.emulator) as self.api_url:
            self.until = time.monotonic() + self.seconds
            async with anyio.create_task_group() as tasks:
                for number in range(servers):
                    tasks.start_soon(self._serve, number)

    async def _serve(self, number: int) -> None:
        """One server after the other, as they are killed."""
        while time.monotonic() < self.until:
            self.counts["servers started"] += 1
            life = 1e9 if number == 0 else self.random.uniform(4, 12)
            try:
                await self._one_life(number, life)
            except* Exception as group:  # noqa: BLE001 - a killed server ends a client anyhow
                self.counts[f"client ended by {type(group.exceptions[0]).__name__}"] += 1

    async def _one_life(self, number: int, life: float) -> None:
        pid_file = self.folder / f"{number}.pid"
        errors = (self.folder / "stderr").open("a")
        server = StdioServerParameters(
            command=sys.executable,
            args=["-c", LAUNCH, str(pid_file)],
            env=os.environ
            | {
                "PLIVO_AUTH_ID": SANDBOX_AUTH_ID,
                "PLIVO_AUTH_TOKEN": SANDBOX_AUTH_TOKEN,
                "VERIFY_MCP_API_URL": self.api_url,
                "VERIFY_MCP_DATABASE_URL": self.url,
                "VERIFY_MCP_RATE_LIMIT": f"{LISTS}/{WINDOW:g}",
                "VERIFY_MCP_RETRIEVE_RATE_LIMIT": f"{RETRIEVES}/{WINDOW:g}",
                "VERIFY_MCP_MIRROR": "on" if number % 2 else "off",
                "VERIFY_MCP_AHEAD": "on" if self.follows else "off",
                "VERIFY_MCP_FOLLOW": "7d" if self.follows and number % 2 else "",
            },
        )
        with errors:
            async with Client(stdio_client(server, errlog=errors)) as client:
                await client.list_tools()
                pid = int(pid_file.read_text())
                killed = anyio.Event()
                async with anyio.create_task_group() as tasks:
                    for _ in range(CALLERS):
                        tasks.start_soon(self._calls, client, killed)
                    tasks.start_soon(self._watch, number, pid, killed)
                    with anyio.move_on_after(life) as alive:
                        await anyio.sleep(max(0.0, self.until - time.monotonic()))
                    if alive.cancelled_caught:
                        killed.set()
                        os.kill(pid, signal.SIGKILL)
                        self.counts["servers killed"] += 1
                        tasks.cancel_scope.cancel()

    async def _watch(self, number: int, pid: int, killed: anyio.Event) -> None:
        while number == 0 and not killed.is_set() and time.monotonic() < self.until:
            self.memory.append(resident(pid))
            await anyio.sleep(0.5)

    async def _calls(self, client: Client, killed: anyio.Event) -> None:
        questions = (self._list, self._list, self._get, self._summary)
        while time.monotonic() < self.until:
            question = self.random.choice(questions)
            patience = self.random.uniform(0, 1) if self.random.random() < 0.1 else MOST_SECONDS
            outcome, began = "cancelled", time.monotonic()
            with anyio.move_on_after(patience):
                outcome = await question(client)
            if outcome == "cancelled" and patience == MOST_SECONDS and not killed.is_set():
                self.wrong.append(f"{question.__name__}: no answer in {time.monotonic() - began}")
            elif patience == MOST_SECONDS and not killed.is_set():
                self.waits.append(time.monotonic() - began)
            self.counts[outcome] += 1
            await anyio.sleep(self.random.uniform(0, 0.2))

    def _window(self) -> tuple[dict[str, str], list[SessionRecord]]:
        """A random span, and what the account holds of it."""
        begin = self.random.choice(self.records).created_at.replace(microsecond=0)
        end = begin + timedelta(hours=self.random.randrange(1, 48))
        end = min(end, self.records[0].created_at.replace(microsecond=0))
        bounds = {"session_time__gte": begin, "session_time__lt": end}
        window = {name: f"{at:%Y-%m-%d %H:%M:%S}" for name, at in bounds.items()}
        return window, list(self.emulator.data.between(microseconds(begin), microseconds(end) - 1))

    async def _list(self, client: Client) -> str:
        window, records = self._window()
        if not records:
            return "no question"
        status = self.random.choice(("", "verified", "expired"))
        records = [each for each in records if not status or each.outcome == status]
        offset = self.random.randrange(0, len(records) + 1)
        arguments: dict[str, Any] = {**window, "offset": offset}
        arguments |= {"status": status} if status else {}
        answer = await self._ask(client, "list_verify_sessions", arguments)
        if isinstance(answer, str):
            return answer
        expected = [each.uuid[:8] for each in records[offset : offset + 20]]
        ids = [row[0] for row in answer.get("rows", [])]
        if ids != expected if answer["complete"] else ids and ids != expected:
            self.wrong.append(f"list {arguments}: {ids} instead of {expected}")
        return "list answered" if answer["complete"] else "list told when"

    async def _get(self, client: Client) -> str:
        one = self.random.choice(self.records)
        answer = await self._ask(client, "get_verify_session", {"session_uuid": one.uuid})
        if isinstance(answer, str):
            return answer
        if not answer["complete"]:
            return "get told when"
        found = (answer["session"], answer["status"], len(answer["attempts"]))
        if found != (one.uuid, one.outcome, len(one.attempts)):
            self.wrong.append(f"get {one.uuid}: {found}")
        return "get answered"

    async def _summary(self, client: Client) -> str:
        window, records = self._window()
        answer = await self._ask(client, "summarize_verify_sessions", window)
        if isinstance(answer, str):
            return answer
        if not answer["complete"]:
            return "summary told when"
        truth = (len(records), sum(each.outcome == "verified" for each in records))
        if (answer["sessions"], answer["verified"]) != truth:
            self.wrong.append(f"summary {window}: {answer} instead of {truth}")
        return "summary answered"

    async def _ask(
        self, client: Client, tool: str, arguments: dict[str, Any]
    ) -> dict[str, Any] | str:
        result = await client.call_tool(tool, arguments)
        (block,) = result.content
        text = getattr(block, "text", "")
        if not result.is_error:
            return dict(result.structured_content or {})
        if not text.startswith(("The Verify API", "The connection to the Verify API")):
            self.wrong.append(f"{tool} {arguments}: {text}")
        return "said what failed"

    def violations(self) -> int:
        """Requests at the API that were one too many."""
        found = 0
        for endpoint, most in (("list", LISTS), ("get", RETRIEVES)):
            at = [each.at for each in self.emulator.received if each.endpoint == endpoint]
            pairs = zip(at, at[most:], strict=False)
            found += sum(new - old < WINDOW - TOLERANCE for old, new in pairs)
        return found

    def growth(self) -> int:
        """Bytes that the first server has grown from the second quarter to the last."""
        if not (quarter := len(self.memory) // 4):
            return 0
        return int(mean(self.memory[-quarter:]) - mean(self.memory[quarter : 2 * quarter]))

    def unforeseen(self) -> list[str]:
        """What the servers wrote on stderr that has no place there."""
        lines = (self.folder / "stderr").read_text().splitlines()
        return [line for line in lines if "Traceback" in line or "ERROR" in line]


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def soaked(seconds: float, servers: int, engine: str, *, follows: bool, seed: int = 7) -> Soak:
    """One whole run."""
    random = Random(seed)
    now = datetime.now(UTC)
    world = generate(now=now, seed=seed, last_day=60, total=1000)  # so that caches fill soon
    settled = [each for each in world.records if each.created_at < now - timedelta(hours=3)]
    behaviour = Options(
        list_limit=LISTS,
        list_window=WINDOW,
        get_limit=RETRIEVES,
        get_window=WINDOW,
        latency=(0.0, 0.1),
        fault_rate=0.2,
        faults=FAULTS,
        fault_retry_after="1",
    )
    with ExitStack() as stack:
        url = stack.enter_context(opened(engine))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        emulator = Emulator(world, behaviour=behaviour, seed=seed)
        soak = Soak(url, folder, seconds, emulator, settled, random, follows=follows)
        anyio.run(soak.run, servers)
        soak.wrong += soak.unforeseen()
        return soak


def main() -> int:
    """Run, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--servers", type=int, default=4)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--follow", action="store_true")
    options = parser.parse_args()
    soak = soaked(options.seconds, options.servers, options.engine, follows=options.follow)
    replies = Counter(f"API replied {each.status}" for each in soak.emulator.received)
    for name, number in sorted((soak.counts | replies).items()):
        print(f"{name:32}{number:8}")
    print(f"{'middle wait for an answer, s':32}{median(soak.waits or [0]):8.2f}")
    print(f"{'violations at the API':32}{soak.violations():8}")
    print(f"{'wrong or lost answers':32}{len(soak.wrong):8}")
    print(f"{'growth of memory, MB':32}{soak.growth() / 1e6:8.1f}")
    for problem in soak.wrong[:5]:
        print(problem)
    answered = soak.counts["list answered"] and soak.counts["get answered"]
    good = not soak.violations() and not soak.wrong and soak.growth() < MOST_GROWTH and answered
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
