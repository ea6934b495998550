"""The commands `sync` and `purge`."""

import argparse
import os
from typing import Any

from verify_mcp.cli.parsers import add_command
from verify_mcp.cli.sandbox import sandbox
from verify_mcp.settings import read_settings


def add_sync_command(subparsers: Any) -> None:
    """Add the command `sync`."""
    sync = add_command(
        subparsers,
        "sync",
        "fetch what the mirror lacks of a period",
        "Fetches every session of a period that is not in the local mirror yet, the newest first, "
        "and gives way to people's questions. The API allows 20 requests a minute with 20 "
        "sessions each, so 6,000 sessions take about 15 minutes. It can be stopped at any time "
        "and goes on where it was.",
        (
            "verify-mcp sync --since 7d",
            "verify-mcp sync --since 2026-11-01 --until 2026-11-08",
            "verify-mcp sync --since 7d --follow",
            "verify-mcp sync --status --json",
        ),
    )
    sync.add_argument(
        "--since", default="24h", metavar="TIME", help="start: 24h, 7d, 2026-11-01 (default 24h)"
    )
    sync.add_argument("--until", metavar="TIME", help="end, in the same forms (default now)")
    sync.add_argument(
        "--subaccount", default="", metavar="SA…", help="auth id (SA…) of a subaccount"
    )
    sync.add_argument(
        "--follow",
        action="store_true",
        help="keep the time since then in the mirror until this command is ended",
    )
    sync.add_argument(
        "--sandbox", action="store_true", help="of made-up sessions, forgotten at the end"
    )
    sync.add_argument(
        "--status", action="store_true", help="only show what the mirror holds; needs no token"
    )
    sync.add_argument("--json", action="store_true", help="with --status: as JSON on stdout")
    sync.set_defaults(command=_sync)


def add_purge_command(subparsers: Any) -> None:
    """Add the command `purge`."""
    purge = add_command(
        subparsers,
        "purge",
        "empty the mirror, by age or entirely",
        "Deletes sessions from the local mirror, of every account in it. The account at Plivo "
        "stays as it is, and later questions fetch what they need again.",
        ("verify-mcp purge --older-than 30d", "verify-mcp purge --all"),
    )
    age = purge.add_mutually_exclusive_group(required=True)
    age.add_argument("--older-than", metavar="TIME", help="delete older ones: 30d, 2026-11-01")
    age.add_argument("--all", action="store_true", help="delete everything")
    purge.set_defaults(command=_purge)


def _sync(options: argparse.Namespace) -> int:
    from verify_mcp.cli import following, mirror_commands

    period = options.since, options.until, options.subaccount
    if options.status:
        command = mirror_commands.status_command(options.subaccount, as_json=options.json)
    elif options.follow:
        command = following.follow_command(*period)
    else:
        command = mirror_commands.sync_command(*period)
    if options.sandbox:
        settings, app = sandbox()
        return mirror_commands.run(settings, command, app=app)
    settings = read_settings(os.environ)
    if options.status:
        settings = mirror_commands.with_account_id(settings, os.environ)
    return mirror_commands.run(settings, command)


def _purge(options: argparse.Namespace) -> int:
    from verify_mcp.cli import mirror_commands

    settings = mirror_commands.without_account(read_settings(os.environ))
    return mirror_commands.run(settings, mirror_commands.purge_command(options.older_than))
