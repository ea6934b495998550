"""A request of the versions before 2026 is answered as its sender can read it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import anyio
import httpx2
import pytest

from tests.support.client import emulator_with, make_record
from tests.support.http_server import JSON, answer_in, call, post, run_server
from verify_mcp.emulator import Emulator
from verify_mcp.http import single_exchange
from verify_mcp.http.listen import PATH
from verify_mcp.tools import progress

pytestmark = pytest.mark.anyio


class SlowApi:
    """The API, which answers when it is released."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.asked = anyio.Event()
        self.released = anyio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        await self.released.wait()
        await self._emulator(scope, receive, send)


@pytest.fixture
def slow() -> SlowApi:
    return SlowApi(emulator_with(make_record(1)))


class Lines(logging.Handler):
    """The audit lines of a test."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[str] = []
        self.written = anyio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.outcomes.append(json.loads(record.getMessage())["outcome"])
        self.written.set()


@pytest.fixture
def audited() -> Iterator[Lines]:
    logger, lines = logging.getLogger("verify_mcp.audit"), Lines()
    before = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(lines)
    logger.setLevel(before)


async def test_an_answer_that_comes_at_once_is_json() -> None:
    async with run_server(emulator_with(make_record(1))) as here:
        reply = await post(here.url, call("list_verify_sessions"))
    assert reply.headers["content-type"] == "application/json"
    assert (reply.json()["jsonrpc"], reply.json()["id"]) == ("2.0", 1)
    assert len(answer_in(reply)["structuredContent"]["rows"]) == 1


@pytest.mark.parametrize("header", [{}, {"mcp-protocol-version": "2025-06-18"}])
async def test_a_client_is_told_the_progress_before_the_answer(
    slow: SlowApi, monkeypatch: pytest.MonkeyPatch, header: dict[str, str]
) -> None:
    monkeypatch.setattr(progress, "INTERVAL_SECONDS", 0.01)
    body = call("list_verify_sessions")
    body["params"]["_meta"] = {"progressToken": "p1"}
    async with (
        run_server(slow) as here,
        httpx2.AsyncClient(trust_env=False, timeout=60) as http,
        http.stream("POST", here.url + PATH, json=body, headers={**JSON, **header}) as reply,
    ):
        messages = []
        async for line in reply.aiter_lines():
            if line.startswith("data:"):
                messages.append(json.loads(line[5:]))
                slow.released.set()
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert messages[0]["method"] == "notifications/progress"
    assert messages[0]["params"]["progressToken"] == "p1"
    assert messages[-1]["id"] == 1
    assert messages[-1]["result"]["isError"] is False


async def test_a_waiting_client_gets_a_comment_after_each_silence(
    slow: SlowApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_exchange, "PING_SECONDS", 0.01)
    body = call("list_verify_sessions")
    async with (
        run_server(slow) as here,
        httpx2.AsyncClient(trust_env=False, timeout=60) as http,
        http.stream("POST", here.url + PATH, json=body, headers=JSON) as reply,
    ):
        lines = []
        async for line in reply.aiter_lines():
            lines.append(line)
            slow.released.set()
    data = [line for line in lines if line.startswith("data:")]
    assert lines[0] == ": ping"
    assert json.loads(data[-1][5:])["result"]["isError"] is False


async def test_the_call_of_a_client_that_left_is_abandoned(slow: SlowApi, audited: Lines) -> None:
    async with run_server(slow) as here:
        asking = asyncio.create_task(post(here.url, call("list_verify_sessions")))
        await slow.asked.wait()
        asking.cancel()
        await audited.written.wait()
        slow.released.set()
    assert audited.outcomes == ["abandoned"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (call("no_such_tool"), -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "no/such"}, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 5}}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}, -32602),
    ],
)
async def test_an_error_of_the_protocol_has_its_code(body: dict[str, Any], code: int) -> None:
    async with run_server(emulator_with()) as here:
        reply = await post(here.url, body)
    text = reply.text if reply.text.startswith("{") else reply.text.rpartition("data: ")[2]
    assert json.loads(text)["error"]["code"] == code


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"accept": "application/json"}, 406),
        ({"content-type": "text/plain"}, 400),
        ({"mcp-protocol-version": "1999-01-01"}, 400),
    ],
)
async def test_a_request_that_the_protocol_forbids_is_refused(
    headers: dict[str, str], status: int
) -> None:
    async with run_server(emulator_with()) as here:
        reply = await post(here.url, call(), **headers)
    assert reply.status_code == status


async def test_a_body_over_the_limit_is_refused() -> None:
    async with run_server(emulator_with()) as here:
        reply = await post(here.url, call("list_verify_sessions", status="x" * 1024 * 1024))
    assert reply.status_code == 413
