"""The command line: serve (the default) and the other commands that `--help` lists.

Every command has a file here, whose imports at the top are few: each start of a server loads them
all. What a command needs beyond them is imported when it runs.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from verify_mcp import __version__
from verify_mcp.cli.demo import add_demo_command
from verify_mcp.cli.doctor import add_doctor_command
from verify_mcp.cli.emulator import add_emulator_command
from verify_mcp.cli.export import add_export_command
from verify_mcp.cli.install import add_install_commands
from verify_mcp.cli.report import add_report_command
from verify_mcp.cli.serve import add_serve_command, run_serve
from verify_mcp.cli.sync import add_purge_command, add_sync_command
from verify_mcp.cli.terminal import print_err
from verify_mcp.cli.tokens import add_token_command
from verify_mcp.errors import InvalidSetting

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
    add_report_command(commands)
    add_export_command(commands)
    add_sync_command(commands)
    add_purge_command(commands)
    add_token_command(commands)
    if arguments[:1] != ["serve"]:  # the list of clients would slow the start of a server
        add_install_commands(commands)
    add_emulator_command(commands, arguments)
    return parser
