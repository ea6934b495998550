"""The command line: serve (the default) and the other commands that `--help` lists.

Every command has a file here, whose imports at the top are few: each start of a server loads them
all. What a command needs beyond them is imported when it runs.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from verify_mcp import __version__
from verify_mcp.cli.demo import add_demo_command
from verify_mcp.cli.doctor import add_doctor_command
from verify_mcp.cli.emulator import add_emulator_command
from verify_mcp.cli.install import add_install_commands
from verify_mcp.cli.sandbox import unlimited_sandbox
from verify_mcp.cli.serve import add_serve_command, run_serve
from verify_mcp.cli.terminal import print_err
from verify_mcp.cli.tokens import add_token_command
from verify_mcp.errors import InvalidSetting
from verify_mcp.settings import read_settings

EXIT_PROBLEM, EXIT_USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(given).parse_args(given)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        sys.exit(command(options))
    except InvalidSetting as error:
        print_err(f"verify-mcp: {error}")
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:
        sys.exit(130)


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verify-mcp",
        description="Answers about Plivo Verify (OTP) sessions for AI assistants, over MCP.",
        epilog="Settings are environment variables: PLIVO_AUTH_ID, PLIVO_AUTH_TOKEN and the "
        "VERIFY_MCP_… variables in the README.",
    )
    parser.add_argument("--version", action="version", version=f"verify-mcp {__version__}")
    parser.set_defaults(command=run_serve, sandbox=False, http=False)
    commands = parser.add_subparsers(title="commands", metavar="")
    add_serve_command(commands)
    add_demo_command(commands)
    add_doctor_command(commands)
    _add_report(commands)
    _add_mirror(commands)
    add_token_command(commands)
    if arguments[:1] != ["serve"]:  # the list of clients would slow the start of a server
        add_install_commands(commands)
    add_emulator_command(commands, arguments)
    return parser


def _add_mirror(commands: Any) -> None:
    sync = commands.add_parser("sync", help="fetch what the mirror lacks of a period")
    sync.add_argument("--since", default="24h", help="start: 24h, 7d, 2026-11-01 (default 24h)")
    sync.add_argument("--until", help="end (default now)")
    sync.add_argument("--subaccount", default="", help="auth id (SA…) of a subaccount")
    sync.add_argument("--status", action="store_true", help="only show what is held")
    sync.set_defaults(command=_sync)
    purge = commands.add_parser("purge", help="empty the mirror, by age or entirely")
    age = purge.add_mutually_exclusive_group(required=True)
    age.add_argument("--older-than", help="forget what is older: 30d, 2026-11-01")
    age.add_argument("--all", action="store_true", help="forget everything")
    purge.set_defaults(command=_purge)


def _add_report(commands: Any) -> None:
    report = commands.add_parser("report", help="write a period's figures as a page with charts")
    report.add_argument("--since", default="7d", help="start: 24h, 7d, 2026-11-01 (default 7d)")
    report.add_argument("--until", help="end (default now)")
    report.add_argument(
        "--group-by",
        action="append",
        default=[],
        metavar="FIELD[,FIELD]",
        help="a chart by these; may be given again (default: day or hour; country; attempt_status)",
    )
    report.add_argument(
        "-o", "--output", type=Path, default=Path("verify-report.html"), help="default %(default)s"
    )
    report.add_argument("--force", action="store_true", help="replace the file if it is there")
    report.add_argument(
        "--within", type=float, default=30.0, metavar="MINUTES", help="default %(default)g"
    )
    report.add_argument("--sandbox", action="store_true", help="of made-up sessions")
    report.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    from verify_mcp.cli import report

    charts = tuple(tuple(each.split(",")) for each in options.group_by)
    order = report.ReportOptions(
        options.since,
        options.until,
        charts,
        options.output,
        force=options.force,
        within=60 * options.within,
    )
    if not options.sandbox:
        return report.run(order, read_settings(os.environ))
    settings, app = unlimited_sandbox()
    return report.run(order, settings, app=app)


def _sync(options: argparse.Namespace) -> int:
    from verify_mcp.cli import sync

    work = (
        sync.status_command(options.subaccount)
        if options.status
        else sync.sync_command(options.since, options.until, options.subaccount)
    )
    return sync.run(os.environ, work)


def _purge(options: argparse.Namespace) -> int:
    from verify_mcp.cli import sync

    return sync.run(os.environ, sync.purge_command(options.older_than))
