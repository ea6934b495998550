"""What every answer carries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from mcp.server.context import ServerRequestContext

from verify_mcp.domain.times import format_time
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.rate_limiter import RateLimiter
from verify_mcp.tools.arguments import ParseContext
from verify_mcp.tools.formatting import (
    ceil_seconds,
)


@dataclass(frozen=True, slots=True)
class AnswerMeta:
    """What an answer rests on: when it was true, what it cost, what is left."""

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


def pending_fields(eta_s: float) -> dict[str, Any]:
    """That nothing could be asked, why, and when it can."""
    seconds = ceil_seconds(eta_s)
    why = (
        "Not asked yet: the account's quota of API requests is in use. The same call can be "
        f"answered in about {seconds} s."
    )
    return {"complete": False, "why": why, "eta_s": seconds}


RequestContext = ServerRequestContext[Mirror, Any]


def parse_context(mirror: Mirror) -> ParseContext:
    """What context an argument depends on, here and now."""
    account = mirror.settings.credentials
    return ParseContext(
        mirror.now(),
        is_subaccount=account is not None and account.is_subaccount,
        zone=ZoneInfo(mirror.settings.time_zone),
        masks_recipients=mirror.mask_key is not None,
    )


async def answer_meta(mirror: Mirror, quota: RateLimiter, effort: CallContext) -> AnswerMeta:
    """The time, the requests spent and the slots left after a call."""
    standing = await quota.status()
    return AnswerMeta(mirror.now(), effort.requests_sent, standing.left)
