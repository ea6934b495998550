"""Output of the commands."""

import sys
from io import TextIOWrapper


def replace_unencodable() -> None:
    """Let a terminal without Unicode show a `?` rather than stop the command."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def print_err(text: str) -> None:
    """Print a line on stderr."""
    sys.stderr.write(text + "\n")
