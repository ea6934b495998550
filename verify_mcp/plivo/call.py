"""One tool call: its deadline, its progress and what it cost."""

from dataclasses import dataclass

from verify_mcp.plivo.rate_limiter import PEOPLE
from verify_mcp.settings import Settings

MAX_CALL_SECONDS = 50.0
"""Seconds after which every call is answered: clients give up after about sixty."""


@dataclass(slots=True)
class CallContext:
    """What one answer has cost so far, and what it is doing now, in a few words.

    `deadline` bounds its waiting, on the world's clock; None means `max_wait` for each question.
    """

    requests_sent: int = 0
    activity: str = "asking the Verify API"
    deadline: float | None = None
    priority: int = PEOPLE


def max_queue_wait(settings: Settings) -> float:
    """Seconds that a call may wait for its turn: the last request takes time, too."""
    return min(settings.max_wait, max(0.0, MAX_CALL_SECONDS - settings.request_timeout))
