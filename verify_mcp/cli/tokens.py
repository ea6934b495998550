"""The command `token`."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from verify_mcp.cli.parsers import add_command, whole_number
from verify_mcp.cli.terminal import print_err
from verify_mcp.settings import read_settings

_PUBLIC_FIELDS = ("name", "budget", "subaccount", "created")


def add_token_command(subparsers: Any) -> None:
    """Add the command `token` and its own commands."""
    token = add_command(
        subparsers,
        "token",
        "who may ask over HTTP",
        "Makes, lists and revokes the tokens that callers of `serve --http` send. Only a digest of "
        "each is stored, in the file that VERIFY_MCP_TOKENS_FILE names.",
        ("verify-mcp token add support", "verify-mcp token list"),
    )
    actions = token.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_actions(actions)


def _add_actions(actions: Any) -> None:
    add = add_command(
        actions,
        "add",
        "make a token and show it, this once",
        "Makes a token for a caller and prints it on stdout. It cannot be shown again.",
        (
            "verify-mcp token add support --budget 60",
            "verify-mcp token add shop --subaccount SAXXXXXXXXXXXXXXXXXX",
        ),
    )
    add.add_argument("name", metavar="NAME", help="whom it is for, e.g. support")
    add.add_argument(
        "--budget",
        type=whole_number(1, 99_999),
        default=120,
        help="calls a minute (default %(default)s)",
    )
    add.add_argument("--subaccount", default="", help="auth id (SA…) that is all it may see")
    add.set_defaults(command=_token_add)
    list_ = add_command(
        actions,
        "list",
        "show the tokens' names, never the tokens",
        "Lists who has a token: calls a minute, what the caller may see, and when it was made.",
        ("verify-mcp token list", "verify-mcp token list --json"),
    )
    list_.add_argument("--json", action="store_true", help="as JSON")
    list_.set_defaults(command=_token_list)
    revoke = add_command(
        actions,
        "revoke",
        "make a token worthless, at once",
        "Removes a token. Servers that read the same file refuse it from then on.",
        ("verify-mcp token revoke support",),
    )
    revoke.add_argument("name", metavar="NAME", help="whose token")
    revoke.set_defaults(command=_token_revoke)


def _token_add(options: argparse.Namespace) -> int:
    from verify_mcp.http import tokens

    path, now = _tokens_path(), datetime.now(UTC)
    token = tokens.add(path, options.name, options.budget, options.subaccount.upper(), now)
    print_err(f"Token of {options.name}, kept in {path} as a digest only. Copy it now:")
    sys.stdout.write(token + "\n")
    return 0


def _token_list(options: argparse.Namespace) -> int:
    from verify_mcp.http import tokens

    if options.json:
        entries = [asdict(entry) for entry in tokens.list_tokens(_tokens_path())]
        public = [{name: entry[name] for name in _PUBLIC_FIELDS} for entry in entries]
        sys.stdout.write(json.dumps(public) + "\n")
        return 0
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
