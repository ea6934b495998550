"""The pretend Verify Session API as an ASGI application."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from random import Random
from typing import TYPE_CHECKING, Self

from . import payloads, responses
from .asgi_io import AsgiIo, Message, Receive, Request, Scope, Send, Sleep, drain, lifespan, request
from .auth import SANDBOX_TOKENS, auth_error
from .documented_sessions import DOCUMENTED_NOW, documented_payload
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
    """A request as it came; `status` is None until its reply begins."""

    at: float
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    endpoint: Endpoint
    status: int | None = None
    sent: int = 0
    """Bytes of its reply's body."""


@dataclass(frozen=True)
class _QueuedFault:
    fault: Fault
    endpoint: Endpoint | None
    retry_after: str | None


async def real_sleep(seconds: float) -> None:
    """Wait in real time."""
    import asyncio

    await asyncio.sleep(seconds)


def real_clock() -> datetime:
    """The time it is."""
    return datetime.now(UTC)


class Emulator:
    """A pretend account of the Verify Session API, served over ASGI."""

    def __init__(
        self,
        world: AccountData | Callable[[datetime], AccountData] | None = None,
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
        self._world = world
        self._queued: list[_QueuedFault] = []
        self._limiter = SlidingWindow()
        # Chance is split, so that a switch of one kind leaves the others' draws alone.
        self._ids, self._random, self._delays = (
            Random(f"{seed} {use}") for use in ("ids", "luck", "delays")
        )

    @classmethod
    def documented(
        cls,
        *,
        behaviour: Options | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Sleep = real_sleep,
        seed: int = 7,
    ) -> Self:
        """The documented account, its clock pinned to the day of the documentation."""
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
        """What the account holds, made at the first look; set it to change it while running."""
        if self._world is None:
            self._world = generate(seed=self._seed, now=self.clock())
        elif callable(self._world):
            self._world = self._world(self.clock())
        return self._world

    @data.setter
    def data(self, world: AccountData) -> None:
        self._world = world

    def fail_next(
        self,
        fault: Fault,
        *,
        times: int = 1,
        endpoint: Endpoint | None = None,
        retry_after: str | None = None,
    ) -> None:
        """Let the next `times` requests that would be answered (of `endpoint`) fail like this."""
        self._queued += [_QueuedFault(fault, endpoint, retry_after)] * times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = request(scope)
        where = route(asked.path)
        received = self._note(asked, where)

        async def send_and_note(message: Message) -> None:
            received.status = message.get("status", received.status)
            received.sent += len(message.get("body", b""))
            await send(message)

        await drain(receive)
        api_id = uuid4(self._ids)
        behaviour = self.behaviour
        reply = self._reply(asked, where, received.at, api_id)
        if delay := self._delay(behaviour):
            await self.sleep(delay)
        if behaviour.date_header:
            reply = reply.with_headers("date", _http_date(self.clock()))
        wire = AsgiIo(receive, send_and_note, self.sleep)
        await wire.deliver(reply.with_headers("x-request-id", api_id), behaviour)

    def _note(self, request: Request, where: Route) -> ReceivedRequest:
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
        fault = self._fault(where.endpoint)
        good = self._good_reply(request, where, api_id)
        if fault is None:
            return good
        host = request.headers.get("host", "localhost")
        scene = FaultContext(good, request.path, host, self.behaviour, fault.retry_after)
        return apply_fault(fault.fault, scene)

    def _without_slash(self, request: Request, api_id: str) -> responses.Response:
        if self.behaviour.missing_slash == "redirect":
            return responses.redirect(301, f"{request.path}/")
        return responses.error(404, "not found", api_id)

    def _too_many(self, where: Route, at: float, api_id: str) -> responses.Response | None:
        switches = self.behaviour
        one = where.endpoint == "get"
        wait = self._limiter.wait(
            (where.account, where.endpoint),
            at,
            limit=switches.get_limit if one else switches.list_limit,
            window=switches.get_window if one else switches.list_window,
            counts_refused=switches.limit_counts_refused,
        )
        if not wait:
            return None
        reply = responses.error(429, "too many requests", api_id)
        if switches.retry_after is None:
            return reply
        return reply.with_headers("retry-after", self._retry_after(wait))

    def _retry_after(self, wait: float) -> str:
        seconds = ceil(wait)
        if self.behaviour.retry_after == "seconds":
            return str(seconds)
        # A date has whole seconds: one more, so that it is never too early.
        return _http_date(self.clock() + timedelta(seconds=seconds + 1))

    def _fault(self, endpoint: Endpoint) -> _QueuedFault | None:
        for index, queued in enumerate(self._queued):
            if queued.endpoint in {None, endpoint}:
                return self._queued.pop(index)
        chances = self.behaviour.chances()
        draw = self._random.random() if chances else 1.0
        for fault, probability in chances:
            draw -= probability
            if draw < 0:
                return _QueuedFault(fault, None, None)
        return None

    def _good_reply(self, request: Request, where: Route, api_id: str) -> responses.Response:
        try:
            answer = self._one if where.endpoint == "get" else self._many
            return answer(request, where, api_id)
        except QueryError as problem:
            return responses.error(400, str(problem), api_id)

    def _documented_reply(self, key: str) -> bytes | None:
        switches = self.behaviour
        documented = (switches.shape, switches.casing) == ("lean", "docs")
        return self.data.verbatim.get(key) if documented else None

    def _many(self, request: Request, where: Route, api_id: str) -> responses.Response:
        verbatim = None if request.query else self._documented_reply("")
        if verbatim is not None and where.account.startswith("MA"):
            return responses.Response(200, verbatim)
        switches, now = self.behaviour, self.clock()
        query = parse(request.query, switches, subaccount=where.account.startswith("SA"))
        found = page(self.data, query, now, account=where.account, behaviour=switches)
        rows = [self._written(record, now, "list") for record in found.records]
        empty: list[payloads.Payload] | None = None if switches.empty_list == "null" else []
        links = meta(found, query, path=request.path, pairs=request.query, behaviour=switches)
        return responses.json_reply(
            200, {"api_id": api_id, "meta": links, "sessions": rows or empty}
        )

    def _one(self, _request: Request, where: Route, api_id: str) -> responses.Response:
        if self.behaviour.malformed_uuid == "refuse" and not UUID.fullmatch(where.uuid):
            return responses.error(400, "session_uuid is not a UUID", api_id)
        now = self.clock()
        record = self.data.find(where.uuid)
        if record is None or not self._reachable(record, where.account, now):
            return responses.error(404, "not found", api_id)
        verbatim = self._documented_reply(record.uuid)
        if verbatim is not None:
            return responses.Response(200, verbatim)
        return responses.json_reply(200, {"api_id": api_id} | self._written(record, now, "get"))

    def _reachable(self, record: SessionRecord, account: str, now: datetime) -> bool:
        in_reach = now - REACH <= record.created_at <= now
        # A parent may look at a session of a subaccount whose UUID it holds.
        return in_reach and visible(record, account, replace(self.behaviour, parent_sees="all"))

    def _written(
        self, record: SessionRecord, now: datetime, endpoint: Endpoint
    ) -> payloads.Payload:
        switches = self.behaviour
        return payloads.session(
            record, now, endpoint=endpoint, shape=switches.shape, casing=switches.casing
        )


def _http_date(moment: datetime) -> str:
    from email.utils import format_datetime

    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)
