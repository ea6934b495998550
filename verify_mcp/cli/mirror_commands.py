"""What the commands `sync` and `purge` do with the mirror."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from math import inf

import anyio
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from verify_mcp import logs
from verify_mcp.cli.fetching import fetch_windows
from verify_mcp.cli.period import parse_option
from verify_mcp.context import AppContext, open_context
from verify_mcp.domain.api_limits import REACH
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import REACH_TOLERANCE, reach_edge
from verify_mcp.domain.windows import Window, gaps
from verify_mcp.errors import (
    ApiError,
    CredentialsMissing,
    CredentialsRejected,
    DatabaseUnavailable,
    InvalidArgument,
    InvalidSetting,
)
from verify_mcp.mirror.store import Store
from verify_mcp.settings import Settings, read_settings

EXIT_DONE, EXIT_TRY_LATER, EXIT_CONFIGURE = 0, 75, 78
"""Exit codes: done; the API or the database is away (EX_TEMPFAIL); something to set (EX_CONFIG)."""

Command = Callable[[AppContext, Console], Awaitable[int]]


def run(environ: Mapping[str, str], command: Command) -> int:
    """Run one of the commands below with the settings of the environment; the exit code."""
    out = Console(stderr=True, highlight=False)
    try:
        settings = read_settings(environ)
        logs.configure(settings)
        return anyio.run(_with_context, settings, command, out)
    except (CredentialsMissing, CredentialsRejected, InvalidArgument, InvalidSetting) as error:
        out.print(str(error), markup=False)
        return EXIT_CONFIGURE
    except (ApiError, DatabaseUnavailable) as error:
        out.print(f"{error} What was fetched is kept; the next run goes on.", markup=False)
        return EXIT_TRY_LATER


async def _with_context(settings: Settings, command: Command, out: Console) -> int:
    async with open_context(settings) as app:
        return await command(app, out)


def sync_command(since: str, until: str | None, subaccount: str) -> Command:
    """Fetch what the mirror lacks of a period, the newest part first, at background priority."""

    async def run_command(app: AppContext, out: Console) -> int:
        now = app.now()
        start = max(_time("--since", since, app), reach_edge(now))
        end = min(_time("--until", until, app), now) if until else now
        if end <= now - REACH:
            raise InvalidArgument("--until lies before the 90 days that the API reaches back.")
        if start >= end:
            raise InvalidArgument("--since is not before --until. Give e.g. --since 7d.")
        session_filter, period = SessionFilter(subaccount=subaccount or None), Window(start, end)
        missing = gaps(period, await _store(app).cached_windows(subaccount, period))
        fetched, left = await _fetch_with_progress(app, out, session_filter, missing)
        if app.database.problem:
            raise DatabaseUnavailable(app.database.problem)
        message = "Held in part" if left else "Held"
        out.print(f"{message}: {period} UTC. Fetched {fetched} sessions.", markup=False)
        for window in left:
            out.print(f"  missing: {window} UTC", markup=False)
        within_reach = app.now() - REACH + REACH_TOLERANCE
        return EXIT_TRY_LATER if any(window.end > within_reach for window in left) else EXIT_DONE

    return run_command


def status_command(subaccount: str) -> Command:
    """Show how many sessions the mirror has, and which windows are complete."""

    async def run_command(app: AppContext, out: Console) -> int:
        sessions, windows = await _store(app).stats(subaccount)
        out.print(f"{sessions} sessions in {app.database.location}", markup=False)
        for window in windows:
            out.print(f"  complete: {window} UTC", markup=False)
        return EXIT_DONE

    return run_command


def purge_command(older_than: str | None) -> Command:
    """Delete the sessions older than that, or all, of every account in the database.

    The sessions of callers confined to a subaccount are stored under an account of their own.
    """

    async def run_command(app: AppContext, out: Console) -> int:
        edge = _time("--older-than", older_than, app) if older_than else None
        gone = sum([await store.purge(edge) for store in await _store(app).for_each_account()])
        out.print(f"Removed {gone} sessions from {app.database.location}.", markup=False)
        return EXIT_DONE

    return run_command


async def _fetch_with_progress(
    app: AppContext, out: Console, session_filter: SessionFilter, missing: Sequence[Window]
) -> tuple[int, list[Window]]:
    """Fetch the windows; the number of sessions, and the windows that stay incomplete.

    Raises ApiError.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=out,
    )
    with bar:
        task = bar.add_task("fetching", total=1.0)
        result = await fetch_windows(
            app,
            session_filter,
            missing,
            deadline=inf,
            show_progress=lambda sessions, share: bar.update(
                task, completed=share, description=f"{sessions} sessions"
            ),
        )
    if result.failure is not None:
        raise result.failure
    return result.sessions, result.incomplete


def _store(app: AppContext) -> Store:
    if app.mirror.store is None:
        app.settings.account()
        raise InvalidSetting("VERIFY_MCP_MIRROR is off, so nothing is kept. Set it to on.")
    return app.mirror.store


def _time(option: str, text: str, app: AppContext) -> datetime:
    return parse_option(option, text, app.now())
