"""The command line: serve (the default) and the other commands that `--help` lists.

Every command has a file here, whose imports at the top are few: each start of a server loads them
all. What a command needs beyond them is imported when it runs.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from verify_mcp import __version__
from verify_mcp.cli.demo import add_demo_command
from verify_mcp.cli.doctor import add_doctor_command
from verify_mcp.cli.emulator import add_emulator_command
from verify_mcp.cli.exit_codes import ExitCode
from verify_mcp.cli.export import add_export_command
from verify_mcp.cli.failures import run_command
from verify_mcp.cli.install import add_install_commands
from verify_mcp.cli.reference import add_reference_commands
from verify_mcp.cli.report import add_report_command
from verify_mcp.cli.serve import add_serve_command, run_serve
from verify_mcp.cli.sync import add_purge_command, add_sync_command
from verify_mcp.cli.terminal import discard_output, flushed_output
from verify_mcp.cli.tokens import add_token_command
from verify_mcp.cli.watch import add_watch_command

_COMMANDS = (
    add_serve_command,
    add_demo_command,
    add_doctor_command,
    add_report_command,
    add_export_command,
    add_watch_command,
    add_sync_command,
    add_purge_command,
    add_token_command,
)
"""What adds each command, in the order of the help."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with flushed_output():
            options = build_parser(given).parse_args(given)
            command: Callable[[argparse.Namespace], int] = options.command
            sys.exit(run_command(partial(command, options), reword="verify-mcp: {}".format))
    except BrokenPipeError:
        discard_output()
        sys.exit(ExitCode.PIPE_CLOSED)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


def full_parser() -> argparse.ArgumentParser:
    """The parser with every option of every command."""
    return build_parser(["emulator"])


def build_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for a command line; what it does not name is added only if that costs no time."""
    parser = argparse.ArgumentParser(
        prog="verify-mcp",
        description="Answers about Plivo Verify (OTP) sessions for AI assistants, over MCP.",
        epilog="Settings are environment variables: PLIVO_AUTH_ID, PLIVO_AUTH_TOKEN and the "
        "VERIFY_MCP_… variables in the README. `verify-mcp COMMAND --help` has examples.",
    )
    parser.add_argument("--version", action="version", version=f"verify-mcp {__version__}")
    parser.set_defaults(command=run_serve, sandbox=False, real_pace=False, http=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add_command in _COMMANDS:
        add_command(commands)
    if list(arguments[:1]) != ["serve"]:  # the list of clients would slow the start of a server
        add_install_commands(commands)
        add_reference_commands(commands, full_parser)
    add_emulator_command(commands, arguments)
    return parser
