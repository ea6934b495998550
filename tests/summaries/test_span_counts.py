"""Days and hours of a window too large to fetch: bounds that close in until they are exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from mcp import Client

from tests.support import expected
from tests.support.client import NOW, FakeClock, call_tool, connect, emulator_with, make_record
from tests.support.client import rows as table
from verify_mcp.emulator import SessionRecord

pytestmark = pytest.mark.anyio

PERIOD = {"session_time__gte": "2026-11-08", "session_time__lt": "2026-11-20"}
BY_DAY = {**PERIOD, "group_by": ["day"]}
KOLKATA = ZoneInfo("Asia/Kolkata")


def uneven(size: int = 1_500, seed: int = 3) -> list[SessionRecord]:
    """Sessions of twelve days, some days much busier than others, a third of them verified."""
    random, made = Random(seed), []  # noqa: S311 - made-up data
    for number in range(size):
        day = random.choices(range(12), (1, 2, 9, 2, 1, 1, 3, 2, 1, 1, 2, 1))[0]
        minutes = (day + 1 + random.random() ** 2) * 1440 + 570
        outcome = random.choice(["verified", "expired", "expired"])
        made.append(make_record(number, minutes=minutes, outcome=outcome))
    return made


def by_label(records: Sequence[SessionRecord], form: str = "%Y-%m-%d") -> Counter[str]:
    return Counter(each.created_at.strftime(form) for each in records)


async def repeat(client: Client, clock: FakeClock, times: int, **arguments: Any) -> list[Any]:
    """The answers of a call and of its repetitions, until one is complete."""
    answers: list[Any] = []
    while len(answers) < times and not (answers and answers[-1]["complete"]):
        answers.append(await call_tool(client, "summarize_verify_sessions", arguments))
        clock.pass_by(61)
    return answers


def bounds(answer: Any) -> dict[str, tuple[int, int]]:
    """The bounds of each row's sessions; both are the number where it is exact."""
    return {
        row[answer["columns"][0]]: (
            int(row.get("sessions_low") or row["sessions"]),
            int(row.get("sessions_high") or row["sessions"]),
        )
        for row in table(answer)
    }


async def test_every_day_has_a_row_at_once_and_its_bounds_close_in_until_it_is_exact() -> None:
    clock, records = FakeClock(), uneven()
    async with connect(emulator_with(*records, clock=clock), clock=clock) as client:
        answers = await repeat(client, clock, 9, **BY_DAY)
    true = by_label(records)
    for answer in answers:
        found = bounds(answer)
        assert found.keys() == true.keys()
        assert all(low <= true[day] <= high for day, (low, high) in found.items())
    for earlier, later in pairwise(map(bounds, answers)):
        assert all(earlier[day][0] <= later[day][0] for day in true)
        assert all(later[day][1] <= earlier[day][1] for day in true)
    exact = next(
        each for each in answers if all(low == high for low, high in bounds(each).values())
    )
    assert sum(answer["api_requests"] for answer in answers[: answers.index(exact) + 1]) <= 60
    assert exact["basis"] == "counted"
    assert sum(low for low, _ in bounds(exact).values()) == exact["sessions"] == len(records)


@pytest.mark.parametrize("requests", [2, 3, 4, 5, 6])
async def test_a_call_with_few_requests_left_bounds_the_days_that_it_has_seen(
    requests: int,
) -> None:
    records = uneven()
    truth, clock = by_label(records), FakeClock()
    async with connect(emulator_with(*records, clock=clock), clock=clock) as client:
        answer = await call_tool(
            client, "summarize_verify_sessions", {**BY_DAY, "max_requests": requests}
        )
    found = {row["day"]: row for row in table(answer)}
    open_days = [
        day for day, row in found.items() if row["sessions_low"] and not row["sessions_high"]
    ]
    assert answer["sessions_at_least"] < 1_500
    assert found.keys() == truth.keys()
    for day, row in found.items():
        low, high = (row[name] or row["sessions"] for name in ("sessions_low", "sessions_high"))
        assert int(low) <= truth[day]
        assert day in open_days or truth[day] <= int(high)
    assert open_days == sorted(found)[: len(open_days)]
    assert f"Up to {open_days[-1]} a day has at least so many." in answer["note"]


async def test_conversion_by_day_is_exact_long_before_every_page_is_read() -> None:
    clock, records = FakeClock(), uneven()
    verified = by_label([each for each in records if each.outcome == "verified"])
    true = {day: 100 * verified[day] / number for day, number in by_label(records).items()}
    async with connect(emulator_with(*records, clock=clock), clock=clock) as client:
        answers = await repeat(client, clock, 9, **BY_DAY)
    counted = [each for each in answers if each["basis"] == "counted"]
    for answer in counted:
        for row in table(answer):
            if row.get("conversion_low"):
                low, high = float(row["conversion_low"]), float(row["conversion_high"])
                assert low <= true[row["day"]] <= high
    last = table(counted[-1])
    assert {row["day"]: row["conversion_pct"] for row in last} == {
        row["day"]: row["conversion_pct"] for row in table(answers[-1])
    }
    assert not any(row.get("conversion_low") for row in last)


async def test_days_by_status_become_exact_too() -> None:
    clock, records = FakeClock(), uneven()
    question = {**PERIOD, "group_by": ["status", "day"]}
    async with connect(emulator_with(*records, clock=clock), clock=clock) as client:
        answers = await repeat(client, clock, 6, **question)
    true = Counter((each.outcome, f"{each.created_at:%Y-%m-%d}") for each in records)
    rows = table(answers[-1])
    assert answers[-1]["basis"] == "counted"
    assert {(row["status"], row["day"]): int(row["sessions"]) for row in rows} == true
    assert not any(row.get("sessions_low") for row in rows)


async def test_days_that_are_held_are_exact_from_the_mirror() -> None:
    clock, records = FakeClock(), uneven()
    day = {"session_time__gte": "2026-11-12", "session_time__lt": "2026-11-13"}
    async with connect(emulator_with(*records, clock=clock), clock=clock) as client:
        (answer,) = await repeat(client, clock, 1, **day)
        assert answer["complete"]
        (first,) = await repeat(client, clock, 1, **BY_DAY)
    number = by_label(records)["2026-11-12"]
    assert first["basis"] == "counted"
    assert bounds(first)["2026-11-12"] == (number, number)


async def test_hours_are_counted_in_the_local_time_where_they_are_few() -> None:
    clock, random = FakeClock(), Random(5)  # noqa: S311 - made-up data
    records = [make_record(each, minutes=random.uniform(600, 2_900)) for each in range(900)]
    local = [replace(each, created_at=each.created_at.astimezone(KOLKATA)) for each in records]
    question = {
        "session_time__gte": str(NOW - timedelta(days=3)),
        "session_time__lt": str(NOW - timedelta(hours=6)),
        "group_by": "hour",
        "time_zone": "Asia/Kolkata",
    }
    async with connect(emulator_with(*records, clock=clock), clock=clock) as client:
        answers = await repeat(client, clock, 4, **question)
    true = by_label(local, "%m-%d %H:00")
    assert answers[0]["basis"] == "counted"
    for answer in answers:
        found = bounds(answer)
        assert true.keys() <= found.keys()
        assert all(low <= true[hour] <= high for hour, (low, high) in found.items())


async def test_days_asked_first_leave_other_groups_to_be_sampled() -> None:
    clock = FakeClock()
    async with connect(emulator_with(*uneven(), clock=clock), clock=clock) as client:
        await repeat(client, clock, 1, **BY_DAY)
        await repeat(client, clock, 1, **PERIOD)
        (answer,) = await repeat(client, clock, 1, **PERIOD, group_by="country")
    assert [row["country"] for row in table(answer)] == ["IN"]
    assert answer["estimated"]["cost"]


async def test_a_row_that_comes_late_leaves_each_day_open_by_one() -> None:
    clock = FakeClock()
    records = [make_record(each, minutes=2 + each * 5) for each in range(2_000)]
    api = emulator_with(*records, clock=clock)
    question = {"session_time__gte": "6d", "group_by": "day"}
    async with connect(api, clock=clock) as client:
        await repeat(client, clock, 1, **question)
        api.data = api.data.with_records(make_record(5_000, minutes=90.5))
        (answer,) = await repeat(client, clock, 1, **question)
    start = datetime.fromisoformat(answer["applied"]["session_time__gte"]).replace(tzinfo=UTC)
    true = by_label(expected.among(api.data, start, NOW))
    assert "Rows came late meanwhile" in answer["why"]
    assert all(low <= true[day] <= high for day, (low, high) in bounds(answer).items())


async def test_weeks_are_counted_by_the_midnights_of_their_mondays_and_cut_by_the_window() -> None:
    clock, records = FakeClock(), uneven()
    question = {**PERIOD, "group_by": "week", "time_zone": "Asia/Kolkata"}
    async with connect(emulator_with(*records, clock=clock), clock=clock) as client:
        answers = await repeat(client, clock, 6, **question)
    local = (each.created_at.astimezone(KOLKATA) for each in records)
    true = Counter(f"{each - timedelta(days=each.weekday()):%Y-%m-%d}" for each in local)
    for answer in answers:
        assert all(low <= true[week] <= high for week, (low, high) in bounds(answer).items())
    assert {week: low for week, (low, _) in bounds(answers[-1]).items()} == true
    assert answers[-1]["note"] == (
        "week is the date of its Monday; the window has only a part of the first and the last one."
    )
