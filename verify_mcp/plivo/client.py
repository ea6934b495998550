"""The Plivo Verify API: the one module that sends requests to it.

Each method is one exchange: one request, one reply, nothing retried. Waiting for quota and trying
again belong to the caller, because every try costs a slot.
"""

import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import anyio

from verify_mcp import __version__
from verify_mcp.domain.api_limits import is_uuid
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.payloads import parse_page, parse_session
from verify_mcp.domain.reach import clip_start
from verify_mcp.domain.receipts import ReplyTime
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.times import format_api_time
from verify_mcp.errors import (
    ApiFailed,
    ApiUnreachable,
    RateLimited,
    SessionNotFound,
)
from verify_mcp.plivo import retry
from verify_mcp.plivo.api_clock import ApiClock
from verify_mcp.redaction import Redactor
from verify_mcp.settings import Settings

if TYPE_CHECKING:
    import httpx

from verify_mcp.plivo.api_errors import (
    NotFound,
    error_for_status,
    name_filters_in_error,
    translate_network_errors,
)
from verify_mcp.plivo.body import read_limited


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
        session_filter = clip_start(session_filter, now=self.clock.now())
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
            raise RateLimited(retry.retry_after(reply.headers.get("retry-after"), self._now()))
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
