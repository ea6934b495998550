"""A reply's body, read and decompressed within a bound."""

import zlib
from typing import TYPE_CHECKING

from verify_mcp.errors import (
    ApiFailed,
)

if TYPE_CHECKING:
    import httpx


MAX_BODY_BYTES = 2 * 1024 * 1024
"""Bytes read of one reply; a full page of 20 sessions is about 30 kB."""

MAX_MEMBERS = 1_000
"""Members read of one gzip body; empty ones take time and fill nothing."""

_TOO_LARGE = "The Verify API's answer is far larger than a page can be."
_WINDOW_BITS = {
    "gzip": zlib.MAX_WBITS | 16,
    "x-gzip": zlib.MAX_WBITS | 16,
    "deflate": zlib.MAX_WBITS,
}


async def read_limited(reply: "httpx.Response") -> bytes:
    """The reply's body, decompressed, unless it grows past BODY_LIMIT. Raises ApiFailed."""
    coding = reply.headers.get("content-encoding", "identity").strip().lower() or "identity"
    body = bytearray()
    # Raw: httpx decompresses without a bound (264 bytes can become 2 GB).
    async for chunk in reply.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiFailed(_TOO_LARGE)
    return bytes(body) if coding == "identity" else _decompress(bytes(body), coding)


def _decompress(body: bytes, coding: str) -> bytes:
    """A body in one of RFC 9110's codings, though `identity` was asked for. Raises ApiFailed."""
    if coding not in _WINDOW_BITS:
        raise ApiFailed("The Verify API's answer is compressed in a way that was not asked for.")
    bits = _WINDOW_BITS[coding]
    if coding == "deflate" and not _is_zlib(body):
        bits = -zlib.MAX_WBITS  # some servers send the bare stream under this name
    try:
        return _inflated(body, bits)
    except zlib.error as error:
        raise ApiFailed("The Verify API's answer is compressed and damaged.") from error


def _inflated(body: bytes, bits: int) -> bytes:
    """All members of a compressed body: RFC 1952 allows several. Raises ApiFailed, zlib.error."""
    plain = b""
    for _ in range(MAX_MEMBERS):
        reader = zlib.decompressobj(bits)
        plain += reader.decompress(body, MAX_BODY_BYTES + 1 - len(plain))
        if len(plain) > MAX_BODY_BYTES:
            raise ApiFailed(_TOO_LARGE)
        if not reader.eof:
            raise ApiFailed("The Verify API's answer is compressed and cut short.")
        # What follows the last member as padding is no part of the answer.
        body = reader.unused_data.lstrip(b"\0") if bits > zlib.MAX_WBITS else b""
        if not body:
            return plain
    raise ApiFailed(_TOO_LARGE)


def _is_zlib(body: bytes) -> bool:
    """Whether it begins with the header of RFC 1950."""
    return len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
