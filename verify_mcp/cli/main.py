"""The command line: serve (the default) and the other commands that `--help` lists."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from verify_mcp import __version__
from verify_mcp.cli.demo import add_demo_command
from verify_mcp.cli.doctor import add_doctor_command
from verify_mcp.cli.sandbox import unlimited_sandbox
from verify_mcp.cli.serve import add_http_options, run_serve
from verify_mcp.cli.terminal import print_err, replace_unencodable
from verify_mcp.cli.tokens import add_token_commands
from verify_mcp.errors import InvalidSetting
from verify_mcp.settings import read_settings

EXIT_PROBLEM, EXIT_USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    said = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(said).parse_args(said)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        sys.exit(command(options))
    except InvalidSetting as error:
        print_err(f"verify-mcp: {error}")
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:
        sys.exit(130)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; what other commands import is left out where it would slow a server's start."""
    parser = argparse.ArgumentParser(
        prog="verify-mcp",
        description="Answers about Plivo Verify (OTP) sessions for AI assistants, over MCP.",
        epilog="Settings are environment variables: PLIVO_AUTH_ID, PLIVO_AUTH_TOKEN and the "
        "VERIFY_MCP_… variables in the README.",
    )
    parser.add_argument("--version", action="version", version=f"verify-mcp {__version__}")
    parser.set_defaults(command=run_serve, sandbox=False, http=False)
    commands = parser.add_subparsers(title="commands", metavar="")
    serve = commands.add_parser("serve", help="serve MCP over stdin and stdout (the default)")
    serve.add_argument(
        "--sandbox",
        action="store_true",
        help="answer from made-up sessions, without credentials or network",
    )
    add_http_options(serve)
    serve.set_defaults(command=run_serve)
    add_demo_command(commands)
    add_doctor_command(commands)
    _add_report(commands)
    _add_mirror(commands)
    add_token_commands(commands)
    if not arguments or arguments[0] != "serve":
        _add_install(commands)
    emulator = commands.add_parser("emulator", help="run the pretend Verify API on this machine")
    if "emulator" in arguments:
        from verify_mcp.emulator.cli import add_arguments

        add_arguments(emulator)
    emulator.set_defaults(command=_emulator)
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


def _add_install(commands: Any) -> None:
    from verify_mcp.install.clients import BY_NAME

    installer = commands.add_parser("install", help="add this server to an MCP client")
    uninstall = commands.add_parser("uninstall", help="take it out of the client again")
    for each in (installer, uninstall):
        each.add_argument("client", choices=BY_NAME, metavar="CLIENT", help=", ".join(BY_NAME))
        each.add_argument("--config", type=Path, help="another file than the client's usual one")
        each.add_argument("--name", help="name of the entry (verify, or verify-sandbox)")
        each.add_argument("--yes", action="store_true", help="do it without asking")
        each.add_argument(
            "--sandbox", action="store_true", help="made-up sessions, without credentials"
        )
    installer.add_argument("--uvx", action="store_true", help="start it with `uvx verify-mcp`")
    installer.add_argument("--auth-id", help="the account (else PLIVO_AUTH_ID, or a question)")
    installer.add_argument(
        "--print", action="store_true", dest="only_print", help="only show what to paste"
    )
    installer.set_defaults(command=partial(_install, "run"))
    uninstall.set_defaults(command=partial(_install, "undo"))


def _install(action: str, options: argparse.Namespace) -> int:
    from getpass import getpass

    from verify_mcp.install import environment, installer
    from verify_mcp.install.clients import BY_NAME

    replace_unencodable()
    given = {**vars(options), "client": BY_NAME[options.client]}
    order = environment.InstallOptions(
        **{name: given[name] for name in environment.OPTION_NAMES if name in given}
    )
    asking = (input, getpass) if sys.stdin.isatty() else (None, None)
    person = environment.Terminal(sys.stdout.write, *asking)
    machine = environment.detect_environment(os.environ, datetime.now(UTC))
    return (
        installer.run(order, machine, person)
        if action == "run"
        else installer.uninstall(order, machine, person)
    )


def _emulator(options: argparse.Namespace) -> int:
    from verify_mcp.emulator.cli import from_arguments
    from verify_mcp.emulator.serve import run

    run(from_arguments(options), options.host, options.port)
    return 0
