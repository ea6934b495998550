"""The command watch: what it reports, to whom, how often, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.client import NOW, SANDBOX, FakeClock, emulator_with
from tests.support.databases import Place, sqlite_place
from tests.support.mirror import hold
from verify_mcp.cli import watch_loop
from verify_mcp.cli.exit_codes import ExitCode
from verify_mcp.cli.watch_loop import WatchArguments
from verify_mcp.emulator import generate
from verify_mcp.settings import Rate
from verify_mcp.watch.notices import body_for

PLENTY = Rate(1_000_000, 1.0)


class Receiver(ThreadingHTTPServer):
    """Takes posts on this machine; answers with the next of its codes, then with 200."""

    def __init__(self, *codes: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.codes = list(codes)
        self.bodies: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook/secret-part"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["content-length"]))
        code = self.server.codes.pop(0) if self.server.codes else 200
        if code == 200:
            self.server.bodies.append(json.loads(body))
        self.send_response(code)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@contextmanager
def receiver(*codes: int) -> Iterator[Receiver]:
    with Receiver(*codes) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def made_account(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A database with the made account's sessions: a fraud burst, and a fault of delivery."""
    place = sqlite_place(tmp_path_factory.mktemp("made"))
    anyio.run(hold, place.url, generate(now=NOW).records)
    return place


@pytest.fixture
def account_copy(made_account: Place, file: Place) -> Place:
    """A copy of that database."""
    file.path.parent.mkdir(mode=0o700)
    shutil.copy(made_account.path, file.path)
    return file


def watch(
    place: Place,
    folder: Path,
    clock: FakeClock | None = None,
    settings: dict[str, Any] | None = None,
    **arguments: Any,
) -> int:
    clock = clock or FakeClock()
    chosen = replace(
        SANDBOX, database_url=place.url, rate_limit=PLENTY, ahead=0, **(settings or {})
    )
    state = folder / "state.json"
    return watch_loop.run(
        WatchArguments(
            **{"window": "7d", "rules": "delivery,pumping", "state": state, **arguments}
        ),
        chosen,
        app=emulator_with(clock=clock),
        clock=clock.clock(),
    )


def test_each_event_is_reported_once_to_the_webhook_and_on_stdout(
    account_copy: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiver() as server:
        assert watch(account_copy, tmp_path, webhook=server.url) == ExitCode.DONE
        assert watch(account_copy, tmp_path, webhook=server.url) == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(server.bodies) == 2
    burst = next(body for body in server.bodies if body["details"]["kind"] == "pumping")
    assert burst["text"].startswith(
        "Verify: pumping in AZ +99450271* was from 11-18 09:31 to 11-18 10:10 UTC. 60 sessions"
    )
    assert burst["details"]["event"] == "passed"
    assert burst["details"]["at_stake"] == "33.6568"
    state = tmp_path / "state.json"
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    for secret in ("secret-part", SANDBOX.account().auth_token):
        assert secret not in "".join(lines) + state.read_text() + json.dumps(server.bodies)


def test_an_event_that_goes_on_has_a_code_of_its_own_and_its_end_is_reported(
    account_copy: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fault is from 10:00 to 12:00; the clock stands at 12:10, then at 15:00."""
    during, after = (FakeClock(NOW.replace(day=20, hour=hour, minute=10)) for hour in (12, 15))
    assert watch(account_copy, tmp_path, during, window="24h", rules="delivery") == ExitCode.FOUND
    assert watch(account_copy, tmp_path, during, window="24h", rules="delivery") == ExitCode.FOUND
    assert watch(account_copy, tmp_path, after, window="24h", rules="delivery") == ExitCode.DONE
    began, ended = capsys.readouterr().out.splitlines()
    assert began.startswith("Verify: delivery in ID Telkomsel sms since 11-20 10:00 UTC.")
    assert ended.startswith("Verify: delivery in ID Telkomsel sms is over: 11-20 10:00 to 11-20 12")


def test_masked_notices_name_no_prefix(
    account_copy: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiver() as server:
        code = watch(account_copy, tmp_path, settings={"masked": True}, webhook=server.url)
    assert code == ExitCode.DONE
    assert "pumping in AZ was from" in capsys.readouterr().out
    assert "99450" not in json.dumps(server.bodies)


def test_a_receiver_that_fails_is_asked_again_and_a_lost_notice_is_sent_by_the_next_look(
    account_copy: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiver(503, 500) as server:
        assert watch(account_copy, tmp_path, webhook=server.url, rules="pumping") == ExitCode.DONE
        assert len(server.bodies) == 1
    (tmp_path / "state.json").unlink()
    with receiver(404) as server:
        code = watch(account_copy, tmp_path, webhook=server.url, rules="pumping")
        assert (code, server.bodies) == (ExitCode.NOT_DELIVERED, [])
        assert watch(account_copy, tmp_path, webhook=server.url, rules="pumping") == ExitCode.DONE
        assert len(server.bodies) == 1
    out = capsys.readouterr().out
    assert "The webhook at 127.0.0.1 did not take a notice: HTTP 404." in out
    assert "secret-part" not in out


def test_a_command_gets_the_notice_as_json_and_no_secret(
    account_copy: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", "a-token-for-nobody")
    script, got = tmp_path / "page-me", tmp_path / "got"
    script.write_text(f"#!/bin/sh\ncat > {got}; env >> {got}\n")
    script.chmod(0o700)
    code = watch(account_copy, tmp_path, rules="pumping", exec_command=str(script))
    text = got.read_text()
    assert code == ExitCode.DONE
    assert json.loads(text.partition("\n")[0].partition("}}")[0] + "}}")["details"]["kind"] == (
        "pumping"
    )
    assert "a-token-for-nobody" not in text
    (tmp_path / "state.json").unlink()
    assert (
        watch(account_copy, tmp_path, rules="pumping", exec_command="false")
        == ExitCode.NOT_DELIVERED
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"webhook": "http://example.com/hook"}, "--webhook takes an https:// address"),
        ({"webhook": "@/nowhere/at/all"}, "cannot be read"),
        ({"rules": "fraud"}, "--rules knows conversion, delivery, pumping, spend, volume."),
        ({"every": "1s"}, "--every is not a length of time of a minute or more"),
        ({"window": "30d", "baseline": "7d"}, "--baseline is shorter than the window"),
        ({"window": "yesterday"}, "--window is not a time"),
        ({"exec_command": "'"}, "--exec takes a command"),
        ({"state": Path(os.devnull)}, "cannot be read as the state of `watch`"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_a_request(
    arguments: dict[str, Any],
    words: str,
    file: Place,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert watch(file, tmp_path, **arguments) == ExitCode.CONFIGURE
    assert words in capsys.readouterr().err


def test_a_loop_looks_again_and_goes_on_while_the_api_is_away(
    account_copy: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cancelled sleep ends the third look's pause."""

    class Weary(FakeClock):
        pauses = 0

        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            self.pauses += seconds == 900
            if self.pauses == 3:
                raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)):
        watch(account_copy, tmp_path, Weary(), every="15m", rules="pumping")
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", {"text"}),
        ("https://acme.webhook.office.com/webhookb2/x", {"type", "attachments"}),
        ("https://prod-1.westeurope.logic.azure.com/workflows/x", {"type", "attachments"}),
        ("https://example.com/hook", {"text", "details"}),
    ],
)
def test_each_receiver_gets_the_json_that_it_takes(url: str, fields: set[str]) -> None:
    body = body_for(url, {"text": "Verify: …", "details": {"kind": "pumping"}})
    assert set(body) == fields
    assert "Verify: …" in json.dumps(body, ensure_ascii=False)
