"""Filling and emptying the mirror from the command line."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from math import inf

import anyio
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from verify_mcp import logs
from verify_mcp.errors import (
    ApiError,
    CredentialsMissing,
    CredentialsRejected,
    DatabaseUnavailable,
    InvalidArgument,
    InvalidSetting,
)
from verify_mcp.exchange import Effort
from verify_mcp.filters import REACH, REACH_TOLERANCE, SessionFilter, moment, reach_edge
from verify_mcp.mirror import Mirror, open_mirror
from verify_mcp.quota import BACKGROUND
from verify_mcp.settings import Settings, read_settings
from verify_mcp.store import Store
from verify_mcp.walk import WIDTH, Walker
from verify_mcp.windows import Window, gaps

DONE, TRY_LATER, CONFIGURE = 0, 75, 78
"""Exit codes: done; the API or the database is away (EX_TEMPFAIL); something to set (EX_CONFIG)."""

Work = Callable[[Mirror, Console], Awaitable[int]]


def run(environ: Mapping[str, str], work: Work) -> int:
    """Do one of the works below with the mirror that the environment asks for; the exit code."""
    out = Console(stderr=True, highlight=False)
    try:
        settings = read_settings(environ)
        logs.configure(settings)
        return anyio.run(_with_mirror, settings, work, out)
    except (CredentialsMissing, CredentialsRejected, InvalidArgument, InvalidSetting) as error:
        out.print(str(error), markup=False)
        return CONFIGURE
    except (ApiError, DatabaseUnavailable) as error:
        out.print(f"{error} What was fetched is kept; the next run goes on.", markup=False)
        return TRY_LATER


async def _with_mirror(settings: Settings, work: Work, out: Console) -> int:
    async with open_mirror(settings) as mirror:
        return await work(mirror, out)


def syncing(since: str, until: str | None, subaccount: str) -> Work:
    """Fetch what the mirror lacks of a period, the youngest part first, behind people's calls."""

    async def work(mirror: Mirror, out: Console) -> int:
        now = mirror.now()
        start = max(_time("--since", since, mirror), reach_edge(now))
        end = min(_time("--until", until, mirror), now) if until else now
        if end <= now - REACH:
            raise InvalidArgument("--until lies before the 90 days that the API reaches back.")
        if start >= end:
            raise InvalidArgument("--since is not before --until. Give e.g. --since 7d.")
        wanted, period = SessionFilter(subaccount=subaccount or None), Window(start, end)
        missing = gaps(period, await _store(mirror).covered(subaccount, period))
        fetched, left = await _fetched(mirror, out, wanted, missing)
        if mirror.access.problem:
            raise DatabaseUnavailable(mirror.access.problem)
        told = "Held in part" if left else "Held"
        out.print(f"{told}: {period} UTC. Fetched {fetched} sessions.", markup=False)
        for window in left:
            out.print(f"  missing: {window} UTC", markup=False)
        within_reach = mirror.now() - REACH + REACH_TOLERANCE
        return TRY_LATER if any(each.end > within_reach for each in left) else DONE

    return work


def holdings(subaccount: str) -> Work:
    """Show what the mirror holds, and which spans of time are complete."""

    async def work(mirror: Mirror, out: Console) -> int:
        sessions, windows = await _store(mirror).holdings(subaccount)
        out.print(f"{sessions} sessions in {mirror.access.place}", markup=False)
        for window in windows:
            out.print(f"  complete: {window} UTC", markup=False)
        return DONE

    return work


def purging(older_than: str | None) -> Work:
    """Forget what is older than that, or everything, of every account in the database.

    What is held for callers confined to a subaccount lies under an account of its own.
    """

    async def work(mirror: Mirror, out: Console) -> int:
        edge = _time("--older-than", older_than, mirror) if older_than else None
        gone = sum([await each.purge(edge) for each in await _store(mirror).everyone()])
        out.print(f"Removed {gone} sessions from {mirror.access.place}.", markup=False)
        return DONE

    return work


async def _fetched(
    mirror: Mirror, out: Console, wanted: SessionFilter, missing: Sequence[Window]
) -> tuple[int, list[Window]]:
    """How many sessions came, and the windows that could not be had whole."""
    effort, fetched = Effort(deadline=inf, priority=BACKGROUND), 0
    lacking: list[Window] = []
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=out,
    )
    with bar:
        task = bar.add_task("fetching", total=_seconds(missing))
        for window in reversed(missing):
            walker = Walker(mirror, wanted, window)
            while not walker.over:
                await walker.step(effort, budget=WIDTH)
                if walker.walk.failure is not None:
                    raise walker.walk.failure
                left = [*walker.walk.missing, *(each for each in missing if each < window)]
                bar.update(
                    task,
                    completed=_seconds(missing) - _seconds(left),
                    description=f"{fetched + len(walker.walk.sessions)} sessions",
                )
            fetched += len(walker.walk.sessions)
            lacking += walker.walk.missing
    return fetched, lacking


def _store(mirror: Mirror) -> Store:
    if mirror.store is None:
        mirror.settings.account()
        raise InvalidSetting("VERIFY_MCP_MIRROR is off, so nothing is kept. Set it to on.")
    return mirror.store


def _time(option: str, text: str, mirror: Mirror) -> datetime:
    try:
        return moment(text, now=mirror.now())
    except InvalidArgument as error:
        raise InvalidArgument(f"{option} {error}") from None


def _seconds(windows: Sequence[Window]) -> float:
    return sum(window.length.total_seconds() for window in windows)
