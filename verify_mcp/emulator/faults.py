"""Faults of a reply: each turns a good reply into a bad one."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from .fault_payloads import FOREIGN_HOST, PAGE_FAULTS, ROW_FAULTS, fault_payload, many_rows
from .options import Fault, Options
from .responses import Delivery, Response, error, html, json_reply, plain, redirect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK = 1 << 16
_FAULT_ID = "00000000-0000-4000-8000-00000000fa17"


@dataclass(frozen=True)
class FaultContext:
    """The good reply, and what a fault needs of its request."""

    good: Response
    path: str
    host: str
    behaviour: Options
    retry_after: str | None = None


def apply_fault(fault: Fault, context: FaultContext) -> Response:
    """The reply that this fault sends instead of the good one."""
    if fault in PAGE_FAULTS or fault in ROW_FAULTS:
        return replace(context.good, body=fault_payload(context.good.body, fault, context.path))
    reply = _FIXED[fault] if fault in _FIXED else _BUILT[fault](context)
    return reply if context.retry_after is None else _with_retry_after(reply, context.retry_after)


def _with_retry_after(reply: Response, retry_after: str) -> Response:
    others = tuple(pair for pair in reply.headers if pair[0] != "retry-after")
    return replace(reply, headers=(*others, ("retry-after", retry_after)))


_FIXED = {
    Fault.BAD_REQUEST: error(400, "a parameter is missing or not valid", _FAULT_ID),
    Fault.UNAUTHORIZED_JSON: json_reply(
        401, {"error": "authentication credentials were not provided"}
    ),
    Fault.UNAUTHORIZED_TEXT: plain(401, "Unauthorized"),
    Fault.UNAUTHORIZED_EMPTY: json_reply(401, {}),
    Fault.FORBIDDEN: error(403, "not allowed for this account", _FAULT_ID),
    Fault.NOT_FOUND_EMPTY: json_reply(404, {}),
    Fault.NOT_FOUND_HTML: html(404, "404 Not Found"),
    Fault.TOO_MANY: error(429, "too many requests", _FAULT_ID),
    Fault.TOO_MANY_TEXT: plain(429, "too many requests"),
    Fault.SERVER_ERROR: error(500, "internal server error", _FAULT_ID),
    Fault.SERVER_ERROR_EMPTY: Response(500),
    Fault.BAD_GATEWAY: html(502, "502 Bad Gateway"),
    Fault.UNAVAILABLE: html(503, "503 Service Temporarily Unavailable"),
    Fault.GATEWAY_TIMEOUT: html(504, "504 Gateway Time-out"),
    Fault.NO_CONTENT: Response(204, headers=()),
    Fault.OK_EMPTY: Response(200),
    Fault.OK_HTML: html(200, "Welcome"),
    Fault.OK_NULL: json_reply(200, None),
    Fault.OK_LIST: json_reply(200, []),
    Fault.OK_TEXT: json_reply(200, "text"),
    Fault.OK_NUMBER: json_reply(200, 42),
    Fault.OK_ERROR: json_reply(200, {"error": {"message": "something went wrong"}}),
    Fault.OK_ERROR_TEXT: json_reply(200, {"error": "something went wrong"}),
}


def _too_many(context: FaultContext) -> Response:
    return _FIXED[Fault.TOO_MANY].with_headers("retry-after", context.behaviour.fault_retry_after)


def _deliver_by(delivery: Delivery) -> Callable[[FaultContext], Response]:
    return lambda context: replace(context.good, delivery=delivery)


def _rewrite(rewrite: Callable[[bytes], bytes]) -> Callable[[FaultContext], Response]:
    return lambda context: replace(context.good, body=rewrite(context.good.body))


def _halve(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _invalid_utf8(body: bytes) -> bytes:
    return body.replace(b'": "', b'": "\xff\xfe', 1).replace(b'":"', b'":"\xff\xfe', 1)


def _utf16(body: bytes) -> bytes:
    return body.decode().encode("utf-16")


def _blank(size: int) -> Iterator[bytes]:
    chunk = b" " * _CHUNK
    for _ in range(max(1, size // _CHUNK)):
        yield chunk


def _huge(size: int, body: bytes) -> Iterator[bytes]:
    yield from _blank(size)
    yield body


def _huge_body(context: FaultContext) -> Response:
    chunks = partial(_huge, context.behaviour.huge_bytes, context.good.body)
    return replace(context.good, stream=chunks)


def _gzip_bomb(context: FaultContext) -> Response:
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    plain_chunks = _huge(context.behaviour.huge_bytes, context.good.body)
    packed = b"".join(packer.compress(chunk) for chunk in plain_chunks) + packer.flush()
    return replace(context.good, body=packed).with_headers("content-encoding", "gzip")


def _deep_json(context: FaultContext) -> Response:
    depth = context.behaviour.huge_depth
    return replace(context.good, body=b'{"sessions":' + b"[" * depth + b"]" * depth + b"}")


def _many_rows(context: FaultContext) -> Response:
    pieces = partial(many_rows, context.good.body, context.behaviour.huge_rows)
    return replace(context.good, stream=pieces)


_BUILT: dict[Fault, Callable[[FaultContext], Response]] = {
    Fault.TOO_MANY_RETRY_AFTER: _too_many,
    Fault.TRUNCATED_JSON: _rewrite(_halve),
    Fault.TRUNCATED_BODY: _deliver_by(Delivery.SHORT),
    Fault.SLOW_BODY: _deliver_by(Delivery.DRIP),
    Fault.HANG: _deliver_by(Delivery.HANG),
    Fault.RESET: _deliver_by(Delivery.RESET),
    Fault.REDIRECT_OTHER_HOST: lambda context: redirect(
        302, f"https://{FOREIGN_HOST}{context.path}"
    ),
    Fault.REDIRECT_HTTP: lambda context: redirect(301, f"http://{context.host}{context.path}"),
    Fault.REDIRECT_LOOP: lambda context: redirect(302, context.path),
    Fault.GZIP_BOMB: _gzip_bomb,
    Fault.HUGE_BODY: _huge_body,
    Fault.DEEP_JSON: _deep_json,
    Fault.MANY_ROWS: _many_rows,
    Fault.BIG_HEADER: lambda context: context.good.with_headers(
        "x-padding", "x" * context.behaviour.huge_header
    ),
    Fault.INVALID_UTF8: _rewrite(_invalid_utf8),
    Fault.BOM: _rewrite(lambda body: b"\xef\xbb\xbf" + body),
    Fault.UTF16: _rewrite(_utf16),
}
