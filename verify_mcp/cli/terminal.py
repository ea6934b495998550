"""Output of the commands."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper


def replace_unencodable() -> None:
    """Let a terminal without Unicode show a `?` rather than stop the command."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def print_err(text: str) -> None:
    """Print a line on stderr."""
    sys.stderr.write(text + "\n")


@contextmanager
def flushed_output() -> Iterator[None]:
    """Flush stdout at the end, so that what cannot be written is an error here, not at the exit."""
    try:
        yield
    finally:
        if sys.stdout and not sys.stdout.closed:
            sys.stdout.flush()


def discard_output() -> None:
    """Send what is left in the buffers nowhere: whoever read it has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
