"""A report: answers about one window, fetched until they are exact, as a page in a file."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from verify_mcp import __version__, logs, private_files
from verify_mcp.cli.exit_codes import ExitCode
from verify_mcp.cli.failures import KEPT, run_command
from verify_mcp.cli.progress import progress_bar
from verify_mcp.cli.report_answers import Answer, Groups, ReportQuestion, answer_report
from verify_mcp.cli.terminal import print_err
from verify_mcp.cli.wording import explain_unwritable
from verify_mcp.clock import Clock
from verify_mcp.context import AppContext, open_context
from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.times import format_api_time, parse_time
from verify_mcp.domain.windows import Window
from verify_mcp.errors import InvalidArgument, InvalidSetting
from verify_mcp.settings import Settings
from verify_mcp.tools import chart_page

STDOUT = Path("-")
SHORT_WINDOW = timedelta(days=2)
"""Windows up to this length are shown by hour, longer ones by day."""


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """A window as people write it, its charts, the file, and for how many seconds to try."""

    since: str
    until: str | None
    charts: tuple[Groups, ...]
    path: Path
    force: bool = False
    within: float = 1800.0


def run(
    options: ReportOptions,
    settings: Settings,
    *,
    app: Callable[..., Any] | None = None,
    clock: Clock | None = None,
) -> int:
    """Make the report; the exit code."""
    logs.configure(settings)
    return run_command(
        partial(anyio.run, _run_async, options, settings, app, clock),
        retry_hint=KEPT,
        reword=lambda text: text.replace("group_by", "--group-by"),
        explain_os_error=partial(explain_unwritable, options.path),
    )


async def _run_async(
    options: ReportOptions,
    settings: Settings,
    app: Callable[..., Any] | None,
    clock: Clock | None,
) -> int:
    if options.path != STDOUT and options.path.exists() and not options.force:
        raise FileExistsError
    async with open_context(settings, clock=clock, app=app) as context:
        report = await build_report(context, options)
    save(options.path, chart_page.html_with_data(report), force=options.force)
    exact = all(answer["complete"] for answer in report["answers"])
    name = "The report on stdout" if options.path == STDOUT else options.path
    print_err(f"{name}: {_summary(report['answers'][0], exact=exact)}")
    return ExitCode.DONE if exact else ExitCode.INCOMPLETE


async def build_report(context: AppContext, options: ReportOptions) -> dict[str, Any]:
    """Fetch the report's data. Raises InvalidArgument, InvalidSetting, and the API's errors."""
    store = context.mirror.store
    if store is None:
        context.settings.account()
        raise InvalidSetting(
            "VERIFY_MCP_MIRROR is off, and a report takes many requests whose sessions must be "
            "kept meanwhile. Set it to on; VERIFY_MCP_DATABASE_URL=sqlite:// keeps them in memory."
        )
    window = _window(options, context)
    deadline = context.clock.monotonic() + options.within
    question = ReportQuestion(window, options.since, options.until, deadline)
    charts = options.charts or default_charts(window)
    with progress_bar(context.clock.monotonic) as update:
        parts = await answer_report(context, store, question, charts, update)
    return {
        "version": __version__,
        "made": f"{format_api_time(context.now().replace(microsecond=0))}Z",
        "sandbox": context.settings.sandbox,
        **parts,
    }


def default_charts(window: Window) -> tuple[Groups, ...]:
    """The charts of a report when no groups are named."""
    return (
        ("hour" if window.length <= SHORT_WINDOW else "day",),
        ("country",),
        ("attempt_status",),
    )


def _window(options: ReportOptions, context: AppContext) -> Window:
    """The window in full seconds, so that every answer is about the same one."""
    now = context.now().replace(microsecond=0)
    start = max(_parse_time("--since", options.since, now), reach_edge(now))
    end = min(_parse_time("--until", options.until, now), now) if options.until else now
    if start >= end:
        raise InvalidArgument("--since is not before --until. Give e.g. --since 7d.")
    return Window(start.replace(microsecond=0), end.replace(microsecond=0))


def _parse_time(option: str, text: str, now: datetime) -> datetime:
    try:
        return parse_time(text, now=now)
    except InvalidArgument as error:
        raise InvalidArgument(f"{option} {error}") from None


def save(path: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner can read, in one step; `-` is stdout.

    Raises FileExistsError when there is one and `force` is false; OSError.
    """
    if path == STDOUT:
        sys.stdout.write(text)
        return
    write = private_files.replace if force else private_files.create_at_once
    write(path, text.encode())


def _summary(totals: Answer, *, exact: bool) -> str:
    sessions = totals.get("sessions", totals.get("sessions_at_least", 0))
    if exact:
        return f"{sessions} sessions, exact."
    why = totals.get("why", "").replace("Figures in `estimated`", "Cost, groups and days")
    return f"{sessions} sessions, not exact. {why}".strip()
