"""`verify-mcp install` and `uninstall` as processes: what they install starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mcp import Client as McpClient
from mcp import StdioServerParameters, stdio_client

from verify_mcp.install.clients import CLIENTS


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: text for name, text in os.environ.items() if name[:4] not in ("PLIV", "XDG_")}
    environ["HOME"] = str(home)
    return subprocess.run(
        [sys.executable, "-m", "verify_mcp", *arguments],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.anyio
async def test_what_is_installed_starts_and_what_is_printed_is_only_the_snippet(
    tmp_path: Path,
) -> None:
    printed = command(tmp_path, "install", "gemini", "--print")
    assert printed.returncode == 0
    entry = json.loads(printed.stdout)["mcpServers"]["verify"]
    assert entry["env"]["PLIVO_AUTH_ID"] == "<your PLIVO_AUTH_ID>"
    assert files_in(tmp_path) == []
    first, *_, token, last = printed.stderr.strip().splitlines()
    assert first.startswith(f"1. Create {tmp_path}/.gemini/settings.json, and put this into it")
    assert token.startswith(f"2. Write the auth token into {tmp_path}/.config/verify-mcp/token")
    assert last.startswith("3. Start a new session and trust its folder when asked")

    done = command(tmp_path, "install", "gemini", "--sandbox", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    settings = json.loads((tmp_path / ".gemini" / "settings.json").read_text())
    entry = settings["mcpServers"]["verify-sandbox"]
    assert Path(entry["command"]).is_absolute()
    server = StdioServerParameters(command=entry["command"], args=entry["args"])
    async with McpClient(stdio_client(server)) as client:
        offered = await client.list_tools()
    assert "list_verify_sessions" in [tool.name for tool in offered.tools]

    undone = command(tmp_path, "uninstall", "gemini", "--sandbox", "--yes")
    assert undone.returncode == 0
    assert [path.suffix for path in files_in(tmp_path)] == [".bak"]


@pytest.mark.anyio
async def test_the_sandbox_keeps_the_settings_that_are_not_of_an_account(tmp_path: Path) -> None:
    settings = {"VERIFY_MCP_RECIPIENTS": "masked", "PLIVO_AUTH_ID": "no id", "HOME": str(tmp_path)}
    arguments = ["-m", "verify_mcp", "serve", "--sandbox"]
    server = StdioServerParameters(command=sys.executable, args=arguments, env=settings)
    async with McpClient(stdio_client(server)) as client:
        answer = await client.call_tool("list_verify_sessions", {"limit": 1})
        status = await client.call_tool("get_verify_status", {"about": "quota"})
    assert answer.structured_content is not None
    assert status.structured_content is not None
    assert status.structured_content["problems"] == []
    (row,) = answer.structured_content["rows"]
    assert "…" in row[2]


def test_without_a_terminal_nothing_is_changed_unless_yes_is_given(tmp_path: Path) -> None:
    refused = command(tmp_path, "install", "cursor", "--sandbox")
    assert refused.returncode == 1
    assert refused.stdout.endswith(
        "Nothing was changed: without a terminal nobody can be asked. Give --yes to make this "
        "change; `verify-mcp install CLIENT --print` writes nothing.\n"
    )
    assert files_in(tmp_path) == []
    command(tmp_path, "install", "cursor", "--sandbox", "--yes")
    before = {path: path.read_bytes() for path in files_in(tmp_path)}
    refused = command(tmp_path, "uninstall", "cursor", "--sandbox")
    assert (refused.returncode, "--yes" in refused.stdout) == (1, True)
    assert {path: path.read_bytes() for path in files_in(tmp_path)} == before


def test_an_unknown_client_is_refused_with_the_list(tmp_path: Path) -> None:
    refused = command(tmp_path, "install", "notepad")
    assert refused.returncode == 2
    for client in CLIENTS:
        assert client.name in refused.stderr
