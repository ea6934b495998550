"""How the server itself stands: quota, mirror, settings, problems. Costs no request."""

from typing import Any

from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.mirror import Mirror
from verify_mcp.settings import API_URL

MOST_WINDOWS = 3
"""Covered windows that are told when asked about them, else one; the rest is a number."""


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
        answer["mirror"] = await _mirror(mirror, 1 if about == "all" else MOST_WINDOWS)
    if about in ("all", "settings"):
        answer["settings"] = _settings(mirror)
    return {**answer, "problems": _problems(mirror)}


async def _quota(mirror: Mirror) -> dict[str, Any]:
    standing = await mirror.exchange.lists.standing()
    return {
        "limit": str(mirror.settings.rate_limit),
        "left": standing.left,
        "next_free_s": round(standing.eta_s),
        "processes": max(1, standing.processes),
    }


async def _mirror(mirror: Mirror, most: int) -> dict[str, Any]:
    if mirror.store is None:
        return {"on": False}
    try:
        sessions, windows = await mirror.store.holdings("")
    except DatabaseUnavailable:
        return {"on": False, "place": mirror.access.place}
    shown = [str(each) for each in windows[-most:]]
    if len(windows) > most:
        shown = [f"{len(windows)} spans, the last:", *shown]
    return {
        "on": True,
        "sessions": sessions,
        "covers": shown,
        "bytes": await mirror.access.size(),
        "place": mirror.access.place,
    }


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
    found = [settings.credentials_problem, mirror.access.problem]
    if settings.api_url != API_URL and not settings.sandbox:
        found.append(f"Requests go to {settings.api_url}, not to {API_URL}.")
    return [problem for problem in found if problem]
