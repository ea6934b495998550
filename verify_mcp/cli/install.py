"""The commands `install` and `uninstall`."""

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from verify_mcp.cli.parsers import add_command
from verify_mcp.cli.terminal import replace_unencodable


def add_install_commands(subparsers: Any) -> None:
    """Add the commands `install` and `uninstall`."""
    from verify_mcp.install.clients import BY_NAME

    install = add_command(
        subparsers,
        "install",
        "add this server to an MCP client",
        "Adds one entry to the client's own configuration. It shows the change, asks, and keeps a "
        "copy of the file beside it. The token never goes into that file.",
        (
            "verify-mcp install cursor",
            "verify-mcp install claude-code --sandbox --yes",
            "verify-mcp install codex --print",
            "verify-mcp install codex --url https://verify.example.com/mcp --token-env TEAM_TOKEN",
        ),
    )
    uninstall = add_command(
        subparsers,
        "uninstall",
        "take it out of the client again",
        "Takes the entry out again, and leaves the rest of the client's configuration as it is.",
        ("verify-mcp uninstall cursor", "verify-mcp uninstall claude-code --sandbox"),
    )
    for command in (install, uninstall):
        command.add_argument(
            "client", choices=tuple(BY_NAME), metavar="CLIENT", help=", ".join(BY_NAME)
        )
        command.add_argument(
            "--config", type=Path, metavar="FILE", help="another file than the client's usual one"
        )
        command.add_argument("--name", help="name of the entry (verify, or verify-sandbox)")
        command.add_argument("--yes", action="store_true", help="do it without asking")
        command.add_argument(
            "--sandbox", action="store_true", help="made-up sessions, without credentials"
        )
    install.add_argument(
        "--uvx",
        action="store_true",
        help="let the client start it with uvx, which fetches the package from its index",
    )
    install.add_argument(
        "--from",
        dest="source",
        metavar="SOURCE",
        help="let uvx take it from this clone, wheel or requirement instead of the index",
    )
    install.add_argument(
        "--auth-id", metavar="ID", help="the account (else PLIVO_AUTH_ID, or a question)"
    )
    install.add_argument(
        "--url", help="connect to a team's server at this address instead of starting one"
    )
    install.add_argument(
        "--token-env",
        metavar="NAME",
        help="with --url: the variable of the client's environment that has the token",
    )
    install.add_argument(
        "--print",
        action="store_true",
        dest="only_print",
        help="only name the file and print each step; write nothing",
    )
    install.set_defaults(command=_install)
    uninstall.set_defaults(command=_uninstall)


def _install(options: argparse.Namespace) -> int:
    from verify_mcp.install import installer

    return _run(installer.run, options)


def _uninstall(options: argparse.Namespace) -> int:
    from verify_mcp.install import installer

    return _run(installer.uninstall, options)


def _print(text: str) -> None:
    """Print at once, so that what stderr shows next comes after it."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _run(action: Callable[..., int], options: argparse.Namespace) -> int:
    from getpass import getpass

    from verify_mcp.install import environment
    from verify_mcp.install.clients import BY_NAME

    replace_unencodable()
    given = {**vars(options), "client": BY_NAME[options.client]}
    install_options = environment.InstallOptions(
        **{name: given[name] for name in environment.OPTION_NAMES if name in given}
    )
    ask, ask_secret = (input, getpass) if sys.stdin.isatty() else (None, None)
    terminal = environment.Terminal(_print, ask, ask_secret, sys.stderr.write)
    machine = environment.detect_environment(os.environ, datetime.now(UTC))
    return action(install_options, machine, terminal)
