"""An authorization server for the tests, in threads of its own on loopback.

It publishes its keys, signs tokens of any claims, takes new keys on demand, and publishes them in
one of the wrong ways in FAULTS.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

KIB = 1024
REPLIES: dict[str, tuple[int, dict[str, str], bytes]] = {
    "not JSON": (200, {}, b"<html>"),
    "no object": (200, {}, b"[]"),
    "too deep": (200, {}, b"[" * 100_000),
    "no keys": (200, {}, b'{"keys": []}'),
    "no key for signatures": (200, {}, b'{"keys": [{"kty": "oct", "k": "AA", "use": "enc"}]}'),
    "an error": (503, {}, b"{}"),
    "a redirect": (302, {"location": "/elsewhere"}, b""),
    "compressed": (200, {"content-encoding": "gzip"}, b"{}"),
}
"""Whole replies that are no set of keys."""
FAULTS = (*REPLIES, "hang", "reset", "drip", "endless", "too large")


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Keys:
    """The key in use, and those published."""

    current: rsa.RSAPrivateKey = field(default_factory=new_key)
    number: int = 1
    fetched: int = 0
    fault: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def kid(self) -> str:
        return f"key-{self.number}"

    def rotate(self) -> None:
        self.current, self.number = new_key(), self.number + 1

    def break_down(self, fault: str) -> None:
        """Publish the keys in this wrong way from now on; "" ends it, and a hang with it."""
        assert fault in ("", *FAULTS)
        self.fault = fault
        if fault == "hang":
            self.released.clear()
        else:
            self.released.set()

    def published(self) -> dict[str, Any]:
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self.current.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self.kid, "use": "sig", "alg": "RS256"}]}

    def token(self, claims: dict[str, Any]) -> dict[str, str]:
        headers = {"kid": self.kid, "typ": "at+jwt"}
        return {"access_token": jwt.encode(claims, self.current, "RS256", headers=headers)}


class Handler(BaseHTTPRequestHandler):
    keys: Keys

    def do_GET(self) -> None:
        if self.path != "/jwks":
            self._answer({"fetched": self.keys.fetched})
            return
        self.keys.fetched += 1
        if self.keys.fault in REPLIES:
            self._reply(*REPLIES[self.keys.fault])
        elif self.keys.fault in ("drip", "endless"):
            self._reply_without_end(slowly=self.keys.fault == "drip")
        elif self.keys.fault == "reset":
            self._reset()
        else:
            self._publish()

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/rotate":
            self.keys.rotate()
            self._answer({})
        elif self.path == "/fault":
            self.keys.break_down(order["name"])
            self._answer({})
        else:
            self._answer(self.keys.token(order))

    def _publish(self) -> None:
        if self.keys.fault == "hang":
            self.keys.released.wait()
        padding = {"padding": " " * 300 * KIB} if self.keys.fault == "too large" else {}
        self._answer({**self.keys.published(), **padding})

    def _reply_without_end(self, *, slowly: bool) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):  # the reader gives up
            while True:
                self.wfile.write(b" " if slowly else b" " * 64 * KIB)
                time.sleep(0.02 if slowly else 0)  # a reader with a deadline ends it

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.rfile.close()

    def _answer(self, body: dict[str, Any]) -> None:
        self._reply(200, {}, json.dumps(body).encode())

    def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):  # the reader may give up
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Authority:
    """The authorization server as its clients and administrators use it."""

    url: str

    def token(self, **claims: Any) -> str:
        return str(self._ask("/token", claims)["access_token"])

    def rotate(self) -> None:
        self._ask("/rotate", {})

    def break_down(self, fault: str) -> None:
        self._ask("/fault", {"name": fault})

    def fetched(self) -> int:
        return int(self._ask("/fetched")["fetched"])

    def public_key(self) -> Any:
        (key,) = jwt.PyJWKSet.from_dict(self.published()).keys
        return key.key

    def published(self) -> dict[str, Any]:
        return self._ask("/jwks")

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.url + path, data)) as reply:  # noqa: S310 - loopback
            answer: dict[str, Any] = json.load(reply)
        return answer


class Server(ThreadingHTTPServer):
    """Does not wait, at its end, for requests that hang."""

    daemon_threads = True
    block_on_close = False


@contextmanager
def authority() -> Iterator[Authority]:
    """An authorization server for as long as the block."""
    keys = Keys()
    handler = type("KeysHandler", (Handler,), {"keys": keys})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Authority(f"http://127.0.0.1:{server.server_port}")
        finally:
            keys.break_down("")
            server.shutdown()
            thread.join()
