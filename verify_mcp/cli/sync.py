"""The commands `sync` and `purge`."""

import argparse
import os
from typing import Any


def add_sync_command(subparsers: Any) -> None:
    """Add the command `sync`."""
    sync = subparsers.add_parser("sync", help="fetch what the mirror lacks of a period")
    sync.add_argument("--since", default="24h", help="start: 24h, 7d, 2026-11-01 (default 24h)")
    sync.add_argument("--until", help="end (default now)")
    sync.add_argument("--subaccount", default="", help="auth id (SA…) of a subaccount")
    sync.add_argument("--status", action="store_true", help="only show what is held")
    sync.set_defaults(command=_sync)


def add_purge_command(subparsers: Any) -> None:
    """Add the command `purge`."""
    purge = subparsers.add_parser("purge", help="empty the mirror, by age or entirely")
    age = purge.add_mutually_exclusive_group(required=True)
    age.add_argument("--older-than", help="forget what is older: 30d, 2026-11-01")
    age.add_argument("--all", action="store_true", help="forget everything")
    purge.set_defaults(command=_purge)


def _sync(options: argparse.Namespace) -> int:
    from verify_mcp.cli import mirror_commands

    command = (
        mirror_commands.status_command(options.subaccount)
        if options.status
        else mirror_commands.sync_command(options.since, options.until, options.subaccount)
    )
    return mirror_commands.run(os.environ, command)


def _purge(options: argparse.Namespace) -> int:
    from verify_mcp.cli import mirror_commands

    return mirror_commands.run(os.environ, mirror_commands.purge_command(options.older_than))
