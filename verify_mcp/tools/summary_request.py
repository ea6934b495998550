"""What a call of `summarize_verify_sessions` asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from verify_mcp.domain.api_limits import DEFAULT_WINDOW
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.tallies import GROUPS
from verify_mcp.summaries.summarizer import DEFAULT_REQUESTS
from verify_mcp.tools.arguments import (
    Argument,
    ParseContext,
    _choices,
    _integer,
    _recipient_echo,
    _time,
    _time_zone,
    _times_as_given,
    parse,
)
from verify_mcp.tools.list_sessions import LIST_ARGUMENTS

MAX_REQUESTS = 200
"""API requests that one call may ask to spend: ten minutes of quota."""

SUMMARIZE_ARGUMENTS = (
    Argument("session_time__gte", "Start of the window (default 24h): 7d, 2026-11-01, …", _time),
    Argument("session_time__lt", "End of the window (default now).", _time),
    *(each for each in LIST_ARGUMENTS if each.name in ("app_uuid", "recipient", "subaccount")),
    *(each for each in LIST_ARGUMENTS if each.name in ("brand_name", "app_hash")),
    Argument(
        "group_by",
        "Groups, at most two; channel is the last attempt's.",
        _choices(*GROUPS, most=2),
        "array",
        {"items": {"type": "string", "enum": list(GROUPS)}},
    ),
    Argument(
        "time_zone",
        "IANA zone of day and hour, e.g. Asia/Kolkata (default: the server's).",
        _time_zone,
    ),
    Argument(
        "max_requests",
        f"API requests to spend, 1 to {MAX_REQUESTS} (default {DEFAULT_REQUESTS}).",
        _integer(1, MAX_REQUESTS, DEFAULT_REQUESTS),
        "integer",
        {"minimum": 1, "maximum": MAX_REQUESTS},
    ),
)


@dataclass(frozen=True, slots=True)
class SummarizeRequest:
    """What `summarize_verify_sessions` was asked; `wanted` holds no times."""

    session_filter: SessionFilter
    start: datetime
    end: datetime | None
    group_by: tuple[str, ...]
    zone: ZoneInfo
    max_requests: int
    times_as_given: str = ""
    """The recipient as the caller wrote it."""
    recipient_echo: str = ""
    """The recipient as `applied` repeats it."""


def parse_summarize(
    arguments: Mapping[str, object] | None, reading: ParseContext
) -> SummarizeRequest:
    """A call of `summarize_verify_sessions`, read. Raises InvalidArgument."""
    values = parse(SUMMARIZE_ARGUMENTS, arguments, reading)
    by = values.pop("group_by", ())
    zone = values.pop("time_zone", reading.zone)
    most = values.pop("max_requests", DEFAULT_REQUESTS)
    SessionFilter(**values).validate(now=reading.now)
    end = values.pop("session_time__lt", None)
    start = values.pop("session_time__gte", None) or (end or reading.now) - DEFAULT_WINDOW
    session_filter, written = SessionFilter(**values), _times_as_given(arguments)
    echo = _recipient_echo(session_filter.recipient, written, reading)
    return SummarizeRequest(session_filter, start, end, by, zone, most, written, echo)
