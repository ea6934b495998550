"""The command `export`."""

import argparse
import os
from pathlib import Path
from typing import Any

from verify_mcp.cli.parsers import add_command, group_fields, minutes
from verify_mcp.cli.sandbox import sandbox
from verify_mcp.settings import read_settings

CONTENTS = ("sessions", "attempts", "groups")
FILTERS = {
    "status": "in-progress, verified or expired",
    "app_uuid": "UUID of a Verify application",
    "recipient": "phone number with country code, or its pseudonym",
    "country": "ISO 3166 code, or several with commas",
    "channel": "channel of the last attempt, or several with commas",
    "subaccount": "auth id (SA…) of a subaccount",
}
"""Arguments of `list_verify_sessions` that choose what is exported."""


def add_export_command(subparsers: Any) -> None:
    """Add the command `export`."""
    export = add_command(
        subparsers,
        "export",
        "write a period's sessions, attempts or groups to a file",
        "Writes a period's sessions, attempts or groups as CSV, JSON Lines or Parquet. It fetches "
        "what is missing as long as --within allows, and says which spans the file lacks. Only you "
        "can read the file. docs/export.md describes the formats.",
        (
            "verify-mcp export --since 30d -o sessions.csv",
            "verify-mcp export attempts --since 7d --status expired -o attempts.parquet",
            "verify-mcp export groups --since 30d --by country,channel --format jsonl -o -",
        ),
    )
    export.add_argument(
        "content",
        nargs="?",
        choices=CONTENTS,
        default="sessions",
        help="a row for each session, attempt or group (default %(default)s)",
    )
    export.add_argument(
        "--since", default="7d", metavar="TIME", help="start: 24h, 7d, 2026-11-01 (default 7d)"
    )
    export.add_argument("--until", metavar="TIME", help="end, in the same forms (default now)")
    export.add_argument(
        "--by",
        type=group_fields,
        default=("day",),
        metavar="FIELD[,FIELD]",
        help="fields of groups (default day)",
    )
    for name, meaning in FILTERS.items():
        export.add_argument(f"--{name.replace('_', '-')}", dest=name, default="", help=meaning)
    export.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="file, or - for stdout (default verify-CONTENT.FORMAT)",
    )
    export.add_argument(
        "--format",
        choices=("csv", "jsonl", "parquet"),
        help="default: by the file's name, else csv",
    )
    export.add_argument("--force", action="store_true", help="replace the file if it is there")
    export.add_argument(
        "--within",
        type=minutes,
        default=30.0,
        metavar="MINUTES",
        help="fetch what is missing so long, 0 for not at all (default %(default)g)",
    )
    export.add_argument("--sandbox", action="store_true", help="of made-up sessions")
    export.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> int:
    from verify_mcp.cli import export_file

    export_options = export_file.ExportOptions(
        options.content,
        options.since,
        options.until,
        *_path_and_format(options),
        by=",".join(options.by),
        filters=tuple((name, getattr(options, name)) for name in FILTERS),
        force=options.force,
        within=60 * options.within,
    )
    if not options.sandbox:
        return export_file.run(export_options, read_settings(os.environ))
    settings, app = sandbox(read_settings(os.environ))
    return export_file.run(export_options, settings, app=app)


def _path_and_format(options: argparse.Namespace) -> tuple[Path | None, str]:
    """The file, None for the standard output, and its format."""
    from verify_mcp.cli.export_writers import format_of

    if options.output == "-":
        return None, format_of(None, options.format)
    if options.output:
        return Path(options.output), format_of(Path(options.output), options.format)
    format_ = format_of(None, options.format)
    return Path(f"verify-{options.content}.{format_}"), format_
