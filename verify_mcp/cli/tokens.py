"""The command `token`."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from verify_mcp.cli.terminal import print_err
from verify_mcp.settings import read_settings


def add_token_command(subparsers: Any) -> None:
    """Add the command `token` and its own commands."""
    token = subparsers.add_parser("token", help="who may ask over HTTP")
    actions = token.add_subparsers(title="commands", metavar="", required=True)
    add = actions.add_parser("add", help="make a token and show it, this once")
    add.add_argument("name", help="whom it is for, e.g. support")
    add.add_argument("--budget", type=int, default=120, help="calls a minute (default %(default)s)")
    add.add_argument("--subaccount", default="", help="auth id (SA…) that is all it may see")
    add.set_defaults(command=_token_add)
    list_ = actions.add_parser("list", help="show the tokens' names, never the tokens")
    list_.set_defaults(command=_token_list)
    revoke = actions.add_parser("revoke", help="make a token worthless, at once")
    revoke.add_argument("name")
    revoke.set_defaults(command=_token_revoke)


def _token_add(options: argparse.Namespace) -> int:
    from verify_mcp.http import tokens

    path, now = _tokens_path(), datetime.now(UTC)
    token = tokens.add(path, options.name, options.budget, options.subaccount.upper(), now)
    print_err(f"Token of {options.name}, kept in {path} as a digest only. Copy it now:")
    sys.stdout.write(token + "\n")
    return 0


def _token_list(_options: argparse.Namespace) -> int:
    from verify_mcp.http import tokens

    for entry in tokens.list_tokens(_tokens_path()):
        sees = entry.subaccount or "everything"
        line = f"{entry.name}  {entry.budget}/minute  sees {sees}  made {entry.created}\n"
        sys.stdout.write(line)
    return 0


def _token_revoke(options: argparse.Namespace) -> int:
    from verify_mcp.http import tokens

    tokens.revoke(_tokens_path(), options.name)
    print_err(
        f"The token of {options.name} is worthless now, on every server that reads this file."
    )
    return 0


def _tokens_path() -> Path:
    from verify_mcp.http.tokens import default_path

    return read_settings(os.environ).tokens_file or default_path()
