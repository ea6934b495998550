"""A report: answers about one window, fetched until they are complete, as a page in a file."""

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from verify_mcp import __version__, logs, private_files
from verify_mcp.clock import Clock
from verify_mcp.context import AppContext, open_context
from verify_mcp.domain.api_limits import REACH
from verify_mcp.domain.times import format_api_time, parse_time
from verify_mcp.domain.windows import Window
from verify_mcp.errors import (
    ApiError,
    CredentialsMissing,
    CredentialsRejected,
    DatabaseUnavailable,
    InvalidArgument,
    InvalidSetting,
    QuotaExhausted,
)
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.rate_limit_store import Priority
from verify_mcp.settings import Settings
from verify_mcp.tools import chart_page
from verify_mcp.tools.summarize_sessions import summarize_verify_sessions

EXIT_EXACT, EXIT_INCOMPLETE, EXIT_CANNOT_WRITE, EXIT_TRY_LATER, EXIT_CONFIGURE = 0, 3, 73, 75, 78
"""Exit codes: written and exact; written, but estimated or with parts missing; the file is there
or cannot be made (EX_CANTCREAT); the API or the database is away, nothing written (EX_TEMPFAIL);
something to set or to write otherwise (EX_CONFIG)."""
MAX_REQUESTS = 200
"""API requests in one round; between rounds the progress is shown."""
SHORT_WINDOW = timedelta(days=2)
"""Windows up to this length are shown by hour, longer ones by day."""
MIN_PAUSE = 5.0

Answer = dict[str, Any]
Groups = tuple[str, ...]


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
    out = Console(stderr=True, highlight=False, soft_wrap=True)
    logs.configure(settings)
    try:
        return anyio.run(_run_async, options, settings, app, clock, out)
    except (CredentialsMissing, CredentialsRejected, InvalidArgument, InvalidSetting) as error:
        out.print(str(error), markup=False)
        return EXIT_CONFIGURE
    except (ApiError, DatabaseUnavailable, QuotaExhausted) as error:
        out.print(f"{error} What was fetched is kept; the next run goes on.", markup=False)
        return EXIT_TRY_LATER
    except OSError as error:
        out.print(_cannot_write(options.path, error), markup=False)
        return EXIT_CANNOT_WRITE


async def _run_async(
    options: ReportOptions,
    settings: Settings,
    app: Callable[..., Any] | None,
    clock: Clock | None,
    out: Console,
) -> int:
    if options.path.exists() and not options.force:
        raise FileExistsError
    async with open_context(settings, clock=clock, app=app) as context:
        report = await build_report(context, options, out)
    save(options.path, chart_page.html_with_data(report), force=options.force)
    exact = all(answer["complete"] for answer in report["answers"])
    out.print(f"{options.path}: {_summary(report['answers'][0], exact=exact)}", markup=False)
    return EXIT_EXACT if exact else EXIT_INCOMPLETE


async def build_report(context: AppContext, options: ReportOptions, out: Console) -> dict[str, Any]:
    """Fetch the report's data: the totals, then an answer for each chart, all of the same window.

    Raises InvalidArgument, InvalidSetting, and the errors of the API.
    """
    if context.mirror.store is None:
        context.settings.account()
        raise InvalidSetting(
            "VERIFY_MCP_MIRROR is off, and a report takes many requests whose sessions must be "
            "kept meanwhile. Set it to on; VERIFY_MCP_DATABASE_URL=sqlite:// keeps them in memory."
        )
    window = _window(options, context)
    arguments = {
        "session_time__gte": format_api_time(window.start),
        "session_time__lt": format_api_time(window.end),
    }
    deadline = context.clock.monotonic() + options.within
    with _bar(out) as show_progress:
        answers = [await _ask_until_complete(context, arguments, window, deadline, show_progress)]
        for groups in options.charts or default_charts(window):
            tables = {**arguments, "group_by": list(groups)}
            answers.append(
                await _ask_until_complete(context, tables, window, deadline, show_progress)
            )
    return {
        "version": __version__,
        "made": f"{format_api_time(context.now().replace(microsecond=0))}Z",
        "sandbox": context.settings.sandbox,
        "answers": answers,
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
    start = max(_parse_time("--since", options.since, now), now - REACH)
    end = min(_parse_time("--until", options.until, now), now) if options.until else now
    if start >= end:
        raise InvalidArgument("--since is not before --until. Give e.g. --since 7d.")
    return Window(start.replace(microsecond=0), end.replace(microsecond=0))


def _parse_time(option: str, text: str, now: datetime) -> datetime:
    try:
        return parse_time(text, now=now)
    except InvalidArgument as error:
        raise InvalidArgument(f"{option} {error}") from None


async def _ask_until_complete(
    context: AppContext,
    arguments: Mapping[str, object],
    window: Window,
    deadline: float,
    show_progress: Callable[[str, float], None],
) -> Answer:
    """Repeat a question until its answer is complete or estimated, or the time is over."""
    while True:
        answer = await _ask_once(context, arguments)
        show_progress("fetching", _share(answer, window))
        pause = max(MIN_PAUSE, float(answer.get("eta_s", 0)))
        left = deadline - context.clock.monotonic()
        if answer["complete"] or _is_estimated(answer) or pause > left:
            return answer
        show_progress(f"waiting {pause:.0f} s for the API's quota", _share(answer, window))
        await context.clock.sleep(pause)


async def _ask_once(context: AppContext, arguments: Mapping[str, object]) -> Answer:
    call = CallContext(priority=Priority.BACKGROUND)
    return await summarize_verify_sessions(
        context, {**arguments, "max_requests": MAX_REQUESTS}, call
    )


def _is_estimated(answer: Answer) -> bool:
    """Whether counting is done: more rounds would only narrow the intervals a little."""
    return answer["basis"] == "counted" and "estimated" in answer


def _share(answer: Answer, window: Window) -> float:
    """How much of the window is covered, from 0 to 1."""
    lost = 0.0
    for span in answer.get("missing", ()):
        start, _, end = span.partition(" to ")
        lost += (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return max(0.0, 1 - lost / window.length.total_seconds())


@contextmanager
def _bar(out: Console) -> Any:
    """A progress bar, where there is a terminal to draw it on."""
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("fetching", total=1.0)

        def show_progress(doing: str, share: float) -> None:
            progress.update(task, description=doing, completed=share)

        yield show_progress


def save(path: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner can read, in one step.

    Raises FileExistsError when there is one and `force` is false; OSError.
    """
    write = private_files.replace if force else private_files.create_at_once
    write(path, text.encode())


def _summary(totals: Answer, *, exact: bool) -> str:
    sessions = totals.get("sessions", totals.get("sessions_at_least", 0))
    if exact:
        return f"{sessions} sessions, exact."
    return f"{sessions} sessions, not exact. {totals.get('why', '')}".strip()


def _cannot_write(path: Path, error: OSError) -> str:
    if isinstance(error, FileExistsError):
        return f"{path} is there already. Give another file with -o, or --force to replace it."
    return f"{path} cannot be written: {error.strerror or error}."
