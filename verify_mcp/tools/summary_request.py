"""The arguments of `summarize_verify_sessions`, and a call of it as a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from verify_mcp.domain.api_limits import DEFAULT_WINDOW
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.groups import GROUPS
from verify_mcp.summaries.query import DEFAULT_MAX_REQUESTS
from verify_mcp.tools.arguments import (
    Argument,
    ParseContext,
    echo_recipient,
    parse,
    parse_choices,
    parse_instant,
    parse_integer,
    parse_time_zone,
    recipient_as_written,
)
from verify_mcp.tools.list_request import LIST_ARGUMENTS

MAX_REQUESTS = 200
"""API requests that one call may ask to spend: ten minutes of quota."""

SUMMARIZE_ARGUMENTS = (
    Argument(
        "session_time__gte", "Start of the window (default 24h): 7d, 2026-11-01, …", parse_instant
    ),
    Argument("session_time__lt", "End of the window (default now).", parse_instant),
    *(rule for rule in LIST_ARGUMENTS if rule.name in ("app_uuid", "recipient", "subaccount")),
    *(rule for rule in LIST_ARGUMENTS if rule.name in ("brand_name", "app_hash")),
    Argument(
        "group_by",
        "Groups, at most two; channel is the last attempt's.",
        parse_choices(*GROUPS, most=2),
        "array",
        {"items": {"type": "string", "enum": list(GROUPS)}},
    ),
    Argument(
        "time_zone",
        "IANA zone of day and hour, e.g. Asia/Kolkata (default: the server's).",
        parse_time_zone,
    ),
    Argument(
        "max_requests",
        f"API requests to spend, 1 to {MAX_REQUESTS} (default: all of a minute but 4).",
        parse_integer(1, MAX_REQUESTS, DEFAULT_MAX_REQUESTS),
        "integer",
        {"minimum": 1, "maximum": MAX_REQUESTS},
    ),
)


@dataclass(frozen=True, slots=True)
class SummarizeRequest:
    """A call of `summarize_verify_sessions`; its filter has no times."""

    session_filter: SessionFilter
    start: datetime
    end: datetime | None
    group_by: tuple[str, ...]
    zone: ZoneInfo
    max_requests: int | None = None
    recipient_echo: str = ""
    """The recipient as `applied` repeats it."""


def parse_summarize(
    arguments: Mapping[str, object] | None, context: ParseContext
) -> SummarizeRequest:
    """A call of `summarize_verify_sessions` from its raw arguments. Raises InvalidArgument."""
    values = parse(SUMMARIZE_ARGUMENTS, arguments, context)
    by = values.pop("group_by", ())
    zone = values.pop("time_zone", context.zone)
    most = values.pop("max_requests", None)
    SessionFilter(**values).validate(now=context.now)
    end = values.pop("session_time__lt", None)
    start = values.pop("session_time__gte", None) or (end or context.now) - DEFAULT_WINDOW
    session_filter, written = SessionFilter(**values), recipient_as_written(arguments)
    echo = echo_recipient(session_filter.recipient, written, context)
    return SummarizeRequest(session_filter, start, end, by, zone, most, echo)
