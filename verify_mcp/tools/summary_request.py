"""The arguments of `summarize_verify_sessions`, and a call of it as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from verify_mcp.domain.api_limits import DEFAULT_WINDOW
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.groups import GROUPS, PERSONAL_GROUPS, SUBACCOUNT, TIME_GROUPS
from verify_mcp.domain.ranking import DEFAULT_TOP, MAX_TOP, ORDERS, Ranking
from verify_mcp.errors import InvalidArgument
from verify_mcp.summaries.query import DEFAULT_MAX_REQUESTS, RESERVED_REQUESTS
from verify_mcp.tools.arguments import (
    Argument,
    ParseContext,
    parse,
    parse_choice,
    parse_choices,
    parse_instant,
    parse_integer,
    parse_list,
    parse_subaccount,
    parse_time_zone,
)
from verify_mcp.tools.filter_arguments import MAX_VALUES, echo_recipients, filter_of
from verify_mcp.tools.list_request import LIST_ARGUMENTS

MAX_REQUESTS = 200
"""API requests that one call may ask to spend: ten minutes of quota."""
GROUP_CHOICES = (*GROUPS, SUBACCOUNT)
"""What sessions can be grouped by; the subaccounts are those that a call names."""
MAX_TIME_GROUPS = 100
"""Groups with a time that are shown unless the call says otherwise: 90 days have no gaps."""
SHOW_COLUMNS = (
    "recipients",
    "first_try_pct",
    "resent_pct",
    "reached_pct",
    "rescued",
    "gap_s",
    "gap_p90_s",
    "attempts",
    "expired_cost",
    "first",
    "last",
)
"""Columns that a table of groups has on request."""
_FILTERS = ("app_uuid", "status", "recipient", "country", "channel")

SUMMARIZE_ARGUMENTS = (
    Argument("session_time__gte", "Start (default 24h): 7d, 2026-11-01", parse_instant),
    Argument("session_time__lt", "End (default now).", parse_instant),
    *(rule for rule in LIST_ARGUMENTS if rule.name in _FILTERS),
    Argument("subaccount", "Its ids, SA…", parse_list(parse_subaccount, MAX_VALUES)),
    *(rule for rule in LIST_ARGUMENTS if rule.name in ("brand_name", "app_hash")),
    Argument(
        "group_by",
        "One or two.",
        parse_choices(*GROUP_CHOICES, most=2),
        "array",
        {"items": {"type": "string", "enum": list(GROUP_CHOICES)}},
    ),
    Argument(
        "show",
        f"More columns: {', '.join(SHOW_COLUMNS)}.",
        parse_choices(*SHOW_COLUMNS, most=len(SHOW_COLUMNS)),
        "array",
        {"items": {"type": "string"}},
    ),
    Argument(
        "order_by",
        f"{', '.join(ORDERS)}.",
        parse_choice(*ORDERS),
    ),
    Argument(
        "top",
        f"Groups, up to {MAX_TOP}.",
        parse_integer(1, MAX_TOP, DEFAULT_TOP),
        "integer",
    ),
    Argument(
        "min_sessions",
        "Per group.",
        parse_integer(0, 10**9, 30),
        "integer",
    ),
    Argument("time_zone", "As Asia/Kolkata.", parse_time_zone),
    Argument(
        "max_requests",
        f"API requests, at most {MAX_REQUESTS} (default {DEFAULT_MAX_REQUESTS}, leaving "
        f"{RESERVED_REQUESTS} free).",
        parse_integer(1, MAX_REQUESTS, DEFAULT_MAX_REQUESTS),
        "integer",
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
    """The recipients as `applied` repeats them."""
    show: tuple[str, ...] = ()
    ranking: Ranking = field(default_factory=Ranking)
    app_names: Mapping[str, str] = field(default_factory=dict)
    """The aliases of apps, by UUID."""
    subaccounts: tuple[str, ...] = ()
    """The subaccounts, where there are several."""


def parse_summarize(
    arguments: Mapping[str, object] | None,
    context: ParseContext,
    *,
    takes_subaccounts: bool = False,
) -> SummarizeRequest:
    """A call of `summarize_verify_sessions` from its raw arguments. Raises InvalidArgument.

    It has several subaccounts only where the caller says that it can answer that.
    """
    values = parse(SUMMARIZE_ARGUMENTS, arguments, context)
    by, subaccounts = values.pop("group_by", ()), values.pop("subaccount", ())
    check_groups(by, context)
    _check_subaccounts(by, subaccounts, takes_several=takes_subaccounts)
    is_one = len(subaccounts) == 1 and SUBACCOUNT not in by
    values["subaccount"] = subaccounts[0] if is_one else None
    show, ranking = values.pop("show", ()), _ranking(values, by)
    zone = values.pop("time_zone", context.zone)
    most = values.pop("max_requests", None)
    session_filter = filter_of(values)
    session_filter.validate(now=context.now)
    end = session_filter.session_time__lt
    start = session_filter.session_time__gte or (end or context.now) - DEFAULT_WINDOW
    return SummarizeRequest(
        session_filter.without_times(),
        start,
        end,
        by,
        zone,
        most,
        echo_recipients(session_filter, arguments, context),
        show,
        ranking,
        subaccounts=() if is_one else subaccounts,
    )


def check_groups(by: tuple[str, ...], context: ParseContext) -> None:
    """Raise InvalidArgument for a group that would reveal masked recipients."""
    personal = PERSONAL_GROUPS & set(by)
    if context.masks_recipients and personal:
        raise InvalidArgument(
            f"group_by: {', '.join(personal)} is not shown while recipients are masked, because "
            "pseudonyms show the digits that it leaves out. Group by country or network."
        )


def _check_subaccounts(
    by: tuple[str, ...], subaccounts: tuple[str, ...], *, takes_several: bool
) -> None:
    if SUBACCOUNT in by and not subaccounts:
        raise InvalidArgument(
            "group_by: sessions do not carry their subaccount. Name those to compare, e.g. "
            "subaccount=SAXXXXXXXXXXXXXXXXXX,SAYYYYYYYYYYYYYYYYYY."
        )
    if len(subaccounts) > 1 and not takes_several:
        raise InvalidArgument("subaccount takes one id here; a summary takes several.")


def _ranking(values: dict[str, Any], by: tuple[str, ...]) -> Ranking:
    """The ranking of a call; `values` lose its arguments."""
    usual = MAX_TIME_GROUPS if set(TIME_GROUPS) & set(by) else DEFAULT_TOP
    return Ranking(
        values.pop("order_by", "sessions"),
        values.pop("top", usual),
        values.pop("min_sessions", 0),
    )
