"""The arguments of `find_verify_anomalies`, and a call of it as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from verify_mcp.analysis.anomalies.finding import KINDS
from verify_mcp.domain.times import is_relative_time, parse_time
from verify_mcp.errors import InvalidArgument
from verify_mcp.summaries.anomaly_query import DEFAULT_BASELINE
from verify_mcp.tools.arguments import Argument, ParseContext, parse, parse_choices, parse_text
from verify_mcp.tools.filter_arguments import BRIEF_DESCRIPTIONS
from verify_mcp.tools.summary_request import (
    SUMMARIZE_ARGUMENTS,
    SummarizeRequest,
    parse_summarize,
)

MAX_WINDOW = timedelta(days=31)
_OWN_ARGUMENTS = ("kinds", "baseline")
_SHARED_ARGUMENTS = BRIEF_DESCRIPTIONS.keys() - {"status"}
"""The summary's arguments without the status: conversion is undefined for sessions of one status.
"""


def parse_baseline_length(value: object, context: ParseContext) -> timedelta:
    """A length of time such as `28d`. Raises InvalidArgument."""
    text = parse_text(value, context)
    if not is_relative_time(text):
        raise InvalidArgument("is not a length of time, e.g. 28d.")
    now = context.now.replace(microsecond=0)
    return now - parse_time(text, now=now)


ANOMALY_ARGUMENTS = (
    Argument(
        "kinds",
        f"{','.join(KINDS)} (all).",
        parse_choices(*KINDS, most=len(KINDS)),
    ),
    Argument("baseline", "Before (28d)", parse_baseline_length),
    *(
        replace(rule, description=BRIEF_DESCRIPTIONS[rule.name], extra_schema={})
        for rule in SUMMARIZE_ARGUMENTS
        if rule.name in _SHARED_ARGUMENTS
    ),
)


@dataclass(frozen=True, slots=True)
class AnomalyRequest:
    """A call of `find_verify_anomalies`: a summary's call, the kinds, and the baseline's length."""

    summary: SummarizeRequest
    kinds: tuple[str, ...]
    baseline: timedelta


def parse_anomalies(
    arguments: Mapping[str, object] | None, context: ParseContext
) -> AnomalyRequest:
    """A call of `find_verify_anomalies` from its raw arguments. Raises InvalidArgument."""
    values = parse(ANOMALY_ARGUMENTS, arguments, context)
    shared = {
        name: value for name, value in (arguments or {}).items() if name not in _OWN_ARGUMENTS
    }
    summary = parse_summarize(shared, context)
    baseline = values.get("baseline", DEFAULT_BASELINE)
    length = min(summary.end or context.now, context.now) - summary.start
    if length > MAX_WINDOW:
        raise InvalidArgument(
            f"session_time: the window is longer than {MAX_WINDOW.days} days. Ask about less, e.g. "
            "session_time__gte=7d."
        )
    if baseline < length:
        days = -(-length // timedelta(days=1))
        raise InvalidArgument(
            "baseline is shorter than the window, so it says little about what is usual. Give "
            f"baseline={days}d or more, or a later session_time__gte."
        )
    return AnomalyRequest(summary, values.get("kinds") or KINDS, baseline)
