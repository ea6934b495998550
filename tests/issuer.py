"""An authorization server for the tests, as a process of its own on loopback.

It publishes its keys, gives out tokens that say whatever it is asked to say, and takes new keys on
demand. `python -m tests.issuer` prints its address.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Keys:
    """The key in use, and those published."""

    current: rsa.RSAPrivateKey = field(default_factory=new_key)
    number: int = 1
    fetched: int = 0

    @property
    def kid(self) -> str:
        return f"key-{self.number}"

    def rotate(self) -> None:
        self.current, self.number = new_key(), self.number + 1

    def published(self) -> dict[str, Any]:
        self.fetched += 1
        said = jwt.algorithms.RSAAlgorithm.to_jwk(self.current.public_key(), as_dict=True)
        return {"keys": [{**said, "kid": self.kid, "use": "sig", "alg": "RS256"}]}

    def token(self, claims: dict[str, Any]) -> dict[str, str]:
        headers = {"kid": self.kid, "typ": "at+jwt"}
        return {"access_token": jwt.encode(claims, self.current, "RS256", headers=headers)}


def handler(keys: Keys) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(keys.published() if self.path == "/jwks" else {"fetched": keys.fetched})

        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path == "/rotate":
                keys.rotate()
                self._answer({})
            else:
                self._answer(keys.token(said))

        def _answer(self, body: dict[str, Any]) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@dataclass(frozen=True)
class Authority:
    """The authorization server as its clients and administrators use it."""

    url: str

    def token(self, **claims: Any) -> str:
        return str(self._ask("/token", claims)["access_token"])

    def rotate(self) -> None:
        self._ask("/rotate", {})

    def fetched(self) -> int:
        return int(self._ask("/fetched")["fetched"])

    def public_key(self) -> Any:
        (key,) = jwt.PyJWKSet.from_dict(self._ask("/jwks")).keys
        return key.key

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.url + path, data)) as reply:  # noqa: S310 - loopback
            told: dict[str, Any] = json.load(reply)
        return told


@contextmanager
def authority() -> Iterator[Authority]:
    """An authorization server for as long as the block."""
    command = [sys.executable, "-m", "tests.issuer"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Authority(process.stdout.readline().strip())
        finally:
            process.kill()


def main() -> None:
    """Serve until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Keys()))
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
