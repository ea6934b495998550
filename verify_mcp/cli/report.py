"""The command `report`."""

import argparse
import os
from pathlib import Path
from typing import Any

from verify_mcp.cli.parsers import add_command, group_fields, positive_minutes
from verify_mcp.cli.sandbox import sandbox
from verify_mcp.settings import read_settings


def add_report_command(subparsers: Any) -> None:
    """Add the command `report`."""
    report = add_command(
        subparsers,
        "report",
        "write a period's figures as a page with charts",
        "Writes one HTML page about a period. It fetches until the figures are exact, as long as "
        "--within allows; if they cannot be exact by then, the page has estimates with their "
        "intervals and says what is not covered. Exact figures are compared with the period "
        "before, which is fetched if --within leaves the time, and the page shows what stands out. "
        "Only you can read the file.",
        (
            "verify-mcp report --since 7d -o report.html",
            "verify-mcp report --since 90d --within 60",
            "verify-mcp report --since 30d --group-by country,channel --group-by app -o -",
        ),
    )
    report.add_argument(
        "--since", default="7d", metavar="TIME", help="start: 24h, 7d, 2026-11-01 (default 7d)"
    )
    report.add_argument("--until", metavar="TIME", help="end, in the same forms (default now)")
    report.add_argument(
        "--group-by",
        action="append",
        type=group_fields,
        default=[],
        metavar="FIELD[,FIELD]",
        help="a chart by these; may be given again (default: day or hour; country; attempt_status)",
    )
    report.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("verify-report.html"),
        metavar="FILE",
        help="the page; - is stdout (default %(default)s)",
    )
    report.add_argument("--force", action="store_true", help="replace the file if it is there")
    report.add_argument(
        "--within",
        type=positive_minutes,
        default=30.0,
        metavar="MINUTES",
        help="how long to go on until exact (default %(default)g)",
    )
    report.add_argument("--sandbox", action="store_true", help="of made-up sessions")
    report.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    from verify_mcp.cli import report_file

    report_options = report_file.ReportOptions(
        options.since,
        options.until,
        tuple(options.group_by),
        options.output,
        force=options.force,
        within=60 * options.within,
    )
    if not options.sandbox:
        return report_file.run(report_options, read_settings(os.environ))
    settings, app = sandbox(read_settings(os.environ))
    return report_file.run(report_options, settings, app=app)
