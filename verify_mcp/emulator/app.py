"""The pretend Verify Session API as an ASGI application."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from random import Random
from typing import TYPE_CHECKING, Self

from . import attempt_records, payloads, responses
from .asgi_io import AsgiIo, Message, Receive, Request, Scope, Send, Sleep, drain, lifespan, request
from .auth import SANDBOX_TOKENS, auth_error
from .documented_sessions import DOCUMENTED_NOW, documented_payload
from .fault_queue import FaultQueue, QueuedFault
from .faults import FaultContext, apply_fault
from .generate import generate
from .limiter import SlidingWindow
from .options import Endpoint, Fault, Options
from .pagination import REACH, meta, page, visible
from .query_params import UUID, QueryError, parse
from .routes import Route, route
from .session_simulation import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .account import AccountData, SessionRecord

_MAX_RECEIVED = 20_000


@dataclass
class ReceivedRequest:
    """A request that the emulator received; `status` is None until its reply begins."""

    at: float
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    endpoint: Endpoint
    status: int | None = None
    sent: int = 0
    """Bytes of the reply's body sent so far."""


async def real_sleep(seconds: float) -> None:
    """Wait in real time."""
    import asyncio

    await asyncio.sleep(seconds)


def real_clock() -> datetime:
    """The present time, aware UTC."""
    return datetime.now(UTC)


class Emulator:
    """A pretend account of the Verify Session API, served over ASGI."""

    def __init__(
        self,
        data: AccountData | Callable[[datetime], AccountData] | None = None,
        *,
        behaviour: Options | None = None,
        clock: Callable[[], datetime] = real_clock,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Sleep = real_sleep,
        seed: int = 7,
        tokens: Mapping[str, str] = SANDBOX_TOKENS,
    ) -> None:
        self.behaviour = behaviour or Options()
        self.clock = clock
        self.monotonic = monotonic
        self.sleep = sleep
        self.tokens = dict(tokens)
        self.received: list[ReceivedRequest] = []
        self._seed = seed
        self._data = data
        self._limiter = SlidingWindow()
        # Three generators, so that an option of one kind does not change the others' draws.
        self._ids, self._delays = Random(f"{seed} ids"), Random(f"{seed} delays")
        self._faults = FaultQueue(Random(f"{seed} luck"))

    @classmethod
    def documented(
        cls,
        *,
        behaviour: Options | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Sleep = real_sleep,
        seed: int = 7,
    ) -> Self:
        """The documented account, with its clock at the day of the documentation."""
        return cls(
            documented_payload(),
            behaviour=behaviour,
            clock=lambda: DOCUMENTED_NOW,
            monotonic=monotonic,
            sleep=sleep,
            seed=seed,
        )

    @property
    def data(self) -> AccountData:
        """The account's sessions, generated at the first use; assign to it to change them."""
        if self._data is None:
            self._data = generate(seed=self._seed, now=self.clock())
        elif callable(self._data):
            self._data = self._data(self.clock())
        return self._data

    @data.setter
    def data(self, data: AccountData) -> None:
        self._data = data

    def fail_next(
        self,
        fault: Fault,
        *,
        times: int = 1,
        endpoint: Endpoint | None = None,
        retry_after: str | None = None,
    ) -> None:
        """Make the next `times` accepted requests (of `endpoint`, if given) fail with `fault`."""
        self._faults.add(QueuedFault(fault, endpoint, retry_after), times)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        parsed = request(scope)
        where = route(parsed.path)
        received = self._record(parsed, where)

        async def send_and_record(message: Message) -> None:
            received.status = message.get("status", received.status)
            received.sent += len(message.get("body", b""))
            await send(message)

        await drain(receive)
        api_id = uuid4(self._ids)
        behaviour = self.behaviour
        reply = self._reply(parsed, where, received.at, api_id)
        if delay := self._delay(behaviour):
            await self.sleep(delay)
        if behaviour.date_header:
            reply = reply.with_headers("date", _http_date(self.clock()))
        asgi_io = AsgiIo(receive, send_and_record, self.sleep)
        await asgi_io.deliver(reply.with_headers("x-request-id", api_id), behaviour)

    def _record(self, request: Request, where: Route) -> ReceivedRequest:
        received = ReceivedRequest(
            self.monotonic(),
            request.method,
            request.path,
            request.query,
            request.headers,
            where.endpoint,
        )
        self.received.append(received)
        del self.received[:-_MAX_RECEIVED]
        return received

    def _delay(self, behaviour: Options) -> float:
        latency = behaviour.latency
        return self._delays.uniform(*latency) if isinstance(latency, tuple) else latency

    def _reply(self, request: Request, where: Route, at: float, api_id: str) -> responses.Response:
        if where.endpoint == "other":
            return responses.error(404, "not found", api_id)
        if not where.slash:
            return self._without_slash(request, api_id)
        if request.method != "GET":
            return responses.error(405, "method not allowed", api_id).with_headers("allow", "GET")
        refused = auth_error(request.headers, where.account, self.tokens)
        refused = refused or self._too_many(where, at, api_id)
        if refused is not None:
            return refused
        fault = self._faults.pop(where.endpoint, self.behaviour.chances())
        good = self._good_reply(request, where, api_id)
        if fault is None:
            return good
        host = request.headers.get("host", "localhost")
        context = FaultContext(good, request.path, host, self.behaviour, fault.retry_after)
        return apply_fault(fault.fault, context)

    def _without_slash(self, request: Request, api_id: str) -> responses.Response:
        if self.behaviour.missing_slash == "redirect":
            return responses.redirect(301, f"{request.path}/")
        return responses.error(404, "not found", api_id)

    def _too_many(self, where: Route, at: float, api_id: str) -> responses.Response | None:
        options = self.behaviour
        limit, window = options.limit_of(where.endpoint)
        is_record = where.endpoint in ("message", "call")  # which have one limit together
        wait = self._limiter.wait(
            (where.account, "record" if is_record else where.endpoint),
            at,
            limit=limit,
            window=window,
            counts_refused=options.limit_counts_refused,
        )
        if not wait:
            return None
        reply = responses.error(429, "too many requests", api_id)
        if options.retry_after is None:
            return reply
        return reply.with_headers("retry-after", self._retry_after(wait))

    def _retry_after(self, wait: float) -> str:
        seconds = ceil(wait)
        if self.behaviour.retry_after == "seconds":
            return str(seconds)
        # A date has whole seconds: one more, so that it is never too early.
        return _http_date(self.clock() + timedelta(seconds=seconds + 1))

    def _good_reply(self, request: Request, where: Route, api_id: str) -> responses.Response:
        try:
            match where.endpoint:
                case "get":
                    return self._get(request, where, api_id)
                case "message" | "call":
                    return self._get_record(where, api_id)
            return self._list(request, where, api_id)
        except QueryError as problem:
            return responses.error(400, str(problem), api_id)

    def _documented_reply(self, key: str) -> bytes | None:
        options = self.behaviour
        is_documented = (options.shape, options.casing) == ("lean", "docs")
        return self.data.verbatim.get(key) if is_documented else None

    def _list(self, request: Request, where: Route, api_id: str) -> responses.Response:
        verbatim = None if request.query else self._documented_reply("")
        if verbatim is not None and where.account.startswith("MA"):
            return responses.Response(200, verbatim)
        options, now = self.behaviour, self.clock()
        query = parse(request.query, options, subaccount=where.account.startswith("SA"))
        found = page(self.data, query, now, account=where.account, behaviour=options)
        rows = [self._session_payload(record, now, "list") for record in found.records]
        empty: list[payloads.Payload] | None = None if options.empty_list == "null" else []
        links = meta(found, query, path=request.path, pairs=request.query, behaviour=options)
        return responses.json_reply(
            200, {"api_id": api_id, "meta": links, "sessions": rows or empty}
        )

    def _get(self, _request: Request, where: Route, api_id: str) -> responses.Response:
        if self.behaviour.malformed_uuid == "refuse" and not UUID.fullmatch(where.uuid):
            return responses.error(400, "session_uuid is not a UUID", api_id)
        now = self.clock()
        record = self.data.find(where.uuid)
        if record is None or not self._reachable(record, where.account, now):
            return responses.error(404, "not found", api_id)
        verbatim = self._documented_reply(record.uuid)
        if verbatim is not None:
            return responses.Response(200, verbatim)
        return responses.json_reply(
            200, {"api_id": api_id} | self._session_payload(record, now, "get")
        )

    def _get_record(self, where: Route, api_id: str) -> responses.Response:
        now = self.clock()
        session, attempt = self.data.find_attempt(where.uuid) or (None, None)
        is_call = where.endpoint == "call"
        if session is None or attempt is None or not self._reachable(session, where.account, now):
            return responses.error(404, "not found", api_id)
        if attempt.time > now or (attempt.channel == "voice") != is_call:
            return responses.error(404, "not found", api_id)
        write = attempt_records.call if is_call else attempt_records.message
        return responses.json_reply(200, {"api_id": api_id} | write(session, attempt, now))

    def _reachable(self, record: SessionRecord, account: str, now: datetime) -> bool:
        in_reach = now - REACH <= record.created_at <= now
        # A parent can get the session of a subaccount if it knows its UUID.
        return in_reach and visible(record, account, replace(self.behaviour, parent_sees="all"))

    def _session_payload(
        self, record: SessionRecord, now: datetime, endpoint: Endpoint
    ) -> payloads.Payload:
        options = self.behaviour
        return payloads.session(
            record, now, endpoint=endpoint, shape=options.shape, casing=options.casing
        )


def _http_date(moment: datetime) -> str:
    from email.utils import format_datetime

    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)
