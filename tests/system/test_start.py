"""What importing the server costs, and what it leaves for later."""

from __future__ import annotations

import json
import subprocess
import sys

LATER = (
    "httpx", "phonenumbers", "rich", "filelock", "keyring", "verify_mcp.summaries.summarizer",
)  # fmt: skip
SCRIPT = f"""
import json, sys, verify_mcp.context, verify_mcp.server.server, verify_mcp.server.stdio
print(json.dumps([name for name in {LATER!r} if name in sys.modules]))
"""


def test_importing_the_server_leaves_the_heavy_libraries_for_their_first_use() -> None:
    child = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert json.loads(child.stdout) == []
