"""Replies gone wrong: what a fault makes of the reply that would have been."""

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
    """What a fault may know of the request and of the reply it replaces."""

    good: Response
    path: str
    host: str
    behaviour: Options
    retry_after: str | None = None


def apply_fault(fault: Fault, scene: FaultContext) -> Response:
    """The reply this fault sends instead."""
    if fault in PAGE_FAULTS or fault in ROW_FAULTS:
        return replace(scene.good, body=fault_payload(scene.good.body, fault, scene.path))
    reply = _FIXED[fault] if fault in _FIXED else _BUILT[fault](scene)
    return reply if scene.retry_after is None else _asks_to_wait(reply, scene.retry_after)


def _asks_to_wait(reply: Response, retry_after: str) -> Response:
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


def _too_many(scene: FaultContext) -> Response:
    return _FIXED[Fault.TOO_MANY].with_headers("retry-after", scene.behaviour.fault_retry_after)


def _delivery(manner: Delivery) -> Callable[[FaultContext], Response]:
    return lambda scene: replace(scene.good, delivery=manner)


def _rewrite(rewrite: Callable[[bytes], bytes]) -> Callable[[FaultContext], Response]:
    return lambda scene: replace(scene.good, body=rewrite(scene.good.body))


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


def _huge_body(scene: FaultContext) -> Response:
    chunks = partial(_huge, scene.behaviour.huge_bytes, scene.good.body)
    return replace(scene.good, stream=chunks)


def _gzip_bomb(scene: FaultContext) -> Response:
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    plain_chunks = _huge(scene.behaviour.huge_bytes, scene.good.body)
    packed = b"".join(packer.compress(chunk) for chunk in plain_chunks) + packer.flush()
    return replace(scene.good, body=packed).with_headers("content-encoding", "gzip")


def _deep_json(scene: FaultContext) -> Response:
    depth = scene.behaviour.huge_depth
    return replace(scene.good, body=b'{"sessions":' + b"[" * depth + b"]" * depth + b"}")


def _many_rows(scene: FaultContext) -> Response:
    pieces = partial(many_rows, scene.good.body, scene.behaviour.huge_rows)
    return replace(scene.good, stream=pieces)


_BUILT: dict[Fault, Callable[[FaultContext], Response]] = {
    Fault.TOO_MANY_RETRY_AFTER: _too_many,
    Fault.TRUNCATED_JSON: _rewrite(_halve),
    Fault.TRUNCATED_BODY: _delivery(Delivery.SHORT),
    Fault.SLOW_BODY: _delivery(Delivery.DRIP),
    Fault.HANG: _delivery(Delivery.HANG),
    Fault.RESET: _delivery(Delivery.RESET),
    Fault.REDIRECT_OTHER_HOST: lambda scene: redirect(302, f"https://{FOREIGN_HOST}{scene.path}"),
    Fault.REDIRECT_HTTP: lambda scene: redirect(301, f"http://{scene.host}{scene.path}"),
    Fault.REDIRECT_LOOP: lambda scene: redirect(302, scene.path),
    Fault.GZIP_BOMB: _gzip_bomb,
    Fault.HUGE_BODY: _huge_body,
    Fault.DEEP_JSON: _deep_json,
    Fault.MANY_ROWS: _many_rows,
    Fault.BIG_HEADER: lambda scene: scene.good.with_headers(
        "x-padding", "x" * scene.behaviour.huge_header
    ),
    Fault.INVALID_UTF8: _rewrite(_invalid_utf8),
    Fault.BOM: _rewrite(lambda body: b"\xef\xbb\xbf" + body),
    Fault.UTF16: _rewrite(_utf16),
}
