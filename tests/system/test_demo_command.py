"""`verify-mcp demo` with its server as a process: it is true, complete and fits a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from verify_mcp.cli import demo_client, demo_steps, main
from verify_mcp.emulator import BEN_SESSION, SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, Emulator, serve

pytestmark = pytest.mark.anyio


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
    questions = [step.question for step in demo_steps.steps()]
    asked = [line for line in demo_output.splitlines() if line in questions]
    assert asked == questions
    assert demo_output.count("In words: ") == len(asked)
    assert re.search(r"^4 questions, [0-9] API requests, ", demo_output, re.MULTILINE)


def test_the_demo_fits_80_plain_columns(demo_output: str) -> None:
    assert max(map(len, demo_output.splitlines())) <= 80
    assert "\x1b" not in demo_output


def test_a_demo_that_fails_says_so_in_a_sentence_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SystemExit) as ended:
        main.main(["demo"])
    message = capsys.readouterr().err
    assert ended.value.code == 1
    assert message.startswith("verify-mcp demo: the demo stopped: FileNotFoundError: ")
    assert message.endswith("`verify-mcp doctor --offline` checks this machine.\n")


async def test_the_demo_counts_the_bytes_that_the_api_sent(tmp_path: Path) -> None:
    emulator = Emulator()
    with (tmp_path / "log").open("w+", encoding="utf-8") as log:
        async with serve(emulator) as url, demo_client.connect_client(url, log) as client:
            planned = demo_steps.PlannedCall("get_verify_session", {"session_uuid": BEN_SESSION})
            call = await demo_client.call_tool(client, emulator, planned)
    bodies = [each.sent for each in emulator.received]
    async with ask(emulator) as http:
        raw = (await http.get(emulator.received[0].path)).content
    assert call.answer["session"] == BEN_SESSION
    assert (call.requests, [call.raw_bytes]) == (1, bodies) == (1, [len(raw)])


def ask(emulator: Emulator) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(emulator),
        base_url="http://localhost",
        auth=(SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN),
    )


async def test_an_answer_that_is_not_as_it_should_be_stops_the_demo(tmp_path: Path) -> None:
    misspelt = demo_steps.DemoStep(
        "?", [demo_steps.PlannedCall("get_verify_session", {"id": 1})], demo_steps.rescued
    )
    emulator = Emulator()
    with (tmp_path / "log").open("w+", encoding="utf-8") as log:
        async with serve(emulator) as url, demo_client.connect_client(url, log) as client:
            with pytest.raises(demo_steps.DemoFailed, match="There is no argument id"):
                await demo_client.answer_step(client, emulator, misspelt)


def test_the_readme_shows_what_the_demo_says(demo_output: str) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (excerpt,) = re.findall(r"^```text\n(.*?)\n```$", readme, re.MULTILINE | re.DOTALL)
    lines = [digitless(line) for line in demo_output.splitlines()]
    place = 0
    for line in excerpt.splitlines():
        if line != "...":
            place = lines.index(digitless(line), place)
    assert place


def digitless(line: str) -> str:
    """A line without what differs from day to day."""
    return re.sub(r"[0-9]", "0", line).rstrip()
