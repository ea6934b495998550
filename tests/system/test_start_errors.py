"""A server that cannot start ends with one line that says what to mend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.databases import sqlite_url
from tests.support.stdio import environment
from verify_mcp.mirror.masking import KEY_BYTES


def test_r73_a_server_whose_confinement_was_never_filled_in_does_not_start() -> None:
    unfilled = {"VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM": "${CLAIM}", "VERIFY_MCP_RECIPIENTS": "full"}
    command = [sys.executable, "-m", "verify_mcp", "serve"]
    ended = subprocess.run(
        command, env=environment(**unfilled), input=b"", capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    (line,) = ended.stderr.decode().splitlines()
    assert line.startswith(
        "verify-mcp: VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM still holds a placeholder"
    )


@pytest.mark.parametrize("command", [("serve",), ("serve", "--http", "--port", "0")], ids=len)
@pytest.mark.parametrize("state", ["short", "folder", "public"])
def test_r79_a_broken_key_file_is_one_line_and_no_traceback(
    tmp_path: Path, command: tuple[str, ...], state: str
) -> None:
    key = tmp_path / "data" / "recipients.key"
    key.parent.mkdir(mode=0o700)
    if state == "folder":
        key.mkdir()
    else:
        key.write_bytes(b"x" * (KEY_BYTES if state == "public" else 5))
        key.chmod(0o644 if state == "public" else 0o600)
    more = {
        "VERIFY_MCP_RECIPIENTS": "masked",
        "VERIFY_MCP_DATABASE_URL": sqlite_url(tmp_path / "data" / "db"),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "verify_mcp", *command],
        env=environment(**more), input=b"", capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    errors = ended.stderr.decode().splitlines()
    assert ended.returncode == 2
    assert errors[-1].startswith(f"verify-mcp: The key in {key} is not a private file")
    assert not [line for line in errors if "Traceback" in line]
