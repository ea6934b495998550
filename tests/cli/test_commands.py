"""The commands as a person meets them: help, completion, progress, and words at a terminal."""

from __future__ import annotations

import argparse
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import commands_page
from tests.support.client import FakeClock, emulator_with, make_record
from tests.support.mirror import open_context_of
from verify_mcp.cli import main, wording
from verify_mcp.cli.mirror_commands import sync_command
from verify_mcp.cli.progress import countdown, share_of_time
from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, Emulator, cli, serve
from verify_mcp.errors import CredentialsMissing, CredentialsRejected, QuotaExhausted
from verify_mcp.settings import Rate, read_settings

pytestmark = pytest.mark.anyio


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - argparse shows them nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield command
                yield from commands(command)


ALL_COMMANDS = {command.prog: command for command in commands(main.full_parser())}


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_each_commands_help_has_a_description_and_an_example_that_parses(name: str) -> None:
    command = ALL_COMMANDS[name]
    assert (command.description or "").endswith("."), name
    examples = [line.strip() for line in (command.epilog or "").splitlines()[1:]]
    assert any(example.startswith(name) for example in examples), name
    for example in examples:
        if example.startswith("verify-mcp "):
            words = shlex.split(re.split(r" [|>] |   #", example)[0])[1:]
            main.full_parser().parse_args(words)
    unexplained = [
        action.dest
        for action in command._actions  # noqa: SLF001
        if not action.help and not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    ]
    assert unexplained == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "argument COMMAND: invalid choice: 'nonsense'"),
        ("token", "the following arguments are required: COMMAND"),
        ("install", "the following arguments are required: CLIENT"),
        ("report --within soon", "argument --within: 'soon' is not a number of minutes, e.g. 30"),
        (
            "report --group-by planet",
            "argument --group-by: there is no field 'planet'. Fields: status, channel",
        ),
        ("report --group-by day,app,brand", "argument --group-by: 'day,app,brand' has too many"),
        ("serve --port 70000", "argument --port: '70000' is not a whole number from 0 to 65535"),
        ("token add x --budget no", "argument --budget: 'no' is not a whole number from 1 to"),
    ],
)
def test_a_wrong_argument_is_named(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(line.split())
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_page_of_commands_is_that_of_the_parsers() -> None:
    assert commands_page.PAGE.read_text(encoding="utf-8") == commands_page.page()


def test_the_man_page_has_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["man"])
    page = capsys.readouterr().out
    assert all(f".SH {name.upper()}\n" in page for name in ALL_COMMANDS)
    assert "\\fB75\\fR\n" in page


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_one_that_the_shell_reads(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main.main(["completion", shell])
    script = capsys.readouterr().out
    assert "--real-pace" in script or "real-pace" in script
    program = shutil.which(shell)
    if program:
        subprocess.run([program, "-n"], input=script.encode(), check=True)


async def test_the_first_request_of_the_emulators_help_is_answered() -> None:
    (curl,) = [example for example in cli.EXAMPLES if example.startswith("curl")]
    _, _, credentials, url = shlex.split(curl)
    assert tuple(credentials.split(":")) == (SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN)
    assert credentials.replace(":", ", its auth token ") in cli.DESCRIPTION
    async with serve(Emulator()) as base_url, httpx.AsyncClient(trust_env=False) as http:
        auth = (SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN)
        reply = await http.get(url.replace("http://127.0.0.1:8080", base_url), auth=auth)
    assert (reply.status_code, len(reply.json()["sessions"])) == (200, 2)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "about 10 seconds"), (41, "about 50 seconds"), (780, "about 13 minutes"),
     (5400, "about 90 minutes"), (9000, "about 2.5 hours")],
)  # fmt: skip
def test_a_time_to_wait_is_said_as_people_say_it(seconds: float, text: str) -> None:
    assert wording.about(seconds) == text


def test_the_bar_goes_by_the_time_that_is_over_and_the_clock_by_the_time_left() -> None:
    assert [share_of_time(45, left) for left in (None, 45.0, 0.0)] == [0.0, 0.5, 1.0]
    assert countdown(72.9, None) == "1:12 so far, time left: not known yet"
    assert countdown(72.9, 754.2) == "about 12:35 left"


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_progress_counts_down_by_the_quota_while_requests_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    emulator = emulator_with(*(make_record(n, 1 + n) for n in range(1200)), clock=clock)
    monkeypatch.setattr(sys, "stderr", terminal := FakeTerminal())
    async with open_context_of(emulator, clock, rate_limit=Rate(20, 60.0)) as context:
        await sync_command("24h", None, "")(context)
    shown = re.findall(r"about (\d+):(\d\d) left", terminal.getvalue())
    times = [60 * int(minutes) + int(seconds) for minutes, seconds in shown]
    took = clock.ticks - FakeClock().ticks
    assert took >= 180
    assert max(times) >= took - 60
    assert times[0] >= 120


def test_errors_at_a_terminal_restart_no_server() -> None:
    missing = CredentialsMissing(read_settings({}).credentials_problem)
    file = {"PLIVO_AUTH_TOKEN_FILE": "/nowhere", "PLIVO_AUTH_ID": SANDBOX_AUTH_ID}
    no_file = CredentialsMissing(read_settings(file).credentials_problem)
    errors = [missing, no_file, CredentialsRejected("restart this server"), QuotaExhausted(41.0)]
    texts = [wording.explain_error(error) for error in errors]
    assert all("restart" not in text and "this server" not in text for text in texts)
    assert texts[0].endswith("run this again. `verify-mcp doctor` checks the credentials.")
    assert texts[3].endswith("Run this again in about 50 seconds.")


def test_tokens_are_listed_as_json_without_a_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VERIFY_MCP_TOKENS_FILE", str(tmp_path / "tokens.json"))
    for line in ("token add support --budget 60", "token list --json"):
        with pytest.raises(SystemExit) as ended:
            main.main(line.split())
        assert ended.value.code == 0
    (entry,) = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert entry.keys() == {"name", "budget", "subaccount", "created"}
    assert (entry["name"], entry["budget"]) == ("support", 60)
