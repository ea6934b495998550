"""What every HTTP client of this package has in common: certificates, proxies and raw bodies."""

import logging
import ssl
import sys
from typing import TYPE_CHECKING, Any

from verify_mcp import __version__

if TYPE_CHECKING:
    import httpx

_HTTPX_CLI = "httpx._main"
"""The module that brings click, rich and Pygments; httpx goes on without it."""


def client_options(*, is_https: bool, accept: str) -> dict[str, Any]:
    """The arguments of an httpx client: no redirects, no compression, the system's certificates."""
    return {
        "headers": {
            "User-Agent": f"verify-mcp/{__version__}",
            "Accept": accept,
            "Accept-Encoding": "identity",
        },
        "follow_redirects": False,
        "verify": ssl_context() if is_https else False,
        # Proxies from the environment, but never for plain http on this machine.
        "trust_env": is_https,
    }


def import_httpx() -> None:
    """Import httpx, unless it is, without its command line: that takes most of the time."""
    if "httpx" in sys.modules:
        return
    sys.modules[_HTTPX_CLI] = None  # type: ignore[assignment] # makes its import fail
    try:
        import httpx  # noqa: F401 - for whoever imports it next
    finally:
        del sys.modules[_HTTPX_CLI]


def ssl_context() -> ssl.SSLContext:
    """The certificates that this machine trusts, and those of SSL_CERT_FILE."""
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def quiet_http_logs() -> None:
    """Keep the HTTP libraries from logging each request: a URL may hold a recipient."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def content_coding(reply: "httpx.Response") -> str:
    """The coding of a reply's body (RFC 9110, section 8.4), `identity` when it names none."""
    return reply.headers.get("content-encoding", "").strip().lower() or "identity"


async def read_raw(reply: "httpx.Response", max_bytes: int) -> bytes | None:
    """A reply's body as it was sent, None when it is longer than `max_bytes`.

    httpx's own reading decompresses without a bound: 264 bytes can become 2 GB.
    """
    body = bytearray()
    async for chunk in reply.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            return None
    return bytes(body)
