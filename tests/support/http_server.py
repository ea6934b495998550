"""The HTTP server for tests: in this process on a loopback port, or as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx2
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, PROTOCOL_VERSION_META_KEY

from tests.support.client import NOW, SANDBOX, App, Era, FakeClock
from tests.support.stdio import environment
from verify_mcp.context import open_context
from verify_mcp.http import tokens
from verify_mcp.http.app import HttpApp
from verify_mcp.http.listen import PATH, ListenAddress, bound_socket, uvicorn_config
from verify_mcp.http.middleware import CallerMiddleware
from verify_mcp.http.oauth import JwtVerifier
from verify_mcp.http.serve import HttpServer
from verify_mcp.http.timeouts import DeadlineProtocol
from verify_mcp.http.tokens import TokenFile
from verify_mcp.server.server import OpenContext

MODERN = "2026-07-28"
PATIENCE = 30
"""Seconds for anything to happen at all; a machine may be busy."""
JSON = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@dataclass
class RunningServer:
    """A server that listens."""

    url: str
    server: HttpServer
    http_app: HttpApp

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


class QuietServer(HttpServer):
    """The server with this process's signals left as they are."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def run_server(
    app: App | None,
    *,
    clock: FakeClock | None = None,
    file: Path | None = None,
    jwt_verifier: JwtVerifier | None = None,
    context_factory: OpenContext | None = None,
    protocol: type[DeadlineProtocol] = DeadlineProtocol,
    certificate: tuple[Path, Path] | None = None,
    **changes: Any,
) -> AsyncIterator[RunningServer]:
    """The real server, whose API is `app`, with the tokens in `file`."""
    clock = clock or FakeClock()
    settings = replace(SANDBOX, **changes)
    opened = context_factory or partial(open_context, settings, clock=clock.clock(), app=app)
    token_file = TokenFile(file) if file else None
    requires_token = token_file is not None or settings.oauth is not None
    middleware = CallerMiddleware(
        requires_token=requires_token, clock=lambda: clock.ticks, now=lambda: clock.now
    )
    chain, key = certificate or (None, None)
    with bound_socket(ListenAddress(port=0)) as listener:
        address = ListenAddress(port=listener.getsockname()[1], certificate=chain, key=key)
        http_app = HttpApp(
            settings, address, opened, token_file, middleware=middleware, jwt_verifier=jwt_verifier
        )
        server = QuietServer(uvicorn_config(http_app.app, address, protocol), http_app)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.wait({task}, timeout=0.01)
            assert not task.done()
        try:
            scheme = "https" if certificate else "http"
            yield RunningServer(f"{scheme}://127.0.0.1:{address.port}", server, http_app)
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def http_client(
    url: str, token: str = "", era: Era = "auto", **headers: str
) -> AsyncIterator[Client]:
    """A client of a server over HTTP."""
    sent = {**headers, **({"authorization": f"Bearer {token}"} if token else {})}
    async with (
        httpx2.AsyncClient(headers=sent, timeout=PATIENCE, trust_env=False) as http,
        Client(streamable_http_client(url + PATH, http_client=http), mode=era) as client,
    ):
        yield client


def create_token(file: Path, name: str, budget: int = 1000, subaccount: str = "") -> str:
    """A new token in the file."""
    return tokens.add(file, name, budget, subaccount, NOW)


def call(tool: str = "get_verify_status", **arguments: Any) -> dict[str, Any]:
    """A call as its body; the era before 2026 needs nothing else."""
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def modern_call(tool: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The same as its body and headers in the era that needs no handshake."""
    body = call(tool, **arguments)
    body["params"]["_meta"] = {
        PROTOCOL_VERSION_META_KEY: MODERN,
        CLIENT_CAPABILITIES_META_KEY: {},
        CLIENT_INFO_META_KEY: {"name": "test", "version": "1"},
    }
    headers = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": tool}
    return body, headers


def answer_in(reply: httpx2.Response) -> dict[str, Any]:
    """The result in a reply, whichever way it came."""
    text = reply.text
    if reply.headers["content-type"].startswith("text/event-stream"):
        text = [line for line in text.splitlines() if line.startswith("data:")][-1][5:]
    result: dict[str, Any] = json.loads(text)["result"]
    return result


async def post(url: str, body: Any = None, **headers: str) -> httpx2.Response:
    """The reply to one call, sent with nothing but HTTP."""
    async with httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as http:
        return await http.post(url + PATH, json=body or call(), headers={**JSON, **headers})


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@dataclass
class Child:
    """The server as a process."""

    process: anyio.abc.Process
    url: str
    log: BufferedByteReceiveStream

    def send(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    async def wait_ended(self, seconds: float = PATIENCE) -> int:
        """Its exit code, which must come within so many seconds."""
        with anyio.fail_after(seconds):
            async for _ in self.log:
                pass
            return await self.process.wait()


@asynccontextmanager
async def child(
    *words: str,
    environ: Mapping[str, str],
    start: Sequence[str] = ("-m", "verify_mcp"),
    under: Sequence[str] = (),
) -> AsyncIterator[Child]:
    """A process of its own, listening; killed at the end if it still lives."""
    command = [*under, sys.executable, *start, "serve", "--http", "--port", "0", *words]
    surroundings = {**environment(), **environ}
    async with await anyio.open_process(
        command, env=surroundings, stdout=subprocess.DEVNULL
    ) as process:
        assert process.stderr is not None
        log = BufferedByteReceiveStream(process.stderr)
        try:
            yield Child(process, await _url(log), log)
        finally:
            if process.returncode is None:
                process.kill()
            async for _ in log:
                pass


async def _url(log: BufferedByteReceiveStream) -> str:
    with anyio.fail_after(PATIENCE):
        while True:
            line = (await log.receive_until(b"\n", 100_000)).decode()
            if " on http" in line:
                return line.partition(" on ")[2].partition(PATH)[0]
