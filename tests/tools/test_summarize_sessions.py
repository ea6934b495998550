"""summarize_verify_sessions: exact where it can be had, the same at every price, honest else."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support import expected
from tests.support.client import (
    APP,
    NOW,
    SUBACCOUNT,
    Era,
    FakeClock,
    call_tool,
    call_tool_error,
    connect,
    emulator_with,
    list_sessions,
    make_record,
    tokens,
)
from tests.support.databases import Place, sqlite_url
from tests.support.mirror import UNLIMITED
from tests.support.summaries import DAY, HOUR, MINUTE, attempt, some, summarize
from verify_mcp.domain.groups import GROUPS
from verify_mcp.emulator import Emulator, Fault, generate
from verify_mcp.settings import Rate
from verify_mcp.tools.summary_request import GROUP_CHOICES

pytestmark = pytest.mark.anyio
TOTALS = (
    "sessions", "verified", "expired", "in_progress", "conversion_pct", "attempts", "cost",
    "cost_per_verified", "expired_cost", "rescued",
)  # fmt: skip


def figures(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in TOTALS if name in answer}


def table(answer: dict[str, Any]) -> dict[tuple[str, ...], list[str]]:
    """A table's figures by its groups."""
    groups = len(answer["applied"]["group_by"])
    return {tuple(row[:groups]): row[groups:] for row in answer["rows"]}


async def test_the_answer_of_a_small_day_in_every_field(era: Era) -> None:
    at = NOW - 2 * HOUR
    won = make_record(1, minutes=120, outcome="verified", validation_charge=Decimal("0.05"))
    rescued = make_record(
        2,
        minutes=119,
        outcome="verified",
        attempts=(attempt("sms", "failed", at + MINUTE), attempt("voice", "answer", at + MINUTE)),
    )
    lost, open_ = make_record(3, minutes=118), make_record(4, minutes=1, attempts=())
    emulator = emulator_with(won, rescued, lost, open_)
    async with connect(emulator, era=era) as client:
        answer = await summarize(client)
    assert answer == {
        "complete": True,
        "basis": "fetched",
        "applied": {
            "session_time__gte": "2026-11-20 09:30:00",
            "session_time__lt": "2026-11-21 09:30:00",
        },
        "sessions": 4,
        "verified": 2,
        "expired": 1,
        "in_progress": 1,
        "conversion_pct": "66.67",
        "attempts": 4,
        "cost": "0.41",
        "cost_per_verified": "0.205",
        "expired_cost": "0.08",
        "rescued": 1,
        "recipients": 4,
        "first_try_pct": "33.33",
        "gap_s": 0,
        "as_of": "2026-11-21T09:30:00Z",
        "api_requests": 1,
        "quota_left": 19,
    }


async def test_an_empty_window_has_no_conversion_to_tell() -> None:
    async with connect(emulator_with()) as client:
        answer = await summarize(client, group_by=["status"])
    assert figures(answer) == {
        "sessions": 0, "verified": 0, "expired": 0, "in_progress": 0, "attempts": 0, "cost": "0",
        "expired_cost": "0", "rescued": 0,
    }  # fmt: skip
    assert (answer["complete"], answer["rows"]) == (True, [])


async def test_fetched_first_and_held_ever_after_the_same_to_the_last_decimal(
    era: Era, place: Place
) -> None:
    emulator = emulator_with(*some(150))
    async with connect(emulator, era=era, database_url=place.url) as client:
        first = await summarize(client, group_by=["channel"])
        by_hour = len(emulator.received)
        second = await summarize(client, group_by=["channel"])
    real = expected.totals(emulator.data.records, NOW)
    assert (first["basis"], first["api_requests"], figures(first)) == ("fetched", 8, real)
    assert (second["basis"], second["api_requests"], len(emulator.received)) == ("held", 0, by_hour)
    assert second == {**first, "basis": "held", "api_requests": 0}


async def test_another_process_answers_from_what_the_first_one_fetched(place: Place) -> None:
    emulator = emulator_with(*some(90))
    for basis in ("fetched", "held"):
        async with connect(emulator, database_url=place.url) as client:
            answer = await summarize(client)
        assert (answer["basis"], figures(answer)) == (
            basis, expected.totals(emulator.data.records, NOW),
        )  # fmt: skip


NETWORKS = {"1": "?", "9": "Reliance Jio (range)", "3": "SFR (range)"}


def monday(local: datetime) -> str:
    return f"{local - timedelta(days=local.weekday()):%Y-%m-%d}"


KEYS: dict[str, Any] = {
    "status": lambda each: each.status_at(NOW),
    "channel": lambda each: expected.channel(each, NOW),
    "country": lambda each: {"1": "US", "9": "IN", "3": "FR"}[each.recipient[0]],
    "app": lambda each: each.app_uuid,
    "brand": lambda each: each.brand_name if each.attempts_at(NOW) else "?",
    "recipient": lambda each: f"+{each.recipient}",
    "day": lambda each: f"{each.created_at.astimezone(ZoneInfo('Asia/Kolkata')):%Y-%m-%d}",
    "week": lambda each: monday(each.created_at.astimezone(ZoneInfo("Asia/Kolkata"))),
    "hour": lambda each: f"{each.created_at.astimezone(ZoneInfo('Asia/Kolkata')):%m-%d %H:00}",
    "weekday": lambda each: f"{each.created_at.astimezone(ZoneInfo('Asia/Kolkata')):%a}",
    "hour_of_day": lambda each: f"{each.created_at.astimezone(ZoneInfo('Asia/Kolkata')):%H}:00",
    "first_channel": lambda each: next((a.channel for a in each.attempts_at(NOW)), "none"),
    "path": lambda each: ">".join(a.channel for a in each.attempts_at(NOW)) or "none",
    "tries": lambda each: str(len(each.attempts_at(NOW))),
    "prefix": lambda each: f"+{each.recipient[:-4]}",
    "network": lambda each: each.network or NETWORKS[each.recipient[0]],
    "number_type": lambda each: {"1": "fixed line or mobile"}.get(each.recipient[0], "mobile"),
}


async def test_every_group_and_pair_of_groups_is_what_the_account_holds() -> None:
    emulator = emulator_with(*some(110), shape="rich")
    async with connect(emulator) as client:
        pairs = Random(1).sample([*permutations(KEYS, 2)], 40)  # noqa: S311 - a choice
        for by in [*((name,) for name in KEYS), *pairs]:
            answer = await summarize(client, group_by=by, time_zone="Asia/Kolkata", top=200)
            real = expected.grouped(emulator.data.records, NOW, [KEYS[name] for name in by])
            assert table(answer) == real, by
    assert len(emulator.received) == 6


async def test_attempt_statuses_count_a_session_in_each_of_its_groups() -> None:
    at = NOW - 2 * HOUR
    mixed = make_record(
        1,
        minutes=120,
        attempts=(
            attempt("sms", "failed", at),
            attempt("sms", "failed", at),
            attempt("voice", "answer", at),
        ),
    )
    async with connect(emulator_with(mixed, make_record(2, minutes=90))) as client:
        answer = await summarize(client, group_by="attempt_status")
    assert answer["columns"][-1] == "charge"
    assert (answer["sessions"], answer["cost"]) == (2, "0.38")
    assert table(answer) == {
        ("sms failed",): ["2", "1", "0", "1", "0.00", "0.2"],
        ("voice answer",): ["1", "1", "0", "1", "0.00", "0.1"],
        ("sms delivered",): ["1", "1", "0", "1", "0.00", "0.08"],
    }
    assert answer["note"].startswith("A session counts in each group")


async def test_the_smallest_of_many_groups_are_added_up_as_other() -> None:
    numbers = [f"1415555{number:04d}" for number in range(100, 160)]
    many = [make_record(each, minutes=70 + each, recipient=each_number)
            for each, each_number in enumerate([*numbers, *numbers[:10]])]  # fmt: skip
    async with connect(emulator_with(*many)) as client:
        answer = await summarize(client, group_by="recipient")
    assert (len(answer["rows"]), answer["rows"][0][1]) == (21, "2")
    assert answer["rows"][-1] == ["other (40)", "40", "0", "40", "0.00", "3.2", ""]


async def test_r70_the_other_row_of_overlapping_groups_counts_no_session_twice() -> None:
    at = NOW - 2 * HOUR
    tried = [
        attempt(channel, status, at)
        for channel in ("sms", "voice", "whatsapp", "rcs")
        for status in ("delivered", "undelivered", "failed", "queued", "sent", "read", "answer",
                       "busy", "no answer", "cancel", "timeout", "completed", "ringing")
    ]  # fmt: skip
    both = make_record(1, minutes=120, attempts=tuple(tried))
    async with connect(emulator_with(both)) as client:
        answer = await summarize(client, group_by="attempt_status")
    assert len({row[0] for row in answer["rows"]}) == 21
    assert answer["rows"][-1] == ["other (32)", "32", "", "", "", "", "3.2"]


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        ({"app_uuid": APP}, lambda each: each.app_uuid == APP),
        ({"recipient": "+91 93800-13443"}, lambda each: each.recipient == "919380013443"),
        ({"brand_name": "Acme"}, lambda each: each.brand_name == "Acme"),
        ({"subaccount": SUBACCOUNT}, lambda each: each.subaccount == SUBACCOUNT),
        (
            {"app_uuid": APP, "recipient": "14155550100"},
            lambda each: (each.app_uuid, each.recipient) == (APP, "14155550100"),
        ),
    ],
)
async def test_a_filter_gives_its_own_sessions_only(filters: dict[str, str], matches: Any) -> None:
    ours = [
        replace(each, subaccount=SUBACCOUNT if number % 3 else None)
        for number, each in enumerate(some(120))
    ]
    emulator = emulator_with(*ours, shape="rich")
    real = expected.totals(filter(matches, ours), NOW)
    async with connect(emulator) as client:
        before = await summarize(client, **filters)
        await summarize(client)
        after = await summarize(client, **filters)
    assert figures(before) == figures(after) == real
    is_kept = not {"brand_name", "subaccount"} & set(filters)
    assert after["basis"] == ("held" if is_kept or "subaccount" in filters else "fetched")


@pytest.mark.parametrize("filters", [{}, {"app_uuid": APP}])
async def test_r68_a_brand_filter_is_answered_from_what_is_held_where_each_brand_is_known(
    filters: dict[str, str],
) -> None:
    ours = [
        replace(each, attempts=each.attempts or (attempt("sms", "delivered", each.created_at),))
        for each in some(120, hours=70)
    ]
    emulator = emulator_with(*ours, shape="rich")
    week = {"session_time__gte": "7d", **filters}
    async with connect(emulator) as client:
        fetched = await summarize(client, **week, brand_name="Acme")
        await summarize(client, session_time__gte="7d")
        saved = await summarize(client, **week, brand_name="Acme")
        window = {"session_time__gte": "48h", "session_time__lt": "24h"}
        page = await list_sessions(client, **window, brand_name="Acme")
    assert (saved["basis"], saved["api_requests"], figures(saved)) == ("held", 0, figures(fetched))
    assert page["quota_left"] == saved["quota_left"]
    real = expected.among(emulator.data, NOW - 2 * DAY, NOW - DAY)
    branded = sum(each.brand_name == "Acme" for each in real)
    assert len(page["rows"]) == min(20, branded)


@pytest.mark.parametrize("name", ["acme", "ACME", "Acme  Ltd", "acme ltd"])
async def test_r68_a_brand_in_another_spelling_is_left_to_the_api(name: str) -> None:
    ours = [make_record(1, brand_name="Acme"), make_record(2, minutes=90, brand_name="Acme Ltd")]
    async with connect(emulator_with(*ours, shape="rich")) as client:
        await summarize(client)
        other = await summarize(client, brand_name=name)
        nobodys = await summarize(client, brand_name="Initech")
    assert (other["basis"], nobodys["basis"]) == ("fetched", "held")


async def test_r68_sessions_without_a_brand_are_asked_for_when_a_brand_is_filtered() -> None:
    ours = [
        make_record(number, minutes=720 * number, brand_name="Acme" if number % 2 else "Globex")
        for number in range(1, 13)
    ]
    ours[6] = replace(ours[6], attempts=())
    emulator = emulator_with(*ours, shape="rich")
    async with connect(emulator) as client:
        await summarize(client, session_time__gte="7d")
        mixed = await summarize(client, session_time__gte="7d", brand_name="Acme")
        rows = await list_sessions(
            client, session_time__gte="5d", session_time__lt="2d", brand_name="Acme"
        )
    assert (mixed["basis"], mixed["sessions"], mixed["api_requests"]) == ("fetched", 6, 1)
    assert len(rows["rows"]) == 3
    async with connect(emulator_with(*ours, shape="lean")) as client:
        await summarize(client, session_time__gte="7d")
        lean = await summarize(client, session_time__gte="7d", brand_name="Acme")
    assert (lean["basis"], lean["sessions"]) == ("fetched", 6)


async def test_a_window_half_covered_costs_only_its_other_half() -> None:
    emulator = emulator_with(*some(400, hours=96), list_limit=None)
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        half = await summarize(client, session_time__gte="72h", session_time__lt="24h")
        complete = await summarize(client, session_time__gte="96h", max_requests=100)
    covered = expected.among(emulator.data, NOW - 3 * DAY, NOW - DAY)
    assert half["api_requests"] == -(-len(covered) // 20)
    assert complete["api_requests"] <= -(-(400 - len(covered)) // 20) + 1
    assert figures(complete) == expected.totals(emulator.data.records, NOW)
    assert (complete["complete"], complete["basis"]) == (True, "fetched")


async def test_partial_then_continued_equals_the_answer_in_one_go() -> None:
    clock, ours = FakeClock(), some(300)
    emulator = emulator_with(*ours, clock=clock, list_limit=None)
    window = {"session_time__lt": "2026-11-21 08:00"}
    async with connect(emulator, clock=clock, rate_limit=UNLIMITED) as client:
        parts = [await summarize(client, **window, max_requests=40)]
    async with connect(emulator, clock=clock) as client:
        partial = []
        for _ in range(9):
            partial.append(await summarize(client, **window, max_requests=30))
            if partial[-1]["complete"]:
                break
            clock.pass_by(partial[-1]["eta_s"])
    assert [each["complete"] for each in parts] == [True]
    end = datetime(2026, 11, 21, 8, tzinfo=UTC)
    real = expected.totals(expected.among(emulator.data, end - DAY, end), NOW)
    assert figures(parts[0]) == figures(partial[-1]) == real


async def test_every_stop_on_the_way_says_what_is_missing_and_when_to_go_on() -> None:
    clock = FakeClock()
    emulator = emulator_with(*some(700), clock=clock)
    answers: list[dict[str, Any]] = []
    async with connect(emulator, clock=clock) as client:
        while not answers or not answers[-1]["complete"]:
            answers.append(await summarize(client, max_requests=100))
            if not answers[-1]["complete"]:
                clock.pass_by(answers[-1]["eta_s"])
    real = expected.totals(emulator.data.records, NOW)
    for each in answers[:-1]:
        assert (each["basis"], bool(each["missing"]), each["eta_s"] > 0) == ("fetched", True, True)
        assert "goes on from here" in each["why"]
        (gap,) = each["missing"]
        assert 0 < each["sessions"] < real["sessions"]
        assert gap.startswith("2026-11-20 09:")
    assert sum(each["api_requests"] for each in answers) <= 36
    assert figures(answers[-1])["sessions"] <= real["sessions"]


async def test_r71_the_times_in_applied_asked_again_are_the_same_question() -> None:
    clock = FakeClock(NOW + timedelta(seconds=1))
    inside = make_record(1, created_at=NOW + timedelta(microseconds=249_999))
    outside = make_record(2, created_at=NOW - DAY + timedelta(microseconds=249_999))
    async with connect(emulator_with(inside, outside, clock=clock), clock=clock) as client:
        first = await summarize(
            client,
            session_time__gte="2026-11-20 09:30:00.25",
            session_time__lt="2026-11-21 09:30:00.25",
        )
        again = await summarize(client, **first["applied"])
    assert first["applied"] == again["applied"] == {
        "session_time__gte": "2026-11-20 09:30:00.250000",
        "session_time__lt": "2026-11-21 09:30:00.250000",
    }  # fmt: skip
    assert first["sessions"] == again["sessions"] == 1


async def test_r71_a_missing_part_is_told_as_exactly_as_the_window_is() -> None:
    clock = FakeClock()
    bounds = {
        "session_time__gte": "2026-11-20 09:30:00.000001",
        "session_time__lt": "2026-11-21 08:00:00.5",
    }
    async with connect(
        emulator_with(), clock=clock, rate_limit=Rate(1, 60.0), max_wait=0.0
    ) as client:
        await list_sessions(client)
        answer = await summarize(client, **bounds)
    applied = answer["applied"]
    assert answer["missing"] == [f"{applied['session_time__gte']} to {applied['session_time__lt']}"]
    assert answer["missing"] == ["2026-11-20 09:30:00.000001 to 2026-11-21 08:00:00.500000"]


@pytest.mark.parametrize(
    ("settings", "filters", "reason"),
    [
        ({"mirror": False}, {}, "VERIFY_MCP_MIRROR is off"),
        ({"database_url": "sqlite:////dev/null/none"}, {}, "the database cannot be used"),
        ({}, {"app_uuid": APP}, "the question has filters"),
    ],
)
async def test_r67_a_stop_whose_work_is_not_remembered_promises_no_going_on(
    settings: dict[str, Any], filters: dict[str, str], reason: str
) -> None:
    clock = FakeClock()
    async with connect(emulator_with(*some(1400), clock=clock), clock=clock, **settings) as client:
        first = await summarize(client, max_requests=100, **filters)
        clock.pass_by(first["eta_s"])
        again = await summarize(client, max_requests=100, **filters)
    assert (first["complete"], first["basis"], "goes on" in first["why"]) == (
        False, "fetched", False,
    )  # fmt: skip
    assert first["why"].endswith(
        f" What was fetched is not remembered ({reason}), so the same call begins anew. "
        "Ask about less time."
    )
    assert again["sessions"] <= first["sessions"]


async def test_r67_with_the_mirror_off_a_count_goes_on_as_it_says() -> None:
    clock = FakeClock()
    emulator = emulator_with(*some(700), clock=clock)
    window = {"session_time__gte": "2026-11-20 09:00", "session_time__lt": "2026-11-21 09:00"}
    answers: list[dict[str, Any]] = []
    async with connect(emulator, clock=clock, mirror=False) as client:
        while not answers or not answers[-1]["complete"]:
            answers.append(await summarize(client, max_requests=10, **window))
            clock.pass_by(60)
    assert ["same call goes on" in each.get("why", "") for each in answers] == [
        *([True] * (len(answers) - 1)), False,
    ]  # fmt: skip
    assert 1 < len(answers) <= 6
    end = datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert figures(answers[-1]) == expected.totals(
        expected.among(emulator.data, end - DAY, end), NOW
    )


async def test_r68_many_gaps_are_told_as_at_most_five_spans_that_hold_them_all() -> None:
    async with connect(emulator_with(), rate_limit=Rate(11, 60.0), max_wait=0.0) as client:
        for day in range(2, 12):
            half = {
                "session_time__gte": f"2026-11-{day:02d}",
                "session_time__lt": f"2026-11-{day:02d} {8 + day}:00",
            }
            await summarize(client, **half)
        answer = await summarize(
            client, session_time__gte="2026-11-02", session_time__lt="2026-11-12"
        )
    assert answer["missing"] == [
        "2026-11-02 10:00:00 to 2026-11-07 00:00:00",
        "2026-11-07 15:00:00 to 2026-11-08 00:00:00",
        "2026-11-08 16:00:00 to 2026-11-09 00:00:00",
        "2026-11-09 17:00:00 to 2026-11-10 00:00:00",
        "2026-11-10 18:00:00 to 2026-11-11 00:00:00",
    ]
    assert answer["why"].endswith(
        " `missing` joins 9 gaps into 5 spans, so it takes in times that the figures cover."
    )


async def test_r68_what_lies_beyond_the_reach_is_one_of_the_five_spans() -> None:
    async with connect(emulator_with(), rate_limit=Rate(11, 60.0), max_wait=0.0) as client:
        for day in range(2, 12):
            half = {
                "session_time__gte": f"2026-11-{day:02d}",
                "session_time__lt": f"2026-11-{day:02d} 12:00",
            }
            await summarize(client, **half)
        answer = await summarize(
            client, session_time__gte="2026-01-01", session_time__lt="2026-11-12"
        )
    assert len(answer["missing"]) == 5
    assert answer["missing"][-1].startswith("2026-01-01 00:00:00 to ")


async def test_a_relative_window_asked_again_ends_where_what_is_held_ends() -> None:
    clock = FakeClock()
    emulator = emulator_with(*some(60), clock=clock)
    async with connect(emulator, clock=clock) as client:
        await summarize(client)
        clock.pass_by(50)
        emulator.data = emulator.data.with_records(make_record(900, minutes=-0.5))
        again = await summarize(client)
        pinned = await summarize(client, session_time__lt="2026-11-21 09:30:50")
    assert (again["api_requests"], again["as_of"]) == (0, "2026-11-21T09:30:00Z")
    assert again["applied"]["session_time__lt"] == "2026-11-21 09:30:00"
    assert (pinned["api_requests"], pinned["sessions"]) == (1, again["sessions"] + 1)


async def test_what_has_not_settled_is_asked_again_when_it_is_old() -> None:
    clock = FakeClock()
    emulator = emulator_with(*some(60), clock=clock)
    async with connect(emulator, clock=clock) as client:
        await summarize(client)
        clock.pass_by(15 * 60)
        answer = await summarize(client)
    assert answer["api_requests"] == 1
    assert answer["in_progress"] == 0
    now = clock.now
    assert figures(answer) == expected.totals(expected.among(emulator.data, now - DAY, now), now)


async def test_sessions_in_progress_are_shown_and_left_out_of_conversion() -> None:
    ours = [make_record(each, minutes=2, attempts=()) for each in range(3)]
    ended = [make_record(9, minutes=60, outcome="verified"), make_record(10, minutes=61)]
    async with connect(emulator_with(*ours, *ended)) as client:
        answer = await summarize(client, group_by="status")
    assert (answer["in_progress"], answer["conversion_pct"]) == (3, "50.00")
    assert table(answer)["in-progress",] == ["3", "0", "0", "3", "", "0", ""]


async def test_brands_are_told_as_far_as_the_payload_carries_them() -> None:
    ours = [make_record(1, brand_name="Acme"), make_record(2, brand_name="Acme", attempts=())]
    async with connect(emulator_with(*ours, shape="rich")) as client:
        rich = await summarize(client, group_by="brand")
    async with connect(emulator_with(*ours, shape="lean")) as client:
        lean = await summarize(client, group_by="brand")
    assert [row[0] for row in rich["rows"]] == ["?", "Acme"]
    assert [row[0] for row in lean["rows"]] == ["?"]
    assert rich["note"] == lean["note"]
    assert rich["note"] == (
        "? are sessions without a brand, both on the session and on its attempts."
    )


async def test_the_operators_time_zone_holds_unless_the_question_names_one() -> None:
    late = make_record(1, created_at=datetime(2026, 11, 20, 20, 0, tzinfo=UTC))
    async with connect(emulator_with(late), time_zone="Asia/Kolkata") as client:
        by_day = await summarize(client, group_by="day")
        by_hour = await summarize(client, group_by="hour", time_zone="America/New_York")
    assert (by_day["rows"][0][0], by_day["applied"]["time_zone"]) == ("2026-11-21", "Asia/Kolkata")
    assert by_hour["rows"][0][0] == "11-20 15:00"


@pytest.mark.parametrize(
    "written", ["channel,status", '["channel", "status"]', ["channel", "status"], "channel status",
                ["channel", "channel", "status", None, ""]]
)  # fmt: skip
async def test_groups_are_understood_however_a_client_writes_them(written: object) -> None:
    async with connect(emulator_with(make_record(1))) as client:
        answer = await summarize(client, group_by=written)
    assert answer["applied"]["group_by"] == ["channel", "status"]


@pytest.mark.parametrize(
    ("arguments", "answers"),
    [
        ({"group_by": ["status", "day", "hour"]}, "group_by has 3 values; at most 2"),
        ({"group_by": "weather"}, "group_by is none of status, channel"),
        ({"group_by": 7}, "group_by is not a list"),
        ({"group_by": [["status"]]}, "group_by"),
        ({"time_zone": "Mars/Olympus"}, "time_zone is not an IANA time zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone is not an IANA time zone"),
        ({"max_requests": 0}, "max_requests is not a whole number from 1 to"),
        ({"max_requests": 10_000}, "max_requests is not a whole number from 1 to"),
        ({"session_time__gte": "yesterday"}, "session_time__gte is not a time"),
        ({"session_time__gte": "1h", "session_time__lt": "2h"}, "starts at"),
        ({"status": "weather"}, "status is none of in-progress, verified, expired"),
        ({"top": 201}, "top is not a whole number from 1 to 200"),
        ({"order_by": "beauty"}, "order_by is none of sessions, cost, expired, conversion_pct"),
        ({"show": "beauty"}, "show is none of recipients, first_try_pct"),
        ({"country": "XX"}, "country is not made of ISO 3166 codes"),
        ({"app_uuid": "12345678"}, "app_uuid: 12345678 begins so in none that was seen here"),
        ({"recipient": "+91…3443~abcd"}, "recipient is a pseudonym"),
    ],
)
async def test_what_cannot_be_meant_is_refused_before_any_request(
    arguments: dict[str, Any], answers: str
) -> None:
    emulator = emulator_with(make_record(1))
    async with connect(emulator) as client:
        assert answers in await call_tool_error(client, "summarize_verify_sessions", **arguments)
    assert emulator.received == []


async def test_what_lies_beyond_ninety_days_is_missing_and_said_to_be() -> None:
    old = [make_record(each, created_at=NOW - each * DAY) for each in (1, 80, 100)]
    async with connect(emulator_with(*old)) as client:
        answer = await summarize(client, session_time__gte="2026-08-01")
        past = await summarize(
            client, session_time__gte="2026-06-01", session_time__lt="2026-07-01"
        )
    assert (answer["complete"], answer["sessions"]) == (False, 2)
    assert answer["missing"] == ["2026-08-01 00:00:00 to 2026-08-23 09:30:01"]
    assert "90 days" in answer["why"]
    assert (past["complete"], past["missing"], past["api_requests"]) == (
        False, ["2026-06-01 00:00:00 to 2026-07-01 00:00:00"], 0,
    )  # fmt: skip


async def test_r59_a_start_that_a_slow_clock_has_not_reached_is_no_empty_window() -> None:
    api = emulator_with(make_record(1, minutes=5), make_record(2, minutes=90), clock=FakeClock())
    slow = FakeClock(NOW - timedelta(minutes=20))
    async with connect(api, clock=slow) as client:
        answer = await summarize(client, session_time__gte=str(slow.now + timedelta(seconds=40)))

    assert (answer["sessions"], answer["complete"]) == (1, True)


async def test_r59_an_end_that_a_slow_clock_has_not_reached_cuts_no_window(tmp_path: Path) -> None:
    records = [make_record(1, minutes=5), make_record(2, minutes=60 * 30)]
    clock, slow = FakeClock(), FakeClock(NOW - DAY)
    api = emulator_with(*records, clock=clock)
    url = f"sqlite:///{tmp_path}/verify.sqlite3"
    window = {"session_time__gte": str(NOW - 3 * DAY), "session_time__lt": str(NOW + HOUR)}
    async with connect(api, clock=clock, database_url=url) as client:
        await summarize(client, **{**window, "session_time__lt": str(NOW - DAY)})
    async with connect(api, clock=slow, database_url=url) as client:
        answer = await summarize(client, **window)
    assert (answer["sessions"], answer["complete"]) == (2, True)


async def test_ninety_days_are_all_there_is_and_complete() -> None:
    clock = FakeClock(NOW + timedelta(milliseconds=700))
    emulator = emulator_with(
        make_record(1, created_at=NOW - 89 * DAY), clock=clock, beyond_reach="refuse"
    )
    async with connect(emulator, clock=clock) as client:
        answer = await summarize(client, session_time__gte="90d")
    assert (answer["complete"], answer["sessions"]) == (True, 1)


async def test_quota_used_up_and_nothing_held_is_no_figure_at_all() -> None:
    clock = FakeClock()
    emulator = emulator_with(*some(50), clock=clock)
    async with connect(emulator, clock=clock) as client:
        for hour in range(1, 21):
            await call_tool(client, "list_verify_sessions", {"session_time__gte": f"{hour}h"})
        answer = await summarize(client, session_time__gte="40d", session_time__lt="30d")
    assert (answer["complete"], answer["api_requests"]) == (False, 0)
    assert answer["missing"] == ["2026-10-12 09:30:00 to 2026-10-22 09:30:00"]
    assert 0 < answer["eta_s"] <= 60
    assert "quota" in answer["why"]
    assert figures(answer) == {}


@pytest.mark.parametrize("after", [1, 5])
async def test_an_api_that_fails_midway_is_answered_with_what_came_and_why(after: int) -> None:
    emulator = emulator_with(*some(200), list_limit=None)
    async with connect(Failing(emulator, after), rate_limit=UNLIMITED) as client:
        answer = await summarize(client)
    assert (answer["complete"], answer["basis"]) == (False, "fetched")
    assert answer["why"].startswith("The Verify API failed (500).")
    (gap,) = answer["missing"]
    start = datetime.fromisoformat(gap.split(" to ")[1]).replace(tzinfo=UTC)
    truth = expected.among(emulator.data, start, NOW)
    assert abs(answer["sessions"] - len(truth)) <= 1
    assert 0 < answer["sessions"] < 200


class Failing:
    """The API, which answers so many requests and fails from then on."""

    def __init__(self, app: Emulator, after: int) -> None:
        self.app = app
        self.left = after

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.left -= 1
            if self.left < 0:
                self.app.fail_next(Fault.SERVER_ERROR)
        await self.app(scope, receive, send)


async def test_an_api_that_fails_where_something_is_held_is_answered_with_that() -> None:
    emulator = emulator_with(*some(60, hours=72))
    async with connect(emulator) as client:
        await summarize(client, session_time__gte="72h", session_time__lt="24h")
        emulator.fail_next(Fault.SERVER_ERROR, times=9)
        answer = await summarize(client, session_time__gte="72h")
    saved = expected.among(emulator.data, NOW - 3 * DAY, NOW - DAY)
    assert (answer["complete"], answer["missing"]) == (
        False, ["2026-11-20 09:30:00 to 2026-11-21 09:30:00"],
    )  # fmt: skip
    assert figures(answer) == expected.totals(saved, NOW)
    assert answer["why"].startswith("The Verify API failed (500).")


async def test_an_api_that_fails_where_nothing_is_held_is_a_clear_error() -> None:
    emulator = emulator_with(*some(60))
    async with connect(emulator) as client:
        emulator.fail_next(Fault.SERVER_ERROR, times=9)
        assert await call_tool_error(client, "summarize_verify_sessions") == (
            "The Verify API failed (500). Try again in a minute."
        )


async def test_rows_that_cannot_be_read_are_counted_and_their_times_are_missing() -> None:
    emulator = emulator_with(*some(60))
    emulator.fail_next(Fault.ROW_WITHOUT_UUID)
    async with connect(emulator) as client:
        answer = await summarize(client)
        again = await summarize(client)
    assert (answer["complete"], answer["skipped"]) == (False, 1)
    assert len(answer["missing"]) == 1
    assert "could not be read" in answer["why"]
    assert (again["complete"], figures(again)) == (
        True, expected.totals(emulator.data.records, NOW),
    )  # fmt: skip


async def test_an_api_that_goes_in_circles_is_said_to() -> None:
    ours = [make_record(each, minutes=70 + 65 * each) for each in range(20)]
    emulator = emulator_with(*ours, list_limit=None)

    async def loop(scope: Any, receive: Any, send: Any) -> None:
        emulator.fail_next(Fault.NEXT_LOOP)
        await emulator({**scope, "query_string": b""} if scope["type"] == "http" else scope,
                       receive, send)  # fmt: skip

    async with connect(loop) as client:
        answer = await summarize(client)
    assert (answer["complete"], answer["api_requests"], answer["sessions"]) == (False, 2, 19)
    assert "repeats its pages" in answer["why"]
    assert "eta_s" not in answer


async def test_masked_recipients_group_and_filter_by_their_pseudonym_even_after_a_restart(
    file: Place,
) -> None:
    emulator = emulator_with(*some(80))
    async with connect(emulator, database_url=file.url, masked=True) as client:
        answer = await summarize(client, group_by="recipient")
    assert "919380013443" not in json.dumps(answer)
    (indian,) = [row for row in answer["rows"] if row[0].startswith("+91…3443~")]
    async with connect(emulator, database_url=file.url, masked=True) as client:
        one = await summarize(client, recipient=indian[0])
    assert (one["basis"], one["applied"]["recipient"]) == ("held", indian[0])
    assert [str(one[name]) for name in ("sessions", "verified", "cost")] == [
        indian[1], indian[2], indian[5],
    ]  # fmt: skip


async def test_with_the_mirror_off_every_question_is_asked_of_the_api() -> None:
    emulator = emulator_with(*some(60))
    async with connect(emulator, mirror=False) as client:
        answers = [await summarize(client) for _ in range(2)]
    assert [(each["basis"], each["api_requests"]) for each in answers] == [("fetched", 3)] * 2
    assert figures(answers[1]) == expected.totals(emulator.data.records, NOW)


async def test_r35_a_database_that_cannot_be_used_is_done_without_and_said_in_the_status(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").write_text("a file where a folder is needed")
    emulator, url = emulator_with(*some(60)), sqlite_url(tmp_path / "folder" / "verify.sqlite3")
    async with connect(emulator, database_url=url) as client:
        answer = await summarize(client)
        status = await call_tool(client, "get_verify_status", {})
    assert figures(answer) == expected.totals(emulator.data.records, NOW)
    assert status["mirror"]["on"] is False
    assert str(tmp_path) in " ".join(status["problems"])
    assert len(caplog.records) == 1


async def test_r36_a_database_damaged_between_two_questions_is_set_aside_and_begun_anew(
    file: Place,
) -> None:
    emulator = emulator_with(*some(60))
    async with connect(emulator, database_url=file.url) as client:
        await summarize(client)
    file.path.write_bytes(b"\x00garbage" * 2000)
    for extra in ("-wal", "-shm"):
        file.path.with_name(file.path.name + extra).unlink(missing_ok=True)
    async with connect(emulator, database_url=file.url) as client:
        answers = [await summarize(client) for _ in range(2)]
    assert [each["basis"] for each in answers] == ["fetched", "held"]
    assert figures(answers[1]) == expected.totals(emulator.data.records, NOW)
    assert len(list(file.path.parent.glob("*.damaged-*"))) == 1


async def test_what_another_process_purged_is_fetched_again(place: Place) -> None:
    emulator = emulator_with(*some(60))
    async with connect(emulator, database_url=place.url) as client:
        await summarize(client)
        for table_name in ("sessions", "bodies", "coverage", "walks", "days"):
            place.run(f"DELETE FROM verify_{table_name}")  # noqa: S608 - fixed names
        answer = await summarize(client)
    assert (answer["basis"], figures(answer)) == (
        "fetched", expected.totals(emulator.data.records, NOW),
    )  # fmt: skip


PURGE = [
    f"DELETE FROM verify_{each}"  # noqa: S608 - fixed names
    for each in ("sessions", "bodies", "coverage", "walks", "days")
]


@pytest.mark.parametrize(
    ("tool", "before", "asks"),
    [
        ("summarize_verify_sessions", "sum(CASE", 2),
        ("list_verify_sessions", "SELECT b.body", 0),  # one look, at one instant
    ],
)
async def test_r37_what_is_purged_while_it_is_read_is_not_taken_for_nothing(
    file: Place, monkeypatch: pytest.MonkeyPatch, tool: str, before: str, asks: int
) -> None:
    window = {"session_time__gte": "2026-11-20", "session_time__lt": "2026-11-21"}
    emulator, opened, purges = emulator_with(*some(60)), sqlite3.connect, list[str]()

    def connect_(*args: Any, **options: Any) -> sqlite3.Connection:
        raw: sqlite3.Connection = opened(*args, **options)
        raw.set_trace_callback(another_process)
        return raw

    def another_process(statement: str) -> None:
        while before in statement and purges:
            file.run(purges.pop())

    async with connect(emulator, database_url=file.url) as client:
        await summarize(client, **window)
    monkeypatch.setattr(sqlite3, "connect", connect_)
    async with connect(emulator, database_url=file.url) as client:
        saved = await call_tool(client, tool, window)
        purges += PURGE
        answer = await call_tool(client, tool, window)
    assert not purges
    assert (saved["api_requests"], answer["api_requests"]) == (0, asks)
    costs = ("api_requests", "quota_left", "basis")
    assert [saved[name] for name in saved if name not in costs] == [
        answer[name] for name in answer if name not in costs
    ]


async def test_a_cost_finer_than_a_billionth_is_said_to_be_left_out_each_time() -> None:
    fine = replace(make_record(2, minutes=90), attempts=(), validation_charge=Decimal("1e-12"),
                   outcome="verified")  # fmt: skip
    async with connect(emulator_with(make_record(1, minutes=91), fine)) as client:
        answers = [await summarize(client) for _ in range(2)]
    assert [(each["sessions"], each["cost"], each["uncosted"]) for each in answers] == [
        (2, "0.08", 1)
    ] * 2


@pytest.mark.parametrize("group", ["channel", "country", "status", "app", "brand", "hour"])
async def test_a_summary_of_five_groups_costs_at_most_350_tokens(group: str) -> None:
    world = generate(now=NOW, seed=7)
    emulator = emulator_with(*world.records, shape="rich", list_limit=None)
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        answer = await summarize(client, group_by=group, max_requests=50)
    answer["rows"] = answer["rows"][:5]
    assert tokens(json.dumps(answer, ensure_ascii=False, separators=(",", ":"))) <= 350


def test_every_group_is_tested() -> None:
    assert {*KEYS, "attempt_status"} == set(GROUPS) == set(GROUP_CHOICES) - {"subaccount"}
