"""The emulator in a process of its own: what importing it costs, and how `run` ends."""

from __future__ import annotations

import signal
import subprocess
import sys

import httpx

from verify_mcp.emulator import (
    ASHA_SESSION,
    SANDBOX_AUTH_ID,
    SANDBOX_AUTH_TOKEN,
    documented_payload,
)

PATH = f"/v1/Account/{SANDBOX_AUTH_ID}/Verify/Session/"
AUTH = (SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN)


def test_importing_it_brings_in_nothing_heavy_and_nothing_of_ours() -> None:
    heavy = "asyncio", "httpx", "mcp", "uvicorn", "phonenumbers", "pydantic"
    program = f"""
import sys, verify_mcp.emulator
ours = [n for n in sys.modules if n.startswith("verify_mcp.") and ".emulator" not in n]
print(ours, [name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"[]", b"[]"]


def test_run_says_where_it_listens_and_stops_when_interrupted() -> None:
    program = "from verify_mcp.emulator import Emulator, run; run(Emulator.documented())"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as served:
        assert served.stderr is not None
        base_url = served.stderr.readline().decode().split()[-1]
        reply = httpx.get(f"{base_url}{PATH}{ASHA_SESSION}/", auth=AUTH, trust_env=False)
        served.send_signal(signal.SIGINT)
        rest = served.stderr.read()
        served.wait(timeout=5)
    assert (reply.content, rest, served.returncode) == (
        documented_payload().verbatim[ASHA_SESSION],
        b"",
        0,
    )
