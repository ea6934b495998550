"""The fields that every answer has, and what they are made of."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from mcp.server.context import ServerRequestContext

from verify_mcp.context import AppContext
from verify_mcp.domain.times import format_time
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.rate_limiter import RateLimiter
from verify_mcp.settings import Settings
from verify_mcp.tools.arguments import ParseContext
from verify_mcp.tools.formatting import (
    ceil_seconds,
)

MADE_UP = "made up"
"""What `data` says in the answers of a sandbox; a real account's answers have no such field."""


@dataclass(frozen=True, slots=True)
class AnswerMeta:
    """When an answer was true, the API requests it took, and the slots left of the rate limit."""

    now: datetime
    api_requests: int
    quota_left: int

    def fields(self) -> dict[str, Any]:
        """The last fields of every answer."""
        return {
            "as_of": format_time(self.now).replace(" ", "T") + "Z",
            "api_requests": self.api_requests,
            "quota_left": self.quota_left,
        }


def to_json(answer: Mapping[str, Any]) -> str:
    """An answer as the JSON text of its content block."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def mark_made_up(answer: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The answer, with a field that says so when its data are a sandbox's."""
    if not settings.sandbox:
        return dict(answer)
    first = {name: value for name, value in answer.items() if name == "complete"}
    return {**first, "data": MADE_UP, **answer}


def pending_fields(eta_s: float) -> dict[str, Any]:
    """The fields of an answer for which no request could leave: why, and when one can."""
    seconds = ceil_seconds(eta_s)
    why = (
        "Not asked yet: the account's quota of API requests is in use. The same call can be "
        f"answered in about {seconds} s."
    )
    return {"complete": False, "why": why, "eta_s": seconds}


RequestContext = ServerRequestContext[AppContext, Any]


def parse_context(app: AppContext) -> ParseContext:
    """What the parsing of arguments depends on, in this context and now."""
    account = app.settings.credentials
    return ParseContext(
        app.now(),
        is_subaccount=account is not None and account.is_subaccount,
        zone=ZoneInfo(app.settings.time_zone),
        masks_recipients=app.recipients.are_masked,
    )


async def answer_meta(app: AppContext, limiter: RateLimiter, call: CallContext) -> AnswerMeta:
    """The time, the requests sent and the slots left after a call."""
    now = app.now() if call.requests_sent else await app.mirror.confirmed_now()
    return AnswerMeta(now, call.requests_sent, await limiter.count_left())
