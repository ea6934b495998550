"""compare_verify_sessions: exact figures with drivers where all is known, honest else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from mcp import Client

from tests.support import expected
from tests.support.background import connect_with_background, work_until_idle
from tests.support.client import (
    APP,
    NOW,
    Era,
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
from tests.support.mirror import UNLIMITED
from tests.support.summaries import DAY, HOUR, MINUTE, attempt, read_onset, some
from verify_mcp.emulator import Emulator, Fault, SessionRecord

pytestmark = pytest.mark.anyio

NUMBERS = {"IN": "9193800", "US": "1415555", "FR": "3361234", "AZ": "9945012"}
FIGURES = ("sessions", "verified", "conversion_pct", "cost", "cost_per_verified")
FAULT = NOW - 10 * HOUR
"""When deliveries to India begin to fail, and a burst on Azerbaijan begins."""
DAY_ASKED = {"session_time__gte": "2026-11-20 09:30", "session_time__lt": "2026-11-21 09:30"}


async def compare(client: Client, **arguments: Any) -> dict[str, Any]:
    """The answer of compare_verify_sessions, the same in both channels."""
    return await call_tool(client, "compare_verify_sessions", arguments)


def traffic(
    country: str, number: int, rate: float, start: datetime, end: datetime, seed: int, **same: Any
) -> list[SessionRecord]:
    """Sessions spread over a time, of which a share is verified."""
    random = Random(seed)  # noqa: S311 - made-up data
    found = []
    for index in range(number):
        at = start + (end - start) * ((index + random.random()) / number)
        found.append(
            SessionRecord(
                uuid=uuid(seed * 0x10000 + index),
                recipient=f"{NUMBERS[country]}{random.randrange(10_000):04d}",
                created_at=at.replace(microsecond=0),
                resolved_at=at + 2 * MINUTE,
                outcome="verified" if random.random() < rate else "expired",
                attempts=(attempt("sms", "delivered", at, "0.25" if country == "AZ" else "0.05"),),
                **same,
            )
        )
    return found


def troubled() -> list[SessionRecord]:
    """Two days; in the last ten hours India fails, and Azerbaijan is pumped."""
    earlier, end = NOW - 2 * DAY, NOW - 10 * MINUTE
    return [
        *traffic("IN", 200, 0.85, earlier, FAULT, 1, app_uuid=APP),
        *traffic("IN", 70, 0.2, FAULT, end, 2, app_uuid=APP),
        *traffic("US", 200, 0.8, earlier, end, 3),
        *traffic("FR", 100, 0.8, earlier, end, 4, app_uuid=APP),
        *traffic("AZ", 40, 0.02, FAULT, FAULT + 3 * HOUR, 5, brand_name="Globex"),
    ]


def free(*records: SessionRecord, clock: FakeClock | None = None) -> Emulator:
    """An account whose API limits nobody."""
    return emulator_with(*records, clock=clock, list_limit=None)


def sides(answer: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Both columns of the table of figures."""
    table = {row["figure"]: row for row in rows(answer)}
    before, after = (
        {name: table[name][side] for name in FIGURES if name in table}
        for side in ("before", "after")
    )
    return before, after


def truth(emulator: Emulator, start: datetime, end: datetime) -> dict[str, str]:
    """The same figures from the account's own records."""
    real = expected.totals(expected.among(emulator.data, start, end), NOW)
    return {name: str(real[name]) for name in FIGURES if name in real}


async def test_the_answer_of_two_small_hours_in_every_field(era: Era) -> None:
    won = make_record(1, minutes=50, outcome="verified", validation_charge=Decimal("0.05"))
    lost = [make_record(number, minutes=40 - number) for number in (2, 3)]
    before = [make_record(number, minutes=100, outcome="verified") for number in (5, 6)]
    async with connect(emulator_with(won, *lost, *before), era=era) as client:
        answer = await compare(client, session_time__gte="1h")
    assert answer == {
        "complete": True,
        "basis": "fetched",
        "applied": {
            "session_time__gte": "2026-11-21 08:30:00",
            "session_time__lt": "2026-11-21 09:30:00",
            "against": "2026-11-21 07:30:00",
        },
        "summary": "Conversion went from 100.00 to 33.33 %: chance alone can make such a "
        "difference. No group has sessions enough to be a driver.",
        "columns": ["figure", "before", "after", "change"],
        "rows": [
            ["sessions", "2", "3", "+1"],
            ["verified", "2", "1", "-1"],
            ["conversion_pct", "100.00", "33.33", "-66.67"],
            ["cost", "0.16", "0.29", "+0.13"],
            ["cost_per_verified", "0.08", "0.29", "+0.21"],
            ["attempts_per_session", "1.00", "1.00", "0"],
        ],
        "conversion_change": {
            "points": "-66.67",
            "low": "-93.86",
            "high": "+13.54",
            "chance": "0.4",
        },
        "drivers": {"groups_looked_at": 0},
        "cost_change": {"by": "country", "volume": "+0.08", "mix": "0", "price": "+0.05"},
        "as_of": "2026-11-21T09:30:00Z",
        "api_requests": 2,
        "quota_left": 18,
    }


async def test_a_fault_and_a_burst_are_the_drivers_with_their_begin(era: Era, place: Place) -> None:
    clock = FakeClock()
    emulator = free(*troubled(), clock=clock)
    async with connect(
        emulator, clock=clock, era=era, database_url=place.url, rate_limit=UNLIMITED
    ) as client:
        fetched = await compare(client, **DAY_ASKED, max_requests=200)
        while not fetched["complete"]:  # the clock moves while slots are waited for
            fetched = await compare(client, **DAY_ASKED, max_requests=200)
        held = await compare(client, **DAY_ASKED)
    changed = {name: held[name] for name in ("as_of", "quota_left")}
    assert held == {**fetched, "basis": "held", "api_requests": 0, **changed}
    assert sides(held) == (
        truth(emulator, NOW - 2 * DAY, NOW - DAY), truth(emulator, NOW - DAY, NOW),
    )  # fmt: skip
    drivers = {row["group"]: row for row in rows(held["drivers"])}
    assert list(drivers)[:2] == ["IN", "AZ"]
    assert abs(float(drivers["IN"]["rate"])) > 5 > abs(float(drivers["IN"]["mix"]))
    assert abs(float(drivers["AZ"]["mix"])) > 5 > abs(float(drivers["AZ"]["rate"]))
    for name in ("IN", "AZ"):
        _, earliest, latest = read_onset(drivers[name]["since"])
        assert earliest <= f"{FAULT:%m-%d %H:%M}" <= latest
    assert not {"US", "FR"} & set(drivers)
    assert held["summary"].startswith("Conversion fell by ")
    assert "Largest driver: country IN (" in held["summary"]


async def test_a_comparison_with_three_drivers_costs_at_most_500_tokens() -> None:
    emulator = emulator_with(*troubled(), list_limit=None, shape="rich")
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        answer = await compare(client, max_requests=200)
    drivers = [(row["by"], row["group"]) for row in rows(answer["drivers"])]
    assert drivers[:3] == [("country", "IN"), ("country", "AZ"), ("brand", "Globex")]
    answer["drivers"]["rows"] = answer["drivers"]["rows"][:3]
    assert tokens(json.dumps(answer, ensure_ascii=False, separators=(",", ":"))) <= 500


async def test_the_parts_of_one_dimension_add_up_to_the_differences() -> None:
    async with connect(free(*troubled()), rate_limit=UNLIMITED) as client:
        answer = await compare(client, by="country", max_requests=200)
    drivers = answer["drivers"]
    parts = [Decimal(row[part]) for row in rows(drivers) for part in ("rate", "mix")]
    points = Decimal(answer["conversion_change"]["points"])
    assert sum(parts) + Decimal(drivers["rest"]) == points
    assert {row["by"] for row in rows(drivers)} == {"country"}
    change, table = answer["cost_change"], {row["figure"]: row for row in rows(answer)}
    total = sum(Decimal(change[part]) for part in ("volume", "mix", "price"))
    groups = [
        sum(Decimal(row[part]) for part in ("volume", "mix", "price")) for row in rows(change)
    ]
    assert total == sum(groups) == Decimal(table["cost"]["change"])


@pytest.mark.parametrize("settings", [{"mirror": False}, {}])
async def test_a_filter_that_the_mirror_cannot_answer_compares_what_is_fetched(
    settings: dict[str, Any],
) -> None:
    ours = [replace(record, app_hash="abc") for record in troubled()]
    emulator = emulator_with(*ours, list_limit=None, shape="rich")
    async with connect(emulator, rate_limit=UNLIMITED, **settings) as client:
        answer = await compare(client, app_hash="abc", max_requests=200)
    assert (answer["basis"], answer["applied"]["app_hash"]) == ("fetched", "abc")
    assert [row["group"] for row in rows(answer["drivers"])][:2] == ["IN", "AZ"]
    assert sides(answer)[1] == truth(emulator, NOW - DAY, NOW)


async def test_what_is_too_much_to_fetch_is_counted_and_repeated_calls_end_exact() -> None:
    clock = FakeClock()
    ended = [each for each in some(1_500, hours=48) if each.created_at < NOW - 9 * MINUTE]
    emulator = emulator_with(*ended, clock=clock)
    answers: list[dict[str, Any]] = []
    async with connect(emulator, clock=clock) as client:
        while not answers or not answers[-1]["complete"]:
            answers.append(await compare(client))
            clock.pass_by(answers[-1].get("eta_s", 0))
            assert len(answers) < 15
    counted = [answer for answer in answers if answer["basis"] == "counted"]
    for answer in counted:
        assert (answer["complete"], answer["eta_exact_s"] > 0, bool(answer["why"])) == (
            False, True, True,
        )  # fmt: skip
        assert not {"drivers", "cost_change"} & answer.keys()
    windows = [answer["applied"] for answer in answers]
    assert windows == windows[:1] * len(windows)
    real = truth(emulator, NOW - 2 * DAY, NOW - DAY), truth(emulator, NOW - DAY, NOW)
    known = [answer for answer in counted if "conversion_change" in answer]
    assert known
    for answer in known:
        for found, side in zip(sides(answer), real, strict=True):
            assert found == {name: side[name] for name in found}
            assert {"sessions", "verified", "conversion_pct"} <= found.keys()
    assert sides(answers[-1]) == real
    assert sum(answer["api_requests"] for answer in answers) <= 1_500 / 20 + 40


async def test_a_later_window_that_takes_all_requests_says_that_the_earlier_one_waits() -> None:
    async with connect(emulator_with(*some(600, hours=48))) as client:
        answer = await compare(client, max_requests=1)
    assert (answer["complete"], answer["api_requests"]) == (False, 1)
    assert answer["why"].startswith("The earlier window was not looked at yet")
    assert answer["summary"] == "Not enough is known yet to compare."
    assert "conversion_change" not in answer


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"against": "3h"},
            "against starts too late: both windows would overlap. Give a start at or before "
            "2026-11-19 09:30:00 (UTC), or before or week.",
        ),
        (
            {"session_time__gte": "9d", "against": "3h"},
            "against starts too late: both windows would overlap. Give a start at or before "
            "2026-11-03 09:30:00 (UTC), or before.",
        ),
        (
            {"session_time__gte": "9d", "against": "week"},
            "against=week compares at most 7 days; the window is longer, so both would overlap. "
            "Give a later session_time__gte, or against=before.",
        ),
        ({"against": "yesterday"}, "against is neither before, week nor a time, e.g. 14d."),
        ({"by": "moon"}, "by is none of country, channel, "),
        (
            {"session_time__gte": "5h", "by": "hour_of_day"},
            "by=hour_of_day needs windows that begin at the same time of day, e.g. against=week, "
            "or a window of 24h.",
        ),
        ({"country": "Utopia"}, "country "),
        ({"group_by": "day"}, "There is no argument group_by. Valid: against, by, "),
        ({"session_time__gte": "1h", "session_time__lt": "2h"}, "session_time: the window starts"),
    ],
)
async def test_a_question_without_an_answer_is_refused_without_a_request(
    arguments: dict[str, str], message: str
) -> None:
    emulator = emulator_with()
    async with connect(emulator) as client:
        error = await call_tool_error(client, "compare_verify_sessions", **arguments)
    assert error.startswith(message)
    assert emulator.received == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"session_time__gte": "50d"},
        {"session_time__gte": "80d", "session_time__lt": "79d", "against": "100d"},
    ],
)
async def test_an_earlier_window_before_the_reach_is_said_to_be_gone_without_a_figure(
    arguments: dict[str, str],
) -> None:
    emulator = emulator_with(*some(30))
    async with connect(emulator) as client:
        answer = await compare(client, **arguments)
    assert answer["complete"] is False
    assert "The API reaches back 90 days" in answer["why"]
    assert not {"rows", "summary", "drivers", "conversion_change"} & answer.keys()
    assert all(("limit", "1") in request.query for request in emulator.received)  # clocks compared


@pytest.mark.parametrize(
    ("against", "start"),
    [
        ("before", NOW - 2 * DAY),
        ("week", NOW - 8 * DAY),
        ("2026-11-10", datetime(2026, 11, 10, tzinfo=NOW.tzinfo)),
    ],
)
async def test_the_earlier_window_begins_where_it_was_asked_to(
    against: str, start: datetime
) -> None:
    emulator = free(*some(400, hours=24 * 13))
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        answer = await compare(client, against=against, max_requests=100)
    assert answer["applied"]["against"] == f"{start:%Y-%m-%d %H:%M:%S}"
    assert sides(answer) == (truth(emulator, start, start + DAY), truth(emulator, NOW - DAY, NOW))


@pytest.mark.parametrize("given", [{}, {"max_requests": 12}], ids=["default", "given"])
async def test_only_a_limit_that_was_given_is_named_as_one(given: dict[str, int]) -> None:
    clock = FakeClock()
    whys = []
    async with connect(emulator_with(*some(3_000, hours=48), clock=clock), clock=clock) as client:
        for _ in range(3):
            answer = await compare(client, country="IN", **given)
            whys.append(answer["why"])
            clock.pass_by(61)
    named = set(re.findall(r"max_requests \((\d+)\)", " ".join(whys)))
    assert named <= {str(limit) for limit in given.values()}


async def test_sessions_without_a_known_cost_are_no_change_of_price() -> None:
    records = [make_record(number, minutes=100 + number) for number in range(4)]
    records += [make_record(number, minutes=20 + number) for number in range(6, 9)]
    emulator = emulator_with(*records)
    emulator.fail_next(Fault.ROW_WITHOUT_CHARGES)
    async with connect(emulator) as client:
        answer = await compare(client, session_time__gte="1h", by="country")
    (row,) = (row for row in rows(answer) if row["figure"] == "uncosted")
    assert (row["before"], row["after"]) == ("0", "1")
    change = answer["cost_change"]
    assert (change["volume"], change["mix"], change["price"]) == ("-0.16", "0", "0")
    assert change["note"] == "Without 0 sessions before and 1 after that have no known cost."


async def test_two_times_45_days_reach_back_90_days_and_are_compared() -> None:
    emulator = free(*some(60, hours=24 * 89))
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        answer = await compare(client, session_time__gte="45d", max_requests=200)
        fixed = await compare(
            client,
            session_time__gte="2026-11-20 09:30",
            session_time__lt="2026-11-21 09:30",
            against="2026-08-23 09:30",
        )
    assert (answer["complete"], answer["applied"]["against"]) == (True, "2026-08-23 09:30:02")
    assert answer["applied"]["session_time__gte"] == "2026-10-07 09:30:01"
    assert fixed["applied"]["against"] == "2026-08-23 09:30:01"
    assert fixed["applied"]["session_time__gte"] == "2026-11-20 09:30:01"


async def test_a_window_in_which_nothing_ended_has_no_conversion_to_compare() -> None:
    lost = [make_record(number, minutes=2000 + number) for number in range(3)]
    async with connect(emulator_with(*lost)) as client:
        answer = await compare(client)
    assert sides(answer)[1] == {"sessions": "0", "verified": "0", "cost": "0"}
    assert "conversion_change" not in answer
    assert answer["summary"].startswith("No session ended in one of the windows")
    async with connect(emulator_with()) as client:
        assert (await compare(client))["summary"].startswith("No session ended in either window")


async def test_the_begin_within_long_windows_is_found_to_the_hour() -> None:
    began = NOW - 5 * DAY + 20 * MINUTE
    ours = [
        *traffic("IN", 250, 0.9, NOW - 30 * DAY, began, 1),
        *traffic("IN", 120, 0.2, began, NOW - HOUR, 2),
        *traffic("US", 250, 0.8, NOW - 30 * DAY, NOW - HOUR, 3),
    ]
    async with connect(free(*ours), rate_limit=UNLIMITED) as client:
        answer = await compare(client, session_time__gte="15d", by="country", max_requests=200)
    (driver,) = rows(answer["drivers"])
    at = datetime.strptime(f"2026-{driver['since'][:11]}+0000", "%Y-%m-%d %H:%M%z")
    assert driver["group"] == "IN"
    assert abs(at - began) <= timedelta(hours=6)


async def test_a_comparison_becomes_exact_by_itself_when_it_says_so() -> None:
    clock, settled = FakeClock(), {"session_time__gte": "26h", "session_time__lt": "2h"}
    emulator = emulator_with(*some(1_200, hours=48), clock=clock)
    async with connect_with_background(emulator, clock) as (client, context):
        first = await compare(client, **settled)
        seconds = await work_until_idle(context, clock)
        exact = await compare(client, **settled)
    assert first["why"].endswith("they are fetched in the background.")
    assert abs(first["eta_exact_s"] - seconds) <= 0.25 * seconds
    assert (exact["complete"], exact["basis"], exact["api_requests"]) == (True, "held", 0)


async def test_an_outage_before_the_earlier_window_leaves_the_figures_of_the_later_one() -> None:
    emulator = emulator_with(*some(30, hours=48))
    async with connect(emulator) as client:
        await compare(
            client, session_time__gte="2026-11-20 20:00", session_time__lt="2026-11-21 07:00"
        )
        emulator.fail_next(Fault.SERVER_ERROR, times=9)
        answer = await compare(
            client,
            session_time__gte="2026-11-21 00:00",
            session_time__lt="2026-11-21 07:00",
            against="2026-11-19 20:00",
        )
    assert (answer["complete"], sides(answer)[1]["sessions"] != "") == (False, True)
    assert answer["why"].startswith("The earlier window could not be asked for. The Verify API ")
    assert "drivers" not in answer


async def test_a_drill_down_into_what_is_held_costs_no_request() -> None:
    emulator = free(*troubled())
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        await compare(client, **DAY_ASKED, max_requests=200)
        requests = len(emulator.received)
        india = await compare(client, **DAY_ASKED, country="IN")
        expired = await compare(client, **DAY_ASKED, status="expired")
        hours = await compare(client, **DAY_ASKED, country="IN", by="hour_of_day")
        apps = await compare(client, **DAY_ASKED, by="app")
    assert len(emulator.received) == requests
    numbers = [each for each in emulator.data.records if each.recipient.startswith(NUMBERS["IN"])]
    days = [
        [each for each in numbers if start <= each.created_at < start + DAY]
        for start in (NOW - 2 * DAY, NOW - DAY)
    ]
    assert india["applied"]["country"] == ["IN"]
    assert [side["sessions"] for side in sides(india)] == [str(len(day)) for day in days]
    assert expired["note"].startswith("All these sessions have one status")
    assert "note" not in india
    assert "rows" not in india["drivers"]
    assert hours["complete"]
    assert all(row["group"].endswith(":00") for row in rows(hours["cost_change"]))
    assert APP in {row["group"] for row in rows(apps["cost_change"])}


async def test_a_filtered_comparison_is_made_exact_in_the_background_when_it_says_so() -> None:
    clock = FakeClock()
    emulator = emulator_with(*some(1_500, hours=48), clock=clock)
    async with connect_with_background(emulator, clock) as (client, context):
        first = await compare(client, app_uuid=APP, brand_name="Acme")
        seconds = await work_until_idle(context, clock)
        sent = len(emulator.received)
        second = await compare(client, app_uuid=APP, brand_name="Acme")
    assert (first["complete"], second["complete"]) == (False, True)
    assert second["applied"] == first["applied"]
    assert len(emulator.received) == sent
    assert abs(first["eta_exact_s"] - seconds) <= 60


async def test_a_begin_in_the_earlier_window_is_not_told() -> None:
    began = NOW - 7 * DAY - 3 * HOUR
    ours = [
        *traffic("IN", 300, 0.9, NOW - 8 * DAY, began, 1),
        *traffic("IN", 40, 0.2, began, NOW - 7 * DAY, 2),
        *traffic("IN", 300, 0.2, NOW - DAY, NOW - 10 * MINUTE, 3),
        *traffic("US", 250, 0.8, NOW - 8 * DAY, NOW - 7 * DAY, 4),
        *traffic("US", 250, 0.8, NOW - DAY, NOW - 10 * MINUTE, 5),
    ]
    async with connect(free(*ours), rate_limit=UNLIMITED) as client:
        answer = await compare(client, **DAY_ASKED, against="week", max_requests=200)
    assert "IN" in {row["group"] for row in rows(answer["drivers"])}
    assert "since" not in answer["drivers"]["columns"]
    assert "since about" not in answer["summary"]
