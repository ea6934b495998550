"""What stands out: planted events are found through the tool, and a refusal costs no request."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from mcp import Client

from tests.support.client import (
    NOW,
    FakeClock,
    call_tool,
    call_tool_error,
    connect,
    emulator_with,
    make_record,
    rows,
    tokens,
    uuid,
)
from tests.support.databases import Place
from tests.support.mirror import hold
from verify_mcp.emulator import SessionRecord, generate
from verify_mcp.settings import Rate

pytestmark = pytest.mark.anyio

PLENTY = Rate(1_000_000, 1.0)
BUDGET = 600


async def find(client: Client, **arguments: Any) -> dict[str, Any]:
    return await call_tool(client, "find_verify_anomalies", arguments)


@asynccontextmanager
async def serve(
    url: str, records: Sequence[SessionRecord] = (), **settings: Any
) -> AsyncIterator[Client]:
    """A client of a server whose database has what is held, and whose API has these sessions."""
    clock = FakeClock()
    api = emulator_with(*records, clock=clock, list_limit=None)
    async with connect(
        api, clock=clock, rate_limit=PLENTY, database_url=url, ahead=0, **settings
    ) as client:
        yield client


def by_kind(answer: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {row["kind"]: row for row in rows(answer)}


async def test_the_planted_burst_and_incident_are_found_at_no_request(place: Place) -> None:
    await hold(place.url, generate(now=NOW).records)
    async with serve(place.url) as client:
        answer = await find(client, session_time__gte="7d")
        three = await find(client, session_time__gte="7d", kinds=["pumping", "delivery", "repeat"])
        elsewhere = await find(client, session_time__gte="7d", country="GB", kinds="pumping")
    burst, incident = by_kind(answer)["pumping"], by_kind(answer)["delivery"]
    assert (answer["complete"], three["api_requests"], answer["baseline"]) == (True, 0, "28 days")
    assert burst["where"] == "AZ Azercell +99450271*"
    assert (burst["from"], burst["to"]) == ("11-18 09:31", "11-18 10:10")
    assert (burst["sessions"], burst["recipients"], burst["verified"]) == ("60", "60", "2")
    assert "100% of them neighbours" in burst["summary"]
    assert len(burst["examples"].split()) == 5
    assert incident["where"] == "ID Telkomsel sms"
    assert (incident["from"], incident["to"]) == ("11-20 10:00", "11-20 12:00")
    assert all("; it could also be " in row["summary"] for row in rows(answer))
    assert all(float(row["chance"]) <= 0.05 for row in rows(answer))
    assert (elsewhere["findings"], elsewhere["applied"]["country"]) == (0, ["GB"])
    assert elsewhere["note"].startswith("Nothing stands out. Looked at the window for pumping;")
    assert three["findings"] == 3
    assert tokens(json.dumps(three, ensure_ascii=False, separators=(",", ":"))) <= BUDGET

    async with serve(place.url, masked=True) as client:
        masked = await find(client, session_time__gte="7d")
    assert by_kind(masked)["pumping"]["where"] == "AZ Azercell"
    assert by_kind(masked)["repeat"]["where"] == "US"
    assert "99450" not in json.dumps(masked)
    assert "+" not in "".join(row["where"] for row in rows(masked))


async def test_findings_from_totals_are_those_from_rows(place: Place) -> None:
    await hold(place.url, generate(now=NOW).records, days=70)
    windows: list[dict[str, Any]] = [
        {"session_time__gte": "24h"},
        {"session_time__gte": "7d", "session_time__lt": "5h"},
        {"session_time__gte": "20d"},
        {"session_time__gte": "2026-10-20", "session_time__lt": "2026-11-20"},
        {"session_time__gte": "20d", "country": ["ID", "AZ"]},
    ]
    async with serve(place.url) as client:
        from_totals = [await find(client, **window, baseline="31d") for window in windows]
        place.run("DELETE FROM verify_total_days")
        from_rows = [await find(client, **window, baseline="31d") for window in windows]
    found = [[answer["findings"], rows(answer)] for answer in from_totals]
    assert found == [[answer["findings"], rows(answer)] for answer in from_rows]
    assert all(count for count, _ in found)


async def test_the_definition_costs_at_most_280_tokens() -> None:
    async with connect(None) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    tool = tools["find_verify_anomalies"]
    assert tokens(f"{tool.name}{tool.description}{json.dumps(tool.input_schema)}") <= 280


def quiet_months(days: int, per_day: int = 24) -> list[SessionRecord]:
    """Sessions at even times, three of four verified, each of another number."""
    step = 24 * 60 / per_day
    return [
        make_record(
            number,
            minutes=5 + number * step,
            outcome="expired" if number % 4 == 0 else "verified",
            recipient=f"4477{number * 7919 % 10**8:08d}",
            network="EE",
        )
        for number in range(days * per_day)
    ]


async def test_quiet_days_have_no_finding_and_the_answer_says_what_was_looked_at(
    file: Place,
) -> None:
    await hold(file.url, quiet_months(30), days=30)
    async with serve(file.url) as client:
        answer = await find(client)
    assert (answer["findings"], answer["sessions"], answer["complete"]) == (0, 24, True)
    assert "pumping, delivery, conversion, spend, volume, repeat, stuck" in answer["note"]
    assert "columns" not in answer


async def test_a_long_window_places_the_begin_as_closely_as_a_short_one(file: Place) -> None:
    """Eight days are searched in steps of two hours; the fault begins at 07:45."""
    start = NOW.replace(day=18, hour=7, minute=45)
    records = [
        replace(record, attempts=(replace(record.attempts[0], status="failed"),))
        if start <= record.created_at < start + timedelta(hours=12)
        else record
        for record in quiet_months(30, per_day=48)
    ]
    await hold(file.url, records, days=30)
    async with serve(file.url) as client:
        answer = await find(
            client, session_time__gte="8d", baseline="21d", kinds=["delivery", "conversion"]
        )
    (fault,) = rows(answer)
    assert (fault["kind"], fault["expected"], fault["seen"]) == ("delivery", "0.43% failed", "100%")
    assert "11-18 07:30" <= fault["from"] <= "11-18 08:15"
    assert "11-18 19:30" <= fault["to"] <= "11-18 20:00"


async def test_what_is_missing_is_fetched_and_a_short_past_is_said() -> None:
    async with serve("sqlite://", quiet_months(10)) as client:
        answer = await find(client, max_requests=20)
    assert (answer["findings"], answer["baseline"]) == (0, "1 of 28 days")
    assert 0 < answer["api_requests"] <= 10
    assert not answer["complete"]
    assert answer["why"].startswith("Not judged for every hour: spend, volume.")
    assert "spend" not in answer["note"]


async def test_the_newest_hour_that_the_api_refuses_is_missing() -> None:
    clock, is_down = FakeClock(), False
    api = emulator_with(*quiet_months(10), clock=clock, list_limit=None)

    async def serve_sometimes(scope: Any, receive: Any, send: Any) -> None:
        if is_down:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await api(scope, receive, send)

    async with connect(serve_sometimes, clock=clock, rate_limit=PLENTY, ahead=0) as client:
        await find(client, max_requests=60)
        clock.pass_by(40 * 60)
        is_down = True
        answer = await find(client)
    assert not answer["complete"]
    assert answer["missing"] == ["2026-11-21 09:30:00 to 2026-11-21 10:10:00"]


async def test_without_a_past_nothing_is_claimed() -> None:
    async with serve("sqlite://", quiet_months(10, per_day=200)) as client:
        partly = await find(client, max_requests=5)
        windowed = await find(client, max_requests=8)
    assert (partly["complete"], partly.get("findings")) == (False, None)
    assert partly["missing"]
    assert (windowed["complete"], windowed.get("findings")) == (False, None)
    assert "h before the window are held, and 24 h are needed to compare with" in windowed["why"]
    assert "No hour before the window is held, and 24 h are needed" in partly["why"]


@pytest.mark.parametrize(
    ("window", "missing"),
    [
        (
            {"session_time__gte": "95d", "session_time__lt": "80d"},
            ["2026-08-18 09:30:00 to 2026-08-23 09:30:01"],
        ),
        ({"session_time__gte": "88d", "session_time__lt": "80d"}, None),
    ],
)
async def test_a_window_at_the_end_of_the_reach_is_said_to_have_no_time_before(
    window: dict[str, str], missing: list[str] | None
) -> None:
    async with serve("sqlite://", quiet_months(100)) as client:
        answer = await find(client, **window, baseline="60d", max_requests=60)
    assert (answer["complete"], answer.get("findings")) == (False, None)
    assert answer.get("missing") == missing
    assert answer["why"].count("The API reaches back 90 days, to 2026-08-23 09:30:01 UTC.") == 1
    assert answer["why"].endswith("Ask about a later or a shorter window.")
    assert "goes on" not in answer["why"]
    assert "eta_s" not in answer


async def test_a_window_that_is_cut_at_the_reach_says_so_beside_its_findings(file: Place) -> None:
    await hold(file.url, quiet_months(119), days=119)
    window = {"session_time__gte": "95d", "session_time__lt": "85d"}
    async with serve(file.url) as client:
        answer = await find(client, **window)
    assert (answer["complete"], answer["findings"]) == (False, 0)
    assert answer["missing"] == ["2026-08-18 09:30:00 to 2026-08-23 09:30:01"]
    assert answer["why"].startswith("The API reaches back 90 days")


async def test_a_long_baseline_is_told_in_whole_days(file: Place) -> None:
    await hold(file.url, quiet_months(30), days=30)
    async with serve(file.url) as client:
        answer = await find(client, baseline="1000d")
    assert answer["baseline"] == "29 of 1000 days"


async def test_a_partly_known_window_says_so_beside_its_findings() -> None:
    window = {"session_time__gte": "2026-11-18 00:00", "session_time__lt": "2026-11-19 00:00"}
    before = {"session_time__gte": "2026-11-16", "session_time__lt": "2026-11-18"}
    async with serve("sqlite://", quiet_months(6, per_day=200)) as client:
        await call_tool(client, "summarize_verify_sessions", {**before, "max_requests": 100})
        answer = await find(client, **window, max_requests=3)
    assert (answer["complete"], answer["findings"]) == (False, 0)
    assert answer["missing"]
    assert "Looked at 0." in answer["note"]


async def test_without_a_mirror_there_is_nothing_to_compare_with() -> None:
    api = emulator_with(*quiet_months(2))
    async with connect(api, mirror=False) as client:
        answer = await find(client)
    assert answer["complete"] is False
    assert answer["why"].startswith("VERIFY_MCP_MIRROR is off")
    assert "findings" not in answer
    assert answer["api_requests"] <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"session_time__gte": "14d", "baseline": "7d"}, "Give baseline=14d or more"),
        ({"baseline": "2026-11-01"}, "baseline is not a length of time, e.g. 28d."),
        ({"session_time__gte": "60d"}, "longer than 31 days"),
        ({"kinds": ["fraud"]}, "kinds is none of pumping, delivery"),
        ({"session_time__gte": "1h", "session_time__lt": "2h"}, "Give a start before the end"),
        ({"group_by": ["day"]}, "There is no argument group_by."),
        ({"country": "ZZ"}, "ISO 3166"),
        ({"recipient": "+62*"}, "at least 4 digits before its star"),
    ],
)
async def test_bad_input_is_refused_without_a_request(
    arguments: dict[str, Any], words: str
) -> None:
    api = emulator_with()
    async with connect(api) as client:
        assert words in await call_tool_error(client, "find_verify_anomalies", **arguments)
    assert api.received == []


async def test_sessions_that_do_not_end_and_a_recipient_who_repeats_are_found(file: Place) -> None:
    busy = [
        make_record(90_000 + n, minutes=30 + 40 * n, recipient="447700900123") for n in range(30)
    ]
    stuck = [
        replace(
            make_record(91_000 + n, minutes=300 + n),
            resolved_at=NOW + timedelta(days=9),
            recipient=f"44780000{n:04d}",
        )
        for n in range(5)
    ]
    await hold(file.url, [*quiet_months(29, per_day=48), *busy, *stuck], days=29)
    async with serve(file.url) as client:
        answer = await find(client, session_time__lt="2h", kinds=["repeat", "stuck"])
    found = by_kind(answer)
    assert (found["repeat"]["where"], found["repeat"]["sessions"]) == ("GB +447700900123", "27")
    assert (found["stuck"]["sessions"], found["stuck"]["seen"]) == ("5", "5")
    assert uuid(91_000)[:8] in found["stuck"]["examples"]


async def test_findings_of_one_brand_or_app_hash_leave_out_what_does_not_tell_it(
    place: Place,
) -> None:
    records = [
        replace(record, app_hash="abc" if record.country == "AZ" else "x9")
        for record in generate(now=NOW).records
    ]
    await hold(place.url, records)
    brands = {record.brand_name for record in records}
    async with serve(place.url) as client:
        hashed = await find(client, session_time__gte="7d", app_hash="abc")
        other = await find(client, session_time__gte="7d", app_hash="x9", kinds="pumping")
        branded = [await find(client, session_time__gte="7d", brand_name=one) for one in brands]
        nobody = await find(client, session_time__gte="7d", brand_name="Hooli")
        everything = await find(client, session_time__gte="7d", kinds="stuck")
        status = await call_tool_error(client, "find_verify_anomalies", status="expired")
    assert by_kind(hashed)["pumping"]["where"] == "AZ Azercell +99450271*"
    assert (hashed["complete"], hashed["applied"]["app_hash"]) == (True, "abc")
    assert (other["api_requests"], other["findings"]) == (0, 0)
    untold = everything["sessions"] - sum(answer["sessions"] for answer in branded)
    assert 0 < untold < 0.1 * everything["sessions"]
    assert "sessions held that do not tell their brand_name." in nobody["note"]
    assert (nobody["complete"], nobody["sessions"], nobody["findings"]) == (True, 0, 0)
    assert "status" in status


async def test_no_brand_is_looked_at_where_payloads_do_not_tell_brands(place: Place) -> None:
    await hold(place.url, generate(now=NOW).records, shape="lean")
    async with serve(place.url) as client:
        answer = await find(client, session_time__gte="7d", brand_name="Acme")
    assert (answer["complete"], "findings" in answer) == (False, False)
    assert "sessions held do not tell their brand_name" in answer["why"]
