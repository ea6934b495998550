"""Replies gone wrong: what a fault makes of the reply that would have been."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from .behaviour import Behaviour, Fault
from .damage import FOREIGN_HOST, PAGE_FAULTS, ROW_FAULTS, damaged, many_rows
from .replies import Manner, Reply, error, html, json_reply, plain, redirect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK = 1 << 16
_FAULT_ID = "00000000-0000-4000-8000-00000000fa17"


@dataclass(frozen=True)
class Scene:
    """What a fault may know of the request and of the reply it replaces."""

    good: Reply
    path: str
    host: str
    behaviour: Behaviour
    retry_after: str | None = None


def broken(fault: Fault, scene: Scene) -> Reply:
    """The reply this fault sends instead."""
    if fault in PAGE_FAULTS or fault in ROW_FAULTS:
        return replace(scene.good, body=damaged(scene.good.body, fault, scene.path))
    reply = _FIXED[fault] if fault in _FIXED else _MADE[fault](scene)
    return reply if scene.retry_after is None else _asks_to_wait(reply, scene.retry_after)


def _asks_to_wait(reply: Reply, retry_after: str) -> Reply:
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
    Fault.SERVER_ERROR_EMPTY: Reply(500),
    Fault.BAD_GATEWAY: html(502, "502 Bad Gateway"),
    Fault.UNAVAILABLE: html(503, "503 Service Temporarily Unavailable"),
    Fault.GATEWAY_TIMEOUT: html(504, "504 Gateway Time-out"),
    Fault.NO_CONTENT: Reply(204, headers=()),
    Fault.OK_EMPTY: Reply(200),
    Fault.OK_HTML: html(200, "Welcome"),
    Fault.OK_NULL: json_reply(200, None),
    Fault.OK_LIST: json_reply(200, []),
    Fault.OK_TEXT: json_reply(200, "text"),
    Fault.OK_NUMBER: json_reply(200, 42),
    Fault.OK_ERROR: json_reply(200, {"error": {"message": "something went wrong"}}),
    Fault.OK_ERROR_TEXT: json_reply(200, {"error": "something went wrong"}),
}


def _too_many(scene: Scene) -> Reply:
    return _FIXED[Fault.TOO_MANY].plus("retry-after", scene.behaviour.fault_retry_after)


def _manner(manner: Manner) -> Callable[[Scene], Reply]:
    return lambda scene: replace(scene.good, manner=manner)


def _rewritten(rewrite: Callable[[bytes], bytes]) -> Callable[[Scene], Reply]:
    return lambda scene: replace(scene.good, body=rewrite(scene.good.body))


def _halved(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _invalid_utf8(body: bytes) -> bytes:
    return body.replace(b'": "', b'": "\xff\xfe', 1).replace(b'":"', b'":"\xff\xfe', 1)


def _utf16(body: bytes) -> bytes:
    return body.decode().encode("utf-16")


def _blanks(size: int) -> Iterator[bytes]:
    chunk = b" " * _CHUNK
    for _ in range(max(1, size // _CHUNK)):
        yield chunk


def _huge(size: int, body: bytes) -> Iterator[bytes]:
    yield from _blanks(size)
    yield body


def _huge_body(scene: Scene) -> Reply:
    chunks = partial(_huge, scene.behaviour.huge_bytes, scene.good.body)
    return replace(scene.good, stream=chunks)


def _gzip_bomb(scene: Scene) -> Reply:
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    plain_chunks = _huge(scene.behaviour.huge_bytes, scene.good.body)
    packed = b"".join(packer.compress(chunk) for chunk in plain_chunks) + packer.flush()
    return replace(scene.good, body=packed).plus("content-encoding", "gzip")


def _deep_json(scene: Scene) -> Reply:
    depth = scene.behaviour.huge_depth
    return replace(scene.good, body=b'{"sessions":' + b"[" * depth + b"]" * depth + b"}")


def _many_rows(scene: Scene) -> Reply:
    pieces = partial(many_rows, scene.good.body, scene.behaviour.huge_rows)
    return replace(scene.good, stream=pieces)


_MADE: dict[Fault, Callable[[Scene], Reply]] = {
    Fault.TOO_MANY_RETRY_AFTER: _too_many,
    Fault.TRUNCATED_JSON: _rewritten(_halved),
    Fault.TRUNCATED_BODY: _manner(Manner.SHORT),
    Fault.SLOW_BODY: _manner(Manner.DRIP),
    Fault.HANG: _manner(Manner.HANG),
    Fault.RESET: _manner(Manner.RESET),
    Fault.REDIRECT_OTHER_HOST: lambda scene: redirect(302, f"https://{FOREIGN_HOST}{scene.path}"),
    Fault.REDIRECT_HTTP: lambda scene: redirect(301, f"http://{scene.host}{scene.path}"),
    Fault.REDIRECT_LOOP: lambda scene: redirect(302, scene.path),
    Fault.GZIP_BOMB: _gzip_bomb,
    Fault.HUGE_BODY: _huge_body,
    Fault.DEEP_JSON: _deep_json,
    Fault.MANY_ROWS: _many_rows,
    Fault.BIG_HEADER: lambda scene: scene.good.plus("x-padding", "x" * scene.behaviour.huge_header),
    Fault.INVALID_UTF8: _rewritten(_invalid_utf8),
    Fault.BOM: _rewritten(lambda body: b"\xef\xbb\xbf" + body),
    Fault.UTF16: _rewritten(_utf16),
}
