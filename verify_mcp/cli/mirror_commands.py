"""What the commands `sync` and `purge` do with the mirror."""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import anyio

from verify_mcp import logs
from verify_mcp.cli.exit_codes import ExitCode
from verify_mcp.cli.failures import KEPT, run_command
from verify_mcp.cli.fetching import FetchEstimate, FetchOutcome, fetch_windows
from verify_mcp.cli.progress import progress_bar
from verify_mcp.cli.terminal import print_err
from verify_mcp.context import AppContext, open_context
from verify_mcp.domain.api_limits import REACH
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import REACH_TOLERANCE, reach_edge
from verify_mcp.domain.times import format_time, parse_time
from verify_mcp.domain.windows import Window, gaps
from verify_mcp.errors import DatabaseUnavailable, InvalidArgument, InvalidSetting
from verify_mcp.mirror.store import Store
from verify_mcp.settings import Credentials, Settings, read_settings

_NO_TOKEN = "0" * 40
"""In the place of a token that is never sent."""
Command = Callable[[AppContext], Awaitable[int]]


def run(settings: Settings, command: Command, *, app: Callable[..., Any] | None = None) -> int:
    """Run one of the commands below; the exit code."""
    logs.configure(settings)
    return run_command(partial(anyio.run, _with_context, settings, command, app), retry_hint=KEPT)


async def _with_context(
    settings: Settings, command: Command, app: Callable[..., Any] | None
) -> int:
    async with open_context(settings, app=app) as context:
        return await command(context)


def with_account_id(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Settings with the account's id, for a command that sends no request.

    The mirror is keyed by that id. Raises InvalidSetting when there is none.
    """
    names = {"PLIVO_AUTH_ID": environ.get("PLIVO_AUTH_ID", ""), "PLIVO_AUTH_TOKEN": _NO_TOKEN}
    known = read_settings(names)
    if known.credentials is None:
        problem = known.credentials_problem.partition(" Set ")[0]
        raise InvalidSetting(
            f"{problem} The mirror is kept by account, so the status needs its id; it needs no "
            "token."
        )
    return replace(settings, credentials=known.credentials)


def without_account(settings: Settings) -> Settings:
    """Settings for a command that is about every account in the mirror and sends no request."""
    return replace(settings, credentials=Credentials("", ""))


def sync_command(since: str, until: str | None, subaccount: str) -> Command:
    """Fetch what the mirror lacks of a period, the newest part first, at background priority."""

    async def run_command(app: AppContext) -> int:
        period = _period(since, until, app)
        missing = gaps(period, await _store(app).cached_windows(subaccount, period))
        outcome = await _fetch(app, SessionFilter(subaccount=subaccount or None), missing)
        if app.database.problem:
            raise DatabaseUnavailable(app.database.problem)
        message = "Held in part" if outcome.incomplete else "Held"
        print_err(f"{message}: {period} UTC. Fetched {outcome.sessions} sessions.")
        for window in outcome.incomplete:
            print_err(f"  missing: {window} UTC")
        if not outcome.incomplete:
            await _print_unsettled(app, subaccount, period)
        within_reach = app.now() - REACH + REACH_TOLERANCE
        is_missing = any(window.end > within_reach for window in outcome.incomplete)
        return ExitCode.TRY_LATER if is_missing else ExitCode.DONE

    return run_command


def _period(since: str, until: str | None, app: AppContext) -> Window:
    now = app.now()
    start = max(_time("--since", since, app), reach_edge(now))
    end = min(_time("--until", until, app), now) if until else now
    if end <= now - REACH:
        raise InvalidArgument("--until lies before the 90 days that the API reaches back.")
    if start >= end:
        raise InvalidArgument("--since is not before --until. Give e.g. --since 7d.")
    return Window(start, end)


async def _print_unsettled(app: AppContext, subaccount: str, period: Window) -> None:
    """Name the part of a fetched period whose sessions may still change."""
    unsettled = gaps(period, await _store(app).cached_windows(subaccount, period))
    if unsettled:
        print_err(
            f"  not settled yet: from {format_time(unsettled[0].start)} UTC on, where sessions may "
            f"still change. A session settles {_minutes(app)} after its last attempt; a later sync "
            "or question reads these again."
        )


def _minutes(app: AppContext) -> str:
    return f"{round(app.settings.settle.total_seconds() / 60)} minutes"


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """What the mirror has of an account; `unsettled` sessions may still change."""

    database: str
    sessions: int
    unsettled: int
    settle_s: int
    complete: tuple[Window, ...]

    def text(self) -> str:
        """The status as lines for a person."""
        lines = [f"{self.sessions} sessions in {self.database}"]
        lines += [f"  complete: {window} UTC" for window in self.complete]
        if self.unsettled:
            lines.append(
                f"  {self.unsettled} of them may still change: a session settles "
                f"{round(self.settle_s / 60)} minutes after its last attempt."
            )
        if not self.complete:
            lines.append("  No time is complete yet. `verify-mcp sync --since 7d` fetches a week.")
        return "\n".join(lines)

    def json(self) -> str:
        """The status for a program."""
        spans = [
            {"start": window.start.isoformat(), "end": window.end.isoformat()}
            for window in self.complete
        ]
        fields = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({**fields, "complete": spans})


def status_command(subaccount: str, *, as_json: bool = False) -> Command:
    """Print how many sessions the mirror has, which windows are complete, and what may change."""

    async def run_command(app: AppContext) -> int:
        store = _store(app)
        sessions, windows = await store.stats(subaccount)
        unsettled, settle = await store.count_unsettled(), app.settings.settle.total_seconds()
        status = MirrorStatus(app.database.location, sessions, unsettled, round(settle), windows)
        sys.stdout.write(f"{status.json() if as_json else status.text()}\n")
        return ExitCode.DONE

    return run_command


def purge_command(older_than: str | None) -> Command:
    """Delete the sessions older than that, or all, of every account in the database.

    The sessions of callers confined to a subaccount are stored under an account of their own.
    """

    async def run_command(app: AppContext) -> int:
        edge = _time("--older-than", older_than, app) if older_than else None
        gone = sum([await store.purge(edge) for store in await _store(app).for_each_account()])
        print_err(f"Removed {gone} sessions from {app.database.location}.")
        return ExitCode.DONE

    return run_command


async def _fetch(
    app: AppContext, session_filter: SessionFilter, missing: tuple[Window, ...]
) -> FetchOutcome:
    """Fetch the windows, and show how far that is."""
    with progress_bar(app.clock.monotonic) as update:

        def show(estimate: FetchEstimate) -> None:
            update(f"{estimate.sessions} sessions", estimate.seconds_left)

        return await fetch_windows(app, session_filter, missing, show)


def _store(app: AppContext) -> Store:
    if app.mirror.store is None:
        app.settings.account()
        raise InvalidSetting("VERIFY_MCP_MIRROR is off, so nothing is kept. Set it to on.")
    return app.mirror.store


def _time(option: str, text: str, app: AppContext) -> datetime:
    try:
        return parse_time(text, now=app.now())
    except InvalidArgument as error:
        raise InvalidArgument(f"{option} {error}") from None
