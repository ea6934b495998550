"""A reply's body, read and decompressed within a bound."""

import zlib
from typing import TYPE_CHECKING

from verify_mcp.errors import ApiFailed
from verify_mcp.plivo.transport import content_coding, read_raw

if TYPE_CHECKING:
    import httpx

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Bytes read of one reply; a full page of 20 sessions is about 30 kB."""
MAX_MEMBERS = 1_000
"""Members read of one gzip body: empty members take time and add no bytes."""

_TOO_LARGE = "The Verify API's answer is far larger than a page can be."
_WINDOW_BITS = {
    "gzip": zlib.MAX_WBITS | 16,
    "x-gzip": zlib.MAX_WBITS | 16,
    "deflate": zlib.MAX_WBITS,
}


async def read_limited(reply: "httpx.Response") -> bytes:
    """A reply's body, decompressed. Raises ApiFailed when it is longer than MAX_BODY_BYTES."""
    body = await read_raw(reply, MAX_BODY_BYTES)
    if body is None:
        raise ApiFailed(_TOO_LARGE)
    coding = content_coding(reply)
    return body if coding == "identity" else _decompress(body, coding)


def _decompress(body: bytes, coding: str) -> bytes:
    """A body in one of RFC 9110's codings, sent although the request accepts none."""
    if coding not in _WINDOW_BITS:
        raise ApiFailed("The Verify API's answer is compressed in a way that was not asked for.")
    bits = _WINDOW_BITS[coding]
    if coding == "deflate" and not _is_zlib(body):
        bits = -zlib.MAX_WBITS  # some servers send the bare stream (RFC 1951) under this name
    try:
        return _inflate(body, bits)
    except zlib.error as error:
        raise ApiFailed("The Verify API's answer is compressed and damaged.") from error


def _inflate(body: bytes, bits: int) -> bytes:
    """All members of a compressed body: RFC 1952 allows several. Raises ApiFailed, zlib.error."""
    plain = b""
    for _ in range(MAX_MEMBERS):
        reader = zlib.decompressobj(bits)
        plain += reader.decompress(body, MAX_BODY_BYTES + 1 - len(plain))
        if len(plain) > MAX_BODY_BYTES:
            raise ApiFailed(_TOO_LARGE)
        if not reader.eof:
            raise ApiFailed("The Verify API's answer is compressed and cut short.")
        # Zero bytes after the last member are padding.
        body = reader.unused_data.lstrip(b"\0") if bits > zlib.MAX_WBITS else b""
        if not body:
            return plain
    raise ApiFailed(_TOO_LARGE)


def _is_zlib(body: bytes) -> bool:
    """Whether a body begins with the header of RFC 1950."""
    return len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
