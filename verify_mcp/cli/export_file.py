"""An export: the sessions, attempts or groups of a period, streamed from the mirror to a file."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import anyio

from verify_mcp import logs, private_files
from verify_mcp.cli import export_rows, export_writers
from verify_mcp.cli.exit_codes import ExitCode
from verify_mcp.cli.export_source import ExportSource
from verify_mcp.cli.failures import run_command
from verify_mcp.cli.period import parse_period
from verify_mcp.cli.progress import UpdateProgress, progress_bar
from verify_mcp.cli.terminal import print_err
from verify_mcp.cli.wording import explain_error, explain_unwritable
from verify_mcp.clock import Clock
from verify_mcp.context import AppContext, open_context
from verify_mcp.domain.groups import GROUPS
from verify_mcp.errors import InvalidArgument, InvalidSetting
from verify_mcp.mirror.store import Store
from verify_mcp.settings import Settings
from verify_mcp.tools.arguments import parse_choices
from verify_mcp.tools.envelope import parse_context
from verify_mcp.tools.list_request import parse_list
from verify_mcp.tools.summary_request import check_groups

MAX_GROUPS = 2


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export of which period, and where to.

    `path` None is the standard output. `filters` are arguments of `list_verify_sessions`, `within`
    is for how many seconds to fetch what is missing.
    """

    content: str
    since: str
    until: str | None
    path: Path | None
    format: str = "csv"
    by: str = "day"
    filters: tuple[tuple[str, str], ...] = ()
    force: bool = False
    within: float = 1800.0


def run(
    options: ExportOptions,
    settings: Settings,
    *,
    app: Callable[..., Any] | None = None,
    clock: Clock | None = None,
) -> int:
    """Make the export; the exit code."""
    logs.configure(settings)
    return run_command(
        partial(anyio.run, _run_async, options, settings, app, clock),
        retry_hint="Nothing was written.",
        explain_os_error=partial(explain_unwritable, options.path),
    )


async def _run_async(
    options: ExportOptions,
    settings: Settings,
    app: Callable[..., Any] | None,
    clock: Clock | None,
) -> int:
    export_writers.check_format(options.format)
    if options.path is not None and options.path.exists() and not options.force:
        raise FileExistsError
    async with open_context(settings, clock=clock, app=app) as context:
        return await export(context, options)


async def export(context: AppContext, options: ExportOptions) -> int:
    """Fetch what the period lacks, write it, and tell what is in the file; the exit code.

    Raises InvalidArgument, InvalidSetting, DatabaseUnavailable and OSError.
    """
    store = _store(context)
    arguments = dict(options.filters)
    session_filter = parse_list(arguments, parse_context(context)).session_filter
    session_filter = await context.recipients.resolve(session_filter)
    period = parse_period(options.since, options.until, context.now())
    source = ExportSource(context, store, session_filter, period)
    by = _groups(options, context)
    with progress_bar(context.clock.monotonic) as update:
        source = await source.fetch(options.within, update, ends_now=options.until is None)
        with _open_output(options) as file:
            rows = await _write(source, options, by, file, update)
    _tell(options, rows, source)
    return ExitCode.INCOMPLETE if source.missing else ExitCode.DONE


def _store(context: AppContext) -> Store:
    if context.mirror.store is None:
        context.settings.account()
        raise InvalidSetting(
            "VERIFY_MCP_MIRROR is off, and an export reads what is kept. Set it to on; "
            "VERIFY_MCP_DATABASE_URL=sqlite:// keeps it in memory."
        )
    return context.mirror.store


def _groups(options: ExportOptions, context: AppContext) -> tuple[str, ...]:
    if options.content != "groups":
        return ()
    try:
        by = parse_choices(*GROUPS, most=MAX_GROUPS)(options.by, parse_context(context))
    except InvalidArgument as error:
        raise InvalidArgument(f"--by {error}") from None
    check_groups(by, parse_context(context))
    return by


async def _write(
    source: ExportSource,
    options: ExportOptions,
    by: tuple[str, ...],
    file: BinaryIO,
    update: UpdateProgress,
) -> int:
    """Write every row; how many there are."""
    columns = export_rows.group_columns(by) if by else export_rows.TABLES[options.content][0]
    writer = export_writers.open_writer(options.format, columns, file)
    batches = source.read_groups(by) if by else source.read_sessions(options.content)
    written, read, expected = 0, 0, await source.count()
    started = source.context.clock.monotonic()
    try:
        async for sessions, rows in batches:
            writer.write(rows)
            written, read = written + len(rows), read + sessions
            took = source.context.clock.monotonic() - started
            update(f"{written} rows written", took * max(0, expected - read) / max(1, read))
    finally:
        writer.finish()
    return written


@contextmanager
def _open_output(options: ExportOptions) -> Iterator[BinaryIO]:
    if options.path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with private_files.open_at_once(options.path, replaces=options.force) as file:
        yield file


def _tell(options: ExportOptions, rows: int, source: ExportSource) -> None:
    """Print what is in the file, and which parts of the period it lacks."""
    place = options.path or "Standard output"
    coverage = "not complete" if source.missing else "complete"
    print_err(f"{place}: {rows} rows of {source.period} UTC, {coverage}.")
    for window in source.missing:
        print_err(f"  missing: {window} UTC")
    if source.missing and options.content != "groups":
        print_err("  Of the missing spans the file has only what is kept here.")
    if source.failure is not None:
        print_err(f"  {explain_error(source.failure)}")
