"""`verify-mcp demo`: what a newcomer sees first is true, complete and quick."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify_mcp.cli import demo, main
from verify_mcp.emulator import BEN_SESSION, SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, Emulator, serve

pytestmark = pytest.mark.anyio

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner),
)


@pytest.fixture(scope="module")
def demo_output() -> str:
    """The demo as a newcomer's terminal of 80 columns shows it through a pipe."""
    surroundings = os.environ | {"COLUMNS": "80", "NO_COLOR": "1", "PYTHONIOENCODING": "ascii"}
    ran = subprocess.run(
        [sys.executable, "-m", "verify_mcp", "demo"],
        env=surroundings | {"PLIVO_AUTH_ID": "broken", "VERIFY_MCP_RATE_LIMIT": "broken"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_the_demo_asks_four_questions_and_ends_well(demo_output: str) -> None:
    questions = [step.question for step in demo.steps()]
    asked = [line for line in demo_output.splitlines() if line in questions]
    assert asked == questions
    assert demo_output.count("In words: ") == len(asked)
    assert re.search(r"^4 questions, [0-9] API requests, ", demo_output, re.MULTILINE)


def test_the_demo_fits_80_plain_columns(demo_output: str) -> None:
    assert max(map(len, demo_output.splitlines())) <= 80
    assert "\x1b" not in demo_output


async def test_the_demo_counts_the_bytes_that_the_api_sent(tmp_path: Path) -> None:
    emulator = Emulator()
    with (tmp_path / "log").open("w+", encoding="utf-8") as log:
        async with serve(emulator) as url, demo.connect_client(url, log) as client:
            call = demo.PlannedCall("get_verify_session", {"session_uuid": BEN_SESSION})
            told = await demo.call_tool(client, emulator, call)
    bodies = [each.sent for each in emulator.received]
    async with ask(emulator) as http:
        raw = (await http.get(emulator.received[0].path)).content
    assert told.answer["session"] == BEN_SESSION
    assert (told.requests, [told.raw_bytes]) == (1, bodies) == (1, [len(raw)])


def ask(emulator: Emulator) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(emulator),
        base_url="http://localhost",
        auth=(SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN),
    )


@given(JSON.filter(lambda value: isinstance(value, dict)), st.integers(20, 100))
def test_an_answer_laid_out_is_still_the_same_json(value: object, width: int) -> None:
    assert json.loads(demo.format_json(value, width)) == value


def found(*answers: dict[str, Any]) -> list[demo.ToolCall]:
    call = demo.PlannedCall("tool", {})
    return [demo.ToolCall(call, json.dumps(each), 1, 9) for each in answers]


def attempt(channel: str, status: str, charge: str = "0") -> dict[str, str]:
    return {"channel": channel, "status": status, "time": "11-21 09:30:00", "charge": charge}


def test_no_code_is_explained_by_what_the_networks_reported() -> None:
    listed = {"rows": [["60ea68db"]]}
    unreached = {"status": "expired", "attempts": [attempt("sms", "failed")]}
    assert demo.no_code(found(listed, unreached)) == (
        "1 session in 7 days. The latest one is expired, after 1 attempt: no network confirmed "
        "that a code arrived. A report is no proof that a person saw or heard the code."
    )


def test_a_list_of_expired_sessions_is_summed_up_from_its_rows() -> None:
    columns = ["attempts", "cost"]
    rows = [["voice answer; sms failed", "0.1"], ["sms undelivered", "0.25"], ["", ""]]
    assert demo.expired_recently(found({"columns": columns, "rows": rows, "next": {}})) == (
        "The latest 3 sessions that expired cost 0.35 together. For 1 of them a network reported a "
        "delivery or an answered call: there the code probably arrived and was not entered in "
        "time. More follow: `next` says how to ask for them."
    )


async def test_an_answer_that_is_not_as_it_should_be_stops_the_demo(tmp_path: Path) -> None:
    misspelt = demo.DemoStep("?", [demo.PlannedCall("get_verify_session", {"id": 1})], demo.rescued)
    emulator = Emulator()
    with (tmp_path / "log").open("w+", encoding="utf-8") as log:
        async with serve(emulator) as url, demo.connect_client(url, log) as client:
            with pytest.raises(demo.DemoFailed, match="There is no argument id"):
                await demo.answer_step(client, emulator, misspelt)


def test_a_demo_that_fails_says_so_in_a_sentence_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SystemExit) as ended:
        main.main(["demo"])
    told = capsys.readouterr().err
    assert ended.value.code == 1
    assert told.startswith("verify-mcp demo: the demo stopped: FileNotFoundError: ")
    assert told.endswith("`verify-mcp doctor --offline` checks this machine.\n")


def test_a_failure_is_told_from_its_cause_and_the_servers_last_words() -> None:
    broken = ExceptionGroup("outer", [ExceptionGroup("inner", [TimeoutError()])])
    assert demo.failure(broken, StringIO("first\nlast words\n")) == (
        "the demo stopped: it was not finished after 60 s. The server's last words: last words "
        "`verify-mcp doctor --offline` checks this machine."
    )
