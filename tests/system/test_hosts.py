"""Three hosts, each in a network of its own, with one PostgreSQL: one is cut off from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from tests.support.databases import Postgres, engines, postgres_place
from tests.support.http_server import JSON, PATIENCE, answer_in, call, child
from tests.support.relay import relay
from tests.support.replicas import LIMIT, MORNING, WINDOW
from verify_mcp.emulator import Emulator, Options, serve
from verify_mcp.http.listen import PATH

pytestmark = pytest.mark.anyio

PORT = 8765
"""Where each host's replica is reached from outside."""
AHEAD = (0, 180, -180)
"""Seconds by which the hosts' clocks are ahead."""


def ip(*words: str) -> None:
    subprocess.run([shutil.which("ip") or "ip", *words], check=True, capture_output=True)


def hosts_can_be_had() -> bool:
    """Whether this user may make networks, and PostgreSQL is there."""
    if "postgresql" not in engines() or not shutil.which("ip") or os.getuid():
        return False
    name = f"vmcp-try-{os.getpid()}"
    try:
        ip("netns", "add", name)
        ip("netns", "del", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@dataclass(frozen=True)
class Host:
    """A network namespace, joined to this machine by a cable of its own.

    On this machine's end the cable has two addresses: that of the API, and that of the database.
    """

    number: int
    name: str
    net: str

    @property
    def api(self) -> str:
        return f"{self.net}.1"

    @property
    def database(self) -> str:
        return f"{self.net}.2"

    @property
    def namespace(self) -> str:
        return f"{self.net}.10"

    def cut(self) -> None:
        """Let everything that is sent to the database vanish."""
        ip("-n", self.name, "route", "add", "blackhole", f"{self.database}/32")

    def mend(self) -> None:
        ip("-n", self.name, "route", "del", "blackhole", f"{self.database}/32")

    async def post_from(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The answer of the replica on this host."""
        headers = {**JSON, "host": f"127.0.0.1:{PORT}"}
        async with httpx2.AsyncClient(timeout=2 * PATIENCE, trust_env=False) as http:
            url = f"http://{self.namespace}:{PORT}{PATH}"
            result = answer_in(await http.post(url, json=call(tool, **arguments), headers=headers))
        assert not result.get("isError"), result
        answer: dict[str, Any] = result["structuredContent"]
        return answer


@contextmanager
def joined(number: int) -> Iterator[Host]:
    """A host, until the end of the block."""
    host = Host(number, f"vmcp-{os.getpid()}-{number}", f"10.{100 + os.getpid() % 100}.{number}")
    cable = f"vm{os.getpid() % 100_000}-{number}"
    ip("netns", "add", host.name)
    try:
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        for address in (host.api, host.database):
            ip("addr", "add", f"{address}/24", "dev", cable)
        ip("link", "set", cable, "up")
        ip("-n", host.name, "addr", "add", f"{host.namespace}/24", "dev", "eth0")
        for each in ("eth0", "lo"):
            ip("-n", host.name, "link", "set", each, "up")
        yield host
    finally:
        ip("netns", "del", host.name)  # the cable goes with it


@asynccontextmanager
async def fleet(server: Postgres, home: Path) -> AsyncIterator[tuple[Emulator, Sequence[Host]]]:
    """A replica on each of three hosts, and the API that they ask."""
    name = postgres_place(server).name
    api = Emulator(behaviour=Options(list_limit=LIMIT, list_window=WINDOW))
    _ = api.data  # made before anybody asks
    async with serve(api) as api_url, AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        api_port = api_url.rpartition(":")[2]
        hosts = [stack.enter_context(joined(number)) for number in range(len(AHEAD))]

        async def start(host: Host) -> None:
            tasks.start_soon(relay, f"{host.api}:{api_port}", f"127.0.0.1:{api_port}")
            tasks.start_soon(relay, f"{host.database}:{server.port}", f"127.0.0.1:{server.port}")
            pairs = (
                f"127.0.0.1:{api_port}={host.api}:{api_port}",
                f"{host.namespace}:{PORT}=127.0.0.1:{PORT}",
            )
            inside = ("ip", "netns", "exec", host.name)
            carrier = await anyio.open_process(
                [*inside, sys.executable, "-m", "tests.support.relay", *pairs]
            )
            stack.callback(carrier.kill)
            database = f"postgresql://postgres@{host.database}:{server.port}/{name}"
            environ = {
                "HOME": str(home),
                "VERIFY_MCP_API_URL": api_url,
                "VERIFY_MCP_RATE_LIMIT": f"{LIMIT}/{WINDOW:g}",
                "VERIFY_MCP_DATABASE_URL": database,
            }
            words = ("-m", "tests.support.replica", str(AHEAD[host.number]), str(PORT))
            await stack.enter_async_context(child(environ=environ, start=words, under=inside))

        for host in hosts:
            await start(host)
        yield api, hosts


async def flood(hosts: Sequence[Host], calls: int) -> list[dict[str, Any]]:
    """The answers to so many different questions, asked of all hosts at once."""
    answers: list[dict[str, Any]] = []

    async def ask(number: int) -> None:
        arguments = {"limit": 1, "offset": number, "brand_name": "Acme"}
        host = hosts[number % len(hosts)]
        answers.append(await host.post_from("list_verify_sessions", **arguments))

    async with anyio.create_task_group() as tasks:
        for number in range(calls):
            tasks.start_soon(ask, number)
    return answers


def lacks_its_database(status: dict[str, Any]) -> bool:
    return any("cannot be used" in problem for problem in status["problems"])


@pytest.mark.skipif(not hosts_can_be_had(), reason="network namespaces cannot be had here")
@pytest.mark.slow(37)
async def test_r54_a_host_whose_packets_to_the_database_vanish_answers_and_comes_back(
    postgres: Postgres, tmp_path: Path
) -> None:
    async with fleet(postgres, tmp_path) as (api, hosts):
        first = await hosts[0].post_from("summarize_verify_sessions", **MORNING)
        second = await hosts[1].post_from("summarize_verify_sessions", **MORNING)
        assert (first["basis"], second["basis"]) == ("fetched", "held")
        answers = await flood(hosts, 30)
        hosts[2].cut()
        answers += await flood(hosts, 6)
        status = await hosts[2].post_from("get_verify_status", about="all")
        assert lacks_its_database(status)
        hosts[2].mend()
        with anyio.fail_after(2 * PATIENCE):
            while lacks_its_database(status):
                await anyio.sleep(1)
                answers += await flood([hosts[2]], 1)
                status = await hosts[2].post_from("get_verify_status", about="all")
        again = await hosts[2].post_from("summarize_verify_sessions", **MORNING)
        assert (again["basis"], again["sessions"]) == ("held", first["sessions"])
        assert all(answer["complete"] for answer in answers)
    moments = sorted(each.at for each in api.received if each.endpoint == "list")
    late = zip(moments, moments[LIMIT:], strict=False)
    assert all(new - old >= WINDOW for old, new in late)
    assert not [each for each in api.received if each.status == 429]
