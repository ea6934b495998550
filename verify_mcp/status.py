"""How the server itself stands: quota, mirror, settings, problems. Costs no request."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.mirror import Mirror
from verify_mcp.settings import API_URL
from verify_mcp.windows import Window, merged

DAY = timedelta(days=1)
MOST_RUNS, FEW_RUNS = 8, 1
"""Lines about days held: when asked about the mirror, and when asked about all."""


async def told(mirror: Mirror, about: str) -> dict[str, Any]:
    """The answer of `get_verify_status`; `about` is all, quota, mirror or settings."""
    settings, account = mirror.settings, mirror.settings.credentials
    answer: dict[str, Any] = {"complete": True}
    if about == "all":
        answer |= {
            "account": account.shown_id if account else None,
            "api": "sandbox" if settings.sandbox else settings.api_url,
        }
    if about in ("all", "quota"):
        answer["quota"] = await _quota(mirror)
    if about in ("all", "mirror"):
        answer["mirror"] = await _mirror(mirror, FEW_RUNS if about == "all" else MOST_RUNS)
    if about in ("all", "settings"):
        answer["settings"] = _settings(mirror)
    return {**answer, "problems": _problems(mirror)}


async def _quota(mirror: Mirror) -> dict[str, Any]:
    standing = await mirror.exchange.lists.standing()
    gets = await mirror.exchange.retrieves.standing()
    return {
        "limit": str(mirror.settings.rate_limit),
        "left": standing.left,
        "next_free_s": round(standing.eta_s),
        "processes": max(1, standing.processes),
        "get_left": gets.left,
    }


async def _mirror(mirror: Mirror, most: int) -> dict[str, Any]:
    if mirror.store is None:
        return {"on": False}
    try:
        sessions, windows = await mirror.store.holdings("")
    except DatabaseUnavailable:
        return {"on": False, "place": mirror.access.place}
    return {
        "on": True,
        "sessions": sessions,
        "covers": describe_days(windows, most),
        **({"until": f"{windows[-1].end:%m-%d %H:%M}"} if windows else {}),
        "bytes": await mirror.access.size(),
        "place": mirror.access.place,
    }


@dataclass(frozen=True, slots=True)
class _Run:
    """Days in a row (UTC) that are held alike: all of each, or a part of each."""

    first: date
    last: date
    whole: bool

    def __str__(self) -> str:
        return f"{_written(self.first, self.last)} {'whole' if self.whole else 'in part'}"

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


def describe_days(windows: Iterable[Window], most: int) -> list[str]:
    """Which days (UTC) are held, in at most `most` lines, oldest first.

    What does not fit into the lines of the latest days becomes one line with numbers of days.
    """
    runs = _runs(_days(windows))
    if len(runs) <= most:
        return [str(each) for each in runs]
    first = len(runs) - most + 1
    return [_added_up(runs[:first]), *(str(each) for each in runs[first:])]


def _days(windows: Iterable[Window]) -> dict[date, bool]:
    """Every day of which something is held, and whether all of it is."""
    held: defaultdict[date, timedelta] = defaultdict(timedelta)
    for window in merged(windows):
        start = window.start
        while start < window.end:
            end = min(datetime.combine(start.date() + DAY, time(), UTC), window.end)
            held[start.date()] += end - start
            start = end
    return {day: length == DAY for day, length in held.items()}


def _runs(days: Mapping[date, bool]) -> list[_Run]:
    runs: list[_Run] = []
    for day, whole in sorted(days.items()):
        if runs and runs[-1].whole == whole and day - runs[-1].last == DAY:
            runs[-1] = replace(runs[-1], last=day)
        else:
            runs.append(_Run(day, day, whole))
    return runs


def _added_up(runs: Sequence[_Run]) -> str:
    whole = sum(each.days for each in runs if each.whole)
    parts = sum(each.days for each in runs if not each.whole)
    return f"{_written(runs[0].first, runs[-1].last)}: {whole} whole, {parts} in part"


def _written(first: date, last: date) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


def _settings(mirror: Mirror) -> dict[str, Any]:
    settings = mirror.settings
    return {
        "max_wait_s": round(settings.max_wait),
        "recipients": "masked" if settings.masked else "full",
        "time_zone": settings.time_zone,
        "settle_s": round(settings.settle.total_seconds()),
    }


def _problems(mirror: Mirror) -> list[str]:
    """What is wrong now, each with its remedy."""
    settings = mirror.settings
    found = [settings.credentials_problem, mirror.access.problem, _clock_problem(mirror)]
    if settings.api_url != API_URL and not settings.sandbox:
        found.append(f"Requests go to {settings.api_url}, not to {API_URL}.")
    return [problem for problem in found if problem]


def _clock_problem(mirror: Mirror) -> str:
    """That this machine's clock is wrong, as the API's replies tell; empty when it is not."""
    seconds = round(mirror.exchange.clock.offset.total_seconds())
    if not seconds:
        return ""
    side = "behind" if seconds > 0 else "ahead of"
    return (
        f"This machine's clock is {abs(seconds)} s {side} the API's, whose time is used. Let the "
        "system set its time from the network."
    )
