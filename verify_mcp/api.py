"""The Plivo Verify API: the one module that sends requests to it.

Each method is one exchange: one request, one reply, nothing retried. Waiting for quota and trying
again belong to the caller, because every try costs a slot.
"""

import logging
import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import anyio

from verify_mcp import __version__, pacing
from verify_mcp.api_clock import ApiClock, ReplyTime
from verify_mcp.errors import (
    AccessDenied,
    ApiError,
    ApiFailed,
    ApiUnreachable,
    CredentialsRejected,
    RateLimited,
    RequestRejected,
    SessionNotFound,
)
from verify_mcp.filters import SessionFilter, format_api_time
from verify_mcp.redaction import Redactor
from verify_mcp.sessions import Page, Session, is_uuid, parse_page, parse_session
from verify_mcp.settings import Settings

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

CA_REMEDY = (
    "Behind a company proxy, set SSL_CERT_FILE to a file with its CA certificate; "
    "`verify-mcp doctor` explains."
)


def query_params(
    session_filter: SessionFilter, *, limit: int, offset: int, cursor: str | None = None
) -> dict[str, str]:
    """A question in the list endpoint's own words: documented names, documented time form."""
    params = {
        name: format_api_time(value) if isinstance(value, datetime) else value
        for name, value in session_filter.set_filters().items()
    }
    if session_filter.recipient:
        params["recipient"] = f"+{session_filter.recipient}"
    place = {"cursor": cursor} if cursor else {"offset": str(offset)}
    return {**params, "limit": str(limit), **place}


class VerifyClient:
    """The two documented reads of Verify sessions, for one account."""

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        app: Callable[..., Any] | None = None,
    ) -> None:
        """`app` is an ASGI application asked in process instead of the network."""
        self._settings = settings
        self._now = now
        self._monotonic = monotonic
        self._app = app
        self._http: httpx.AsyncClient | None = None
        self.clock = ApiClock(now=now, monotonic=monotonic)
        self.server_time: datetime | None = None
        """The clock of the API, as its last reply told it, None when it did not."""

    async def list_sessions(
        self, session_filter: SessionFilter, *, limit: int, offset: int, cursor: str | None = None
    ) -> Page:
        """One page of the sessions wanted, newest first. Raises ApiError."""
        # A request may wait long for its turn, and the reach moves on meanwhile.
        session_filter = session_filter.clipped_to_reach(now=self.clock.now())
        params = query_params(session_filter, limit=limit, offset=offset, cursor=cursor)
        with name_filters_in_error(session_filter):
            body, receipt = await self._get("", params)
        page = parse_page(body)
        return replace(page, receipt=self.clock.record_newest(receipt, page.newest))

    async def get_session(self, uuid: str) -> Session:
        """The session with this UUID. Raises ApiError, or SessionNotFound."""
        if not is_uuid(uuid):  # what becomes a path is checked where the path is made
            raise ValueError("a session is asked for by its canonical UUID")
        try:
            body, _ = await self._get(f"{uuid}/", {})
            session = parse_session(body)
        except NotFound as error:
            raise SessionNotFound(
                f"No Verify session {uuid} in the last 90 days. "
                "Find one with list_verify_sessions, e.g. by recipient."
            ) from error
        if session.uuid != uuid:
            raise ApiFailed("The Verify API answered with another session than asked for.")
        return session

    def ensure_ready(self) -> None:
        """Make sure that requests could be sent. Raises CredentialsMissing or ApiUnreachable."""
        self._http_client()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()

    async def _get(self, path: str, query: Mapping[str, str]) -> tuple[bytes, ReplyTime]:
        account = self._settings.account()
        url = f"{self._settings.api_url}/v1/Account/{account.auth_id}/Verify/Session/{path}"
        sent_at = self._monotonic()
        with translate_network_errors(self._settings.request_timeout):
            with anyio.fail_after(self._settings.request_timeout):
                async with self._http_client().stream("GET", url, params=query) as reply:
                    self._note_time(reply.headers.get("date"))
                    elapsed = timedelta(seconds=self._monotonic() - sent_at)
                    receipt = self.clock.record_reply(self.server_time, elapsed=elapsed)
                    self._check_status(reply)
                    body = await read_limited(reply)
        return Redactor(account)(body), receipt

    def _http_client(self) -> "httpx.AsyncClient":
        if self._http is None:
            self._http = _build_http_client(self._settings, self._app)
        return self._http

    def _note_time(self, date: str | None) -> None:
        try:
            told = parsedate_to_datetime(date) if date else None
        except (ValueError, TypeError, IndexError):
            told = None
        self.server_time = told.astimezone(UTC) if told and told.tzinfo else None

    def _check_status(self, reply: "httpx.Response") -> None:
        status = reply.status_code
        if status == 200:
            return
        if status == 429:
            raise RateLimited(pacing.retry_after(reply.headers.get("retry-after"), self._now()))
        raise error_for_status(status)


@asynccontextmanager
async def open_client(
    settings: Settings,
    *,
    now: Callable[[], datetime],
    monotonic: Callable[[], float] = time.monotonic,
    app: Callable[..., Any] | None = None,
) -> AsyncIterator[VerifyClient]:
    """An Api whose connections close with the block."""
    api = VerifyClient(settings, now=now, monotonic=monotonic, app=app)
    try:
        yield api
    finally:
        with anyio.move_on_after(1, shield=True):
            await api.aclose()


class NotFound(RequestRejected):
    """404, whose meaning depends on what was asked."""


_ERRORS_BY_STATUS: dict[int, tuple[type[ApiError], str]] = {
    401: (
        CredentialsRejected,
        "The Verify API refused the credentials (401). Check PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN "
        "against the Plivo console and restart this server; `verify-mcp doctor` tests them.",
    ),
    403: (
        AccessDenied,
        "The Verify API denied access (403). These credentials may lack permission for Verify, "
        "or the subaccount belongs to another account.",
    ),
    404: (
        NotFound,
        "The Verify API has nothing at this address (404): check PLIVO_AUTH_ID and "
        "VERIFY_MCP_API_URL.",
    ),
}


def error_for_status(status: int) -> ApiError:
    """What a status other than 200 and 429 means, and to whom."""
    if status in _ERRORS_BY_STATUS:
        kind, message = _ERRORS_BY_STATUS[status]
        return kind(message)
    match status // 100:
        case 5 if status == 500:  # a read is idempotent, and one 500 is often the only one
            message = "The Verify API failed (500). Try again in a minute."
            return ApiFailed(message, retryable=True, once=True)
        case 5:
            message = f"The Verify API is unavailable ({status}). Try again in a minute."
            return ApiFailed(message, retryable=status in (502, 503, 504))
        case 4:
            return RequestRejected(f"The Verify API refused the request ({status}).")
        case 3:
            return ApiFailed(
                f"The Verify API answered with a redirect ({status}), which is never followed. "
                "Check VERIFY_MCP_API_URL."
            )
    return ApiFailed(f"The Verify API answered without an answer ({status}).")


@contextmanager
def name_filters_in_error(session_filter: SessionFilter) -> Iterator[None]:
    """Name the filters, never their values, when a list request is refused."""
    try:
        yield
    except NotFound:
        raise
    except RequestRejected as error:
        sent = ", ".join([*session_filter.set_filters(), "limit", "offset"])
        raise RequestRejected(f"{error} It was sent: {sent}. Change or drop one.") from error


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


def _build_http_client(settings: Settings, app: Callable[..., Any] | None) -> "httpx.AsyncClient":
    import httpx  # deferred: a tenth of the time to start

    for chatty in ("httpx", "httpcore"):  # they log URLs, which hold recipients
        logging.getLogger(chatty).setLevel(logging.WARNING)
    account = settings.account()
    secure = settings.api_url.startswith("https:")
    options: dict[str, Any] = {
        "auth": httpx.BasicAuth(account.auth_id, account.auth_token),
        "headers": {
            "User-Agent": f"verify-mcp/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        },
        "timeout": httpx.Timeout(settings.request_timeout, connect=settings.connect_timeout),
        "limits": httpx.Limits(max_connections=20, max_keepalive_connections=8),
        "follow_redirects": False,
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=())),
        "verify": ssl_context() if secure else False,
        # Proxies from the environment, but never for plain http on this machine.
        "trust_env": secure,
        "transport": None if app is None else httpx.ASGITransport(app),
    }
    try:
        return httpx.AsyncClient(**options)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise ApiUnreachable(
            "The proxy named in the environment cannot be used: give an http:// or https:// "
            "address in HTTPS_PROXY.",
            sent=False,
        ) from error


def ssl_context() -> ssl.SSLContext:
    """The certificates this machine trusts, and those of SSL_CERT_FILE."""
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@contextmanager
def translate_network_errors(timeout: float) -> Iterator[None]:
    """Tell in our words what kind of network failure it was, and whether anything was sent."""
    import httpx

    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise ApiUnreachable(
            "The Verify API could not be reached in time. Check the network.", sent=False
        ) from error
    except (TimeoutError, httpx.TimeoutException) as error:
        raise ApiUnreachable(
            f"The Verify API gave no complete answer within {timeout:g} s."
        ) from error
    except (httpx.ProxyError, httpx.UnsupportedProtocol) as error:
        raise ApiUnreachable(
            "The proxy named in the environment (HTTPS_PROXY) refused or failed. "
            "`verify-mcp doctor` explains.",
            sent=False,
        ) from error
    except httpx.ConnectError as error:
        raise _connect_error(error) from error
    except (httpx.TransportError, httpx.StreamError, httpx.InvalidURL) as error:
        raise ApiUnreachable("The connection to the Verify API broke during the answer.") from error


def _connect_error(error: Exception) -> ApiUnreachable:
    causes = list(_error_chain(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ApiUnreachable(
                f"The Verify API's certificate is not trusted here. {CA_REMEDY}", sent=False
            )
        if isinstance(cause, ssl.SSLError):
            return ApiUnreachable(
                f"No secure connection to the Verify API. {CA_REMEDY}", sent=False
            )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return ApiUnreachable(
            "The Verify API's host name could not be resolved. Check the network.", sent=False
        )
    return ApiUnreachable(
        "The connection to the Verify API was refused. Check the network, VERIFY_MCP_API_URL and, "
        "if HTTPS_PROXY is set, that proxy.",
        sent=False,
    )


def _error_chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()  # causes can run in a circle
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
