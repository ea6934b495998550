"""One tool call: its deadline, its progress and its cost in requests."""

from dataclasses import dataclass

from verify_mcp.plivo.rate_limit_store import Priority
from verify_mcp.settings import Settings

MAX_CALL_SECONDS = 50.0
"""Seconds after which every call has an answer: clients give up after about sixty."""


@dataclass(slots=True)
class CallContext:
    """The requests that a call has sent so far, and its present activity in a few words.

    `deadline` bounds its waiting, in monotonic seconds; None means `max_wait` for each request.
    """

    requests_sent: int = 0
    activity: str = "asking the Verify API"
    deadline: float | None = None
    priority: Priority = Priority.INTERACTIVE
    retries_refusals: bool = True
    """Whether a request that the API refused with 429 is sent again after the block."""


def max_queue_wait(settings: Settings) -> float:
    """Seconds that a call may wait for slots, so that its last request ends in time, too."""
    return min(settings.max_wait, max(0.0, MAX_CALL_SECONDS - settings.request_timeout))
