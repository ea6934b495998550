"""The plugin in real clients, each in a home of its own: their validators, and the connection.

Usage: python -m tests.system.interop.plugins VERIFY_MCP NODE_MODULES
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.system.interop.clients import ATTEMPTS, run

ROOT = Path(__file__).parents[3]
PLUGIN = str(ROOT / "packaging" / "plugin")
OFFERED = "verify-mcp@verify-mcp"
CREDENTIALS = {"PLIVO_AUTH_ID": "MAXXXXXXXXXXXXXXXXXX", "PLIVO_AUTH_TOKEN": "made-up"}


def check_claude_code(modules: Path, home: Path, path: str) -> str:
    program = str(modules / "@anthropic-ai/claude-code-linux-x64/claude")
    run([program, "plugin", "validate", PLUGIN, "--strict"], home)
    run([program, "plugin", "validate", str(ROOT)], home)
    run([program, "plugin", "marketplace", "add", str(ROOT)], home)
    run([program, "plugin", "install", OFFERED], home)
    expect_connection([program, "mcp", "list"], home, path)
    return "claude-code: valid, installed from the marketplace, connected"


def check_codex(modules: Path, home: Path, path: str) -> str:
    program = str(modules / ".bin/codex")
    run([program, "plugin", "marketplace", "add", str(ROOT)], home)
    run([program, "plugin", "add", OFFERED], home)
    listed = run([program, "mcp", "list"], home, PATH=path)
    if not re.search(
        r"^verify\s+verify-mcp\s+serve\s+PLIVO_AUTH_ID=.*enabled", listed, re.MULTILINE
    ):
        sys.exit(f"codex does not list the plugin's server:\n{listed}")
    return "codex: installed from the marketplace, its server listed with its variables"


def check_gemini(modules: Path, home: Path, path: str) -> str:
    program = str(modules / ".bin/gemini")
    run([program, "extensions", "validate", PLUGIN], home)
    run([program, "extensions", "install", PLUGIN, "--consent", "--skip-settings"], home)
    if "otp-sessions [Enabled]" not in (listed := run([program, "skills", "list"], home)):
        sys.exit(f"gemini does not list the skill:\n{listed}")
    expect_connection([program, "mcp", "list"], home, path)
    return "gemini: valid, installed, its skill listed, connected"


def expect_connection(command: list[str], home: Path, path: str) -> None:
    listed = ""
    for _ in range(ATTEMPTS):
        listed = run(command, home, PATH=path, **CREDENTIALS)
        if re.search(r"verify-mcp serve.*\bconnected\b", listed, re.IGNORECASE):
            return
    sys.exit(f"{Path(command[0]).name} does not reach the plugin's server:\n{listed}")


def main(verify_mcp: str, modules: str) -> None:
    """Try every client, one after the other."""
    path = os.pathsep.join([str(Path(verify_mcp).parent), os.environ["PATH"]])
    with TemporaryDirectory() as folder:
        for check in (check_claude_code, check_codex, check_gemini):
            home = Path(folder) / check.__name__
            sys.stdout.write(f"{check(Path(modules), home, path)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
