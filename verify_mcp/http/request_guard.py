"""Checks of every request before any other code: host, origin, method, size and concurrency."""

import logging
from collections.abc import Iterable
from urllib.parse import urlsplit
from uuid import uuid4

import anyio
import anyio.to_thread
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from verify_mcp import logs, metrics
from verify_mcp.http.callers import is_name
from verify_mcp.http.listen import MAX_HEAD_BYTES, PATH, ListenAddress
from verify_mcp.settings import Settings

logger = logging.getLogger(__name__)
MAX_CONCURRENT_CALLS = 400
"""Requests answered at once; more get a 503 with Retry-After."""
MAX_CALL_SECONDS = 90.0
"""Seconds for one request, until its last byte is sent."""
_PROBE_PATHS = ("/healthz", "/readyz")


def allowed_hosts(settings: Settings, address: ListenAddress) -> tuple[str, ...]:
    """The exact Host headers that are accepted: this machine's, the public one, the settings'."""
    local = tuple(f"{name}:{address.port}" for name in ("127.0.0.1", "localhost", "[::1]"))
    public = (urlsplit(settings.public_url).netloc,) if settings.public_url else ()
    return (*local, *public, *settings.allowed_hosts)


class RequestGuard:
    """An ASGI application that refuses a request, or passes it on to `app`.

    `hosts` are the Host headers that are accepted. `/healthz` and `/readyz` are answered under any
    host, because probes do not know the right one; their answers hold no secret.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = {host.encode() for host in hosts}
        self._calls = 0
        self.max_calls = MAX_CONCURRENT_CALLS
        self.closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = logs.request_id.set(_request_id(scope))
        try:
            await self._handle(scope, receive, _with_request_id(send))
        finally:
            logs.request_id.reset(token)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["path"] in _PROBE_PATHS
        refusal = _oversized(scope) or (None if is_open else self._error_reply(scope))
        if refusal is not None:
            reason, response = refusal
            metrics.record_refusal(reason)
            logger.info("refused: %s", reason)
            await response(scope, receive, send)
            return
        if is_open:
            await self._app(scope, receive, send)
            return
        self._calls += 1
        try:
            with anyio.move_on_after(MAX_CALL_SECONDS):
                await self._app(scope, receive, send)
        finally:
            self._calls -= 1

    def _error_reply(self, scope: Scope) -> tuple[str, Response] | None:
        hosts = _header_values(scope, b"host")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return "host", _json_error(421, "This server is not known by that name.")
        if _header_values(scope, b"origin"):
            # Browsers send this header; it stops DNS rebinding if the check of the host did not.
            return "origin", _json_error(403, "Web pages may not ask this server.")
        if scope["path"] == PATH and scope["method"] != "POST":
            return "method", _json_error(405, "Only POST is answered here.", {"allow": "POST"})
        if self.closing:
            return "closing", _json_error(503, "The server is ending.", {"retry-after": "2"})
        if self._calls >= self.max_calls:
            return "busy", _json_error(503, "Too many calls at once.", {"retry-after": "1"})
        return None


def _oversized(scope: Scope) -> tuple[str, Response] | None:
    """The refusal of a head over the limit; h11 bounds only a head that arrives in pieces."""
    if _head_bytes(scope) <= MAX_HEAD_BYTES:
        return None
    return "head", _json_error(
        431, f"The head of a request is at most {MAX_HEAD_BYTES // 1024} KiB."
    )


def _head_bytes(scope: Scope) -> int:
    line = len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"])
    return line + sum(len(name) + len(value) + 4 for name, value in scope["headers"])


def _json_error(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": text}, status, headers)


def _header_values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


def _request_id(scope: Scope) -> str:
    """The id from the proxy's X-Request-ID header if that is valid, else a new one."""
    header = b"".join(_header_values(scope, b"x-request-id")).decode("latin-1")
    return header if len(header) <= 64 and is_name(header) else uuid4().hex


def _with_request_id(send: Send) -> Send:
    """A `send` that adds the request's id to its response."""

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            value = (logs.request_id.get() or "").encode()
            message = {**message, "headers": [*message["headers"], (b"x-request-id", value)]}
        await send(message)

    return send_with_id
