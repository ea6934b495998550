"""The command `report`."""

import argparse
import os
from pathlib import Path
from typing import Any

from verify_mcp.cli.sandbox import sandbox
from verify_mcp.settings import read_settings


def add_report_command(subparsers: Any) -> None:
    """Add the command `report`."""
    report = subparsers.add_parser("report", help="write a period's figures as a page with charts")
    report.add_argument("--since", default="7d", help="start: 24h, 7d, 2026-11-01 (default 7d)")
    report.add_argument("--until", help="end (default now)")
    report.add_argument(
        "--group-by",
        action="append",
        default=[],
        metavar="FIELD[,FIELD]",
        help="a chart by these; may be given again (default: day or hour; country; attempt_status)",
    )
    report.add_argument(
        "-o", "--output", type=Path, default=Path("verify-report.html"), help="default %(default)s"
    )
    report.add_argument("--force", action="store_true", help="replace the file if it is there")
    report.add_argument(
        "--within", type=float, default=30.0, metavar="MINUTES", help="default %(default)g"
    )
    report.add_argument("--sandbox", action="store_true", help="of made-up sessions")
    report.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    from verify_mcp.cli import report_file

    report_options = report_file.ReportOptions(
        options.since,
        options.until,
        tuple(tuple(groups.split(",")) for groups in options.group_by),
        options.output,
        force=options.force,
        within=60 * options.within,
    )
    if not options.sandbox:
        return report_file.run(report_options, read_settings(os.environ))
    settings, app = sandbox()
    return report_file.run(report_options, settings, app=app)
