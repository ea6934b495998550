"""The sandbox: answers at once, and every answer says that its data are made up."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import TextResourceContents

from tests.support.client import FakeClock, call_tool, connect, emulator_with, make_record
from verify_mcp.cli import main
from verify_mcp.cli.sandbox import sandbox
from verify_mcp.context import open_context
from verify_mcp.emulator import BEN_SESSION
from verify_mcp.server.server import build_server

pytestmark = pytest.mark.anyio

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("list_verify_sessions", {"session_time__gte": "7d"}),
    ("get_verify_session", {"session_uuid": BEN_SESSION}),
    ("get_verify_status", {"about": "quota"}),
    ("summarize_verify_sessions", {"session_time__gte": "7d"}),
    ("summarize_verify_sessions", {"session_time__gte": "30d", "group_by": ["country"]}),
    ("summarize_verify_sessions", {"session_time__gte": "90d", "group_by": ["channel"]}),
    ("summarize_verify_sessions", {"session_time__gte": "60d", "group_by": ["app"]}),
]


async def test_the_sandbox_answers_at_once_and_says_everywhere_that_it_is_made_up() -> None:
    clock = FakeClock()
    settings, app = sandbox()
    server = build_server(
        partial(open_context, settings, app=app, clock=clock.clock()),
        settings.rate_limit,
        sandbox=True,
    )
    async with Client(server) as client:
        answers = [await call_tool(client, tool, arguments) for tool, arguments in CALLS]
        status = await client.read_resource("verify://status")
        session = await client.read_resource(f"verify://sessions/{BEN_SESSION}")
        assert client.instructions is not None
        assert client.instructions.startswith("SANDBOX: every session is made up")
    for read in (status, session):
        (part,) = read.contents
        assert isinstance(part, TextResourceContents)
        answers.append(json.loads(part.text))
    assert {answer["data"] for answer in answers} == {"made up"}
    assert all("quota of API requests is in use" not in str(answer) for answer in answers)
    assert clock.ticks == FakeClock().ticks


async def test_the_sandbox_can_be_asked_about_one_brand() -> None:
    settings, app = sandbox()  # its sessions are of the real time
    server = build_server(
        partial(open_context, settings, app=app), settings.rate_limit, sandbox=True
    )
    acme = {"session_time__gte": "7d", "session_time__lt": "1h", "brand_name": "Acme"}
    async with Client(server) as client:
        found = await call_tool(client, "find_verify_anomalies", acme)
        compared = await call_tool(client, "compare_verify_sessions", acme)
    assert found["findings"] > 0
    assert compared["complete"]
    assert found["sessions"] > 100
    assert int(compared["rows"][0][2]) > 100
    assert "drivers" in compared


@pytest.mark.parametrize("command", ["report", "export"])
def test_what_a_command_writes_of_the_sandbox_is_masked_where_masking_is_on(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERIFY_MCP_RECIPIENTS", "masked")
    group = ["--group-by" if command == "report" else "--by", "recipient"]
    content = [] if command == "report" else ["groups"]
    file = tmp_path / ("page.html" if command == "report" else "groups.csv")
    with pytest.raises(SystemExit) as ended:
        main.main([command, *content, "--sandbox", *group, "-o", str(file)])
    assert ended.value.code == 0
    text = file.read_text(encoding="utf-8")
    assert re.search(r"\+62(…|\\u2026)\d{4}~", text)
    assert not re.search(r"\+62\d{6}", text)


async def test_at_the_real_pace_the_sandbox_keeps_the_real_quota() -> None:
    settings, _ = sandbox(real_pace=True)
    assert (str(settings.rate_limit), str(settings.retrieve_rate_limit)) == ("20/60", "60/60")


async def test_answers_of_an_account_do_not_speak_of_made_up_data() -> None:
    async with connect(emulator_with(make_record(1))) as client:
        answer = await call_tool(client, "list_verify_sessions", {})
        assert client.instructions is not None
        assert "data" not in answer
        assert "made up" not in client.instructions


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["serve", "--real-pace"], "--real-pace belongs to --sandbox", 78),
        (["serve", "--sandbox=perhaps"], "argument --sandbox: 'perhaps' is not true or false", 2),
    ],
)
def test_switches_that_mean_nothing_are_refused(
    arguments: list[str], message: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(arguments)
    assert ended.value.code == code
    assert message in capsys.readouterr().err


def test_a_watch_of_the_sandbox_leaves_nothing_and_says_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    outputs = []
    for _ in range(2):
        with pytest.raises(SystemExit):
            main.main(["watch", "--sandbox", "--window", "7d", "--rules", "pumping"])
        outputs.append(capsys.readouterr().out)
    assert len(outputs[0].splitlines()) == len(outputs[1].splitlines()) > 0
    assert list(tmp_path.iterdir()) == []
