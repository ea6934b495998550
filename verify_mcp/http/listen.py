"""Where to listen, and how the HTTP server is configured."""

import socket
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from verify_mcp.errors import InvalidSetting
from verify_mcp.http.timeouts import DeadlineProtocol

PATH = "/mcp"
MAX_HEAD_BYTES = 32 * 1024
"""Bytes of a request's line and headers."""
NOTIFY_AFTER = 5.0
"""Seconds after SIGTERM until calls under way are told that the server ends."""
KILL_AFTER = 8
"""Seconds after SIGTERM until calls under way are ended."""
FLUSH_SECONDS = 1.0
"""Seconds that a collector of measurements gets at the end."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen, and with which certificate."""

    host: str = "127.0.0.1"
    port: int = 8000
    certificate: Path | None = None
    key: Path | None = None


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
