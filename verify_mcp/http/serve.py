"""The server over HTTP, from its start to its orderly end."""

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
    bound_socket,
    url_of,
    uvicorn_config,
)
from verify_mcp.http.timeouts import Acceptor, DeadlineProtocol
from verify_mcp.http.tokens import TokenFile, default_path
from verify_mcp.server.server import OpenContext
from verify_mcp.settings import Settings
from verify_mcp.settings_parsers import is_loopback

logger = logging.getLogger(__name__)


def run(settings: Settings, address: ListenAddress, open_context: OpenContext) -> int:
    """Serve until a signal comes, and return the exit code. Raises InvalidSetting."""
    from sse_starlette.sse import AppStatus

    logs.configure_audit(settings, audit_logger.name)
    tokens = token_file(settings)
    requires_token = tokens is not None or settings.oauth is not None
    require_auth_if_exposed(settings, address, requires_token=requires_token)
    # A stream is not cut at the signal: it ends when its call is answered (`notify_closing`).
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call] # its own gap
    with bound_socket(address) as listener:
        bound = replace(address, port=listener.getsockname()[1])
        http_app = HttpApp(settings, bound, open_context, tokens)
        server = HttpServer(uvicorn_config(http_app.app, bound), http_app)
        _print_err(
            f"verify-mcp serves MCP on {url_of(bound)}{PATH} ({_access_text(settings, tokens)})."
        )
        server.run(sockets=[listener])
    return 0 if server.started else 1


def token_file(settings: Settings) -> TokenFile | None:
    """The tokens file that the settings name, or the default one if it exists."""
    path = settings.tokens_file or default_path()
    return TokenFile(path) if settings.tokens_file or path.exists() else None


def require_auth_if_exposed(
    settings: Settings, address: ListenAddress, *, requires_token: bool
) -> None:
    """Check that a server which other machines can reach requires tokens. Raises InvalidSetting."""
    if (address.certificate is None) != (address.key is None):
        raise InvalidSetting("--tls-cert and --tls-key belong together: give both.")
    urls = [*(f"//{host}" for host in settings.allowed_hosts), settings.public_url]
    names = [address.host, *(urlsplit(url).hostname or "" for url in urls if url)]
    exposed = [name for name in names if not is_loopback(name)]
    if exposed and not requires_token:
        raise InvalidSetting(
            f"{exposed[0]} can be reached from other machines, so callers must bring a token. Make "
            "one with `verify-mcp token add NAME`, or set VERIFY_MCP_OAUTH_ISSUER."
        )
    if not is_loopback(address.host) and address.certificate is None:
        logger.warning(
            "Plain HTTP on %s: tokens travel readably. Put a proxy that speaks TLS in front, or "
            "give --tls-cert and --tls-key.",
            address.host,
        )


class HttpServer(uvicorn.Server):
    """A uvicorn server that bounds its connections and answers the calls under way at its end."""

    def __init__(self, config: uvicorn.Config, http_app: HttpApp) -> None:
        super().__init__(config)
        self._http_app = http_app
        self._acceptors: list[Acceptor] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and accept connections with Acceptors, not with uvicorn."""
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
        assert isinstance(protocol, DeadlineProtocol)  # noqa: S101 - `uvicorn_config` chose it
        return protocol

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse new requests, answer the calls under way within KILL_AFTER seconds, and stop."""
        import asyncio

        self._http_app.guard.closing = True
        self._http_app.stop_background()
        for acceptor in self._acceptors:
            await acceptor.close()
        notify_closing = self._http_app.notify_closing
        timer = asyncio.get_running_loop().call_later(NOTIFY_AFTER, notify_closing)
        await super().shutdown(sockets)
        timer.cancel()
        # The signal ends the process next, and what was measured since the last export is lost.
        with anyio.move_on_after(FLUSH_SECONDS):
            await anyio.to_thread.run_sync(metrics.flush, abandon_on_cancel=True)


def _access_text(settings: Settings, tokens: TokenFile | None) -> str:
    ways = [*(["tokens"] if tokens else []), *(["OAuth"] if settings.oauth else [])]
    return f"callers bring {' or '.join(ways)}" if ways else "without tokens, this machine only"


def _print_err(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
