"""The keys that an authorization server publishes (RFC 7517), read within bounds of time and size.

One request is under way at a time, in a task of its own: a caller whose key is known does not wait
for the keys that others need, and no caller can cause a second request soon after the first.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import jwt

from verify_mcp.plivo.transport import (
    client_options,
    content_coding,
    quiet_http_logs,
    read_raw,
)

if TYPE_CHECKING:
    import httpx

JWKS_TTL = 300.0
"""Seconds after which the published keys are read again."""
JWKS_MAX_AGE = 900.0
"""Seconds for which a key stays valid while the keys cannot be read again."""
JWKS_COOLDOWN = 30.0
"""Seconds between two requests, also after a failure: a request needs no valid token."""
JWKS_TIMEOUT = 5.0
"""Seconds for one request, from resolving the name to the last byte."""
MAX_JWKS_BYTES = 256 * 1024
"""Bytes of a set of keys; the sets of large providers have a tenth of this."""
MAX_STALE_WAIT = 1.0
"""Seconds that a caller with a known key waits while the keys are read again."""
MAX_WAITERS = 100
"""Callers who wait for one request, so that invalid tokens cannot fill MAX_CONCURRENT_CALLS."""

logger = logging.getLogger(__name__)


class JwksUnavailable(Exception):
    """The published keys could not be read; the text is the reason, for a log."""


class JwksCache:
    """The keys at one address.

    `cooldown` is the seconds between two requests, `timeout` those for one, and `clock` gives
    monotonic seconds.
    """

    def __init__(
        self, url: str, *, cooldown: float, timeout: float, clock: Callable[[], float]
    ) -> None:
        self._url = url
        self._cooldown = cooldown
        self._timeout = timeout
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at = 0.0
        self._next_request_at = clock()
        self._request: asyncio.Task[None] | None = None
        self._waiters = 0

    async def get_key(self, kid: str) -> jwt.PyJWK | None:
        """The key with this id, None when it is not published or cannot be read."""
        is_known = kid in self._valid_keys()
        if not is_known or self._age() >= JWKS_TTL:
            with anyio.move_on_after(MAX_STALE_WAIT if is_known else None):
                await self._refresh()
        return self._valid_keys().get(kid)

    def _valid_keys(self) -> dict[str, jwt.PyJWK]:
        return self._keys if self._age() < JWKS_MAX_AGE else {}

    def _age(self) -> float:
        return self._clock() - self._read_at

    async def _refresh(self) -> None:
        """Wait for the request under way, or for a new one once the cooldown is over."""
        if self._request is None and self._clock() >= self._next_request_at:
            self._request = asyncio.create_task(self._read())
        # Without any valid key there is no caller to protect from those who wait.
        if self._request is None or (self._waiters >= MAX_WAITERS and self._valid_keys()):
            return
        self._waiters += 1
        try:
            await asyncio.wait({self._request})  # a waiter's cancellation leaves the request alone
        finally:
            self._waiters -= 1

    async def _read(self) -> None:
        try:
            self._keys = parse_jwks(await fetch_jwks(self._url, self._timeout))
            self._read_at = self._clock()
        except JwksUnavailable as error:
            consequence = "known keys stay valid" if self._valid_keys() else "tokens are refused"
            logger.warning(
                "The authorization server's keys cannot be read (%s); %s.", error, consequence
            )
        finally:
            self._next_request_at = self._clock() + self._cooldown
            self._request = None


async def fetch_jwks(url: str, timeout: float) -> bytes:  # noqa: ASYNC109 - it is the promise
    """The body at this address, read within `timeout` seconds. Raises JwksUnavailable."""
    with _translate_network_errors(timeout), anyio.fail_after(timeout):
        async with _build_http_client(url, timeout) as client, client.stream("GET", url) as reply:
            return await _read_limited(reply)


def parse_jwks(body: bytes) -> dict[str, jwt.PyJWK]:
    """The keys for signatures in a JWK set, by id. Raises JwksUnavailable when there is none."""
    try:
        keys = jwt.PyJWKSet.from_dict(json.loads(body)).keys
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise JwksUnavailable("it is no JWK set") from error
    # Reversed, so that of two keys with one id the first is taken.
    signing_keys = [key for key in reversed(keys) if key.public_key_use in ("sig", None)]
    by_id = {key.key_id: key for key in signing_keys if isinstance(key.key_id, str)}
    if not by_id:
        raise JwksUnavailable("it has no key for signatures")
    return by_id


@contextmanager
def _translate_network_errors(timeout: float) -> Iterator[None]:
    import httpx  # deferred: a tenth of the time to start

    try:
        yield
    except (TimeoutError, httpx.TimeoutException) as error:
        raise JwksUnavailable(f"no complete answer within {timeout:g} s") from error
    except httpx.ConnectError as error:
        raise JwksUnavailable("no connection, or no trusted certificate") from error
    except (httpx.TransportError, httpx.StreamError, OSError) as error:
        raise JwksUnavailable("the connection broke") from error
    except (httpx.InvalidURL, ImportError, ValueError) as error:
        raise JwksUnavailable("its address or the proxy's cannot be used") from error


def _build_http_client(url: str, timeout: float) -> "httpx.AsyncClient":
    import httpx

    quiet_http_logs()
    options = client_options(
        is_https=urlsplit(url).scheme == "https",
        accept="application/jwk-set+json, application/json",
    )
    return httpx.AsyncClient(timeout=timeout, **options)


async def _read_limited(reply: "httpx.Response") -> bytes:
    """The body, unless it is compressed or grows past MAX_JWKS_BYTES. Raises JwksUnavailable."""
    if reply.status_code != 200:
        raise JwksUnavailable(f"status {reply.status_code}")
    if content_coding(reply) != "identity":
        raise JwksUnavailable("it is compressed, which was not asked for")
    body = await read_raw(reply, MAX_JWKS_BYTES)
    if body is None:
        raise JwksUnavailable(f"more than {MAX_JWKS_BYTES} bytes")
    return body
