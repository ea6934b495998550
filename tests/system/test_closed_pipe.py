"""A command whose reader has gone (`verify-mcp … | head`) ends without a word."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.stdio import environment
from verify_mcp.cli.exit_codes import ExitCode

COMMANDS = (
    "completion bash",
    "demo",
    "doctor --offline",
    "export --sandbox --since 24h -o -",
    "install cursor --sandbox --print",
    "report --sandbox --since 24h -o -",
    "sync --status",
    "watch --sandbox",
)


def run_into_closed_pipe(line: str, home: str) -> tuple[int, str]:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "verify_mcp", *line.split()],
            env=environment(HOME=home, XDG_STATE_HOME=home), stdin=subprocess.DEVNULL,
            stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    finally:
        os.close(writer)
    return ended.returncode, ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="closed pipes are reported otherwise there")
@pytest.mark.parametrize("line", COMMANDS)
def test_a_closed_pipe_ends_a_command_quietly(line: str, tmp_path: os.PathLike[str]) -> None:
    code, err = run_into_closed_pipe(line, str(tmp_path))
    assert code == ExitCode.PIPE_CLOSED
    noted = [text for text in err.splitlines() if not text.startswith(("1. Create", "2. "))]
    assert [text for text in noted if text] == []
