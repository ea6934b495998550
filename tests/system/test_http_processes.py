"""`verify-mcp serve --http` and `verify-mcp token` as processes: what they print and keep."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.support.certificates import certified
from tests.support.client import (
    get_session,
)
from tests.support.http_server import (
    PATIENCE,
    child,
    create_token,
    http_client,
    post,
)
from tests.support.stdio import environment
from verify_mcp.cli.exit_codes import ExitCode
from verify_mcp.emulator import ASHA_SESSION
from verify_mcp.http import tokens

pytestmark = pytest.mark.anyio


def test_the_command_that_would_let_strangers_in_ends_with_a_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "verify_mcp", "serve", "--http", "--host", "0.0.0.0"],  # noqa: S104 - refused
        env={**environment(), "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (ExitCode.CONFIGURE, "")
    assert done.stderr.startswith("verify-mcp: 0.0.0.0 can be reached from other machines, so ")
    assert done.stderr.count("\n") == 1


async def test_tls_by_files(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    words = ("--sandbox", "--tls-cert", str(certificate), "--tls-key", str(key))
    trust = ssl.create_default_context(cafile=certificate)
    async with child(*words, environ={"HOME": str(tmp_path)}) as here:
        assert here.url.startswith("https://127.0.0.1:")
        async with httpx2.AsyncClient(verify=trust, trust_env=False) as http:
            assert (await http.get(here.url + "/healthz")).json() == {"alive": True}
        here.send()
        await here.wait_ended()


def token_command(file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "verify_mcp", "token", *words],
        env=environment(VERIFY_MCP_TOKENS_FILE=str(file)),
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_a_token_is_shown_once_and_kept_as_a_digest_in_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "new" / "tokens.json"
    added = token_command(file, "add", "support", "--subaccount", "SASANDBOXRETAIL00001")
    token = added.stdout.strip()
    assert (added.returncode, token[:5], len(token)) == (0, "vmcp_", 48)
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    listing = token_command(file, "list").stdout
    assert listing.startswith("support  120/minute  sees SASANDBOXRETAIL00001  made ")
    assert token not in listing
    again = token_command(file, "add", "support")
    assert (again.returncode, again.stdout) == (ExitCode.CONFIGURE, "")
    assert "There is a token named support already." in again.stderr
    assert token_command(file, "revoke", "support").returncode == 0
    assert token_command(file, "list").stdout == ""
    assert token_command(file, "revoke", "support").returncode == ExitCode.CONFIGURE


def test_r79_a_deeply_nested_file_of_tokens_is_a_clear_error_and_lets_nobody_in(
    tmp_path: Path,
) -> None:
    file = tmp_path / "tokens.json"
    token = create_token(file, "a")
    keepers = tokens.TokenFile(file)
    file.write_text('{"tokens": ' + "[" * 200_000)
    assert keepers.caller(token) is None
    ended = _run(tmp_path, "token", "list")
    assert ended.stderr.decode() == f"verify-mcp: {file} is not a file of tokens.\n"
    assert ended.returncode == ExitCode.CONFIGURE


@pytest.mark.skipif(sys.platform == "win32", reason="links are POSIX's")
@pytest.mark.parametrize("command", [("add", "b"), ("revoke", "a")])
def test_r79_a_link_in_place_of_the_lock_is_a_clear_error(
    tmp_path: Path, command: tuple[str, str]
) -> None:
    file, other = tmp_path / "tokens.json", tmp_path / "other"
    create_token(file, "a")
    lock = tmp_path / "tokens.json.lock"
    lock.unlink(missing_ok=True)
    other.write_text("theirs")
    lock.symlink_to(other)
    ended = _run(tmp_path, "token", *command)
    assert ended.returncode == ExitCode.CONFIGURE
    (line,) = ended.stderr.decode().splitlines()
    assert line.startswith(f"verify-mcp: The lock {lock} cannot be used (")
    assert other.read_text() == "theirs"


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    more = {"VERIFY_MCP_TOKENS_FILE": str(folder / "tokens.json")}
    command = [sys.executable, "-m", "verify_mcp", *words]
    return subprocess.run(command, env=environment(**more), capture_output=True, check=False)


async def test_a_child_process_serves_and_audits_to_a_file_of_its_own(tmp_path: Path) -> None:
    file, log = tmp_path / "tokens.json", tmp_path / "audit.log"
    token = create_token(file, "ops")
    more = {
        "HOME": str(tmp_path),
        "VERIFY_MCP_TOKENS_FILE": str(file),
        "VERIFY_MCP_AUDIT_FILE": str(log),
        "VERIFY_MCP_LOG_FORMAT": "json",
    }
    async with child("--sandbox", environ=more) as here:
        assert (await post(here.url)).status_code == 401
        async with http_client(here.url, token) as client:
            assert (await get_session(client, ASHA_SESSION))["session"] == ASHA_SESSION
        here.send()
        await here.wait_ended()
    (line,) = log.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["caller"] == "ops"
    assert log.stat().st_mode & 0o777 == 0o600
