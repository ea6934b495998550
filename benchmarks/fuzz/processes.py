"""Servers as processes of their own, killed with -9, on one database of either engine."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Self

import anyio
import uvicorn
from mcp import Client, StdioServerParameters, stdio_client

from benchmarks.fuzz.calls import Call
from benchmarks.fuzz.launch import SharedClock
from benchmarks.fuzz.stage import Asking, Judge, Report
from benchmarks.fuzz.truth import Truth
from benchmarks.fuzz.wander import (
    BY_CHANCE,
    FAULTS,
    SETTLE,
    Choice,
    Plan,
    Questions,
    peopled,
    planned,
)
from benchmarks.fuzz.world import NOON, Account, Life, WorldApi
from tests.support.http_server import child, create_token, http_client
from tests.support.stdio import environment
from verify_mcp.emulator import Fault, Options

LATENCY = timedelta(seconds=3)
"""The longest that a page takes on a busy machine."""
MOST_SECONDS = 60.0
"""Within which every call has an answer, or its server was killed."""
NAPS, NAP_SECONDS = 8, 0.15
"""Jumps of the clock between two questions, and the real time of the background work after each."""
_LOGGED = 3000
"""Characters of the servers' log that are shown beside an internal error."""
WIRE_FAULTS = (*FAULTS, Fault.RESET, Fault.TRUNCATED_BODY, Fault.GATEWAY_TIMEOUT)


class _Quiet(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def api_served(api: WorldApi) -> AsyncIterator[str]:
    """The pretend API on loopback, with no Date header but its own."""
    config = uvicorn.Config(
        api, lifespan="off", log_config=None, log_level="critical", access_log=False,
        date_header=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2048)
        server = _Quiet(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            for unfinished in list(server.server_state.tasks):
                unfinished.cancel()
            await task


@dataclass
class Process:
    """A server's process and a client of it, in a task of its own."""

    client: Client
    pid: int
    over: asyncio.Event
    task: asyncio.Task[None]

    async def kill(self) -> None:
        """Kill it with -9, whatever it is doing."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        await self.end()

    async def end(self) -> None:
        """Wait until it is gone."""
        self.over.set()
        with suppress(Exception), anyio.move_on_after(10):
            await self.task


@dataclass
class House(Asking):
    """Processes on one clock, one database and one API."""

    judge: Judge
    api: WorldApi
    clock: SharedClock
    plan: Plan
    folder: Path
    surroundings: dict[str, str]
    over_http: bool = False
    killed: int = 0
    chance: Random = field(default_factory=Random)
    _running: dict[int, Process] = field(default_factory=dict)
    _under_way: int = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for process in self._running.values():
            await process.kill()

    async def pass_by(self, **parts: float) -> None:
        """Let time pass, unless a reply is on its way: no reply takes hours."""
        parts_of_it = NAPS if self.plan.works else 1
        for _ in range(parts_of_it):
            if not self._under_way and not self.api.is_replying:
                self.clock.pass_by(timedelta(**parts).total_seconds() / parts_of_it)
            if self.plan.works:
                await asyncio.sleep(NAP_SECONDS)

    async def call(self, tool: str, server: int = 0, **arguments: Any) -> Call:
        """One call, during which the server may be killed; then it has no answer."""
        process = await self._process(server)
        called = self.clock.now()
        skew = timedelta(0) if self.plan.is_dated else self.plan.skews[server]
        if self.chance.random() < 0.05:
            asyncio.get_running_loop().create_task(self._kill_soon(server))
        answer, error = None, "killed"
        self._under_way += 1
        with suppress(Exception), anyio.move_on_after(MOST_SECONDS):
            result = await process.client.call_tool(tool, arguments)
            answer = None if result.is_error else dict(result.structured_content or {})
            error = "" if answer is not None else str(getattr(result.content[0], "text", ""))
        self._under_way -= 1
        if error == "killed":
            await self._kill(server)
        if "Internal error" in error:
            error += f"\n{(self.folder / 'stderr').read_text()[-_LOGGED:]}"
        return Call(tool, arguments, called, self.clock.now(), answer, error, LATENCY, skew)

    async def _kill_soon(self, server: int) -> None:
        await asyncio.sleep(self.chance.uniform(0, 0.2))
        await self._kill(server)

    async def _kill(self, server: int) -> None:
        process = self._running.pop(server, None)
        if process is not None:
            self.killed += 1
            await process.kill()

    async def _process(self, server: int) -> Process:
        if server not in self._running:
            self._running[server] = await self._start(server)
        return self._running[server]

    async def _start(self, server: int) -> Process:
        over = asyncio.Event()
        ready: asyncio.Future[tuple[Client, int]] = asyncio.get_running_loop().create_future()

        async def live() -> None:
            try:
                async with self._connect(server) as (client, pid):
                    ready.set_result((client, pid))
                    await over.wait()
            except BaseException as error:
                if not ready.done():
                    ready.set_exception(error)
                raise

        task = asyncio.create_task(live())
        client, pid = await ready
        return Process(client, pid, over, task)

    @asynccontextmanager
    async def _connect(self, server: int) -> AsyncIterator[tuple[Client, int]]:
        pid_file = self.folder / f"{server}.pid"
        environ = environment(
            **self.surroundings,
            FUZZ_SKEW=str(self.plan.skews[server].total_seconds()),
            FUZZ_PID=str(pid_file),
        )
        async with AsyncExitStack() as stack:
            if self.over_http:
                token_file = self.folder / f"tokens-{server}-{self.chance.getrandbits(30)}.json"
                token = create_token(token_file, "fuzz", 10_000)
                environ["VERIFY_MCP_TOKENS_FILE"] = str(token_file)
                start = ("-m", "benchmarks.fuzz.launch")
                running = await stack.enter_async_context(child(environ=environ, start=start))
                client = await stack.enter_async_context(http_client(running.url, token))
                yield client, running.process.pid
                return
            errors = stack.enter_context((self.folder / "stderr").open("a"))
            words = ["-m", "benchmarks.fuzz.launch", "serve"]
            parameters = StdioServerParameters(command=sys.executable, args=words, env=environ)
            connection = stdio_client(parameters, errlog=errors)
            client = await stack.enter_async_context(Client(connection))
            yield client, int(pid_file.read_text())


def _surroundings(plan: Plan, clock: Path, url: str, api_url: str, engine: str) -> dict[str, str]:
    # A simulated clock is behind SQLite's ledger; PostgreSQL's has its own, which does not jump.
    rate = "20/60" if engine == "sqlite" else "20/0.5"
    return {
        "FUZZ_CLOCK": str(clock),
        "VERIFY_MCP_API_URL": api_url,
        "VERIFY_MCP_DATABASE_URL": url,
        "VERIFY_MCP_AHEAD": str(plan.ahead or "off"),
        "VERIFY_MCP_FOLLOW": f"{plan.follow.days}d" if plan.follow else "",
        "VERIFY_MCP_MIRROR": "on" if plan.mirror else "off",
        "VERIFY_MCP_RATE_LIMIT": rate,
        "VERIFY_MCP_RETRIEVE_RATE_LIMIT": rate,
        "VERIFY_MCP_SETTLE": f"{SETTLE.total_seconds():.0f}s",
    }


async def run_life(
    seed: int, report: Report, url: str, engine: str, folder: Path, choice: Choice = BY_CHANCE
) -> int:
    """One world of that seed with real processes; how many of them were killed."""
    plan, chance = planned(seed, choice), Random(seed + 1)
    over_http = chance.random() < 0.3
    report.trace = f"--processes {plan}, {engine}, {'HTTP' if over_http else 'stdio'}"
    lives = peopled(chance, NOON)
    clock = SharedClock.made(folder / f"{seed}.clock", NOON)
    api = _api(lives, clock, plan, engine)
    async with api_served(api) as api_url:
        surroundings = _surroundings(plan, folder / f"{seed}.clock", url, api_url, engine)
        house = House(
            Judge(Truth(lives), report), api, clock, plan, folder, surroundings, over_http,
            chance=chance,
        )  # fmt: skip
        async with house:
            await _ask(house, Questions(chance, lives), plan, chance, clock.now)
        return house.killed


def _api(lives: list[Life], clock: SharedClock, plan: Plan, engine: str) -> WorldApi:
    behaviour = Options(
        fault_rate=plan.fault_rate,
        faults=WIRE_FAULTS,
        list_limit=20 if engine == "sqlite" else None,
        latency=(0.0, 0.02),
        date_header=plan.is_dated,
    )
    account = Account(lives, clock.now)
    ticks = clock.ticks
    return WorldApi(account, behaviour=behaviour, clock=clock.now, monotonic=ticks, seed=plan.seed)


async def _ask(house: House, questions: Questions, plan: Plan, chance: Random, now: Any) -> None:
    for _ in range(plan.steps):
        servers = list(range(len(plan.skews)))
        if len(servers) > 1 and chance.random() < 0.3:  # both at once
            ask = partial(questions.ask, house)
            await asyncio.gather(*(ask(server, _moment(now)) for server in servers))
        else:
            await questions.ask(house, chance.choice(servers), _moment(now))
        await house.pass_by(seconds=chance.choice((1, 30, 65, 65, 300, 900, 3600, 4 * 3600)))


def _moment(now: Any) -> datetime:
    moment: datetime = now()
    return moment
