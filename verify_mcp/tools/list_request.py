"""The arguments of `list_verify_sessions`, and a call of it as a value."""

from collections.abc import Mapping
from dataclasses import dataclass

from verify_mcp.domain.api_limits import PAGE_SIZE, STATUSES
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.times import is_relative_time
from verify_mcp.tools.arguments import (
    TIME_ARGUMENTS,
    Argument,
    ParseContext,
    parse,
    parse_choice,
    parse_integer,
    parse_subaccount,
    parse_text,
)
from verify_mcp.tools.filter_arguments import (
    CHANNEL,
    COUNTRY,
    RECIPIENT,
    echo_recipients,
    filter_of,
    parse_app,
)

LIST_ARGUMENTS = (
    Argument("app_uuid", "UUID or its start.", parse_app),
    Argument(
        "status",
        f"{', '.join(STATUSES)}.",
        parse_choice(
            *STATUSES, pending="in-progress", inprogress="in-progress", validated="verified"
        ),
    ),
    RECIPIENT,
    COUNTRY,
    CHANNEL,
    Argument("subaccount", "Its auth id (SA…).", parse_subaccount),
    Argument(
        "limit",
        f"Rows, at most {PAGE_SIZE}.",
        parse_integer(1, PAGE_SIZE, PAGE_SIZE),
        "integer",
    ),
    Argument(
        "offset",
        "Rows to skip.",
        parse_integer(0, 100_000_000, PAGE_SIZE),
        "integer",
    ),
    *TIME_ARGUMENTS,
    Argument("brand_name", "Exact brand.", parse_text),
    Argument("app_hash", "Exact hash.", parse_text),
    Argument(
        "detail",
        "full: whole objects; concise: a table (default).",
        parse_choice("concise", "full"),
    ),
)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A call of `list_verify_sessions`."""

    session_filter: SessionFilter
    limit: int = PAGE_SIZE
    offset: int = 0
    detailed: bool = False
    relative_times: tuple[str, ...] = ()
    """Arguments given as `24h` or `7d`: for the next page they would mean another instant."""
    recipient_echo: str = ""
    """The recipient as `applied` repeats it."""


def parse_list(arguments: Mapping[str, object] | None, context: ParseContext) -> ListRequest:
    """A call of `list_verify_sessions` from its raw arguments. Raises InvalidArgument."""
    values = parse(LIST_ARGUMENTS, arguments, context)
    detailed = values.pop("detail", "concise") == "full"
    limit, offset = values.pop("limit", PAGE_SIZE), values.pop("offset", 0)
    session_filter = filter_of(values)
    session_filter.validate(now=context.now)
    relative = tuple(
        argument.name
        for argument in TIME_ARGUMENTS
        if is_relative_time(str((arguments or {}).get(argument.name, "")))
    )
    echo = echo_recipients(session_filter, arguments, context)
    return ListRequest(session_filter, limit, offset, detailed, relative, echo)
