"""One request to the API with its wait for a slot, its retries and their cost."""

from collections.abc import Awaitable, Callable
from math import inf
from typing import TypeVar

from anyio.lowlevel import checkpoint_if_cancelled

from verify_mcp import metrics
from verify_mcp.clock import Clock
from verify_mcp.domain.delivery_records import DeliveryRecord, RecordKind
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.errors import ApiError, ApiUnreachable, QuotaExhausted, RateLimited
from verify_mcp.plivo import retry
from verify_mcp.plivo.api_clock import ApiClock
from verify_mcp.plivo.call import CallContext, max_queue_wait
from verify_mcp.plivo.client import VerifyClient
from verify_mcp.plivo.page_request import PageRequest
from verify_mcp.plivo.rate_limit_store import TRAVEL_SECONDS, Slot, SlotExpired
from verify_mcp.plivo.rate_limiter import RateLimiter
from verify_mcp.plivo.single_flight import SingleFlight
from verify_mcp.settings import Settings

Answer = TypeVar("Answer")
Sending = Callable[[Callable[[], None]], Awaitable[Answer]]
"""Sends one request, and calls its argument right before the bytes leave."""
MAX_ATTEMPTS = 3
"""Requests at most for one answer; only an error that a retry can cure gets one."""


class ApiGateway:
    """The account's endpoints, called at the pace that their rate limits allow."""

    def __init__(
        self,
        api: VerifyClient,
        *,
        list_limiter: RateLimiter,
        get_limiter: RateLimiter,
        record_limiter: RateLimiter,
        flights: SingleFlight,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._api = api
        self.list_limiter = list_limiter
        self.get_limiter = get_limiter
        self.record_limiter = record_limiter
        self._flights = flights
        self._settings = settings
        self._clock = clock

    @property
    def api_clock(self) -> ApiClock:
        """The API's clock."""
        return self._api.clock

    async def list_sessions(self, request: PageRequest, *, call: CallContext) -> Page:
        """One page of the sessions that match. Raises QuotaExhausted or ApiError."""
        return await self._flights.run(
            (request, call.priority),
            lambda: self._request_with_retries(
                self.list_limiter, lambda leave: self._api.list_sessions(request, leave), call
            ),
        )

    async def get_session(self, uuid: str, *, call: CallContext) -> Session:
        """One session. Raises QuotaExhausted, SessionNotFound or ApiError."""
        return await self._flights.run(
            ("session", uuid),
            lambda: self._request_with_retries(
                self.get_limiter, lambda leave: self._api.get_session(uuid, leave), call
            ),
        )

    async def get_record(
        self, _session: Session, kind: RecordKind, uuid: str, *, call: CallContext
    ) -> DeliveryRecord | None:
        """The record of an attempt of a session, None if the API has none.

        Raises QuotaExhausted or ApiError.
        """
        return await self._flights.run(
            (kind, uuid),
            lambda: self._request_with_retries(
                self.record_limiter,
                lambda leave: self._api.get_record(kind, uuid, leave),
                call,
            ),
        )

    async def _request_with_retries(
        self, limiter: RateLimiter, send: Sending[Answer], call: CallContext
    ) -> Answer:
        """The answer to one request, each try of which takes a slot."""
        self._api.ensure_ready()  # what can fail without a request fails before it waits for one
        monotonic = self._clock.monotonic
        deadline = call.deadline or monotonic() + max_queue_wait(self._settings)
        failure: ApiError | None = None
        for attempt in range(1, MAX_ATTEMPTS + 1):
            queued_at = monotonic()
            try:
                async with limiter.slot(
                    max_wait=deadline - monotonic(),
                    priority=call.priority,
                    on_wait=lambda seconds: _show_waiting(call, seconds),
                ) as slot:
                    metrics.record_wait(monotonic() - queued_at)
                    call.activity = "asking the Verify API"
                    answer = await self._send(slot, send, call)
                    limiter.record_success()
                    return answer
            except SlotExpired:
                continue  # this process or machine stood still after the grant
            except QuotaExhausted:
                if failure is None or isinstance(failure, RateLimited):
                    raise
                raise failure from None
            except ApiError as error:
                failure, pause = error, retry.backoff(attempt, self._clock.random())
                if isinstance(error, RateLimited):
                    retry_after = error.retry_after or 0.0
                    seconds = max(pause, min(retry_after, retry.MAX_RETRY_AFTER))
                    await limiter.block_for(seconds, retry_after=retry_after)
                is_last = attempt == MAX_ATTEMPTS or (error.once and attempt > 1)
                if is_last or not await self._may_retry(error, pause, deadline, call):
                    raise
        raise failure or QuotaExhausted(0)

    async def _send(self, slot: Slot, send: Sending[Answer], call: CallContext) -> Answer:
        def leave() -> None:
            slot.check()
            slot.arrives_by = self._clock.monotonic() + TRAVEL_SECONDS

        await checkpoint_if_cancelled()  # a call cancelled while its slot was granted sends nothing
        slot.sent = True
        call.requests_sent += 1
        try:
            answer = await send(leave)
        except (ApiUnreachable, SlotExpired) as error:
            slot.sent = isinstance(error, ApiUnreachable) and error.sent
            call.requests_sent -= not slot.sent
            raise
        except ApiError:
            slot.arrives_by = -inf
            raise
        slot.arrives_by = -inf
        return answer

    async def _may_retry(
        self, error: ApiError, pause: float, deadline: float, call: CallContext
    ) -> bool:
        """Whether a retry can help before the deadline; when it can, the pause is over."""
        if isinstance(error, RateLimited):
            return call.retries_refusals  # the block is the pause, for every process
        if not error.retryable or self._clock.monotonic() + pause > deadline:
            return False
        await self._clock.sleep(pause)
        return True


def _show_waiting(call: CallContext, seconds: float) -> None:
    call.activity = f"waiting for the API's quota, about {max(1, round(seconds))} s"
