"""Serving over HTTP from start to end."""

import logging
import socket
import sys
from dataclasses import replace
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import uvicorn

from verify_mcp import logs, metrics
from verify_mcp.errors import InvalidSetting
from verify_mcp.http.app import HttpApp
from verify_mcp.http.audit import audit_logger
from verify_mcp.http.listen import (
    FLUSH_SECONDS,
    NOTIFY_AFTER,
    PATH,
    ListenAddress,
    _url_of,
    bound_socket,
    uvicorn_config,
)
from verify_mcp.http.timeouts import Acceptor, DeadlineProtocol
from verify_mcp.http.tokens import TokenFile, default_path
from verify_mcp.server.server import OpenContext
from verify_mcp.settings import Settings
from verify_mcp.settings_parsers import is_loopback

logger = logging.getLogger(__name__)


def run(settings: Settings, place: ListenAddress, open_context: OpenContext) -> int:
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
        house = HttpApp(settings, bound, open_context, tokens)
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
            await anyio.to_thread.run_sync(metrics.flush, abandon_on_cancel=True)


def _access_text(settings: Settings, tokens: TokenFile | None) -> str:
    ways = [*(["tokens"] if tokens else []), *(["OAuth"] if settings.oauth else [])]
    return f"callers bring {' or '.join(ways)}" if ways else "without tokens, this machine only"


def _print_err(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
