"""One question to the API: its turn in the quota, its tries, and what they cost."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from anyio.lowlevel import checkpoint_if_cancelled

from verify_mcp import metrics
from verify_mcp.clock import Clock
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.errors import ApiError, ApiUnreachable, QuotaExhausted, RateLimited
from verify_mcp.plivo import retry
from verify_mcp.plivo.api_clock import ApiClock
from verify_mcp.plivo.call import CallContext, max_queue_wait
from verify_mcp.plivo.client import VerifyClient
from verify_mcp.plivo.rate_limiter import RateLimiter, Slot
from verify_mcp.plivo.single_flight import SingleFlight
from verify_mcp.settings import Settings

Answer = TypeVar("Answer")
MAX_ATTEMPTS = 3
"""Requests spent on one question at most; only faults that another try can mend get one."""


class ApiGateway:
    """The account's two endpoints, asked at the pace that their quotas allow."""

    def __init__(
        self,
        api: VerifyClient,
        *,
        list_limiter: RateLimiter,
        get_limiter: RateLimiter,
        flights: SingleFlight,
        settings: Settings,
        world: Clock,
    ) -> None:
        self._api = api
        self.list_limiter = list_limiter
        self.get_limiter = get_limiter
        self._flights = flights
        self._settings = settings
        self._clock = world

    @property
    def api_clock(self) -> ApiClock:
        """The API's clock."""
        return self._api.clock

    async def list_sessions(
        self,
        session_filter: SessionFilter,
        *,
        limit: int,
        offset: int,
        effort: CallContext,
        cursor: str | None = None,
    ) -> Page:
        """One page of the sessions wanted. Raises QuotaExhausted or ApiError."""

        def ask() -> Awaitable[Page]:
            return self._api.list_sessions(
                session_filter, limit=limit, offset=offset, cursor=cursor
            )

        return await self._flights.run(
            ("page", session_filter, limit, offset, cursor, effort.priority),
            lambda: self._request_with_retries(self.list_limiter, ask, effort),
        )

    async def get_session(self, uuid: str, *, effort: CallContext) -> Session:
        """One session. Raises QuotaExhausted, SessionNotFound or ApiError."""
        return await self._flights.run(
            ("session", uuid),
            lambda: self._request_with_retries(
                self.get_limiter, lambda: self._api.get_session(uuid), effort
            ),
        )

    async def _request_with_retries(
        self, quota: RateLimiter, ask: Callable[[], Awaitable[Answer]], effort: CallContext
    ) -> Answer:
        """The answer to one question, each try paying its slot."""
        self._api.ensure_ready()  # what can fail without a request fails before it waits for one
        clock = self._clock.monotonic
        deadline = effort.deadline or clock() + max_queue_wait(self._settings)
        failure: ApiError | None = None
        for attempt in range(1, MAX_ATTEMPTS + 1):
            came = clock()
            try:
                async with quota.slot(
                    patience=deadline - clock(),
                    priority=effort.priority,
                    on_wait=lambda seconds: _show_waiting(effort, seconds),
                ) as slot:
                    metrics.record_wait(clock() - came)
                    effort.activity = "asking the Verify API"
                    answer = await _send(slot, ask, effort)
                    quota.note_answer()
                    return answer
            except QuotaExhausted:
                if failure is None or isinstance(failure, RateLimited):
                    raise
                raise failure from None
            except ApiError as error:
                failure, pause = error, retry.backoff(attempt, self._clock.random())
                if isinstance(error, RateLimited):
                    wish = min(error.retry_after or 0.0, retry.MAX_RETRY_AFTER)
                    await quota.block_for(max(pause, wish), asked_for=error.retry_after or 0.0)
                spent = attempt == MAX_ATTEMPTS or (error.once and attempt > 1)
                if spent or not await self._may_retry(error, pause, deadline):
                    raise
        raise failure or QuotaExhausted(0)  # pragma: no cover - the last try returned or raised

    async def _may_retry(self, error: ApiError, pause: float, deadline: float) -> bool:
        """Whether asking again can help in time; if so, after the pause it takes."""
        if isinstance(error, RateLimited):
            return True  # the quota's gate tells how long, and to everybody
        if not error.retryable or self._clock.monotonic() + pause > deadline:
            return False
        await self._clock.sleep(pause)
        return True


def _show_waiting(effort: CallContext, seconds: float) -> None:
    effort.activity = f"waiting for the API's quota, about {max(1, round(seconds))} s"


async def _send(slot: Slot, ask: Callable[[], Awaitable[Answer]], effort: CallContext) -> Answer:
    await checkpoint_if_cancelled()  # who left while the slot was granted has sent nothing
    slot.sent = True
    effort.requests_sent += 1
    try:
        return await ask()
    except ApiUnreachable as error:
        slot.sent = error.sent
        effort.requests_sent -= not error.sent
        raise
