"""The address to listen on, and the configuration of uvicorn."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from verify_mcp.errors import InvalidSetting
from verify_mcp.http.timeouts import DeadlineProtocol

PATH = "/mcp"
MAX_HEAD_BYTES = 32 * 1024
"""Bytes of a request's line and headers."""
NOTIFY_AFTER = 5.0
"""Seconds after SIGTERM until calls under way are answered that the server is restarted."""
KILL_AFTER = 8
"""Seconds after SIGTERM until calls under way are ended."""
FLUSH_SECONDS = 1.0
"""Seconds for the last export of measurements."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host and port, and the files (PEM) of a certificate and its key for TLS."""

    host: str = "127.0.0.1"
    port: int = 8000
    certificate: Path | None = None
    key: Path | None = None


def uvicorn_config(
    app: ASGIApp, address: ListenAddress, protocol: type[DeadlineProtocol] = DeadlineProtocol
) -> uvicorn.Config:
    """The configuration of uvicorn. Raises InvalidSetting for a certificate that cannot be used."""
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
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise InvalidSetting("--tls-cert and --tls-key cannot be read as a pair.") from error
    return config


@contextmanager
def bound_socket(address: ListenAddress) -> Iterator[socket.socket]:
    """A socket that listens on the address. Raises InvalidSetting when it cannot be bound."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # With IPPROTO_TCP, because asyncio sets TCP_NODELAY only on such sockets.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address.host, address.port))
        except (OSError, OverflowError) as error:
            raise InvalidSetting(
                f"{address.host}:{address.port} cannot be listened on. Choose another --host or "
                "--port."
            ) from error
        listener.listen(2048)
        yield listener


def url_of(address: ListenAddress) -> str:
    """The URL of the address, without a path."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{'https' if address.certificate else 'http'}://{host}:{address.port}"
