"""A server that cannot start ends with one line that says what to mend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.databases import sqlite_url
from tests.support.key_files import break_key
from tests.support.stdio import environment
from verify_mcp.cli.exit_codes import ExitCode


def test_r73_a_server_whose_confinement_was_never_filled_in_does_not_start() -> None:
    unfilled = {"VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM": "${CLAIM}", "VERIFY_MCP_RECIPIENTS": "full"}
    command = [sys.executable, "-m", "verify_mcp", "serve"]
    ended = subprocess.run(
        command, env=environment(**unfilled), input=b"", capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == ExitCode.CONFIGURE
    (line,) = ended.stderr.decode().splitlines()
    assert line.startswith(
        "verify-mcp: VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM still holds a placeholder"
    )


@pytest.mark.parametrize(
    ("command", "state"),
    [(("serve",), "short"), (("serve", "--http", "--port", "0"), "public")],
    ids=["stdio", "http"],
)
def test_r79_a_broken_key_file_is_one_line_and_no_traceback(
    tmp_path: Path, command: tuple[str, ...], state: str
) -> None:
    key = break_key(tmp_path / "data", state)
    more = {
        "VERIFY_MCP_RECIPIENTS": "masked",
        "VERIFY_MCP_DATABASE_URL": sqlite_url(tmp_path / "data" / "db"),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "verify_mcp", *command],
        env=environment(**more), input=b"", capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    errors = ended.stderr.decode().splitlines()
    assert ended.returncode == ExitCode.CONFIGURE
    assert errors[-1].startswith(f"verify-mcp: The key in {key} is not a private file")
    assert not [line for line in errors if "Traceback" in line]
