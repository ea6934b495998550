"""Serving over Streamable HTTP: for teams, behind names and tokens, and with an orderly end."""

import logging
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import anyio
import anyio.to_thread
import uvicorn
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from verify_mcp import logs, telemetry, tools
from verify_mcp.callers import SCOPE, Caller, is_name
from verify_mcp.connections import Acceptor, DeadlineProtocol
from verify_mcp.errors import DatabaseUnavailable, InvalidSetting
from verify_mcp.mirror import Mirror
from verify_mcp.oauth import JwtVerifier, scopes
from verify_mcp.reception import CallerMiddleware, CallerToken, audit_logger
from verify_mcp.server import OpenMirror, build_server
from verify_mcp.settings import Settings, is_loopback
from verify_mcp.tokens import TokenFile, default_path

PATH = "/mcp"
MAX_BODY_BYTES = 1024 * 1024
"""Bytes of a request; tool calls are a thousandth of this."""
MAX_HEAD_BYTES = 32 * 1024
"""Bytes of a request's line and headers."""
MAX_CONCURRENT_CALLS = 400
"""Requests answered at once; more are told to come back."""
MAX_CALL_SECONDS = 90.0
"""Seconds for one request, its slowest reader included."""
NOTIFY_AFTER = 5.0
"""Seconds after SIGTERM until calls under way are told that the server ends."""
KILL_AFTER = 8
"""Seconds after SIGTERM until calls under way are ended."""
FLUSH_SECONDS = 1.0
"""Seconds that a collector of measurements gets at the end."""
STATIC_TOKEN_RESOURCE = "static"
"""The resource of a token from the file, where no public address is set."""
_PROBE_PATHS = ("/healthz", "/readyz")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen, and with which certificate."""

    host: str = "127.0.0.1"
    port: int = 8000
    certificate: Path | None = None
    key: Path | None = None


def run(settings: Settings, place: ListenAddress, open_mirror: OpenMirror) -> int:
    """Serve until a signal comes; the exit code. Raises InvalidSetting."""
    from sse_starlette.sse import AppStatus

    logs.configure_audit(settings, audit_logger.name)
    tokens = token_file(settings)
    require_auth_if_exposed(
        settings, place, guarded=tokens is not None or settings.oauth is not None
    )
    # Streams are not cut at the signal: their calls are told, and so they end by themselves.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call] # its own gap
    with bound_socket(place) as listener:
        bound = replace(place, port=listener.getsockname()[1])
        house = HttpApp(settings, bound, open_mirror, tokens)
        server = HttpServer(uvicorn_config(house.app, bound), house)
        _print_err(
            f"verify-mcp serves MCP on {_url_of(bound)}{PATH} ({_access_text(settings, tokens)})."
        )
        server.run(sockets=[listener])
    return 0 if server.started else 1


def token_file(settings: Settings) -> TokenFile | None:
    """The file of tokens, if one is named or lies where `verify-mcp token` puts it."""
    path = settings.tokens_file or default_path()
    return TokenFile(path) if settings.tokens_file or path.exists() else None


def require_auth_if_exposed(settings: Settings, place: ListenAddress, *, guarded: bool) -> None:
    """Refuse what would let strangers in. Raises InvalidSetting."""
    if (place.certificate is None) != (place.key is None):
        raise InvalidSetting("--tls-cert and --tls-key belong together: give both.")
    names = [place.host, *(urlsplit(f"//{each}").hostname or "" for each in settings.allowed_hosts)]
    if settings.public_url:
        names.append(urlsplit(settings.public_url).hostname or "")
    afar = [name for name in names if not is_loopback(name)]
    if afar and not guarded:
        raise InvalidSetting(
            f"{afar[0]} can be reached from other machines, so callers must bring a token. Make "
            "one with `verify-mcp token add NAME`, or set VERIFY_MCP_OAUTH_ISSUER."
        )
    if not is_loopback(place.host) and place.certificate is None:
        logger.warning(
            "Plain HTTP on %s: tokens travel readably. Put a proxy that speaks TLS in front, or "
            "give --tls-cert and --tls-key.",
            place.host,
        )


class HttpApp:
    """One process's application: the protocol behind its guard, and two words on its health."""

    def __init__(
        self,
        settings: Settings,
        place: ListenAddress,
        open_mirror: OpenMirror,
        tokens: TokenFile | None,
        *,
        middleware: CallerMiddleware | None = None,
        issuer: JwtVerifier | None = None,
    ) -> None:
        self._settings = settings
        self._open_mirror = open_mirror
        self._mirror: Mirror | None = None
        oauth = settings.oauth
        if oauth is not None and issuer is None:
            issuer = JwtVerifier(oauth, settings.caller_budget)
        guarded = tokens is not None or issuer is not None
        self.middleware = middleware or CallerMiddleware(requires_token=guarded)
        self.guard = RequestGuard(
            self._build_app(tokens, issuer, hosts_of(settings, place)), settings, place
        )
        self.app: ASGIApp = self.guard

    def notify_closing(self) -> None:
        """Tell those whose calls are under way that the server ends."""
        self.middleware.notify_closing()

    def _build_app(
        self, tokens: TokenFile | None, issuer: JwtVerifier | None, hosts: tuple[str, ...]
    ) -> ASGIApp:
        server = build_server(self._open, self._settings.rate_limit)
        server.middleware.append(self.middleware)
        # Else every call would list the tools once more, to look its headers up.
        server.get_tool_input_schema = {
            offer.name: offer.tool().input_schema for offer in tools.TOOLS
        }.get
        door = CallerTokenVerifier(tokens, issuer, self._settings)
        app: ASGIApp = server.streamable_http_app(
            streamable_http_path=PATH,
            stateless_http=True,
            max_request_body_size=MAX_BODY_BYTES,
            transport_security=TransportSecuritySettings(allowed_hosts=list(hosts)),
            auth=door.auth_settings(),
            token_verifier=door if tokens or issuer else None,
            custom_starlette_routes=[
                Route("/healthz", _answer_liveness, methods=["GET"]),
                Route("/readyz", self._answer_readiness, methods=["GET"]),
            ],
        )
        if tokens and not issuer:  # with an issuer the application has these two already
            app = AuthenticationMiddleware(AuthContextMiddleware(app), BearerAuthBackend(door))
        return app

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Mirror]:
        async with self._open_mirror() as mirror:
            self._mirror = mirror
            yield mirror

    async def _answer_readiness(self, _request: Request) -> Response:
        """Whether calls can be answered in full, in words that hold no secret."""
        state = {
            "credentials": "present" if self._settings.credentials else "missing",
            "database": await self._database_state(),
        }
        ready = state == {"credentials": "present", "database": "reachable"}
        return JSONResponse({"ready": ready, **state}, 200 if ready else 503)

    async def _database_state(self) -> str:
        if self._mirror is None:
            return "not open"
        try:
            await self._mirror.database.read(lambda connection: connection.fetch_all("SELECT 1"))
        except DatabaseUnavailable:
            return "unreachable"
        return "reachable"


async def _answer_liveness(_request: Request) -> Response:
    return JSONResponse({"alive": True})


class CallerTokenVerifier:
    """Checks tokens: those of the file by their digest, all others as the issuer's."""

    def __init__(
        self, tokens: TokenFile | None, issuer: JwtVerifier | None, settings: Settings
    ) -> None:
        self._tokens = tokens
        self._issuer = issuer
        self._settings = settings
        self._resource = settings.public_url if issuer else STATIC_TOKEN_RESOURCE

    def auth_settings(self) -> AuthSettings | None:
        """What the protocol's library shall publish and insist on, with an issuer."""
        oauth = self._settings.oauth
        if oauth is None:
            return None
        # As text: an address without a path gets no slash then, and issuers are compared exactly.
        return AuthSettings.model_validate(
            {
                "issuer_url": oauth.issuer,
                "resource_server_url": self._settings.public_url,
                "required_scopes": [SCOPE],
                "validate_token_resource": True,
            }
        )

    async def verify_token(self, token: str) -> CallerToken | None:
        """Whom a token stands for, None when it is not good."""
        caller = self._tokens.caller(token) if self._tokens else None
        if caller is not None:
            return self._caller_token(caller, [SCOPE])
        claims = await self._issuer.verify(token) if self._issuer else None
        known = self._issuer.caller(claims) if self._issuer and claims else None
        if claims is None or known is None:
            return None
        return self._caller_token(known, scopes(claims), issuer=str(claims["iss"]))

    def _caller_token(self, caller: Caller, carried: list[str], *, issuer: str = "") -> CallerToken:
        return CallerToken(
            token="",  # nobody needs it from here on
            client_id=caller.name,
            scopes=carried,
            resource=self._resource,
            subject=caller.name,
            claims={"iss": issuer} if issuer else None,
            caller=caller,
        )


def hosts_of(settings: Settings, place: ListenAddress) -> tuple[str, ...]:
    """The exact Host headers that are answered."""
    here = tuple(f"{name}:{place.port}" for name in ("127.0.0.1", "localhost", "[::1]"))
    public = (urlsplit(settings.public_url).netloc,) if settings.public_url else ()
    return (*here, *public, *settings.allowed_hosts)


class RequestGuard:
    """Looks at every request before anything else does: its name, where it came from, how many.

    `/healthz` and `/readyz` are for the machinery around, which knows no names; they tell nothing.
    """

    def __init__(self, app: ASGIApp, settings: Settings, place: ListenAddress) -> None:
        self._app = app
        self._hosts = {each.encode() for each in hosts_of(settings, place)}
        self._calls = 0
        self.max_calls = MAX_CONCURRENT_CALLS
        self.closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = logs.request_id.set(_request_id(scope))
        try:
            await self._handle(scope, receive, _with_request_id(send))
        finally:
            logs.request_id.reset(name)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["path"] in _PROBE_PATHS
        refusal = _oversized(scope) or (None if is_open else self._error_reply(scope))
        if refusal is not None:
            reason, response = refusal
            telemetry.record_refusal(reason)
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
            # No page in a browser is meant to ask; a rebound name would show here at the latest.
            return "origin", _json_error(403, "Web pages may not ask this server.")
        if scope["path"] == PATH and scope["method"] != "POST":
            return "method", _json_error(405, "Only POST is answered here.", {"allow": "POST"})
        if self.closing:
            return "closing", _json_error(503, "The server is ending.", {"retry-after": "2"})
        if self._calls >= self.max_calls:
            return "busy", _json_error(503, "Too many calls at once.", {"retry-after": "1"})
        return None


def _oversized(scope: Scope) -> tuple[str, Response] | None:
    """The refusal of a head over the limit: the parser bounds only one that comes in pieces."""
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
    """The id that a proxy in front chose, if it is one, else a new one."""
    header = b"".join(_header_values(scope, b"x-request-id")).decode("latin-1")
    return header if len(header) <= 64 and is_name(header) else uuid4().hex


def _with_request_id(send: Send) -> Send:
    """Put the request's id on its response."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            name = (logs.request_id.get() or "").encode()
            message = {**message, "headers": [*message["headers"], (b"x-request-id", name)]}
        await send(message)

    return sent


class HttpServer(uvicorn.Server):
    """The server library's server, which counts connections, and tells calls that it ends."""

    def __init__(self, config: uvicorn.Config, house: HttpApp) -> None:
        super().__init__(config)
        self._http_app = house
        self._acceptors: list[Acceptor] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the application, and accept connections by ourselves."""
        await super().startup(sockets=[])
        self._acceptors = [
            Acceptor(listener, self._protocol, self.config.ssl) for listener in sockets or []
        ]
        for acceptor in self._acceptors:
            acceptor.start()

    def _protocol(self) -> DeadlineProtocol:
        protocol = self.config.http_protocol_class(  # type: ignore[call-arg] # the library's own
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        assert isinstance(protocol, DeadlineProtocol)  # noqa: S101 - `configured` chose it
        return protocol

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse what is new, let what is under way finish or be told, and end."""
        import asyncio

        self._http_app.guard.closing = True
        for acceptor in self._acceptors:
            await acceptor.close()
        telling = asyncio.get_running_loop().call_later(NOTIFY_AFTER, self._http_app.notify_closing)
        await super().shutdown(sockets)
        telling.cancel()
        # The signal ends the process next, and with it what was measured since the last export.
        with anyio.move_on_after(FLUSH_SECONDS):
            await anyio.to_thread.run_sync(telemetry.flush, abandon_on_cancel=True)


def uvicorn_config(
    app: ASGIApp, place: ListenAddress, protocol: type[DeadlineProtocol] = DeadlineProtocol
) -> uvicorn.Config:
    """How the server library is to serve. Raises InvalidSetting about a certificate."""
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_graceful_shutdown=KILL_AFTER,
        ssl_certfile=place.certificate,
        ssl_keyfile=place.key,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise InvalidSetting("--tls-cert and --tls-key cannot be read as a pair.") from error
    return config


@contextmanager
def bound_socket(place: ListenAddress) -> Any:
    """The bound socket. Raises InvalidSetting when it cannot be had."""
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    # Named TCP, because only then does the event loop send small answers without delay.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((place.host, place.port))
        except (OSError, OverflowError) as error:
            raise InvalidSetting(
                f"{place.host}:{place.port} cannot be listened on. Choose another --host or --port."
            ) from error
        listener.listen(2048)
        yield listener


def _url_of(place: ListenAddress) -> str:
    host = f"[{place.host}]" if ":" in place.host else place.host
    return f"{'https' if place.certificate else 'http'}://{host}:{place.port}"


def _access_text(settings: Settings, tokens: TokenFile | None) -> str:
    ways = [*(["tokens"] if tokens else []), *(["OAuth"] if settings.oauth else [])]
    return f"callers bring {' or '.join(ways)}" if ways else "without tokens, this machine only"


def _print_err(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
