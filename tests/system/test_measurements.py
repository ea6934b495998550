"""What a collector of measurements receives from a server that was told of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.http_server import answer_in, call, child, post
from verify_mcp.emulator import SANDBOX_AUTH_TOKEN, serve

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
async def collect() -> AsyncIterator[tuple[Collector, str]]:
    collector = Collector()
    async with serve(collector) as url:  # type: ignore[arg-type] # it serves any application
        yield collector, url


async def test_all_that_was_measured_arrives_before_the_server_is_gone() -> None:
    async with collect() as (collector, url):
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_METRIC_EXPORT_INTERVAL": "600000",
            "OTEL_BSP_SCHEDULE_DELAY": "600000",
        }
        async with child("--sandbox", environ=environ) as server:
            request = call("list_verify_sessions", recipient=NUMBER)
            assert not answer_in(await post(server.url, request)).get("isError")
            server.send()
            await server.wait_ended()
    metrics, traces = collector.received["/v1/metrics"], collector.received["/v1/traces"]
    for name in ("calls", "call.duration", "quota.left", "answer.api_requests"):
        assert f"verify_mcp.{name}".encode() in metrics
    assert b"list_verify_sessions" in metrics
    assert b"tools/call" in traces
    for secret in (NUMBER, SANDBOX_AUTH_TOKEN, "tok_"):
        assert secret.encode() not in metrics + traces


FREE = f"call-{NUMBER}"
"""What a caller writes where the protocol lets it choose a name or an id."""


def freely_written() -> list[dict[str, Any]]:
    """Requests whose names, ids and trace state hold a number."""
    meta = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "tracestate": f"v={FREE}"}
    request: list[tuple[str, dict[str, Any]]] = [
        ("tools/call", {"name": FREE, "arguments": {}}),
        ("tools/call", {"name": "get_verify_session", "arguments": {"session_uuid": FREE}}),
        ("prompts/get", {"name": FREE}),
        ("resources/read", {"uri": f"verify://sessions/{FREE}"}),
        (FREE, {}),
    ]
    return [
        {"jsonrpc": "2.0", "id": FREE, "method": method, "params": {**params, "_meta": meta}}
        for method, params in request
    ]


async def test_r79_spans_hold_nothing_that_a_caller_wrote() -> None:
    async with collect() as (collector, url):
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
        async with child("--sandbox", environ=environ) as server:
            for body in freely_written():
                assert FREE in json.dumps((await post(server.url, body)).text)
            server.send()
            await server.wait_ended()
    sent = collector.received["/v1/traces"]
    assert NUMBER.encode() not in sent
    spans = [
        span
        for resource in ExportTraceServiceRequest.FromString(sent).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert [span.name for span in spans] == [
        "tools/call ?", "tools/call get_verify_session", "prompts/get ?", "resources/read", "?",
    ]  # fmt: skip
    assert {span.trace_id.hex() for span in spans} == {"ab" * 16}
    assert not any(span.status.message or span.events for span in spans)
