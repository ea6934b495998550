"""Filters that the API does not know, groups, and what a drill-down of held sessions costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.client import (
    APP,
    NOW,
    SUBACCOUNT,
    call_tool_error,
    connect,
    emulator_with,
    list_sessions,
    make_record,
    rows,
)
from tests.support.mirror import UNLIMITED
from tests.support.summaries import HOUR, attempt, some, summarize
from verify_mcp.emulator import SessionRecord
from verify_mcp.mirror.local_list import MAX_LIST_REQUESTS

pytestmark = pytest.mark.anyio
SECOND = timedelta(seconds=1)
OLD = [replace(each, created_at=each.created_at - 2 * HOUR, resolved_at=each.resolved_at - 2 * HOUR)
       for each in some(150, hours=20)]  # fmt: skip
Matcher = Callable[[SessionRecord], bool]
FILTERS: list[tuple[dict[str, Any], Matcher]] = [
    ({"country": "IN"}, lambda each: country(each) == "IN"),
    ({"country": ["us", "FR"]}, lambda each: country(each) != "IN"),
    (
        {"country": "IN,FR", "channel": "sms"},
        lambda each: country(each) != "US" and last(each) == "sms",
    ),
    ({"channel": "voice,whatsapp"}, lambda each: last(each) in ("voice", "whatsapp")),
    ({"recipient": "+1 415 555 0100, 33612345678"}, lambda each: country(each) != "IN"),
    ({"recipient": "+9193*"}, lambda each: country(each) == "IN"),
    (
        {"recipient": "3361*", "app_uuid": APP},
        lambda each: country(each) == "FR" and each.app_uuid == APP,
    ),
    (
        {"country": "IN", "status": "expired"},
        lambda each: country(each) == "IN" and each.outcome == "expired",
    ),
]


def country(record: SessionRecord) -> str:
    return {"1": "US", "9": "IN", "3": "FR"}[record.recipient[0]]


def last(record: SessionRecord) -> str:
    return record.attempts[-1].channel if record.attempts else record.channel


@pytest.mark.parametrize(
    ("filters", "matches"), FILTERS, ids=[str(filters) for filters, _ in FILTERS]
)
async def test_a_filter_that_the_api_does_not_know_is_applied_here(
    filters: dict[str, Any], matches: Matcher
) -> None:
    emulator = emulator_with(*OLD, shape="rich")
    real = [each for each in OLD if matches(each)]
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        answer = await summarize(client, max_requests=50, group_by="country", **filters)
        assert (answer["basis"], answer["complete"], answer["sessions"]) == (
            "fetched",
            True,
            len(real),
        )
        assert {row[0] for row in answer["rows"]} == set(map(country, real))
        assert sent(emulator) <= {"session_time__gte", "session_time__lt", "limit", "offset",
                                  "app_uuid", "status", "recipient"}  # fmt: skip
        await summarize(client, max_requests=50)
        spent = len(emulator.received)
        held = await summarize(client, group_by="country", **filters)
        page = await list_sessions(client, limit=7, **filters)
        assert len(emulator.received) == spent
    assert (held["basis"], held["api_requests"], held["rows"]) == ("held", 0, answer["rows"])
    assert [row["session"] for row in rows(page)] == [
        each.uuid[:8] for each in newest_first(real)[:7]
    ]
    assert "note" not in held


def sent(emulator: Any) -> set[str]:
    """The names of all query parameters that were sent."""
    return {name for request in emulator.received for name, _ in request.query}


async def test_a_list_is_filtered_page_by_page_without_losing_or_repeating_a_session() -> None:
    emulator = emulator_with(*OLD, shape="rich", list_limit=None)
    real = [each.uuid[:8] for each in newest_first(OLD) if country(each) == "IN"]
    found: list[str] = []
    async with connect(emulator, rate_limit=UNLIMITED, mirror=False) as client:
        arguments: dict[str, Any] = {"country": "IN", "limit": 3, "session_time__gte": "30h"}
        for _ in range(60):
            page = await list_sessions(client, **arguments)
            found += [row["session"] for row in rows(page)]
            if "next" not in page:
                break
            arguments |= page["next"]
    assert found == real


async def test_a_filtered_list_of_a_window_that_ended_stands_for_now() -> None:
    emulator = emulator_with(make_record(1, minutes=60 * 36))
    window = {"session_time__gte": "3d", "session_time__lt": "24h", "country": "IN"}
    async with connect(emulator) as client:
        answer = await list_sessions(client, **window)
    assert (answer["complete"], len(answer["rows"])) == (True, 1)
    assert answer["as_of"] == "2026-11-21T09:30:00Z"


async def test_a_list_that_cannot_be_had_within_its_requests_says_what_is_missing() -> None:
    many = [
        make_record(each, minutes=90 + each, recipient=f"1415555{each:04d}") for each in range(400)
    ]
    rare = make_record(900, minutes=120)
    emulator = emulator_with(*many, rare, list_limit=None)
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        first = await list_sessions(client, country="IN")
        assert [row["session"] for row in rows(first)] == [rare.uuid[:8]]
        assert (first["complete"], first["api_requests"]) == (False, MAX_LIST_REQUESTS)
        assert first["why"].startswith("The API cannot filter by country: all sessions are fetched")
        assert first["missing"] == [f"2026-11-20 09:30:00 to {first['next']['session_time__lt']}"]
        again = await list_sessions(client, country="IN")
        rest = await list_sessions(client, country="IN", **first["next"])
    assert again["api_requests"] == MAX_LIST_REQUESTS  # what the first call fetched is held
    assert (rest["rows"], rest["complete"]) == ([], True)


def mixed(number: int) -> list[SessionRecord]:
    """Sessions of three countries, one every 20 seconds, of which two thirds were verified."""
    numbers = ("14155550100", "919380013443", "14155550100", "33612345678", "14155550100")
    return [
        make_record(
            each,
            minutes=90 + each / 3,
            recipient=numbers[each * 7 % 13 % 5],
            outcome="expired" if each % 3 else "verified",
        )
        for each in range(number)
    ]


def holds(answer: dict[str, Any], name: str, truth: float) -> bool:
    """Whether a figure, or the interval of its estimate, has the truth."""
    low, high = answer["estimated"].get(name, [answer[name]] * 2)
    return bool(float(low) <= truth <= float(high))


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        ({"country": "IN", "channel": "sms"}, lambda each: country(each) == "IN"),
        ({"recipient": "+9193*", "status": "expired"},
         lambda each: country(each) == "IN" and each.outcome == "expired"),
        ({"country": "DE"}, lambda _: False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mirror", [True, False])
async def test_a_part_of_too_many_sessions_is_estimated_until_it_is_exact(
    filters: dict[str, Any], matches: Matcher, *, mirror: bool
) -> None:
    records = mixed(3000)
    real = [each for each in records if matches(each)]
    verified = sum(each.outcome == "verified" for each in real)
    async with connect(
        emulator_with(*records, list_limit=None), rate_limit=UNLIMITED, mirror=mirror
    ) as client:
        answer = await summarize(client, group_by="country", **filters)
        assert (answer["basis"], answer["complete"]) == ("counted", False)
        assert "The API cannot filter by" in answer["note"]
        for _ in range(20):
            if answer["complete"]:
                break
            assert holds(answer, "sessions", len(real))
            assert holds(answer, "verified", verified)
            assert holds(answer, "expired", len(real) - verified)
            assert holds(answer, "cost", float(sum(each.attempts[0].charge for each in real)))
            if real:
                assert holds(answer, "conversion_pct", 100 * verified / len(real))
            assert answer["estimated"]["sessions"][1] < 3000
            answer = await summarize(client, group_by="country", **filters)
        assert (answer["complete"], answer["sessions"]) == (True, len(real))
        assert answer["verified"] == verified
        assert "estimated" not in answer


async def test_several_recipients_of_a_large_window_are_asked_for_one_by_one() -> None:
    quiet = [
        make_record(9000 + each, minutes=100 * each, recipient=number, outcome="verified")
        for each in range(1, 9)
        for number in ("14155550177", "33612345699")[each % 2 :]
    ]
    emulator = emulator_with(*mixed(3000), *quiet)
    numbers = ["+1 415 555 0177", "+33612345699", "+14155550199"]
    async with connect(emulator) as client:
        answer = await summarize(client, recipient=numbers, group_by="recipient")
    assert (answer["complete"], answer["api_requests"]) == (True, 3)
    assert (answer["sessions"], answer["recipients"]) == (len(quiet), 2)
    assert sorted(row[:2] for row in answer["rows"]) == [
        ["+14155550177", "4"],
        ["+33612345699", "8"],
    ]
    assert answer["applied"]["recipient"] == "+14155550177, +33612345699, +14155550199"
    assert "note" not in answer


async def test_a_list_of_several_recipients_asks_for_them_one_by_one() -> None:
    numbers = ("14155550177", "33612345699")
    quiet = [
        make_record(9000 + each, minutes=10 * each, recipient=numbers[each % 3 % 2])
        for each in range(1, 60)
    ]
    emulator = emulator_with(*mixed(3000), *quiet, list_limit=None)
    found: list[str] = []
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        arguments: dict[str, Any] = {"recipient": [*numbers, "14155550199"], "limit": 7}
        first = await list_sessions(client, **arguments)
        page = first
        for _ in range(20):
            found += [row["session"] for row in rows(page)]
            if "next" not in page:
                break
            page = await list_sessions(client, **arguments, **page["next"])
        await summarize(client, session_time__gte="30h", session_time__lt="10h")
        later = await list_sessions(
            client, recipient=[*numbers], session_time__gte="30h", offset=50
        )
    assert (first["complete"], first["api_requests"]) == (True, 3)
    assert (later["complete"], later["api_requests"]) == (True, 3)
    assert "note" not in first
    assert found == [each.uuid[:8] for each in newest_first(quiet)]


async def test_filters_decided_here_share_the_pages_of_a_count() -> None:
    emulator = emulator_with(*mixed(3000), list_limit=None)
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        whole = await summarize(client)
        india = await summarize(client, country="IN", max_requests=1)
        assert (whole["basis"], india["basis"]) == ("counted", "counted")
        assert india["estimated"]["sessions"][0] > 0
        assert india["in_progress"] == 0  # as in the whole window, where they were counted
        assert "in_progress" not in india["estimated"]
        again = await summarize(client, max_requests=1)
    assert again["sessions"] == whole["sessions"] == 3000
    assert "sessions" not in again["estimated"]


async def test_a_count_goes_on_though_another_window_was_asked_about_meanwhile() -> None:
    emulator = emulator_with(*mixed(3000), list_limit=None)
    window = {"session_time__lt": str(NOW - HOUR), "session_time__gte": str(NOW - 24 * HOUR)}
    other = {**window, "session_time__gte": str(NOW - 16 * HOUR)}
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        first = await summarize(client, **window, country="IN")
        await summarize(client, **other, country="IN")
        again = await summarize(client, **window, country="IN", max_requests=1)
    assert "estimated" in first
    assert again["estimated"]["sessions"][1] <= first["estimated"]["sessions"][1]


async def test_an_order_of_days_says_what_it_orders() -> None:
    async with connect(emulator_with(*some(9))) as client:
        answer = await summarize(client, group_by="day", order_by="conversion_pct")
    text = "conversion_pct, which are shown; rows are in order of time"
    assert answer["applied"]["order_by"] == text


async def test_sessions_in_progress_are_counted_where_the_api_can() -> None:
    running = [
        make_record(9000 + each, minutes=5 + each / 60, resolved_at=NOW + HOUR)
        for each in range(30)
    ]
    async with connect(
        emulator_with(*mixed(3000), *running, list_limit=None), rate_limit=UNLIMITED
    ) as client:
        alone = await summarize(client, status="in-progress")
        there = await summarize(client, status="in-progress", country="IN", group_by="day")
    assert (alone["sessions"], alone["in_progress"], alone["verified"]) == (30, 30, 0)
    assert "sessions" not in alone["estimated"]
    assert holds(there, "sessions", 30)
    assert "rows" not in there
    assert "told once every page is fetched" in there["note"]


async def test_a_part_of_nothing_known_yet_is_no_zero() -> None:
    async with connect(
        emulator_with(*mixed(3000), list_limit=None), rate_limit=UNLIMITED
    ) as client:
        answer = await summarize(client, country="IN", max_requests=1)
    assert "sessions" not in answer or answer["missing"]
    assert "sessions_at_least" in answer or answer["basis"] == "fetched"


async def test_stars_and_prefixes_are_refused_where_recipients_are_masked() -> None:
    emulator = emulator_with(*OLD)
    async with connect(emulator, masked=True) as client:
        star = await call_tool_error(client, recipient="+9193*")
        prefix = await call_tool_error(client, "summarize_verify_sessions", group_by="prefix")
    assert "takes no star while recipients are masked" in star
    assert "prefix is not shown while recipients are masked" in prefix
    assert not emulator.received


async def test_groups_are_ranked_and_the_rest_is_other() -> None:
    records = [
        make_record(1, recipient="14155550100", outcome="verified"),
        make_record(2, recipient="14155550100"),
        make_record(3, recipient="33612345678"),
        *(make_record(each) for each in range(4, 9)),
    ]
    async with connect(emulator_with(*records)) as client:
        usual = await summarize(client, group_by="country")
        worst = await summarize(client, group_by="country", order_by="conversion_pct", top=1)
        large = await summarize(client, group_by="country", min_sessions=2)
        dear = await summarize(client, group_by="country", order_by="cost_per_verified")
    assert [row[:2] for row in usual["rows"]] == [["IN", "5"], ["US", "2"], ["FR", "1"]]
    assert [row[:2] for row in worst["rows"]] == [["FR", "1"], ["other (2)", "7"]]
    assert worst["applied"]["order_by"] == "conversion_pct, lowest first"
    assert [row[:2] for row in large["rows"]] == [["IN", "5"], ["US", "2"], ["other (1)", "1"]]
    # Those without a verified session come first, by what they cost.
    assert [row[0] for row in dear["rows"]] == ["IN", "FR", "US"]


@pytest.mark.parametrize(
    "order", ["sessions", "cost", "expired", "conversion_pct", "cost_per_verified"]
)
async def test_the_database_ranks_recipients_as_the_answer_does(order: str) -> None:
    emulator = emulator_with(*(replace(each, recipient=f"1415555{n * n % 97:04d}")
                               for n, each in enumerate(OLD)))  # fmt: skip
    arguments: dict[str, Any] = {
        "group_by": "recipient",
        "order_by": order,
        "top": 9,
        "min_sessions": 2,
    }
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        fetched = await summarize(client, max_requests=50, **arguments)
        held = await summarize(client, **arguments)
    assert (fetched["basis"], held["basis"]) == ("fetched", "held")
    assert held["rows"] == fetched["rows"]
    assert held["rows"][-1][0].startswith("other")
    assert (held["sessions"], held["recipients"]) == (len(OLD), fetched["recipients"])


async def test_more_columns_of_groups_are_shown_on_request() -> None:
    at = NOW - 3 * HOUR
    again = (attempt("sms", "failed", at), attempt("voice", "answer", at + 41 * SECOND))
    records = [
        make_record(1, minutes=180, attempts=again, outcome="verified"),
        make_record(2, minutes=170, outcome="verified"),
        make_record(3, minutes=160, attempts=(attempt("sms", "undelivered", at),)),
        make_record(4, minutes=150, recipient=make_record(1).recipient),
    ]
    shown = ["recipients", "first_try_pct", "resent_pct", "reached_pct", "rescued", "gap_s",
             "gap_p90_s", "attempts", "expired_cost", "first", "last"]  # fmt: skip
    async with connect(emulator_with(*records)) as client:
        fetched = await summarize(client, group_by="country", show=shown)
        held = await summarize(client, group_by="country", show=",".join(shown))
    for answer in (fetched, held):
        (row,) = rows(answer)
        assert {name: row[name] for name in shown} == {
            "recipients": "3", "first_try_pct": "25.00", "resent_pct": "25.00",
            "reached_pct": "75.00", "rescued": "1", "gap_s": "41", "gap_p90_s": "41",
            "attempts": "5", "expired_cost": "0.18", "first": "11-21 06:30:00",
            "last": "11-21 07:00:00",
        }  # fmt: skip
        assert (answer["recipients"], answer["first_try_pct"], answer["gap_s"]) == (3, "25.00", 41)


async def test_an_app_is_shown_by_its_alias_and_found_by_how_its_uuid_begins() -> None:
    emulator = emulator_with(*(replace(each, alias="Shop") for each in OLD), shape="rich")
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        answer = await summarize(client, max_requests=50, group_by="app")
        label = f"Shop ({APP[:8]})"
        figures = next(row for row in answer["rows"] if row[0] == label)
        for start in (APP[:8], label, APP):
            found = await summarize(client, app_uuid=start)
            assert (found["basis"], str(found["sessions"])) == ("held", figures[1])
            assert found["applied"]["app_uuid"] == APP


async def test_the_networks_of_numbers_without_one_are_marked() -> None:
    async with connect(emulator_with(make_record(1))) as client:
        answer = await summarize(client, group_by="network")
    assert answer["rows"][0][0] == "Reliance Jio (range)"
    assert answer["note"] == "(range) is the holder of the number's range: ported numbers left it."


async def test_several_subaccounts_are_summarized_together_and_side_by_side() -> None:
    second = "SASANDBOXSECOND00002"
    ours = [
        replace(each, subaccount=[SUBACCOUNT, second, ""][number % 3])
        for number, each in enumerate(OLD)
    ]
    emulator = emulator_with(*ours)
    counts = {id_: sum(each.subaccount == id_ for each in ours) for id_ in (SUBACCOUNT, second)}
    recipients = {each.recipient for each in ours if each.subaccount}
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        arguments: dict[str, Any] = {"subaccount": [SUBACCOUNT, second], "session_time__lt": "1h"}
        for basis in ("fetched", "held"):
            answer = await summarize(
                client, group_by=["subaccount"], show="recipients", **arguments
            )
            by_country = await summarize(client, group_by=["country", "subaccount"], **arguments)
            assert (answer["basis"], answer["complete"]) == (basis, True)
            assert {row["subaccount"]: int(row["sessions"]) for row in rows(answer)} == counts
            assert (answer["sessions"], answer["recipients"]) == (
                sum(counts.values()),
                len(recipients),
            )
            assert answer["applied"]["subaccount"] == [SUBACCOUNT, second]
            assert sum(int(row["sessions"]) for row in rows(by_country)) == sum(counts.values())
        sent_before = len(emulator.received)
        refused = await call_tool_error(client, "summarize_verify_sessions", group_by="subaccount")
        compared = await call_tool_error(client, "compare_verify_sessions", **arguments)
    assert refused.startswith("group_by: sessions do not carry their subaccount.")
    assert compared == "subaccount takes one id here; a summary takes several."
    assert len(emulator.received) == sent_before


async def test_sessions_in_progress_are_filtered_from_all_sessions() -> None:
    open_ = [make_record(each, minutes=1, attempts=()) for each in range(30)]
    emulator = emulator_with(*open_, *(make_record(each) for each in range(40, 60)))
    async with connect(emulator) as client:
        answer = await summarize(client, status="in-progress")
        ended = await summarize(client, status="expired")
    assert (answer["sessions"], answer["in_progress"]) == (30, 30)
    assert (ended["sessions"], ended["expired"], ended["basis"]) == (20, 20, "held")


def newest_first(records: list[SessionRecord]) -> list[SessionRecord]:
    return sorted(records, key=lambda each: (-each.created_at.timestamp(), each.uuid))
