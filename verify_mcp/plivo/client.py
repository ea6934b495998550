"""The client of the Plivo API, the only module that sends requests to it.

Each method sends one request and retries nothing. The caller waits for the rate limit and retries,
because every try costs a slot. The methods call `leave` right before the bytes of the request leave
this process; an error that it raises ends the request before it is sent.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import anyio

from verify_mcp.domain.api_limits import is_uuid
from verify_mcp.domain.delivery_records import (
    DeliveryRecord,
    RecordKind,
    parse_delivery_record,
)
from verify_mcp.domain.payloads import parse_page, parse_session
from verify_mcp.domain.reach import clip_start
from verify_mcp.domain.receipts import ReplyTime
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.errors import ApiFailed, ApiUnreachable, RateLimited, SessionNotFound
from verify_mcp.plivo import retry
from verify_mcp.plivo.api_clock import ApiClock
from verify_mcp.plivo.api_errors import (
    NotFound,
    error_for_status,
    name_filters_in_error,
    translate_network_errors,
)
from verify_mcp.plivo.body import read_limited
from verify_mcp.plivo.page_request import PageRequest
from verify_mcp.plivo.transport import client_options, import_httpx, quiet_http_logs
from verify_mcp.redaction import Redactor
from verify_mcp.settings import Settings

if TYPE_CHECKING:
    import httpx

Leave = Callable[[], None]
SESSIONS = "Verify/Session/"
RECORDS: dict[RecordKind, str] = {"message": "Message/", "call": "Call/"}
"""The paths of single messages and calls. Source: the pages "Retrieve a message" and "Retrieve a
call" of Plivo's reference. That they know an attempt's UUID is not documented in so many words."""


class VerifyClient:
    """The documented endpoints that read Verify sessions and their attempts, for one account."""

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        app: Callable[..., Any] | None = None,
    ) -> None:
        """`app` is an ASGI application that replaces the network, such as the emulator."""
        self._settings = settings
        self._now = now
        self._monotonic = monotonic
        self._app = app
        self._http: httpx.AsyncClient | None = None
        self.clock = ApiClock(now=now, monotonic=monotonic)
        self.server_time: datetime | None = None
        """The `Date` of the last reply, aware UTC; None when it had none that can be read."""

    async def list_sessions(self, request: PageRequest, leave: Leave = lambda: None) -> Page:
        """One page of the sessions that match, newest first. Raises ApiError."""
        # A request may wait long for its slot, and the reach moves on meanwhile.
        clipped = clip_start(request.session_filter, now=self.clock.now())
        params = replace(request, session_filter=clipped).query_params()
        with name_filters_in_error(clipped):
            body, receipt = await self._get(SESSIONS, params, leave)
        page = parse_page(body)
        return replace(page, receipt=self.clock.record_newest(receipt, page.newest))

    async def get_session(self, uuid: str, leave: Leave = lambda: None) -> Session:
        """The session with this UUID. Raises ApiError, or SessionNotFound."""
        if not is_uuid(uuid):  # it becomes a part of the path
            raise ValueError("a session is found by its canonical UUID")
        try:
            body, _ = await self._get(f"{SESSIONS}{uuid}/", {}, leave)
            session = parse_session(body)
        except NotFound as error:
            raise SessionNotFound(
                f"No Verify session {uuid} in the last 90 days. "
                "Find one with list_verify_sessions, e.g. by recipient."
            ) from error
        if session.uuid != uuid:
            raise ApiFailed("The Verify API answered with another session than asked for.")
        return session

    async def get_record(
        self, kind: RecordKind, uuid: str, leave: Leave = lambda: None
    ) -> DeliveryRecord | None:
        """The record of this message or call, None if the API has none. Raises ApiError."""
        if not is_uuid(uuid):  # it becomes a part of the path
            raise ValueError("a record is found by a canonical UUID")
        try:
            body, _ = await self._get(f"{RECORDS[kind]}{uuid}/", {}, leave)
        except NotFound:
            return None
        return parse_delivery_record(body, kind, uuid)

    def ensure_ready(self) -> None:
        """Build the HTTP client. Raises CredentialsMissing, or ApiUnreachable for a bad proxy."""
        self._http_client()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()

    async def _get(
        self, path: str, query: Mapping[str, str], leave: Leave
    ) -> tuple[bytes, ReplyTime]:
        async def trace(event: str, _info: object) -> None:
            if event == "http11.send_request_headers.started":
                leave()  # connecting took time

        leave()
        account = self._settings.account()
        url = f"{self._settings.api_url}/v1/Account/{account.auth_id}/{path}"
        sent_at = self._monotonic()
        with translate_network_errors(self._settings.request_timeout):
            with anyio.fail_after(self._settings.request_timeout):
                async with self._http_client().stream(
                    "GET", url, params=query, extensions={"trace": trace}
                ) as reply:
                    self._record_time(reply.headers.get("date"))
                    elapsed = timedelta(seconds=self._monotonic() - sent_at)
                    receipt = self.clock.record_reply(self.server_time, elapsed=elapsed)
                    self._check_status(reply)
                    body = await read_limited(reply)
        return Redactor(account)(body), receipt

    def _http_client(self) -> "httpx.AsyncClient":
        if self._http is None:
            self._http = _build_http_client(self._settings, self._app)
        return self._http

    def _record_time(self, date: str | None) -> None:
        try:
            parsed = parsedate_to_datetime(date) if date else None
        except (ValueError, TypeError, IndexError):
            parsed = None
        self.server_time = parsed.astimezone(UTC) if parsed and parsed.tzinfo else None

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
    """A client whose connections close with the block."""
    client = VerifyClient(settings, now=now, monotonic=monotonic, app=app)
    try:
        yield client
    finally:
        with anyio.move_on_after(1, shield=True):
            await client.aclose()


def _build_http_client(settings: Settings, app: Callable[..., Any] | None) -> "httpx.AsyncClient":
    import_httpx()  # deferred: not needed to start
    import httpx

    quiet_http_logs()
    account = settings.account()
    options = client_options(
        is_https=settings.api_url.startswith("https:"), accept="application/json"
    )
    try:
        return httpx.AsyncClient(
            auth=httpx.BasicAuth(account.auth_id, account.auth_token),
            timeout=httpx.Timeout(settings.request_timeout, connect=settings.connect_timeout),
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=8),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            transport=None if app is None else httpx.ASGITransport(app),
            **options,
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise ApiUnreachable(
            "The proxy named in the environment cannot be used: give an http:// or https:// "
            "address in HTTPS_PROXY.",
            sent=False,
        ) from error
