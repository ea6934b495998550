"""A command on a real terminal: colours unless NO_COLOR is set, and no line wider than it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.support.stdio import environment

WIDTH = 48
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals are POSIX's here")


def show_on_terminal(line: str, **variables: str) -> str:
    """What a command writes on a terminal of so many columns."""
    import pty

    surroundings = {**environment(), "TERM": "xterm", "COLUMNS": str(WIDTH), **variables}
    if "NO_COLOR" not in variables:
        surroundings.pop("NO_COLOR", None)
    terminal, inner = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "verify_mcp", *line.split()],
        env=surroundings, stdin=subprocess.DEVNULL, stdout=inner, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.close(inner)
        parts = []
        try:
            while part := os.read(terminal, 4096):
                parts.append(part)
        except OSError:  # Linux ends a terminal so when its last writer has gone
            pass
        process.communicate(timeout=60)
    os.close(terminal)
    return b"".join(parts).decode()


def test_a_narrow_terminal_gets_narrow_lines_in_colours() -> None:
    shown = show_on_terminal("doctor --offline")
    assert ESCAPE.search(shown)
    checks = ESCAPE.sub("", shown).partition("For a client's configuration")[0]
    assert max(len(line) for line in checks.splitlines()) <= WIDTH


def test_no_color_is_honoured_on_a_terminal() -> None:
    assert "\x1b" not in show_on_terminal("doctor --offline", NO_COLOR="1")
