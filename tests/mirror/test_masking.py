"""Pseudonyms: a key made once, never in the way of a start, and no way back to a number."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.client import (
    SANDBOX,
    FakeClock,
    call_tool,
    call_tool_error,
    connect,
    emulator_with,
    list_sessions,
    make_record,
    rows,
)
from tests.support.databases import sqlite_url
from tests.support.http_server import create_token, http_client, run_server
from tests.support.key_files import BROKEN_KEYS, break_key
from verify_mcp.errors import InvalidSetting
from verify_mcp.mirror.lookups import HOUR, MAX_LOOKUPS
from verify_mcp.mirror.masking import KEY_BYTES, load_or_create_key

pytestmark = pytest.mark.anyio

NUMBER = "919380013443"
DAY = {"session_time__gte": "12h", "session_time__lt": "2h"}
"""A window that settled long ago, so that it is held once it was fetched."""
BOTH = ["list_verify_sessions", "summarize_verify_sessions"]


def test_what_a_process_that_was_killed_left_keeps_none_from_starting(tmp_path: Path) -> None:
    settings = replace(SANDBOX, masked=True, database_url=sqlite_url(tmp_path / "data" / "db"))
    key = load_or_create_key(settings)
    for number in (os.getpid(), *range(1, 100)):
        (tmp_path / "data" / f"recipients.key.{number}").touch()
    (tmp_path / "data" / "recipients.key").unlink()
    another = load_or_create_key(settings)
    assert len(key) == len(another) == KEY_BYTES
    assert key != another


def test_a_key_that_is_there_needs_no_right_to_write(tmp_path: Path) -> None:
    settings = replace(SANDBOX, masked=True, database_url=sqlite_url(tmp_path / "data" / "db"))
    key = load_or_create_key(settings)
    before = sorted(each.name for each in (tmp_path / "data").iterdir())
    changed = (tmp_path / "data").stat().st_mtime_ns
    assert load_or_create_key(settings) == key
    assert sorted(each.name for each in (tmp_path / "data").iterdir()) == before
    assert (tmp_path / "data").stat().st_mtime_ns == changed


@pytest.mark.parametrize("state", BROKEN_KEYS)
def test_r79_a_key_file_that_is_not_private_or_not_a_key_is_refused_in_one_line(
    tmp_path: Path, state: str
) -> None:
    database, key = sqlite_url(tmp_path / "data" / "db"), break_key(tmp_path / "data", state)
    with pytest.raises(InvalidSetting) as refusal:
        load_or_create_key(replace(SANDBOX, masked=True, database_url=database))
    (line,) = str(refusal.value).splitlines()
    assert line.startswith(f"The key in {key} is not a private file")


@pytest.mark.parametrize("tool", BOTH)
@pytest.mark.parametrize("written", [f"+{NUMBER}", "+91 93800-13443", NUMBER, "+919380013444"])
async def test_r74_a_number_asked_about_is_echoed_as_written_never_as_its_pseudonym(
    tool: str, written: str
) -> None:
    api = emulator_with(make_record(1, minutes=300, recipient=NUMBER))
    async with connect(api, masked=True) as client:
        before = await call_tool(client, tool, {**DAY, "recipient": written})
        await list_sessions(client, **DAY)
        after = await call_tool(client, tool, {**DAY, "recipient": written})
    assert before["applied"]["recipient"] == after["applied"]["recipient"] == written


@pytest.mark.parametrize("tool", BOTH)
async def test_r74_a_pseudonym_asked_about_is_echoed_as_written(tool: str) -> None:
    async with connect(
        emulator_with(make_record(1, minutes=300, recipient=NUMBER)), masked=True
    ) as client:
        pseudonym = rows(await list_sessions(client, **DAY))[0]["recipient"]
        answer = await call_tool(client, tool, {**DAY, "recipient": pseudonym.upper()})
    assert answer["applied"]["recipient"] == pseudonym.upper()
    assert NUMBER not in str(answer)


async def test_r74_what_waits_for_quota_echoes_as_written_too() -> None:
    async with connect(
        emulator_with(make_record(1, recipient=NUMBER)), masked=True, max_wait=0.0
    ) as client:
        for number in range(20):
            await list_sessions(client, offset=number)
        answer = await list_sessions(client, recipient=NUMBER)
    assert "quota" in answer["why"]
    assert answer["applied"]["recipient"] == NUMBER


async def test_r74_whoever_tries_every_number_is_stopped_also_where_no_request_is_needed() -> None:
    api, clock = emulator_with(make_record(1, minutes=300, recipient=NUMBER)), FakeClock()
    async with connect(api, clock=clock, masked=True) as client:
        await call_tool(client, BOTH[1], DAY)
        pseudonym = rows(await list_sessions(client, **DAY))[0]["recipient"]
        for number in range(MAX_LOOKUPS):
            answer = await list_sessions(client, **DAY, recipient=f"+9193800{number:05d}")
            assert (answer["api_requests"], answer["rows"]) == (0, [])
        message = await call_tool_error(client, **DAY, recipient=f"+{NUMBER}")
        assert message == await call_tool_error(client, BOTH[1], **DAY, recipient=pseudonym)
        assert message == (
            "recipient: 60 of them were looked up in the last hour, as many as may be while "
            "recipients are masked. Ask again in about 61 min, or group a summary by recipient."
        )
        await list_sessions(client, **DAY, recipient="+919380000000")
        clock.pass_by(HOUR)
        assert (await list_sessions(client, **DAY, recipient=pseudonym))["rows"]


async def test_r74_each_caller_has_look_ups_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    eager, calm = create_token(file, "eager"), create_token(file, "calm")
    async with (
        run_server(emulator_with(make_record(1, minutes=300)), file=file, masked=True) as here,
        http_client(here.url, eager) as first,
        http_client(here.url, calm) as second,
    ):
        await call_tool(second, BOTH[1], DAY)
        for number in range(MAX_LOOKUPS):
            await list_sessions(first, **DAY, recipient=f"+9193800{number:05d}")
        await call_tool_error(first, **DAY, recipient=NUMBER)
        assert (await list_sessions(second, **DAY, recipient=NUMBER))["complete"]


async def test_r74_numbers_in_full_may_be_looked_up_without_end() -> None:
    async with connect(emulator_with(make_record(1, minutes=300))) as client:
        await call_tool(client, BOTH[1], DAY)
        for number in range(MAX_LOOKUPS + 1):
            await list_sessions(client, **DAY, recipient=f"+9193800{number:05d}")
