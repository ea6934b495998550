"""The command `emulator`."""

import argparse
from collections.abc import Sequence
from typing import Any

from verify_mcp.cli.parsers import add_command

_SUMMARY = "run the pretend Verify API on this machine"


def add_emulator_command(subparsers: Any, arguments: Sequence[str]) -> None:
    """Add the command `emulator`; its options only when the arguments name it.

    The options come from the emulator, whose import would slow the start of a server.
    """
    if "emulator" in arguments:
        from verify_mcp.emulator import cli

        emulator = add_command(subparsers, "emulator", _SUMMARY, cli.DESCRIPTION, cli.EXAMPLES)
        cli.add_arguments(emulator)
    else:
        emulator = subparsers.add_parser("emulator", help=_SUMMARY)
    emulator.set_defaults(command=_emulator)


def _emulator(options: argparse.Namespace) -> int:
    from verify_mcp.emulator.cli import from_arguments
    from verify_mcp.emulator.serve import run

    run(from_arguments(options), options.host, options.port)
    return 0
