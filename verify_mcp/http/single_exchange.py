"""One request of the protocol's versions before 2026 answered in its own task.

The protocol's library opens a session with five tasks for each such request, although a stateless
server has none to keep. Its entry for 2026 answers in JSON unless a notification comes first or the
answer takes long; here older requests get the same. Everything else is passed on to the library.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anyio
import pydantic_core
from mcp.server import Server
from mcp.server.connection import Connection
from mcp.server.runner import serve_one
from mcp.server.streamable_http import check_accept_headers
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.jsonrpc_dispatcher import (
    handler_exception_to_error_data,
    progress_token_from_params,
)
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import (
    DEFAULT_NEGOTIATED_VERSION,
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCRequest,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from verify_mcp.context import AppContext

PING_SECONDS = 15.0
"""Seconds of silence until a stream gets a comment, so that no proxy takes it for dead."""
WATCH_AFTER = 0.1
"""Seconds after which a call gets a task that watches its client; most are answered before."""
_JSON = b"application/json"
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
_TRANSPORT = TransportContext(kind="streamable-http", can_send_request=False)

logger = logging.getLogger(__name__)


class SingleExchangeApp:
    """An ASGI application that answers a request itself, or passes it on to `other`.

    `context` gives the server's context once it is open. A body has arrived as a whole, because
    the library's limit of its size comes before.
    """

    def __init__(
        self, server: Server[AppContext], context: Callable[[], AppContext | None], other: ASGIApp
    ) -> None:
        self._server = server
        self._context = context
        self._other = other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        context, first = self._context(), await receive()
        request = Request(scope)
        message = _parse(request, first)
        if message is None or context is None:
            await self._other(scope, _replayed(first, receive), send)
            return
        exchange, reply = Exchange(message, request, send), None
        with anyio.CancelScope() as answering, exchange.watched(receive, answering):
            reply = await self._reply(message, exchange, context)
        if reply is not None:  # otherwise the client left
            await exchange.finish(reply)

    async def _reply(
        self, message: JSONRPCRequest, exchange: "Exchange", context: AppContext
    ) -> dict[str, Any]:
        connection = Connection.from_envelope(exchange.version, None, None)
        try:
            result = await serve_one(
                self._server,
                exchange,
                message.method,
                message.params,
                connection=connection,
                lifespan_state=context,
            )
        except Exception as error:
            data = handler_exception_to_error_data(error)
            if data is None:
                logger.exception("%s failed", message.method)
                data = ErrorData(code=INTERNAL_ERROR, message="Internal server error")
            return {"error": data.model_dump(mode="json", by_alias=True, exclude_none=True)}
        return {"result": result}


class Exchange:
    """The `DispatchContext` of one request: its notifications and its answer go to `send`."""

    transport = _TRANSPORT
    can_send_request = False

    def __init__(self, message: JSONRPCRequest, request: Request, send: Send) -> None:
        self.request_id = message.id
        self.version = request.headers.get(MCP_PROTOCOL_VERSION_HEADER, DEFAULT_NEGOTIATED_VERSION)
        self.message_metadata = ServerMessageMetadata(request_context=request)
        self.cancel_requested = anyio.Event()
        self._progress_token = progress_token_from_params(message.params)
        self._send = send
        self._lock = anyio.Lock()
        self._is_stream = False

    async def send_raw_request(
        self, method: str, _params: Mapping[str, Any] | None, _opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Raise NoBackChannelError: without a session no reply of the client could arrive."""
        raise NoBackChannelError(method)

    async def notify(
        self, method: str, params: Mapping[str, Any] | None, _opts: CallOptions | None = None
    ) -> None:
        """Send a notification before the answer, which makes the response a stream."""
        await self._send_event(_event({"method": method, "params": dict(params or {})}))

    async def progress(
        self, progress: float, total: float | None = None, message: str | None = None
    ) -> None:
        """Notify a client that asked for progress."""
        if self._progress_token is None:
            return
        values = {"progress": progress, "total": total, "message": message}
        given = {name: value for name, value in values.items() if value is not None}
        await self.notify(
            "notifications/progress", {"progressToken": self._progress_token, **given}
        )

    @contextmanager
    def watched(self, receive: Receive, scope: anyio.CancelScope) -> Iterator[None]:
        """Watch the client if the block takes longer than `WATCH_AFTER` seconds."""
        tasks: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        timer = loop.call_later(
            WATCH_AFTER, lambda: tasks.append(loop.create_task(self._watch(receive, scope)))
        )
        try:
            yield
        finally:
            timer.cancel()
            for task in tasks:
                task.cancel()

    async def _watch(self, receive: Receive, scope: anyio.CancelScope) -> None:
        """Cancel `scope` when the client leaves, and send a comment after each silence."""
        while True:
            with anyio.move_on_after(PING_SECONDS) as silence:
                while (await receive())["type"] != "http.disconnect":
                    pass
                scope.cancel()
                return
            if silence.cancelled_caught:
                await self._send_event(b": ping\r\n\r\n")

    async def finish(self, reply: Mapping[str, Any]) -> None:
        """Send the answer: in JSON, or as the last event of a stream."""
        body = {"id": self.request_id, **reply}
        content = _event(body) if self._is_stream else _to_json(body)
        if not self._is_stream:
            length = str(len(content)).encode()
            await self._start([(b"content-type", _JSON), (b"content-length", length)])
        await self._send({"type": "http.response.body", "body": content})

    async def _send_event(self, event: bytes) -> None:
        async with self._lock:
            if not self._is_stream:
                await self._start(_STREAM_HEADERS)
                self._is_stream = True
            await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def _start(self, headers: list[tuple[bytes, bytes]]) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})


def _parse(request: Request, first: Message) -> JSONRPCRequest | None:
    """The message of a request that is answered here, None for any other."""
    version = request.headers.get(MCP_PROTOCOL_VERSION_HEADER, DEFAULT_NEGOTIATED_VERSION)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if (
        request.method != "POST"
        or version not in HANDSHAKE_PROTOCOL_VERSIONS
        or content_type != _JSON.decode()
        or not all(check_accept_headers(request))
        or first["type"] != "http.request"
        or first.get("more_body")
    ):
        return None
    try:
        decoded = pydantic_core.from_json(first["body"])
        message = JSONRPCRequest.model_validate(decoded, by_name=False)
    except ValueError:  # a ValidationError, too
        return None
    return None if message.method == "initialize" else message


def _replayed(first: Message, receive: Receive) -> Receive:
    """A `receive` that gives a message again."""
    left = [first]

    async def replay() -> Message:
        return left.pop() if left else await receive()

    return replay


def _event(body: Mapping[str, Any]) -> bytes:
    return b"event: message\r\ndata: " + _to_json(body) + b"\r\n\r\n"


def _to_json(body: Mapping[str, Any]) -> bytes:
    return pydantic_core.to_json({"jsonrpc": "2.0", **body})
