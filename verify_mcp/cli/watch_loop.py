"""Runs the command `watch`: one look, or one after another until it is ended."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from verify_mcp import logs
from verify_mcp.cli.exit_codes import ExitCode
from verify_mcp.cli.failures import run_command
from verify_mcp.cli.terminal import print_err
from verify_mcp.cli.wording import explain_error
from verify_mcp.clock import Clock
from verify_mcp.context import open_context
from verify_mcp.errors import (
    AccessDenied,
    ApiError,
    CredentialsMissing,
    CredentialsRejected,
    DatabaseUnavailable,
    InvalidArgument,
    InvalidSetting,
    QuotaExhausted,
)
from verify_mcp.settings import Settings
from verify_mcp.settings_parsers import InvalidValue, parse_duration
from verify_mcp.watch.command import parse_command
from verify_mcp.watch.state import default_state_path
from verify_mcp.watch.watcher import RULES, LookOutcome, Watcher, WatchOptions
from verify_mcp.watch.webhook import parse_webhook

MIN_EVERY = 60.0
"""Seconds between two looks at least: sooner nothing new can be said."""


@dataclass(frozen=True, slots=True)
class WatchArguments:
    """The command line as it was written."""

    rules: str = ""
    every: str | None = None
    window: str = "24h"
    baseline: str = "28d"
    webhook: str | None = None
    exec_command: str | None = None
    subaccount: str = ""
    state: Path | None = None


def run(
    arguments: WatchArguments,
    settings: Settings,
    *,
    app: Callable[..., Any] | None = None,
    clock: Clock | None = None,
) -> int:
    """Watch; the exit code of the last look."""
    logs.configure(settings)
    return run_command(
        partial(anyio.run, _watch, arguments, settings, app, clock),
        reword=_reword,
        explain_os_error=lambda error: f"The state cannot be written: {error.strerror or error}.",
    )


async def _watch(
    arguments: WatchArguments,
    settings: Settings,
    app: Callable[..., Any] | None,
    clock: Clock | None,
) -> int:
    every = _seconds(arguments.every) if arguments.every else None
    async with open_context(settings, clock=clock, app=app) as context:
        if context.mirror.store is None:
            settings.account()
            raise InvalidSetting("VERIFY_MCP_MIRROR is off, so there is nothing to compare with.")
        watcher = Watcher(context, _options(arguments, settings), _print)
        if every is None:
            return _exit_code(await watcher.look())
        while True:
            await _look_again(watcher)
            await context.clock.sleep(every)


async def _look_again(watcher: Watcher) -> None:
    """One look of a loop, which goes on when the API or the database is away."""
    try:
        await watcher.look()
    except (AccessDenied, CredentialsMissing, CredentialsRejected):
        raise
    except (ApiError, DatabaseUnavailable, QuotaExhausted) as error:
        print_err(f"{explain_error(error)} The next look tries again.")


def _options(arguments: WatchArguments, settings: Settings) -> WatchOptions:
    state = arguments.state or default_state_path(
        settings.account().auth_id, arguments.subaccount.upper()
    )
    return WatchOptions(
        _rules(arguments.rules),
        arguments.window,
        arguments.baseline,
        arguments.subaccount,
        state,
        parse_webhook(arguments.webhook) if arguments.webhook else None,
        parse_command(arguments.exec_command) if arguments.exec_command else None,
    )


def _rules(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in RULES]
    if unknown:
        raise InvalidArgument(f"--rules knows {', '.join(RULES)}. Give e.g. --rules delivery.")
    return names or RULES


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text).total_seconds()
    except InvalidValue:
        seconds = 0.0
    if seconds < MIN_EVERY:
        raise InvalidArgument("--every is not a length of time of a minute or more, e.g. 15m.")
    return seconds


def _exit_code(outcome: LookOutcome) -> ExitCode:
    if outcome.failures:
        return ExitCode.NOT_DELIVERED
    if outcome.open_events:
        return ExitCode.FOUND
    return ExitCode.DONE if outcome.is_complete else ExitCode.INCOMPLETE


def _reword(text: str) -> str:
    """A sentence about a tool's arguments, for people who gave options."""
    for name, option in (
        ("session_time__gte", "--window"), ("session_time", "--window"),
        ("baseline", "--baseline"), ("subaccount", "--subaccount"),
    ):  # fmt: skip
        if text.startswith(name):
            return option + text[len(name) :]
    return text


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
