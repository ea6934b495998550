"""Three replicas on one PostgreSQL: one quota, one mirror, whatever happens to one of them."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx2
import pytest

from tests.support.databases import Postgres, engines, free_port, postgres_place, postgres_server
from tests.support.http_server import PATIENCE, Child, answer_in, call, child, post
from tests.support.relay import join
from tests.support.replicas import LIMIT, MORNING, WINDOW
from verify_mcp.emulator import Emulator, Options, serve

pytestmark = [pytest.mark.anyio]
MINUTES = (0, 240, -240)
"""Seconds by which the replicas' clocks are ahead."""
OUTAGE = 30
"""Seconds for which the database's server is gone, at least."""


def replicas_can_be_had() -> Sequence[str]:
    """One parameter where PostgreSQL is installed, none where it is not (and that is said)."""
    return [each for each in engines() if each == "postgresql"]


@pytest.fixture(scope="module", params=replicas_can_be_had())
def own_postgres() -> Iterator[Postgres]:
    """A server of these tests alone, because they stop it."""
    with postgres_server() as server:
        yield server


class Wire:
    """A connection to the database that can be cut."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._whole = True
        self._scopes: set[anyio.CancelScope] = set()

    async def carry(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Carry bytes to and fro until cancelled."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        async with listener:
            task_status.started()
            await listener.serve(self._carry_bytes)

    def cut(self) -> None:
        self._whole = False
        for scope in list(self._scopes):
            scope.cancel()

    def mend(self) -> None:
        self._whole = True

    async def _carry_bytes(self, here: anyio.abc.SocketStream) -> None:
        async with here:
            if not self._whole:
                return
            try:
                there = await anyio.connect_tcp("127.0.0.1", self._target)
            except OSError:
                return  # the database itself is away
            async with there:
                with anyio.CancelScope() as scope:
                    self._scopes.add(scope)
                    await join(here, there)
                self._scopes.discard(scope)


class Fleet:
    """Three replicas, the API that they ask, and the wire of the third to the database."""

    def __init__(self, api: Emulator, replicas: Sequence[Child], wire: Wire) -> None:
        self.api = api
        self.replicas = replicas
        self.wire = wire

    async def ask(self, number: int, tool: str, **arguments: Any) -> dict[str, Any]:
        """The answer of one replica."""
        result = answer_in(await post(self.replicas[number].url, call(tool, **arguments)))
        assert not result.get("isError"), result
        answer: dict[str, Any] = result["structuredContent"]
        return answer

    async def flood(self, numbers: Sequence[int], calls: int) -> list[dict[str, Any]]:
        """The answers to so many different questions, asked at once."""
        answers: list[dict[str, Any]] = []

        async def ask(each: int) -> None:
            number = numbers[each % len(numbers)]
            what = {"limit": 1, "offset": each, "brand_name": "Acme"}
            answers.append(await self.ask(number, "list_verify_sessions", **what))

        async with anyio.create_task_group() as tasks:
            for each in range(calls):
                tasks.start_soon(ask, each)
        return answers

    async def ask_doomed(self, number: int) -> None:
        """Ask a replica that dies meanwhile."""
        with suppress(BaseExceptionGroup):
            await self.flood((number,), 4)

    def busiest(self) -> int:
        """The most requests that the API saw in any window."""
        moments = [each.at for each in self.api.received if each.endpoint == "list"]
        return max(sum(start <= at < start + WINDOW for at in moments) for start in moments)

    def refused(self) -> int:
        return sum(each.status == 429 for each in self.api.received)

    async def ready(self, number: int) -> bool:
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            reply = await http.get(self.replicas[number].url + "/readyz")
        return reply.status_code == 200

    async def until_ready(self, *numbers: int) -> None:
        with anyio.fail_after(2 * PATIENCE):
            for number in numbers:
                while not await self.ready(number):  # noqa: ASYNC110 - asked over HTTP
                    await anyio.sleep(0.1)


@asynccontextmanager
async def fleet(server: Postgres, home: Path) -> AsyncIterator[Fleet]:
    name = postgres_place(server).name
    behaviour = Options(list_limit=LIMIT, list_window=WINDOW, latency=(0.0, 0.05))
    api, wire = Emulator(behaviour=behaviour), Wire(server.port)
    _ = api.data  # made before anybody asks
    async with serve(api) as api_url, anyio.create_task_group() as tasks:
        await tasks.start(lambda *, task_status: wire.carry(task_status=task_status))
        async with AsyncExitStack() as stack:
            replicas: list[Child | None] = [None] * len(MINUTES)

            async def start(number: int, port: int) -> None:
                more = {
                    "HOME": str(home),
                    "VERIFY_MCP_API_URL": api_url,
                    "VERIFY_MCP_RATE_LIMIT": f"{LIMIT}/{WINDOW:g}",
                    "VERIFY_MCP_DATABASE_URL": f"postgresql://postgres@127.0.0.1:{port}/{name}",
                }
                words = ("-m", "tests.support.replica", str(MINUTES[number]), "0")
                replicas[number] = await stack.enter_async_context(child(environ=more, start=words))

            async with anyio.create_task_group() as starting:
                for number, port in enumerate((server.port, server.port, wire.port)):
                    starting.start_soon(start, number, port)
            yield Fleet(api, [each for each in replicas if each], wire)
        tasks.cancel_scope.cancel()


@pytest.mark.slow(17)
async def test_r54_replicas_with_clocks_minutes_apart_share_one_quota_and_one_mirror(
    own_postgres: Postgres, tmp_path: Path
) -> None:
    async with fleet(own_postgres, tmp_path) as us:
        answers = await us.flood((0, 1, 2), 30)
        assert [answer["complete"] for answer in answers] == [True] * 30
        spent = len(us.api.received)

        summary = await us.ask(1, "summarize_verify_sessions", **MORNING)
        assert (summary["complete"], summary["basis"]) == (True, "fetched")
        for number in (0, 2):
            again = await us.ask(number, "summarize_verify_sessions", **MORNING)
            assert {**again, "as_of": "", "quota_left": 0} == {
                **summary, "as_of": "", "quota_left": 0, "basis": "held", "api_requests": 0,
            }  # fmt: skip
        assert len(us.api.received) == spent + summary["api_requests"]

        # One is killed with requests under way: nobody else notices.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(us.ask_doomed, 1)
            await _until(lambda: len(us.api.received) > spent + summary["api_requests"])
            us.replicas[1].send(signal.SIGKILL)
        answers = await us.flood((0, 2), 12)
        assert [answer["complete"] for answer in answers] == [True] * 12
        assert (us.refused(), us.busiest() <= LIMIT) == (0, True)


@pytest.mark.slow(70)
async def test_r54_without_the_database_calls_are_answered_and_nothing_is_lost(
    own_postgres: Postgres, tmp_path: Path
) -> None:
    async with fleet(own_postgres, tmp_path) as us:
        before = await us.ask(0, "summarize_verify_sessions", **MORNING)
        us.wire.cut()
        alone = await us.flood((2,), 3)
        status = await us.ask(2, "get_verify_status", about="all")
        assert any("cannot be used" in problem for problem in status["problems"])
        assert [await us.ready(number) for number in (0, 1, 2)] == [True, True, False]
        us.wire.mend()

        own_postgres.control("-m", "immediate", "stop")
        try:
            until = time.monotonic() + OUTAGE
            during = await us.flood((0, 1, 2), 6)
            while time.monotonic() < until:
                await anyio.sleep(2)
                during += await us.flood((0, 1, 2), 3)
        finally:
            own_postgres.control("start")
        assert all(answer["complete"] for answer in (*alone, *during))
        await us.until_ready(0, 1, 2)
        again = await us.ask(2, "summarize_verify_sessions", **MORNING)
        assert (again["basis"], again["sessions"]) == ("held", before["sessions"])
        await us.flood((0, 1, 2), 3)
        for number in (0, 1, 2):
            status = await us.ask(number, "get_verify_status", about="all")
            assert not any("cannot be used" in problem for problem in status["problems"])
        assert (us.refused(), us.busiest() <= LIMIT) == (0, True)


async def _until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not true():  # noqa: ASYNC110 - another process does it
            await anyio.sleep(0.01)
