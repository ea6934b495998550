"""The command `watch`."""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from verify_mcp.cli.parsers import add_command
from verify_mcp.cli.sandbox import sandbox
from verify_mcp.settings import read_settings

_RULES = "conversion, delivery, pumping, spend, volume"


def add_watch_command(subparsers: Any) -> None:
    """Add the command `watch`."""
    watch = add_command(
        subparsers,
        "watch",
        "report what stands out: each event's begin and end, once",
        "Looks for fallen conversion, failing delivery, SMS pumping, unusual spend and an unusual "
        "number of sessions, compared with the weeks before. Run it from cron, or as a loop with "
        "--every. Each event is reported once when it begins and once when it is over, on stdout "
        "and to the webhook or command. Run `verify-mcp sync --since 29d` first.",
        (
            "verify-mcp watch",
            "verify-mcp watch --every 15m --webhook @/run/secrets/webhook",
            "verify-mcp watch --rules delivery,pumping --exec '/usr/local/bin/page-me'",
        ),
    )
    watch.add_argument(
        "--rules", default="", metavar="RULE[,RULE]", help=f"of {_RULES} (default all)"
    )
    watch.add_argument(
        "--every", metavar="TIME", help="look again after so long, e.g. 15m (default: look once)"
    )
    watch.add_argument(
        "--window", default="24h", metavar="TIME", help="how far to look back (default 24h)"
    )
    watch.add_argument(
        "--baseline", default="28d", metavar="TIME", help="what to compare with (default 28d)"
    )
    watch.add_argument(
        "--webhook",
        metavar="URL",
        help="post each change here: Slack, Teams or any JSON receiver; @FILE holds the address",
    )
    watch.add_argument("--exec", metavar="CMD", help="run this with each change as JSON on stdin")
    watch.add_argument("--subaccount", default="", metavar="ID", help="auth id (SA…) of one")
    watch.add_argument("--state", type=Path, metavar="FILE", help="where events are remembered")
    watch.add_argument("--sandbox", action="store_true", help="of made-up sessions")
    watch.set_defaults(command=_watch)


def _watch(options: argparse.Namespace) -> int:
    from verify_mcp.cli import watch_loop

    arguments = watch_loop.WatchArguments(
        options.rules,
        options.every,
        options.window,
        options.baseline,
        options.webhook,
        options.exec,
        options.subaccount,
        options.state,
    )
    if not options.sandbox:
        return watch_loop.run(arguments, read_settings(os.environ))
    settings, app = sandbox(read_settings(os.environ))
    with TemporaryDirectory() as folder:  # the next made-up account has nothing of this one
        state = options.state or Path(folder) / "watch.json"
        return watch_loop.run(replace(arguments, state=state), settings, app=app)
