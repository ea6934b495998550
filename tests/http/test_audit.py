"""The audit log tells callers apart, hides values only, and is readable by this user only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import SANDBOX, emulator_with, list_sessions, make_record
from tests.support.http_server import bearer, call, create_token, http_client, post, run_server
from tests.support.issuer import Authority, authority
from tests.support.oauth import PUBLIC, claims, trusting
from verify_mcp import logs
from verify_mcp.errors import InvalidSetting
from verify_mcp.http.audit import audit_logger
from verify_mcp.http.oauth import JwtVerifier

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="modes and links are POSIX's"),
]

NUMBER = "919380010001"


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Leaves the audit's logger as it was."""
    before, level, propagates = audit_logger.handlers, audit_logger.level, audit_logger.propagate
    yield
    for handler in audit_logger.handlers:
        handler.close()
    audit_logger.handlers, audit_logger.propagate = before, propagates
    audit_logger.setLevel(level)


def start_audit(file: Path) -> None:
    logs.configure_audit(replace(SANDBOX, audit_file=file), audit_logger.name)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


async def test_r77_names_and_request_ids_with_digits_stay_whole(tmp_path: Path) -> None:
    file, log = tmp_path / "tokens.json", tmp_path / "audit.log"
    names = ["svc-12345678", "svc-12995678", "919380013443"]
    start_audit(log)
    async with run_server(emulator_with(), file=file) as here:
        for name in names:
            headers = {**bearer(create_token(file, name)), "x-request-id": f"order-{name}"}
            assert (await post(here.url, **headers)).status_code == 200
    assert [line["caller"] for line in lines(log)] == names
    assert [line["request_id"] for line in lines(log)] == [f"order-{name}" for name in names]


async def test_r77_values_are_masked_beside_names_that_are_not(tmp_path: Path) -> None:
    file, log = tmp_path / "tokens.json", tmp_path / "audit.log"
    start_audit(log)
    token = create_token(file, NUMBER)
    async with (
        run_server(emulator_with(make_record(1, recipient=NUMBER)), file=file) as here,
        http_client(here.url, token) as client,
    ):
        await list_sessions(client, recipient=f"+{NUMBER}")
        await client.call_tool("list_verify_sessions", {NUMBER: NUMBER, "status": NUMBER})
    first, second = lines(log)
    assert (first["caller"], first["recipient"]) == (NUMBER, "+91…0001")
    assert second["arguments"] == ["?", "status"]
    assert log.read_text(encoding="utf-8").count(NUMBER) == 2


def test_r77_a_whole_number_in_any_value_is_masked(tmp_path: Path) -> None:
    start_audit(tmp_path / "audit.log")
    audit_logger.info(json.dumps({"caller": "a", "recipient": f"+{NUMBER}", "arguments": [NUMBER]}))
    assert lines(tmp_path / "audit.log") == [
        {"caller": "a", "recipient": "+91…0001", "arguments": ["+91…0001"]}
    ]


async def test_r77_a_subject_that_is_a_file_tokens_name_is_another_caller(tmp_path: Path) -> None:
    file, log = tmp_path / "tokens.json", tmp_path / "audit.log"
    start_audit(log)
    with authority() as issuer:
        token, signed = create_token(file, "agent-7", budget=1), _signed(issuer)
        verifier = JwtVerifier(trusting(issuer), 1, cooldown=0)
        changes: dict[str, Any] = {"oauth": trusting(issuer), "public_url": PUBLIC}
        async with run_server(emulator_with(), file=file, jwt_verifier=verifier, **changes) as here:
            for each in (token, signed):
                assert (await post(here.url, call(), **bearer(each))).status_code == 200
    first, second = lines(log)
    assert [first["outcome"], second["outcome"]] == ["ok", "ok"]
    assert [first["caller"], second["caller"]] == ["agent-7", "agent-7"]
    assert "issuer" not in first
    assert second["issuer"] == issuer.url


def _signed(issuer: Authority) -> str:
    return issuer.token(**claims(issuer))


def test_r77_a_file_that_others_could_read_becomes_private(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('{"caller": "earlier"}\n')
    log.chmod(0o644)
    start_audit(log)
    assert mode(log) == 0o600
    audit_logger.info('{"caller": "later"}')
    assert [line["caller"] for line in lines(log)] == ["earlier", "later"]


@pytest.mark.parametrize("created", [None, 0o644], ids=["left to us", "made by the rotation"])
def test_r77_a_file_is_private_after_rotation_too(tmp_path: Path, created: int | None) -> None:
    log = tmp_path / "audit.log"
    umask = os.umask(0)
    try:
        start_audit(log)
        log.rename(tmp_path / "audit.log.1")
        if created is not None:
            os.close(os.open(log, os.O_CREAT | os.O_WRONLY, created))
        audit_logger.info('{"caller": "later"}')
    finally:
        os.umask(umask)
    assert mode(log) == 0o600
    assert [line["caller"] for line in lines(log)] == ["later"]


@pytest.mark.parametrize("kind", ["symbolic", "hard", "pipe"])
def test_r77_a_link_in_place_of_the_file_is_refused(tmp_path: Path, kind: str) -> None:
    log, other = tmp_path / "audit.log", tmp_path / "other"
    other.write_text("")
    _put(kind, log, other)
    with pytest.raises(InvalidSetting, match=r"^VERIFY_MCP_AUDIT_FILE cannot be written"):
        start_audit(log)
    assert other.read_text() == ""


@pytest.mark.parametrize("kind", ["symbolic", "hard", "pipe"])
def test_r77_a_link_put_there_by_a_rotation_is_refused_and_the_line_goes_to_stderr(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log, other = tmp_path / "audit.log", tmp_path / "other"
    other.write_text("")
    start_audit(log)
    log.rename(tmp_path / "audit.log.1")
    _put(kind, log, other)
    for name in ("first", "second"):
        audit_logger.info(json.dumps({"caller": name}))
    assert other.read_text() == ""
    assert capsys.readouterr().err.splitlines() == [
        "VERIFY_MCP_AUDIT_FILE cannot be written (it is a link or not a plain file); until it can "
        "be, audit lines are written here.",
        '{"caller": "first"}',
        '{"caller": "second"}',
    ]
    log.unlink()
    audit_logger.info('{"caller": "third"}')
    assert [line["caller"] for line in lines(log)] == ["third"]


def _put(kind: str, path: Path, other: Path) -> None:
    if kind == "symbolic":
        path.symlink_to(other)
    elif kind == "hard":
        path.hardlink_to(other)
    else:
        os.mkfifo(path)
