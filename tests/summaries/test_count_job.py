"""A question too large for one call: it is counted, sampled, and asked again it becomes exact."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.client import NOW, FakeClock, call_tool, connect, emulator_with, make_record
from verify_mcp.emulator import Fault, SessionRecord
from verify_mcp.settings import Rate

pytestmark = pytest.mark.anyio

PERIOD = {"session_time__gte": "2026-11-01", "session_time__lt": "2026-11-20"}
SESSIONS = 1_200


def spread_out(**changes: Any) -> list[Any]:
    """Sessions twenty minutes apart."""
    return [make_record(each, minutes=2_000 + each * 20, **changes) for each in range(SESSIONS)]


async def ask_again(client: Any, clock: FakeClock, **arguments: Any) -> list[dict[str, Any]]:
    """The answers to the same call, repeated after each `eta_s` until one is complete."""
    answers = [await call_tool(client, "summarize_verify_sessions", arguments)]
    while not answers[-1]["complete"] and len(answers) < 20:
        clock.pass_by(max(answers[-1]["eta_s"], 61))
        answers.append(await call_tool(client, "summarize_verify_sessions", arguments))
    return answers


@pytest.mark.parametrize("filters", [{}, {"brand_name": "Acme"}], ids=["all", "a brand"])
async def test_the_same_call_goes_on_until_the_answer_is_exact(filters: dict[str, str]) -> None:
    clock = FakeClock()
    attempts = make_record(0).attempts
    records = spread_out(brand_name="Acme", attempts=attempts)
    api = emulator_with(*records, clock=clock)
    async with connect(api, clock=clock) as client:
        answers = await ask_again(client, clock, **PERIOD, **filters)

    first, last = answers[0], answers[-1]
    inside = [each for each in records if 1 <= each.created_at.day < 20]
    assert (first["basis"], last["complete"]) == ("counted", True)
    assert last["basis"] in ("fetched", "held")
    assert first["sessions"] == last["sessions"] == len(inside)
    assert last["cost"] == f"{sum(each.attempts[0].charge for each in inside).normalize():f}"
    assert "estimated" not in last
    assert all(answer["api_requests"] > 0 for answer in answers)


async def test_every_call_before_the_last_says_how_much_is_left() -> None:
    clock = FakeClock()
    api = emulator_with(*spread_out(), clock=clock)
    async with connect(api, clock=clock) as client:
        answers = await ask_again(client, clock, **PERIOD)

    left = [answer["why"].rpartition("Exact after about ")[2] for answer in answers[:-1]]
    numbers = [int(each.split()[0]) for each in left]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == len(numbers)


async def test_no_part_is_said_to_be_more_than_its_whole() -> None:
    api = emulator_with(*spread_out())
    async with connect(api, rate_limit=Rate(20, 60.0)) as client:
        answer = await call_tool(client, "summarize_verify_sessions", PERIOD)

    spread = {name: [float(end) for end in ends] for name, ends in answer["estimated"].items()}
    assert spread["expired_cost"][1] <= spread["cost"][1]
    assert spread.get("rescued", [0, 0])[1] <= answer["verified"]


async def test_a_window_before_the_apis_reach_says_where_the_reach_ends() -> None:
    async with connect(emulator_with()) as client:
        answer = await call_tool(
            client,
            "summarize_verify_sessions",
            {"session_time__gte": "2026-05-20", "session_time__lt": "2026-06-20"},
        )

    assert answer["why"] == "The API reaches back 90 days, to 2026-08-23 09:30:00 UTC."
    assert answer["missing"] == ["2026-05-20 00:00:00 to 2026-06-20 00:00:00"]


async def test_r64_what_was_read_before_is_used_by_every_later_call() -> None:
    clock = FakeClock()
    api = emulator_with(*spread_out(), clock=clock)
    async with connect(api, clock=clock) as client:
        answers = await ask_again(client, clock, **PERIOD)

    queries = [dict(request.query) for request in api.received]
    offsets = [query.get("offset", "0") for query in queries if "status" not in query]
    assert len(offsets) - len(set(offsets)) <= 2
    widths = [
        float(high) - float(low)
        for low, high in (answer["estimated"]["attempts"] for answer in answers[1:-1])
    ]
    assert widths == sorted(widths, reverse=True)


async def test_r65_every_figure_that_is_not_exact_is_listed_with_room_above() -> None:
    clock = FakeClock()
    verified = spread_out(outcome="verified", attempts=())
    async with connect(emulator_with(*verified, clock=clock), clock=clock) as client:
        await call_tool(client, "summarize_verify_sessions", PERIOD)
        clock.pass_by(61)
        answer = await call_tool(client, "summarize_verify_sessions", PERIOD)

    assert answer["basis"] == "counted"
    for name in ("attempts", "cost", "expired_cost", "rescued"):
        low, high = answer["estimated"][name]
        assert float(low) == float(answer[name]) < float(high), name


@pytest.mark.parametrize("place", [[505], [505, 650, 870], range(53, SESSIONS, 100)], ids=len)
async def test_r70_rare_unknown_statuses_are_counted_and_not_taken_for_changes(
    place: Sequence[int],
) -> None:
    clock = FakeClock()
    records = spread_out()
    for each in place:
        records[each] = replace(records[each], outcome="rejected")
    inside = [each for each in records if 1 <= each.created_at.day < 20]
    rejected = sum(each.outcome == "rejected" for each in inside)
    async with connect(emulator_with(*records, clock=clock), clock=clock) as client:
        answers = await ask_again(client, clock, **PERIOD)

    assert len(answers) > 2
    for answer in answers:
        assert "Sessions changed" not in answer.get("why", "")
        assert answer["other_statuses"] == rejected
        assert answer["expired"] == len(inside) - rejected
        assert answer["in_progress"] == 0


async def test_r70_a_group_of_an_unknown_status_has_no_more_than_were_counted() -> None:
    clock = FakeClock()
    records = spread_out()
    for each in range(120, 1_000, 19):
        records[each] = replace(records[each], outcome="rejected")
    async with connect(emulator_with(*records, clock=clock), clock=clock) as client:
        answers = await ask_again(client, clock, **PERIOD, group_by=["status"])
    counted = [each for each in answers if each.get("other_statuses") and each.get("estimated")]
    groups = [row for each in counted for row in each["rows"] if row[0] == "rejected"]
    assert groups
    for answer in counted:
        for row in answer["rows"]:
            assert row[0] != "rejected" or int(row[3]) <= answer["other_statuses"]


@pytest.mark.parametrize("spent", range(5, 13))
async def test_r70_unknown_statuses_on_the_pages_read_are_not_inferred_as_expired(
    spent: int,
) -> None:
    records = spread_out()
    records[::3] = [replace(each, outcome="rejected") for each in records[::3]]
    true = sum(1 <= each.created_at.day < 20 for each in records if each.outcome == "expired")
    async with connect(emulator_with(*records)) as client:
        arguments = {**PERIOD, "max_requests": spent, "group_by": ["status"]}
        answer = await call_tool(client, "summarize_verify_sessions", arguments)

    assert answer.get("expired", true) == true
    assert "unchecked" not in answer
    assert answer.get("verified", 0) == 0
    for row in answer.get("rows", ()):
        assert row[0] != "expired" or int(row[2]) <= true <= int(row[3])


async def test_r70_inferred_expired_sessions_are_said_to_include_other_statuses() -> None:
    records = spread_out()
    records[500:700] = [replace(each, outcome="rejected") for each in records[500:700]]
    async with connect(emulator_with(*records)) as client:
        arguments = {**PERIOD, "max_requests": 9}
        answer = await call_tool(client, "summarize_verify_sessions", arguments)

    assert answer["unchecked"] == ["expired", "conversion_pct"]
    assert "with those of undocumented statuses, if any, among them" in answer["why"]


async def test_r63_a_held_group_that_no_drawn_page_shows_is_in_the_table() -> None:
    clock = FakeClock()
    records = spread_out()
    records[598:602] = [replace(each, recipient="33612340000") for each in records[598:602]]
    held = (records[610].created_at, records[590].created_at)
    async with connect(emulator_with(*records, clock=clock), clock=clock) as client:
        between = {"session_time__gte": str(held[0]), "session_time__lt": str(held[1])}
        first = await call_tool(client, "summarize_verify_sessions", between)
        assert first["complete"]
        clock.pass_by(61)
        question = {**PERIOD, "group_by": ["country"]}
        answers = await ask_again(client, clock, **question)

    tables = [answer for answer in answers if "rows" in answer and not answer["complete"]]
    assert tables
    for answer in tables:
        table = {row[0]: row for row in answer["rows"]}
        sessions, low, high = (int(figure) for figure in table["FR"][1:4])
        assert 4 == low <= sessions <= high
        assert Decimal(table["FR"][7]) <= Decimal(table["FR"][8])
        assert Decimal(table["FR"][8]) >= Decimal("0.32")


@pytest.mark.parametrize("rate", [0.3, 1.0])
async def test_r66_a_page_that_holds_rows_twice_counts_for_nothing(rate: float) -> None:
    clock = FakeClock()
    records = spread_out()[1:1_187]
    api = emulator_with(*records, clock=clock, fault_rate=rate, faults=(Fault.DUPLICATE_ROWS,))
    async with connect(api, clock=clock) as client:
        for _ in range(8):
            answer = await call_tool(client, "summarize_verify_sessions", PERIOD)
            clock.pass_by(61)
            assert answer.get("sessions_at_least", 0) <= len(records)
            if answer["basis"] == "counted":
                assert answer.get("sessions", len(records)) == len(records)
                assert answer.get("expired", len(records)) == len(records)


def _unlike(number: int, minutes: float, charge: int) -> SessionRecord:
    """A session of a charge of its own, ended a minute ago."""
    made = make_record(number, minutes=minutes, resolved_at=NOW - timedelta(minutes=1))
    return replace(made, attempts=(replace(made.attempts[0], charge=Decimal(charge)),))


@pytest.mark.parametrize(("call", "place"), [(3, 523), (5, 363)])
async def test_r66_a_late_row_and_a_lost_one_do_not_make_a_count_exact(
    call: int, place: int
) -> None:
    clock = FakeClock()
    api = emulator_with(*(_unlike(each, 6 + each / 20, each) for each in range(600)), clock=clock)
    window = {"session_time__gte": "2026-11-20", "session_time__lt": "2026-11-21 09:25"}
    async with connect(api, clock=clock) as client:
        for number in range(14):
            if number == call:
                api.data = api.data.with_records(_unlike(5_000, 6.01 + place / 20, 100_000))
            question = {**window, "max_requests": 7}
            answer = await call_tool(client, "summarize_verify_sessions", question)
            if answer["complete"]:
                break
            clock.pass_by(61)

    assert answer["complete"]
    assert (answer["sessions"], answer["cost"]) in ((600, "179700"), (601, "279700"))


async def test_a_count_by_app_hash_has_no_other_sessions_where_the_reach_ends() -> None:
    clock, days = FakeClock(), 90 * 24 * 60
    mine = [
        make_record(each, minutes=days - 3 - each * 425, app_hash="h4sh") for each in range(300)
    ]
    others = [make_record(900 + each, minutes=days - 3 - each / 2) for each in range(6)]
    api = emulator_with(*mine, *others, clock=clock)
    async with connect(api, clock=clock) as client:
        edge = {"session_time__lt": "2026-08-23 12:00", "session_time__gte": "90d"}
        listed = await call_tool(client, "list_verify_sessions", edge)
        arguments = {"session_time__gte": "90d", "app_hash": "h4sh", "max_requests": 10}
        answers = await ask_again(client, clock, **arguments)
    assert len(listed["rows"]) == 7
    assert answers[0]["basis"] == "counted"
    assert answers[-1]["complete"]
    assert 299 <= answers[-1]["sessions"] <= 300
