"""The command `demo`: four questions that the real server answers.

The pretend Verify API listens on this machine, the server runs as a child process over stdio, and
an MCP client calls its tools as a desktop client does, without an account or a network.
"""

import argparse
import sys
import tempfile
from time import monotonic
from typing import Any, TextIO

import anyio

from verify_mcp.cli.parsers import add_command
from verify_mcp.cli.terminal import replace_unencodable

TIMEOUT = 60.0
"""Seconds that the whole demo may take, on a machine far slower than any we know."""
_MAX_WIDTH = 100


def add_demo_command(subparsers: Any) -> None:
    """Add the command `demo`."""
    demo = add_command(
        subparsers,
        "demo",
        "show four questions and their answers",
        "Starts a pretend Verify API and the real server on this machine, asks four questions as "
        "an MCP client does, and prints each call with its answer. No account, no network.",
        ("verify-mcp demo",),
    )
    demo.set_defaults(command=_demo)


def _demo(_options: argparse.Namespace) -> int:
    replace_unencodable()
    return run()


def run() -> int:
    """Show the demo; the exit code (0, or 1 when something failed, after saying what)."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            anyio.run(show, log)
        except Exception as error:  # noqa: BLE001 - whatever it was, a newcomer gets a sentence
            cause = first_cause(error)
            if isinstance(cause, BrokenPipeError):
                raise cause from None
            sys.stderr.write(f"verify-mcp demo: {failure(cause, log)}\n")
            return 1
    return 0


def first_cause(error: BaseException) -> BaseException:
    """The first error of a group, however deep; another error as it is."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def failure(error: BaseException, log: TextIO) -> str:
    """What went wrong, in one sentence, with the last line of the server's log."""
    from verify_mcp.cli.demo_steps import DemoFailed

    error = first_cause(error)
    if isinstance(error, TimeoutError):
        problem = f"it was not finished after {TIMEOUT:g} s."
    elif isinstance(error, DemoFailed):
        problem = str(error)
    else:
        problem = f"{type(error).__name__}: {error}".rstrip(": .") + "."
    log.seek(0)
    last = [line for line in log.read().splitlines() if line.strip()][-1:]
    last_words = f" The server's last words: {last[0].strip()}" if last else ""
    remedy = "`verify-mcp doctor --offline` checks this machine."
    return f"the demo stopped: {problem}{last_words} {remedy}"


async def show(log: TextIO) -> None:
    """Answer every question and print the calls. Raises DemoFailed, or what stopped the client."""
    from verify_mcp.cli.demo_client import answer_step, connect_client
    from verify_mcp.cli.demo_output import closing, opening, step_text
    from verify_mcp.cli.demo_steps import ToolCall, steps
    from verify_mcp.cli.layout import terminal_width
    from verify_mcp.emulator import Emulator, serve

    started, width = monotonic(), terminal_width(_MAX_WIDTH)
    emulator = Emulator()
    questions = steps()
    sys.stdout.write(opening(width))
    calls: list[ToolCall] = []
    with anyio.fail_after(TIMEOUT):
        async with serve(emulator) as url, connect_client(url, log) as client:
            for number, step in enumerate(questions, 1):
                answered = await answer_step(client, emulator, step)
                place = f"{number} of {len(questions)}"
                sys.stdout.write(step_text(place, step, answered, width))
                calls += answered
    sys.stdout.write(closing(calls, len(questions), monotonic() - started, width))
