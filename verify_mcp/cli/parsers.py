"""The parser of each command: its help has a description and examples."""

import argparse
import textwrap
from collections.abc import Sequence
from typing import Any

_WIDTH = 78
MAX_FIELDS = 2
"""Fields that one table can be grouped by."""


def add_command(
    subparsers: Any, name: str, summary: str, description: str, examples: Sequence[str]
) -> argparse.ArgumentParser:
    """Add a command: its line in the list of commands, its description, and its examples.

    An example is a command line, with a comment after `#` where it needs one.
    """
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, _WIDTH),
        epilog="\n".join(["examples:", *(f"  {example}" for example in examples)]),
        formatter_class=CommandHelp,
    )
    return parser


class CommandHelp(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of descriptions and examples, and leaves room for long options."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


def positive_minutes(text: str) -> float:
    """A number of minutes above zero, for `type=`."""
    number = minutes(text)
    if not number:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes, e.g. 30")
    return number


def minutes(text: str) -> float:
    """A number of minutes, or zero, for `type=`."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes, e.g. 30")
    return number


def group_fields(text: str) -> tuple[str, ...]:
    """The fields to group by, for `type=`: at most two, separated by a comma."""
    from verify_mcp.domain.groups import GROUPS

    fields = tuple(text.replace(" ", "").split(","))
    wrong = next((field for field in fields if field not in GROUPS), "")
    if wrong or len(fields) > MAX_FIELDS:
        problem = f"there is no field {wrong!r}" if wrong else f"{text!r} has too many fields"
        raise argparse.ArgumentTypeError(
            f"{problem}. Fields: {', '.join(GROUPS)}; at most two together, e.g. country,channel"
        )
    return fields


def whole_number(minimum: int, maximum: int) -> Any:
    """A parser of whole numbers in a range, for `type=`."""

    def parse(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() else minimum - 1
        if not minimum <= number <= maximum:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number from {minimum} to {maximum}"
            )
        return number

    return parse
