"""Has conversion fallen in a country? An hourly check, without any model.

    python examples/conversion_watch.py --sandbox    # made-up sessions, around an incident
    python examples/conversion_watch.py              # the account of PLIVO_AUTH_ID, right now

It compares the last full hours with the same hours of the days before, country by country. In
cron, which sends a mail only when there is something to read:

    20 * * * *  told=$(python examples/conversion_watch.py 2>&1) || echo "$told"

Exit code: 0 nothing fell, 1 something fell, 2 it cannot be told. The decision is in falls.py. It
needs the `mcp` client only (requirements-plain.txt); VERIFY_MCP is the verify-mcp command, if it is
not on the PATH.
"""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
from falls import Tallies, Tally, added, fallen, report
from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import TextContent

FINE, FELL, UNKNOWN = 0, 1, 2
SETTLING = timedelta(minutes=10)
"""A session counts as verified at once but as expired only later, so the youngest ones wait."""
TRIES = 30
"""Calls for one answer; each spends a minute's quota at most."""

Sleep = Callable[[float], Awaitable[None]]


class CannotTell(Exception):
    """There is no whole answer; the text says why."""


async def watch(
    client: Client, end: datetime, *, hours: int, days: int, sleep: Sleep
) -> tuple[int, str]:
    """The exit code and the report on the hours before `end`. Raises CannotTell."""
    length = timedelta(hours=hours)
    ends = [end - timedelta(days=ago) for ago in range(days + 1)]
    now, *earlier = [await ask_until_complete(client, each - length, each, sleep) for each in ends]
    before = added(earlier)
    span = f"{end - length:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"
    when = f"{span}, against the same hours of {days} days"
    return FELL if fallen(now, before) else FINE, report(when, now, before)


async def ask_until_complete(
    client: Client, start: datetime, end: datetime, sleep: Sleep
) -> Tallies:
    """The sessions of a span that are over, by country; asks until the answer is complete."""
    asked = {
        "session_time__gte": f"{start:%Y-%m-%d %H:%M}",
        "session_time__lt": f"{end:%Y-%m-%d %H:%M}",
        "group_by": ["country"],
        "max_requests": 200,
    }
    why = ""
    for _ in range(TRIES):
        result = await client.call_tool("summarize_verify_sessions", asked)
        answer = result.structured_content
        if result.is_error or answer is None:
            texts = [part.text for part in result.content if isinstance(part, TextContent)]
            raise CannotTell(" ".join(texts))
        if answer["complete"]:
            return by_country(answer)
        why = answer.get("why", "some sessions could not be read")
        if "eta_s" not in answer:
            raise CannotTell(why)
        await sleep(max(1, answer["eta_s"]))
    raise CannotTell(why)


def by_country(answer: Mapping[str, Any]) -> Tallies:
    """The rows of an answer; `other`, where the smallest countries are added up, is none."""
    rows = [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]
    named = [row for row in rows if not row["country"].startswith("other")]
    return {row["country"]: Tally(int(row["verified"]), int(row["expired"])) for row in named}


def until(now: datetime, *, sandbox: bool) -> datetime:
    """The end of the hours to look at; in the sandbox, the end of the incident it makes up."""
    if sandbox:
        return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=12)
    return (now - SETTLING).replace(minute=0, second=0, microsecond=0)


async def check(options: argparse.Namespace) -> tuple[int, str]:
    """Start the server, ask it, stop it."""
    command = os.environ.get("VERIFY_MCP", "verify-mcp")
    words = ["serve", "--sandbox"] if options.sandbox else ["serve"]
    server = StdioServerParameters(command=command, args=words, env=dict(os.environ))
    end = until(datetime.now(UTC), sandbox=options.sandbox)
    async with Client(stdio_client(server)) as client:
        return await watch(client, end, hours=options.hours, days=options.days, sleep=anyio.sleep)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check once."""
    parser = argparse.ArgumentParser(description="Has conversion fallen in a country?")
    parser.add_argument("--sandbox", action="store_true", help="made-up sessions")
    parser.add_argument("--hours", type=int, default=3, help="hours to look at (%(default)s)")
    parser.add_argument("--days", type=int, default=12, help="days to compare with (%(default)s)")
    try:
        code, told = anyio.run(check, parser.parse_args(arguments))
    except Exception as error:  # noqa: BLE001 - uncaught, it would exit with 1: conversion fell
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        code, told = UNKNOWN, f"Cannot tell: {error}"
    print(told)
    return code


if __name__ == "__main__":
    sys.exit(main())
