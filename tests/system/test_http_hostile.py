"""Strangers, slow ones, greedy ones and those who leave: bounded, cut, and nobody else suffers."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx2
import pytest

from tests.support.client import Era, emulator_with, list_sessions
from tests.support.http_server import (
    JSON,
    MODERN,
    PATIENCE,
    RunningServer,
    answer_in,
    bearer,
    call,
    child,
    create_token,
    http_client,
    modern_call,
    post,
    run_server,
)
from tests.support.raw_http import Hasty, Small, connection, heard
from verify_mcp.emulator import Emulator, Options, serve
from verify_mcp.http.app import MAX_BODY_BYTES
from verify_mcp.http.listen import MAX_HEAD_BYTES
from verify_mcp.http.middleware import RESTARTING

pytestmark = pytest.mark.anyio

PROMISED_END = 10


class Stuck:
    """An API that answers when it is told to, and notices who stopped waiting."""

    def __init__(self) -> None:
        self.asked = 0
        self.left = 0
        self.release = anyio.Event()

    async def __call__(self, _scope: object, _receive: object, send: Any) -> None:
        self.asked += 1
        try:
            await self.release.wait()
        except anyio.get_cancelled_exc_class():
            self.left += 1
            raise
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = {"api_id": "x", "meta": {"limit": 20, "offset": 0}, "sessions": []}
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def until(true: Callable[[], bool]) -> None:
    """Wait for something to happen in this process or another one."""
    with anyio.fail_after(PATIENCE):
        while not true():  # noqa: ASYNC110 - nobody announces it
            await anyio.sleep(0.01)


async def others_are_served(here: RunningServer) -> None:
    async with http_client(here.url) as client:
        assert (await list_sessions(client))["complete"]


HOSTS = (
    "evil.example", "localhost", "127.0.0.1", "localhost:1", "127.0.0.1:{port}.evil.example",
    "localhost:{port}x", "LOCALHOST:{port}", "localhost.:{port}", "user@localhost:{port}",
    "localhost:{port}, evil.example", "[::]:{port}", "0.0.0.0:{port}", "127.1:{port}",
)  # fmt: skip


async def test_r51_only_exact_names_are_answered() -> None:
    async with run_server(emulator_with()) as here:
        for path in ("", "/.well-known/oauth-protected-resource/mcp"):
            for host in HOSTS:
                reply = await post(here.url + path, host=host.format(port=here.port))
                assert reply.status_code == 421, host
        for host in ("localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}"):
            reply = await post(here.url, host=host.format(port=here.port))
            assert reply.status_code == 200, host


@pytest.mark.parametrize("hosts", [b"", b"host: localhost:1\r\nhost: localhost:1\r\n"])
async def test_r51_no_name_or_two_are_refused(hosts: bytes) -> None:
    async with run_server(emulator_with()) as here, connection(here) as stream:
        await stream.send(b"POST /mcp HTTP/1.1\r\n" + hosts + b"connection: close\r\n\r\n")
        assert (await heard(stream)).split()[1] in (b"400", b"421")


async def test_r51_no_web_page_is_answered() -> None:
    async with run_server(emulator_with()) as here:
        for origin in ("http://evil.example", "null", here.url, "http://localhost", "x", ""):
            reply = await post(here.url, origin=origin)
            assert reply.status_code == 403, origin
        assert (await post(here.url)).status_code == 200


async def test_r51_bound_to_every_address_names_are_checked_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    token = create_token(file, "ops")
    more = {
        "HOME": str(tmp_path),
        "VERIFY_MCP_TOKENS_FILE": str(file),
        "VERIFY_MCP_ALLOWED_HOSTS": "verify.example.com",
    }
    words = ("--sandbox", "--host", "0.0.0.0")  # noqa: S104 - what is tested
    async with child(*words, environ=more) as here:
        port = here.url.rpartition(":")[2]
        url, known = f"http://127.0.0.1:{port}", bearer(token)
        assert (await post(url, host="evil.example", **known)).status_code == 421
        assert (await post(url, host=f"0.0.0.0:{port}", **known)).status_code == 421
        assert (await post(url, origin="http://evil.example", **known)).status_code == 403
        assert (await post(url, host="verify.example.com", **known)).status_code == 200
        assert (await post(url, host="verify.example.com")).status_code == 401
        here.send()
        await here.wait_ended()


async def test_only_posts_are_answered_so_that_no_stream_is_held_open_for_nothing() -> None:
    async with run_server(emulator_with()) as here, httpx2.AsyncClient(trust_env=False) as http:
        for method in ("GET", "DELETE", "PUT", "OPTIONS", "HEAD"):
            reply = await http.request(method, here.url + "/mcp", headers=JSON)
            assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
        assert (await http.get(here.url + "/nothing")).status_code == 404


HEAD = b"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"P",
        HEAD,
        HEAD + b"content-length: 100\r\n\r\n{",
        HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n",
    ],
    ids=["silence", "a letter", "a head", "a body", "a chunk"],
)
async def test_r52_who_does_not_finish_a_request_is_cut(begun: bytes) -> None:
    async with run_server(emulator_with(), protocol=Hasty) as here, connection(here) as stream:
        if begun:
            await stream.send(begun.replace(b"%d", str(here.port).encode()))
        await others_are_served(here)
        assert await heard(stream) == b""


async def test_r52_a_drip_of_bytes_buys_no_time() -> None:
    async def drip(stream: anyio.abc.SocketStream) -> None:
        while True:
            await stream.send(b"x")
            await anyio.sleep(0.05)

    async with run_server(emulator_with(), protocol=Hasty) as here, connection(here) as stream:
        with anyio.fail_after(PATIENCE), pytest.raises(anyio.BrokenResourceError):
            await drip(stream)
        await others_are_served(here)


async def test_r52_a_second_request_has_its_own_deadline() -> None:
    async with run_server(emulator_with(), protocol=Hasty) as here, connection(here) as stream:
        head = HEAD.replace(b"%d", str(here.port).encode())
        await stream.send(
            head + b"content-length: 2\r\n\r\n{}" + head + b"content-length: 9\r\n\r\n"
        )
        assert (await heard(stream)).count(b"HTTP/1.1 ") == 1


async def test_an_answer_may_take_longer_than_its_request_had() -> None:
    api = Stuck()
    async with run_server(api, protocol=Hasty) as here, anyio.create_task_group() as tasks:
        replies: list[httpx2.Response] = []

        async def ask() -> None:
            replies.append(await post(here.url, call("list_verify_sessions")))

        tasks.start_soon(ask)
        await until(lambda: api.asked == 1)
        await anyio.sleep(2 * Hasty.request_seconds)
        api.release.set()
    assert [reply.status_code for reply in replies] == [200]


async def test_r52_a_huge_body_is_refused_by_its_announcement_and_by_its_size() -> None:
    async with run_server(emulator_with()) as here, httpx2.AsyncClient(trust_env=False) as http:

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(2 * MAX_BODY_BYTES // 65536):
                yield b"x" * 65536

        reply = await post(here.url, {**call(), "x": "x" * MAX_BODY_BYTES})
        assert reply.status_code == 413
        reply = await http.post(here.url + "/mcp", content=endless(), headers=JSON)
        assert reply.status_code == 413
        reply = await http.post(here.url + "/mcp", headers={**JSON, "x": "x" * MAX_HEAD_BYTES})
        assert reply.status_code in (400, 431)  # the former where it comes in pieces
        await others_are_served(here)


def head_of(here: RunningServer, size: int, path: bytes, line: bytes) -> bytes:
    """A request's head of so many bytes, filled up by one header or by the query."""
    host = b" HTTP/1.1\r\nhost: " + here.host.encode() + b"\r\nconnection: close\r\n"
    rest = size - len(line + path + host) - len(b"?x: \r\n\r\n")
    if line == b"POST ":
        return line + path + host + b"x: " + b"x" * rest + b"\r\n\r\n"
    return line + path + b"?" + b"x" * rest + host + b"\r\n"


@pytest.mark.parametrize("path", [b"/mcp", b"/healthz", b"/readyz", b"/nothing"])
@pytest.mark.parametrize("line", [b"POST ", b"GET "], ids=["header", "query"])
async def test_r79_a_head_over_its_limit_is_refused_also_when_it_comes_at_once(
    path: bytes, line: bytes
) -> None:
    async with run_server(emulator_with()) as here, connection(here) as stream:
        await stream.send(head_of(here, 40 * 1024, path, line))
        assert (await heard(stream)).startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
        async with connection(here) as other:
            await other.send(head_of(here, MAX_HEAD_BYTES - 64, path, line))
            assert b" 431 " not in (await heard(other)).split(b"\r\n")[0]
        await others_are_served(here)


async def test_r52_bodies_that_are_no_calls_are_answered_and_do_no_harm() -> None:
    async with run_server(emulator_with()) as here, httpx2.AsyncClient(trust_env=False) as http:
        for raw in (
            b"",
            b"{",
            b"[]",
            b"[" * 90_000,
            b"null",
            b"\xff\xfe",
            b'{"a":' * 9000,
            b"1e999",
        ):
            for version in ({}, {"mcp-protocol-version": MODERN}):
                headers = {**JSON, **version}
                reply = await http.post(here.url + "/mcp", content=raw, headers=headers)
                assert reply.status_code == 400, raw[:10]
                assert "Traceback" not in reply.text
        await others_are_served(here)


async def test_r52_connections_beyond_the_room_there_is_are_told_so_at_once() -> None:
    async with run_server(emulator_with(), protocol=Small) as here:
        async with anyio.create_task_group() as tasks:
            streams = [
                await anyio.connect_tcp("127.0.0.1", here.port)
                for _ in range(5 * Small.max_connections)
            ]
            replies: list[bytes] = []

            async def listen(stream: anyio.abc.SocketStream) -> None:
                replies.append(await heard(stream))

            for stream in streams[Small.max_connections :]:
                tasks.start_soon(listen, stream)
        assert len(replies) == 4 * Small.max_connections
        assert {each.split(b"\r\n")[0] for each in replies} == {b"HTTP/1.1 503 Service Unavailable"}
        assert all(b"retry-after: 1\r\n" in each for each in replies)
        for stream in streams:
            await stream.aclose()
        await others_are_served(here)


async def test_r52_calls_beyond_the_room_there_is_are_told_when_to_come_back() -> None:
    api = Stuck()
    async with run_server(api) as here, anyio.create_task_group() as tasks:
        here.http_app.guard.max_calls = 2
        for limit in (1, 2):
            tasks.start_soon(post, here.url, call("list_verify_sessions", limit=limit))
        await until(lambda: api.asked == 2)
        reply = await post(here.url)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
        async with httpx2.AsyncClient(trust_env=False) as http:
            assert (await http.get(here.url + "/healthz")).status_code == 200
        api.release.set()
        await until(lambda: api.asked == 2)
    assert api.left == 0


async def test_r52_who_leaves_takes_their_request_along(era: Era) -> None:
    api = Stuck()
    async with run_server(api) as here:
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                async with http_client(here.url, era=era) as client:
                    await client.call_tool("list_verify_sessions", {})

            tasks.start_soon(ask)
            await until(lambda: api.asked == 1)
            tasks.cancel_scope.cancel()
        await until(lambda: api.left == 1)
        api.release.set()
        await others_are_served(here)


async def test_r53_calls_under_way_are_told_that_the_server_ends(era: Era) -> None:
    api, answers = Stuck(), []
    async with run_server(api) as here, anyio.create_task_group() as tasks:

        async def ask() -> None:
            async with http_client(here.url, era=era) as client:
                answers.append(await client.call_tool("list_verify_sessions", {}))

        tasks.start_soon(ask)
        await until(lambda: api.asked == 1)
        here.http_app.notify_closing()
        await until(lambda: api.left == 1)
    (answer,) = answers
    assert (answer.is_error, [getattr(each, "text", "") for each in answer.content]) == (
        True,
        [RESTARTING],
    )


async def test_r53_what_comes_while_the_server_ends_is_refused() -> None:
    async with run_server(emulator_with()) as here:
        here.http_app.guard.closing = True
        reply = await post(here.url)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")


@pytest.mark.slow(7)
async def test_r53_sigterm_under_load(tmp_path: Path) -> None:
    emulator = Emulator(behaviour=Options(latency=1.0, list_limit=None))
    results: list[dict[str, Any]] = []
    async with serve(emulator) as api_url:
        more = {
            "HOME": str(tmp_path),
            "VERIFY_MCP_API_URL": api_url,
            "VERIFY_MCP_RATE_LIMIT": "6/15",
        }
        async with child(environ=more) as here:

            async def ask(limit: int) -> None:
                body, headers = modern_call("list_verify_sessions", limit=limit)
                if limit % 2:
                    body, headers = call("list_verify_sessions", limit=limit), {}
                results.append(answer_in(await post(here.url, body, **headers)))

            async with anyio.create_task_group() as tasks:
                for limit in range(1, 9):  # six may leave, two wait for their turn
                    tasks.start_soon(ask, limit)
                await until(lambda: len(emulator.received) == 6)
                here.send()
            assert not await accepts(here.url)
            code = await here.wait_ended(PROMISED_END)
    texts = [result["content"][0]["text"] for result in results]
    assert code == -signal.SIGTERM
    assert sum(text.startswith('{"complete":true') for text in texts) == 6
    assert [text for text in texts if not text.startswith("{")] == [RESTARTING] * 2


async def accepts(url: str) -> bool:
    host, _, port = url.removeprefix("http://").rpartition(":")
    try:
        async with await anyio.connect_tcp(host, int(port)):
            return True
    except OSError:
        return False


async def test_r53_half_a_request_does_not_hold_up_the_end() -> None:
    head = b"content-length: 9\r\n\r\n{"
    async with (
        run_server(emulator_with()) as here,
        connection(here) as begun,
        connection(here) as silent,
    ):
        await begun.send(HEAD.replace(b"%d", str(here.port).encode()) + head)
        await others_are_served(here)
        here.server.should_exit = True
        assert await heard(begun) == b""
        assert await heard(silent) == b""
