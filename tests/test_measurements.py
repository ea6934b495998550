"""What a collector of measurements receives from a server that was told of it."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.houses import call, child, posted, told
from verify_mcp.emulator import SANDBOX_AUTH_TOKEN, serving

pytestmark = pytest.mark.anyio

NUMBER = "919380013443"


class Collector:
    """A collector that keeps what it is sent, by path."""

    def __init__(self) -> None:
        self.received: dict[str, bytes] = {}

    async def __call__(self, scope: dict[str, object], receive: object, send: object) -> None:
        assert callable(receive)
        assert callable(send)
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = dict(scope["headers"])  # type: ignore[call-overload] # ASGI's own shape
        if headers.get(b"content-encoding") == b"gzip":
            body = gzip.decompress(body)
        path = str(scope["path"])
        self.received[path] = self.received.get(path, b"") + body
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Collector, str]]:
    collector = Collector()
    async with serving(collector) as url:  # type: ignore[arg-type] # it serves any application
        yield collector, url


async def test_all_that_was_measured_arrives_before_the_server_is_gone() -> None:
    async with collecting() as (collector, url):
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_METRIC_EXPORT_INTERVAL": "600000",
            "OTEL_BSP_SCHEDULE_DELAY": "600000",
        }
        async with child("--sandbox", environ=environ) as server:
            asked = call("list_verify_sessions", recipient=NUMBER)
            assert not told(await posted(server.url, asked)).get("isError")
            server.send()
            await server.ended()
    metrics, traces = collector.received["/v1/metrics"], collector.received["/v1/traces"]
    for name in ("calls", "call.duration", "quota.left", "answer.api_requests"):
        assert f"verify_mcp.{name}".encode() in metrics
    assert b"list_verify_sessions" in metrics
    assert b"tools/call" in traces
    for secret in (NUMBER, SANDBOX_AUTH_TOKEN, "tok_"):
        assert secret.encode() not in metrics + traces
