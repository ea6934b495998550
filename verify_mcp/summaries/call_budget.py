"""What one call may still spend: requests and time."""

from verify_mcp.domain.receipts import CLOCK_TOLERANCE
from verify_mcp.plivo.call import MAX_CALL_SECONDS, CallContext, max_queue_wait
from verify_mcp.summaries.explain import seconds_until_exact
from verify_mcp.summaries.query import RESERVED_REQUESTS, default_max_requests
from verify_mcp.summaries.summary_context import SummaryContext


class CallBudget:
    """The requests and the time that are left of one call, and when the quota allows more."""

    def __init__(
        self,
        app: SummaryContext,
        call: CallContext,
        max_requests: int | None,
        started: float | None = None,
        *,
        other_requests: int = 0,
    ) -> None:
        self.call = call
        rate = app.settings.rate_limit
        self._is_given = max_requests is not None
        self._max_requests = max_requests or default_max_requests(app.settings)
        self._other_requests = other_requests
        self._reserve = 0 if max_requests else max(0, rate.requests - self._max_requests)
        self._keeps_reserve = False
        self._clock = app.clock
        self._gateway = app.gateway
        self._rate_limit = app.settings.rate_limit
        self._offset = app.gateway.api_clock.offset
        started = app.clock.monotonic() if started is None else started
        self._stop_at = started + MAX_CALL_SECONDS - app.settings.request_timeout
        deadline = started + max_queue_wait(app.settings)
        call.deadline = deadline if call.deadline is None else min(call.deadline, deadline)

    def requests_left(self) -> int:
        """Requests that the call may still send, none once its time is over."""
        if self._is_time_over() or self._is_clock_wrong():
            return 0
        return self._max_requests - self._other_requests - self.call.requests_sent

    async def may_narrow(self) -> bool:
        """Whether a request may be sent that only makes figures more exact.

        Without `max_requests` it may while a few slots stay free for the next question.
        """
        if self.requests_left() <= 0:
            return False
        left = await self._gateway.list_limiter.count_left() if self._reserve else 1
        self._keeps_reserve = left <= min(self._reserve, RESERVED_REQUESTS)
        return not self._keeps_reserve

    def explain_exhausted(self) -> str:
        """Which bound ended the call, in fixed words; empty when none did."""
        is_spent = self.call.requests_sent >= self._max_requests
        if not is_spent and self.call.requests_sent + self._other_requests >= self._max_requests:
            return "The call's other requests are for the other window."
        if self._reserve and (is_spent or self._keeps_reserve):
            return "The quota's last requests are left for the next question."
        if is_spent and self._is_given:
            return f"This call spent its max_requests ({self._max_requests})."
        if is_spent:
            return "This call spent the requests that it may take without max_requests."
        if self._is_time_over():
            return "This call's time is over."
        return ""

    async def estimate_eta(self) -> float:
        """Seconds until the same call can go on."""
        status = await self._gateway.list_limiter.status()
        if self._reserve and status.left <= min(self._reserve, RESERVED_REQUESTS):
            return max(status.eta_s, self._rate_limit.window)
        return status.eta_s

    async def estimate_eta_exact(self, pages: float) -> float | None:
        """Seconds until so many more requests have been made; None when that is not known."""
        status = await self._gateway.list_limiter.status()
        return seconds_until_exact(pages, status, self._rate_limit)

    def _is_time_over(self) -> bool:
        return self._clock.monotonic() >= self._stop_at

    def _is_clock_wrong(self) -> bool:
        """Whether a reply showed that a wrong clock made the window, which is made anew then."""
        return abs(self._gateway.api_clock.offset - self._offset) > CLOCK_TOLERANCE
