"""The commands `sync` and `purge`."""

import argparse
import os
from typing import Any

from verify_mcp.cli.parsers import add_command


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
    sync.add_argument("--status", action="store_true", help="only show what the mirror holds")
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

    if options.follow and not options.status:
        follow = following.follow_command(options.since, options.until, options.subaccount)
        return mirror_commands.run(os.environ, follow)
    command = (
        mirror_commands.status_command(options.subaccount, as_json=options.json)
        if options.status
        else mirror_commands.sync_command(options.since, options.until, options.subaccount)
    )
    return mirror_commands.run(os.environ, command)


def _purge(options: argparse.Namespace) -> int:
    from verify_mcp.cli import mirror_commands

    return mirror_commands.run(os.environ, mirror_commands.purge_command(options.older_than))
