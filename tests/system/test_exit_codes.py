"""The table of exit codes in docs/commands.md holds for every command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from tests.support.stdio import environment
from verify_mcp.cli.exit_codes import ExitCode
from verify_mcp.emulator import Emulator, Fault, Options, serve

COMMANDS = (
    "export --since 1h -o -",
    "purge --all",
    "report --since 1h -o -",
    "serve",
    "serve --http --port 0",
    "sync --since 1h",
    "sync --status",
    "token list",
    "watch",
)


def command(line: str) -> list[str]:
    return [sys.executable, "-m", "verify_mcp", *line.split()]


@pytest.mark.parametrize("line", COMMANDS)
def test_an_invalid_setting_has_one_code_and_a_sentence(line: str) -> None:
    ended = subprocess.run(
        command(line), env=environment(VERIFY_MCP_TIME_ZONE="Mars"), input="", capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    (sentence,) = ended.stderr.splitlines()
    assert ended.returncode == ExitCode.CONFIGURE
    assert "VERIFY_MCP_TIME_ZONE" in sentence


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("line", "fault", "code"),
    [
        ("report --since 1h --within 1 -o FILE", Fault.FORBIDDEN, ExitCode.CONFIGURE),
        ("sync --since 1h", Fault.FORBIDDEN, ExitCode.CONFIGURE),
        ("sync --since 1h", Fault.UNAVAILABLE, ExitCode.TRY_LATER),
        ("watch --state STATE", Fault.FORBIDDEN, ExitCode.CONFIGURE),
    ],
)
async def test_trying_later_is_advised_only_where_it_may_help(
    line: str, fault: Fault, code: ExitCode, tmp_path: Path
) -> None:
    words = line.replace("FILE", str(tmp_path / "r.html")).replace("STATE", str(tmp_path / "s"))
    async with serve(Emulator(behaviour=Options(fault_chances=((fault, 1.0),)))) as url:
        with anyio.fail_after(60):
            ended = await anyio.run_process(
                command(words), env=environment(VERIFY_MCP_API_URL=url), check=False
            )
    err = ended.stderr.decode()
    assert ended.returncode == code, err
    assert "Traceback" not in err
    assert ("again" in err) == (code == ExitCode.TRY_LATER), err
