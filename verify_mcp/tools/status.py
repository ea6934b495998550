"""The tool `get_verify_status`: quota, mirror, settings and problems, without an API request."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from verify_mcp.context import AppContext
from verify_mcp.domain.windows import Window, merge
from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.plivo.call import CallContext
from verify_mcp.settings import API_URL
from verify_mcp.tools.arguments import (
    Argument,
    ParseContext,
    is_absent,
    parse,
    parse_choice,
)
from verify_mcp.tools.definition import RawArguments, ToolDefinition
from verify_mcp.tools.envelope import parse_context
from verify_mcp.tools.formatting import ceil_seconds

STATUS_ARGUMENTS = (
    Argument(
        "about",
        "Which part",
        parse_choice("all", "quota", "mirror", "settings"),
        extra_schema={"enum": ["all", "quota", "mirror", "settings"]},
        # Required on paper only: some clients refuse a tool without properties, and strict ones
        # count every optional one. Left out, it means all.
        required=True,
    ),
)


def parse_status(arguments: Mapping[str, object] | None, context: ParseContext) -> str:
    """The part of the status that a call of `get_verify_status` names. Raises InvalidArgument."""
    return str(
        parse(STATUS_ARGUMENTS, {"about": "all", **_status_topic(arguments)}, context)["about"]
    )


def _status_topic(arguments: Mapping[str, object] | None) -> dict[str, object]:
    return {name: value for name, value in (arguments or {}).items() if not is_absent(value)}


DAY = timedelta(days=1)
MAX_RUNS, SHORT_RUNS = 8, 1
"""Lines about the days in the mirror: in the answer about the mirror, and in that about all."""


async def server_status(app: AppContext, about: str) -> dict[str, Any]:
    """The answer of `get_verify_status`; `about` is all, quota, mirror or settings."""
    settings, account = app.settings, app.settings.credentials
    answer: dict[str, Any] = {"complete": True}
    if about == "all":
        answer["account"] = account.masked_id if account else None
        if not settings.sandbox:
            answer["api"] = settings.api_url
    if about in ("all", "quota"):
        answer["quota"] = await _rate_limit_fields(app)
    if about in ("all", "mirror"):
        answer["mirror"] = await _mirror_fields(app, SHORT_RUNS if about == "all" else MAX_RUNS)
        answer |= await _background_fields(app)
    if about in ("all", "settings"):
        answer["settings"] = _settings_fields(app)
    return {**answer, "problems": _problems(app)}


async def _rate_limit_fields(app: AppContext) -> dict[str, Any]:
    lists = await app.gateway.list_limiter.status()
    gets = await app.gateway.get_limiter.status()
    return {
        "limit": str(app.settings.rate_limit),
        "left": lists.left,
        **({} if lists.left else {"next_free_s": round(lists.eta_s)}),
        "processes": max(1, lists.processes),
        "get_left": gets.left,
    }


async def _mirror_fields(app: AppContext, most: int) -> dict[str, Any]:
    if app.mirror.store is None:
        return {"on": False}
    try:
        sessions, windows = await app.mirror.store.stats("")
    except DatabaseUnavailable:
        return {"on": False, "place": app.database.location}
    return {
        "on": True,
        "sessions": sessions,
        "covers": describe_days(windows, most),
        **({"until": f"{windows[-1].end:%m-%d %H:%M}"} if windows else {}),
        "bytes": await app.database.size(),
        "place": app.database.location,
    }


async def _background_fields(app: AppContext) -> dict[str, Any]:
    """What is completed in the background, and how far following has come, if anything is."""
    status, follow = await app.background.status(), await app.background.follow_status()
    fields: dict[str, Any] = {}
    if status is not None:
        fields["background"] = {
            "windows": status.windows,
            "done_in_s": ceil_seconds(status.eta_s),
        }
    if follow is not None:
        fields["follow"] = {"behind_s": ceil_seconds(follow.behind_s)}
        if follow.stored_share is not None:
            fields["follow"]["stored_pct"] = int(100 * follow.stored_share)
    return fields


@dataclass(frozen=True, slots=True)
class _DayRun:
    """Days in a row (UTC) that are all in the mirror completely, or all in part."""

    first: date
    last: date
    is_complete: bool

    def __str__(self) -> str:
        return f"{_format_run(self.first, self.last)} {'whole' if self.is_complete else 'in part'}"

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


def describe_days(windows: Iterable[Window], most: int) -> list[str]:
    """The days (UTC) in the mirror, in at most `most` lines, oldest first.

    Days before those lines become one line with numbers of days.
    """
    runs = _day_runs(_days(windows))
    if len(runs) <= most:
        return [str(run) for run in runs]
    first = len(runs) - most + 1
    return [_merge_runs(runs[:first]), *(str(run) for run in runs[first:])]


def _days(windows: Iterable[Window]) -> dict[date, bool]:
    """Every day with a part in the mirror, and whether the day is complete."""
    cached: defaultdict[date, timedelta] = defaultdict(timedelta)
    for window in merge(windows):
        start = window.start
        while start < window.end:
            end = min(datetime.combine(start.date() + DAY, time(), UTC), window.end)
            cached[start.date()] += end - start
            start = end
    return {day: length == DAY for day, length in cached.items()}


def _day_runs(days: Mapping[date, bool]) -> list[_DayRun]:
    runs: list[_DayRun] = []
    for day, is_complete in sorted(days.items()):
        if runs and runs[-1].is_complete == is_complete and day - runs[-1].last == DAY:
            runs[-1] = replace(runs[-1], last=day)
        else:
            runs.append(_DayRun(day, day, is_complete))
    return runs


def _merge_runs(runs: Sequence[_DayRun]) -> str:
    complete = sum(run.days for run in runs if run.is_complete)
    parts = sum(run.days for run in runs if not run.is_complete)
    return f"{_format_run(runs[0].first, runs[-1].last)}: {complete} whole, {parts} in part"


def _format_run(first: date, last: date) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


def _settings_fields(app: AppContext) -> dict[str, Any]:
    settings = app.settings
    return {
        "max_wait_s": round(settings.max_wait),
        "recipients": "masked" if settings.masked else "full",
        "time_zone": settings.time_zone,
        "settle_s": round(settings.settle.total_seconds()),
    }


def _problems(app: AppContext) -> list[str]:
    """What is wrong now, each with its remedy."""
    settings = app.settings
    found = [settings.credentials_problem, app.database.problem, _clock_problem(app)]
    if settings.api_url != API_URL and not settings.sandbox:
        found.append(f"Requests go to {settings.api_url}, not to {API_URL}.")
    return [problem for problem in found if problem]


def _clock_problem(app: AppContext) -> str:
    """How far this machine's clock is from the API's, as a sentence; empty when it is right."""
    seconds = round(app.api_clock.offset.total_seconds())
    if not seconds:
        return ""
    side = "behind" if seconds > 0 else "ahead of"
    return (
        f"This machine's clock is {abs(seconds)} s {side} the API's, whose time is used. Let the "
        "system set its time from the network."
    )


async def get_verify_status(
    app: AppContext, arguments: RawArguments, _call: CallContext
) -> dict[str, Any]:
    """The status of the server; takes no API request."""
    about = parse_status(arguments, parse_context(app))
    return await server_status(app, about)


GET_STATUS = ToolDefinition(
    "get_verify_status",
    "Get the server's status",
    "How this server stands, without a request: account, both quotas (list requests; "
    "`get_left` is of single sessions), seconds to the next free list request, days (UTC) held "
    "whole or in part, settings in force, problems and their remedy.",
    STATUS_ARGUMENTS,
    {"complete": "boolean", "quota": "object", "mirror": "object", "problems": "array"},
    get_verify_status,
)
