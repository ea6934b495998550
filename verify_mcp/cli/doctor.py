"""The command `doctor`: one line for each check of this machine, and what to do.

It asks the API once at most. The token is never printed.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify_mcp.cli.parsers import add_command
from verify_mcp.cli.terminal import replace_unencodable

if TYPE_CHECKING:
    from verify_mcp.cli.checks import CheckResult

_MIN_MESSAGE = 30
"""Columns beside level and subject that a message needs; with fewer it goes below them."""


def add_doctor_command(subparsers: Any) -> None:
    """Add the command `doctor`."""
    doctor = add_command(
        subparsers,
        "doctor",
        "check credentials, network and settings",
        "Checks this machine and its settings, one line for each check with what to do, and asks "
        "the API once. The token is never printed. Exit code 1 when something is to put right.",
        ("verify-mcp doctor", "verify-mcp doctor --offline", "verify-mcp doctor --json"),
    )
    doctor.add_argument("--offline", action="store_true", help="check without asking the API")
    doctor.add_argument("--json", action="store_true", help="the results as JSON")
    doctor.set_defaults(command=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    replace_unencodable()
    return run(os.environ, offline=options.offline, as_json=options.json)


def run(
    environ: Mapping[str, str],
    *,
    offline: bool = False,
    as_json: bool = False,
    app: Callable[..., Any] | None = None,
) -> int:
    """Print the result of every check; 0 when none is a problem, else 1.

    `app` is an ASGI application that answers in process instead of the API.
    """
    from verify_mcp.cli import checks

    results = _results(environ, offline=offline, app=app)
    if as_json:
        sys.stdout.write(_as_json(results) + "\n")
    else:
        sys.stdout.write(_results_text(results))
        sys.stdout.write(client_configuration(_command()) + "\n")
    return int(any(result.level == checks.PROBLEM for result in results))


def _results(
    environ: Mapping[str, str], *, offline: bool, app: Callable[..., Any] | None
) -> list["CheckResult"]:
    from verify_mcp.cli import checks, network_checks

    results = [
        *checks.this_package(),
        *checks.account(environ),
        *checks.settings_variables(environ),
        *network_checks.network(environ),
    ]
    probe = None if offline else network_checks.probe_api(environ, app)
    return [
        *results,
        network_checks.connection(probe, offline=offline),
        network_checks.clock(probe, datetime.now(UTC)),
        *checks.database(environ),
    ]


def _as_json(results: Sequence["CheckResult"]) -> str:
    """The results for a program, with the command that a client's configuration needs."""
    command, *arguments = _command()
    return json.dumps(
        {
            "verdict": _verdict(results),
            "checks": [asdict(result) for result in results],
            "client": {"command": command, "args": arguments},
        }
    )


def client_configuration(command: Sequence[str]) -> str:
    """What to write in a client's configuration to start this server."""
    first, *rest = command
    args = f', "args": {json.dumps(rest)}' if rest else ""
    return (
        f'For a client\'s configuration:\n  "command": {json.dumps(first)}{args}\n'
        "A client passes on its own environment, not this shell's: put the variables into its "
        "`env`."
    )


def _command() -> list[str]:
    beside = shutil.which("verify-mcp", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("verify-mcp")
    return [str(Path(found).absolute())] if found else [sys.executable, "-m", "verify_mcp"]


def _results_text(results: Sequence["CheckResult"]) -> str:
    """The results as a table that fits the terminal, and the verdict."""
    from verify_mcp.cli.layout import paint, terminal_width, wrap

    width = terminal_width()
    levels = max(len(result.level) for result in results) + 2
    subjects = max(len(result.subject) for result in results) + 2
    if width - levels - subjects < _MIN_MESSAGE:
        subjects = 0  # the message goes below its subject
    indent = " " * (levels + subjects)
    lines: list[str] = []
    for result in results:
        level = paint(result.level, result.level) + " " * (levels - len(result.level))
        message = wrap(result.message, width, indent)
        subject = result.subject.ljust(subjects) if subjects else f"{result.subject}\n{indent}"
        lines.append(level + subject + message.removeprefix(indent))
        if result.remedy:
            style = "dim" if result.level == "ok" else "bold"
            lines.append(paint(wrap(result.remedy, width, indent), style))
    verdict = paint(wrap(_verdict(results), width), "bold")
    return "\n".join([*lines, "", verdict, "", ""])


def _verdict(results: Sequence["CheckResult"]) -> str:
    """What all results come to; it claims nothing of what was not checked."""
    from verify_mcp.cli.checks import PROBLEM, UNCHECKED, WARNING

    levels = [result.level for result in results]
    problems, warnings = levels.count(PROBLEM), levels.count(WARNING)
    unchecked = [result.subject for result in results if result.level == UNCHECKED]
    rest = f" Not checked: {', '.join(unchecked)}." if unchecked else ""
    if problems:
        return ("One thing to put right." if problems == 1 else f"{problems} to put right.") + rest
    if warnings:
        return f"No problem found; the warnings are worth a look.{rest}"
    return f"No problem found in what was checked.{rest}" if rest else "All is well."
