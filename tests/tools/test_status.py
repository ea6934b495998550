"""get_verify_status: how the server stands, told without a request and without a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.support.client import (
    Era,
    FakeClock,
    call_tool,
    call_tool_error,
    connect,
    emulator_with,
    make_record,
    tokens,
    uuid,
)
from tests.support.databases import Place, sqlite_url
from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, SUBACCOUNTS
from verify_mcp.settings import Credentials, Rate

pytestmark = pytest.mark.anyio

SETTINGS = {"max_wait_s": 20, "recipients": "full", "time_zone": "UTC", "settle_s": 3600}
QUOTA = {"limit": "20/60", "left": 20, "processes": 1, "get_left": 60}
NOT_PLIVO = "Requests go to http://localhost, not to https://api.plivo.com."


async def get_status(client: Client, **arguments: Any) -> dict[str, Any]:
    return await call_tool(client, "get_verify_status", arguments)


async def test_everything_at_once_in_every_field(era: Era) -> None:
    emulator = emulator_with(make_record(1))
    async with connect(emulator, era=era) as client:
        answer = await get_status(client)
    assert answer == {
        "complete": True,
        "account": f"{SANDBOX_AUTH_ID[:4]}…{SANDBOX_AUTH_ID[-4:]}",
        "api": "http://localhost",
        "quota": QUOTA,
        "mirror": {"on": True, "sessions": 0, "covers": [], "bytes": 0, "place": "memory"},
        "settings": SETTINGS,
        "problems": [NOT_PLIVO],
    }
    assert emulator.received == []


@pytest.mark.parametrize(
    ("about", "fields"),
    [
        ("quota", ["complete", "quota", "problems"]),
        ("mirror", ["complete", "mirror", "problems"]),
        ("settings", ["complete", "settings", "problems"]),
        ("All", ["complete", "account", "api", "quota", "mirror", "settings", "problems"]),
        ("", ["complete", "account", "api", "quota", "mirror", "settings", "problems"]),
    ],
)
async def test_only_what_is_asked_about_is_told(about: str, fields: list[str]) -> None:
    async with connect(emulator_with()) as client:
        assert list(await get_status(client, about=about)) == fields


async def test_what_cannot_be_asked_about_is_refused() -> None:
    async with connect(emulator_with()) as client:
        message = await call_tool_error(client, "get_verify_status", about="weather")
        other = await call_tool_error(client, "get_verify_status", verbose=True)
    assert "all, quota, mirror, settings" in message
    assert "about" in other


async def test_what_a_question_took_and_brought_shows_at_once(place: Place) -> None:
    clock = FakeClock()
    ours = [make_record(each, minutes=61 + 45 * each) for each in range(30)]
    async with connect(emulator_with(*ours), clock=clock, database_url=place.url) as client:
        await call_tool(client, "summarize_verify_sessions", {})
        answer = await get_status(client)
    assert (answer["quota"]["left"], answer["quota"]["processes"]) == (18, 1)
    mirror = answer["mirror"]
    assert (mirror["on"], mirror["sessions"]) == (True, 30)
    assert mirror["covers"] == ["2026-11-20 to 2026-11-21 in part"]
    assert mirror["until"] == "11-21 08:30"
    assert mirror["bytes"] > 10_000


async def test_r71_what_is_held_is_told_by_day_whole_or_in_part() -> None:
    async with connect(emulator_with(), rate_limit=Rate(100, 1.0)) as client:
        for start, end in (
            ("2026-11-02 06:00", "2026-11-05"),
            ("2026-11-05 00:00", "2026-11-05 23:59:59"),
            ("2026-11-08", "2026-11-09 00:00:01"),
            ("2026-11-10 01:00", "2026-11-10 02:00"),
            ("2026-11-10 03:00", "2026-11-10 04:00"),
        ):
            window = {"session_time__gte": start, "session_time__lt": end}
            await call_tool(client, "summarize_verify_sessions", window)
        answer = await get_status(client, about="mirror")
    assert answer["mirror"]["covers"] == [
        "2026-11-02 in part",
        "2026-11-03 to 2026-11-04 whole",
        "2026-11-05 in part",
        "2026-11-08 whole",
        "2026-11-09 to 2026-11-10 in part",
    ]
    assert answer["mirror"]["until"] == "11-10 04:00"


async def test_r71_many_short_spans_of_a_day_are_one_day() -> None:
    async with connect(emulator_with(), rate_limit=Rate(100, 1.0)) as client:
        for hour in range(0, 20, 2):
            window = {
                "session_time__gte": f"2026-11-08 {hour:02d}:00",
                "session_time__lt": f"2026-11-08 {hour + 1:02d}:00",
            }
            await call_tool(client, "summarize_verify_sessions", window)
        answer = await get_status(client)
    assert answer["mirror"]["covers"] == ["2026-11-08 in part"]


async def test_r71_many_days_held_here_and_there_are_counted_and_the_last_are_told() -> None:
    async with connect(emulator_with(), rate_limit=Rate(100, 1.0)) as client:
        for day in range(1, 20, 2):
            window = {
                "session_time__gte": f"2026-11-{day:02d}",
                "session_time__lt": f"2026-11-{day:02d} 12:00"
                if day == 3
                else f"2026-11-{day + 1:02d}",
            }
            await call_tool(client, "summarize_verify_sessions", window)
        answer, short = await get_status(client, about="mirror"), await get_status(client)
    assert answer["mirror"]["covers"] == [
        "2026-11-01 to 2026-11-05: 2 whole, 1 in part",
        *(f"2026-11-{day:02d} whole" for day in range(7, 20, 2)),
    ]
    assert short["mirror"]["covers"] == ["2026-11-01 to 2026-11-19: 9 whole, 1 in part"]


async def test_a_quota_used_up_says_when_the_next_request_is_free() -> None:
    clock = FakeClock()
    async with connect(
        emulator_with(make_record(1), clock=clock), clock=clock, max_wait=0.0
    ) as client:
        for hour in range(2, 22):
            await call_tool(client, "list_verify_sessions", {"session_time__gte": f"{hour}h"})
        clock.pass_by(20)
        answer = await get_status(client, about="quota")
    assert answer["quota"] == {**QUOTA, "left": 0, "next_free_s": 40}


async def test_r71_the_quota_of_single_sessions_is_told_beside_that_of_lists() -> None:
    clock = FakeClock()
    async with connect(
        emulator_with(make_record(1)), clock=clock, retrieve_rate_limit=Rate(9, 30)
    ) as client:
        single = await call_tool(client, "get_verify_session", {"session_uuid": uuid(1)})
        answer = await get_status(client, about="quota")
    quota = answer["quota"]
    assert (quota["limit"], quota["left"]) == ("20/60", 20)
    assert quota["get_left"] == single["quota_left"] == 8


async def test_a_mirror_that_is_off_is_said_to_be() -> None:
    async with connect(emulator_with(), mirror=False) as client:
        answer = await get_status(client)
    assert (answer["mirror"], answer["problems"]) == ({"on": False}, [NOT_PLIVO])


async def test_a_database_that_cannot_be_used_is_a_problem_with_its_remedy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").write_text("")
    url = sqlite_url(tmp_path / "folder" / "verify.sqlite3")
    async with connect(emulator_with(), database_url=url) as client:
        answer = await get_status(client)
    (problem,) = [each for each in answer["problems"] if each != NOT_PLIVO]
    assert answer["mirror"] == {"on": False, "place": str(tmp_path / "folder" / "verify.sqlite3")}
    assert "VERIFY_MCP_DATABASE_URL" in problem
    assert len(caplog.records) == 1


async def test_missing_credentials_are_a_problem_with_their_remedy() -> None:
    missing = "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN not set. Set them, then restart."
    async with connect(
        None, credentials=None, credentials_problem=missing, api_url="https://api.plivo.com"
    ) as client:
        answer = await get_status(client)
    assert (answer["account"], answer["api"], answer["problems"]) == (
        None, "https://api.plivo.com", [missing],
    )  # fmt: skip
    assert answer["mirror"] == {"on": False}


async def test_the_sandbox_is_named_and_no_problem() -> None:
    async with connect(emulator_with(), sandbox=True) as client:
        answer = await get_status(client)
    assert (answer["data"], answer["problems"]) == ("made up", [])


async def test_no_secret_and_no_number_is_told(place: Place) -> None:
    credentials = Credentials(SUBACCOUNTS[0], SANDBOX_AUTH_TOKEN)
    async with connect(
        emulator_with(make_record(1)), credentials=credentials, database_url=place.url, masked=True
    ) as client:
        await client.call_tool("list_verify_sessions", {})
        text = json.dumps(await get_status(client))
    for secret in (SANDBOX_AUTH_TOKEN, SUBACCOUNTS[0], SANDBOX_AUTH_ID, "postgres@", "9193800"):
        assert secret not in text


async def test_a_status_costs_at_most_150_tokens(file: Place) -> None:
    clock, ours = FakeClock(), [make_record(each, minutes=72 * each) for each in range(1, 400)]
    async with connect(
        emulator_with(*ours, list_limit=None, clock=clock),
        clock=clock,
        database_url=file.url,
        rate_limit=Rate(1000, 60.0),
        api_url="https://api.plivo.com",
    ) as client:
        for window in (
            {"session_time__gte": "30d", "session_time__lt": "9d"},
            {"session_time__gte": "8d", "max_requests": 99},
        ):
            await call_tool(client, "summarize_verify_sessions", window)
        answer = await get_status(client)
    assert answer["mirror"]["covers"] == ["2026-10-22 to 2026-11-21: 27 whole, 4 in part"]
    answer["mirror"]["place"] = "/home/somebody/.local/share/verify-mcp/verify-mcp.sqlite3"
    assert tokens(json.dumps(answer, ensure_ascii=False, separators=(",", ":"))) <= 150


async def test_r59_a_clock_that_differs_from_the_apis_is_a_problem_with_its_remedy() -> None:
    slow, there = FakeClock(), FakeClock()
    slow.pass_by(-1200)
    async with connect(emulator_with(make_record(1), clock=there), clock=slow) as client:
        before = await get_status(client)
        await call_tool(client, "list_verify_sessions", {})
        after = await get_status(client)
    (problem,) = set(after["problems"]) - set(before["problems"])
    assert problem.startswith(
        "This machine's clock is 1200 s behind the API's, whose time is used."
    )
