"""list_verify_sessions: what is asked reaches the API, what the API tells reaches the reader."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.client import (
    APP,
    NOW,
    SUBACCOUNT,
    CannedApi,
    Era,
    FakeClock,
    call_tool,
    call_tool_error,
    connect,
    emulator_with,
    list_sessions,
    make_record,
    rows,
    uuid,
)
from verify_mcp.emulator import (
    APPS,
    ASHA_SESSION,
    DOCUMENTED_NOW,
    OTHER_DOCUMENTED_SESSION,
    AccountData,
    AttemptRecord,
    Emulator,
    documented_sessions,
)
from verify_mcp.settings import Credentials, Rate

pytestmark = pytest.mark.anyio

AMPLE = Rate(1000, 1.0)
FIRST_PAGE = [("limit", "20"), ("offset", "0")]
COLUMNS = ["session", "created", "recipient", "country", "channel", "status", "attempts", "cost"]
DOCUMENTED_ROWS = [
    ["51e965f3", "06-01 10:40:05", "+918681951370", "IN", "sms", "expired", "sms undelivered +0s",
     "0.08"],
    ["60ea68db", "06-01 08:52:39", "+919380013443", "IN", "voice", "expired",
     "voice answer +0s; sms delivered +20s; voice early media +46s", "0.113"],
]  # fmt: skip


def golden_clock() -> FakeClock:
    return FakeClock(DOCUMENTED_NOW)


async def test_the_documented_page_comes_out_right_in_every_field(era: Era) -> None:
    api = CannedApi(documented_sessions.documented_list())
    async with connect(api, clock=golden_clock(), era=era) as client:
        answer = await list_sessions(client)
    assert answer == {
        "complete": True,
        "applied": {
            "session_time__gte": "2023-05-31 12:00:00",
            "session_time__lte": "2023-06-01 12:00:00",
            "limit": 20,
            "offset": 0,
        },
        "total": 2,
        "columns": COLUMNS,
        "rows": DOCUMENTED_ROWS,
        "as_of": "2023-06-01T12:00:00Z",
        "api_requests": 1,
        "quota_left": 19,
    }


async def test_full_detail_tells_every_documented_field_of_every_session() -> None:
    async with connect(
        CannedApi(documented_sessions.documented_list()), clock=golden_clock()
    ) as client:
        answer = await list_sessions(client, detail="full")
    assert "rows" not in answer
    assert "columns" not in answer
    other, asha = answer["sessions"]
    assert other == {
        "session": OTHER_DOCUMENTED_SESSION,
        "app": "59728519-d145-45d6-8d46-60c06f7e8bbb",
        "recipient": "+918681951370",
        "country": "IN",
        "status": "expired",
        "channel": "sms",
        "attempts": [
            {
                "attempt_uuid": "bd460457-6c2f-4177-a879-e6a83c35d5a9",
                "channel": "sms",
                "status": "undelivered",
                "time": "06-01 10:40:05",
                "charge": "0.08",
            }
        ],
        "cost": "0.08",
        "validation_cost": "0",
        "created": "2023-06-01 10:40:05",
        "updated": "2023-06-01 10:40:05",
    }
    assert asha["session"] == ASHA_SESSION
    assert [tuple(each.values())[1:] for each in asha["attempts"]] == [
        ("voice", "answer", "06-01 08:52:39", "0.033"),
        ("sms", "delivered", "06-01 08:52:59", "0.08"),
        ("voice", "early media", "06-01 08:53:25", "0"),
    ]


@pytest.mark.parametrize("shape", ["lean", "rich"])
@pytest.mark.parametrize("casing", ["docs", "sdk"])
async def test_both_shapes_and_both_casings_read_the_same(shape: str, casing: str) -> None:
    clock = golden_clock()
    api = Emulator.documented(behaviour=emulator_with(shape=shape, casing=casing).behaviour)
    async with connect(api, clock=clock) as client:
        assert (await list_sessions(client))["rows"] == DOCUMENTED_ROWS


async def test_the_rich_shape_adds_names_that_the_lean_one_lacks() -> None:
    record = make_record(
        1, alias="Login", brand_name="Acme", country="FR", network="SFR", recipient="33612345678"
    )
    async with connect(emulator_with(record, shape="rich")) as client:
        (full,) = (await list_sessions(client, detail="full"))["sessions"]
    details = {name: full[name] for name in ("app_name", "brand", "country", "network")}
    assert details == {"app_name": "Login", "brand": "Acme", "country": "FR", "network": "SFR"}


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"app_uuid": APP.upper()}, ("app_uuid", APP)),
        ({"status": "expired"}, ("status", "expired")),
        ({"status": "In_Progress"}, ("status", "in-progress")),
        ({"status": "pending"}, ("status", "in-progress")),
        ({"recipient": "+91 (93800) 13-443"}, ("recipient", "+919380013443")),
        ({"recipient": 919380013443}, ("recipient", "+919380013443")),
        ({"recipient": "0091 93800\u00a013443"}, ("recipient", "+919380013443")),
        ({"subaccount": SUBACCOUNT.lower()}, ("subaccount", SUBACCOUNT)),
        ({"brand_name": "Acme  & Co=1?"}, ("brand_name", "Acme  & Co=1?")),
        ({"app_hash": "kL0pQ7+rT2="}, ("app_hash", "kL0pQ7+rT2=")),
    ],
    ids=str,
)
async def test_a_filter_reaches_the_api_as_documented(
    arguments: dict[str, Any], sent: tuple[str, str]
) -> None:
    api = emulator_with()
    async with connect(api) as client:
        answer = await list_sessions(client, **arguments)
    assert api.received[-1].query == [sent, *FIRST_PAGE]
    assert answer["applied"][sent[0]] == sent[1]


REACHABLE = ("session_time__gte", "2026-08-23 09:30:01")


@pytest.mark.parametrize(
    ("form", "more"),
    [
        ("session_time", []),
        ("session_time__gt", []),
        ("session_time__gte", []),
        ("session_time__lt", [REACHABLE]),
        ("session_time__lte", [REACHABLE]),
    ],
    ids=["equal", "gt", "gte", "lt", "lte"],
)
@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ("2026-11-20 10:04", "2026-11-20 10:04:00"),
        ("2026-11-20 10:04:12.120034", "2026-11-20 10:04:12.120034"),
        ("2026-11-20 10:04:12:120034", "2026-11-20 10:04:12.120034"),
        ("2026-11-20T15:34:12+05:30", "2026-11-20 10:04:12"),
        ("2026-11-20T10:04:12Z", "2026-11-20 10:04:12"),
        ("2026-11-20", "2026-11-20 00:00:00"),
        ("90m", "2026-11-21 08:00:00"),
        ("24h", "2026-11-20 09:30:00"),
        ("7d", "2026-11-14 09:30:00"),
    ],
    ids=str,
)
async def test_every_form_of_time_reaches_the_api_in_the_documented_form(
    form: str, more: list[tuple[str, str]], arguments: str, sent: str
) -> None:
    api = emulator_with()
    async with connect(api) as client:
        answer = await list_sessions(client, **{form: arguments})
    assert sorted(api.received[-1].query) == sorted([(form, sent), *more, *FIRST_PAGE])
    assert answer["applied"] == {form: sent, **dict(more), "limit": 20, "offset": 0}


async def test_all_filters_combine_in_one_request_and_are_all_shown_as_applied(era: Era) -> None:
    arguments = {
        "app_uuid": APP,
        "status": "verified",
        "recipient": "+919380013443",
        "subaccount": SUBACCOUNT,
        "session_time__gt": "2026-11-01 00:00:00",
        "session_time__gte": "2026-11-02 00:00:00",
        "session_time__lt": "2026-11-20 00:00:00",
        "session_time__lte": "2026-11-19 00:00:00",
        "brand_name": "Acme",
        "app_hash": "FA+9qCX9/Su",
    }
    api = emulator_with()
    async with connect(api, era=era) as client:
        answer = await list_sessions(client, **arguments, limit="7", offset=14.0)
    assert api.received[-1].query == [*arguments.items(), ("limit", "7"), ("offset", "14")]
    assert answer["applied"] == {**arguments, "limit": 7, "offset": 14}


async def test_every_filter_selects_what_it_says() -> None:
    odd = make_record(
        1,
        app_uuid=APPS[2].uuid,
        brand_name="Zebra",
        app_hash="zzz",
        subaccount=SUBACCOUNT,
        outcome="verified",
    )
    api = emulator_with(odd, make_record(2, minutes=90), make_record(3, minutes=30))
    questions: list[dict[str, Any]] = [
        {"app_uuid": APPS[2].uuid},
        {"brand_name": "Zebra"},
        {"app_hash": "zzz"},
        {"subaccount": SUBACCOUNT},
        {"status": "verified"},
        {"recipient": "+919380010001"},
        {"session_time": "60m"},
        {"session_time__gt": "61m", "session_time__lt": "59m"},
        {"session_time__gte": "60m", "session_time__lte": "60m"},
    ]
    async with connect(api) as client:
        for question in questions:
            answer = await list_sessions(client, **question)
            assert [row[0] for row in answer["rows"]] == ["00000001"], question


@pytest.mark.parametrize("unknown_params", ["ignore", "refuse"])
async def test_nothing_undocumented_is_ever_sent(unknown_params: str) -> None:
    api = emulator_with(make_record(1), unknown_params=unknown_params)
    async with connect(api) as client:
        answer = await list_sessions(
            client, status="expired", session_time__gte="7d", detail="full"
        )
    assert len(answer["sessions"]) == 1
    assert {name for name, _ in api.received[-1].query} == {
        "status", "session_time__gte", "limit", "offset",
    }  # fmt: skip


async def test_requests_carry_basic_auth_and_our_name_and_ask_for_plain_json() -> None:
    api = emulator_with()
    async with connect(api) as client:
        await list_sessions(client)
    (request,) = api.received
    assert request.path == "/v1/Account/MASANDBOXACCOUNT0000/Verify/Session/"
    assert request.headers["user-agent"].startswith("verify-mcp/")
    assert (request.headers["accept"], request.headers["accept-encoding"]) == (
        "application/json",
        "identity",
    )
    assert (request.method, request.status) == ("GET", 200)


@pytest.mark.parametrize("empty_list", ["null", "empty"])
async def test_an_empty_page_says_what_was_looked_at(empty_list: str) -> None:
    async with connect(emulator_with(empty_list=empty_list)) as client:
        silent = await list_sessions(client)
        answer = await list_sessions(client, session_time__gte="7d")
        beyond = await list_sessions(client, offset=40)
    assert (silent["rows"], silent["complete"], "next" in silent) == ([], True, False)
    assert silent["note"] == (
        "No session matches in the last 24 hours, the default window. "
        "session_time__gte=7d looks further back."
    )
    assert answer["note"] == "No session matches in this window."
    assert beyond["note"] == "No session at offset 40 or beyond in this window."


async def test_a_window_beyond_ninety_days_is_answered_for_what_is_reachable() -> None:
    api = emulator_with(make_record(1))
    async with connect(api) as client:
        answer = await list_sessions(client, session_time__gte="2026-01-01", session_time__lt="1m")
    assert dict(api.received[-1].query)["session_time__gte"] == "2026-08-23 09:30:01"
    assert [row[0] for row in answer["rows"]] == ["00000001"]
    assert {name: answer[name] for name in ("complete", "why", "missing")} == {
        "complete": False,
        "why": "The API reaches back 90 days, to 2026-08-23 09:30:01 UTC.",
        "missing": ["2026-01-01 00:00:00 to 2026-08-23 09:30:01"],
    }


@pytest.mark.parametrize(
    ("window", "missing"),
    [
        (
            {"session_time__gte": "2026-01-01", "session_time__lt": "2026-02-01"},
            "2026-01-01 00:00:00 to 2026-02-01 00:00:00",
        ),
        ({"session_time__lte": "2026-02-01"}, "until 2026-02-01 00:00:00"),
        ({"session_time": "2026-02-01"}, "2026-02-01 00:00:00 to 2026-02-01 00:00:00"),
    ],
    ids=["both", "end", "instant"],
)
async def test_a_window_wholly_out_of_reach_costs_no_request(
    window: dict[str, str], missing: str
) -> None:
    api = emulator_with(make_record(1))
    async with connect(api) as client:
        answer = await list_sessions(client, **window)
    assert api.received == []
    assert (answer["complete"], answer["rows"], answer["api_requests"]) == (False, [], 0)
    assert answer["missing"] == [missing]


async def test_sessions_in_every_state_and_with_every_fallback_are_told_apart() -> None:
    waiting = make_record(1, minutes=1, resolved_at=NOW + timedelta(minutes=4))
    untried = make_record(2, minutes=2, attempts=())
    text = AttemptRecord(
        uuid=uuid(8), channel="sms", status="failed", time=NOW - timedelta(minutes=10)
    )
    call = AttemptRecord(
        uuid=uuid(9),
        channel="voice",
        status="answer",
        time=NOW - timedelta(minutes=9),
        charge=Decimal("0.011"),
    )
    fallen = make_record(3, minutes=10, channel="voice", outcome="verified", attempts=(text, call))
    async with connect(emulator_with(waiting, untried, fallen)) as client:
        found = rows(await list_sessions(client))
    assert [(row["status"], row["channel"], row["attempts"], row["cost"]) for row in found] == [
        ("in-progress", "sms", "sms delivered +0s", "0.08"),
        ("in-progress", "sms", "", "0"),
        ("verified", "voice", "sms failed +0s; voice answer +60s", "0.011"),
    ]


async def walk(client: Any, arrive: Any, **first: Any) -> list[str]:
    """Short ids of every page, following `next`; `arrive` runs between two pages."""
    seen: list[str] = []
    arguments = dict(first)
    for _ in range(50):
        answer = await list_sessions(client, **arguments)
        seen += [row[0] for row in answer["rows"]]
        if "next" not in answer:
            return seen
        arguments |= answer["next"]
        arrive()
    raise AssertionError("the walk does not end")


WINDOWS: list[tuple[dict[str, str], int, int]] = [
    ({}, 60, 1440),
    ({"session_time__gte": "75m"}, 60, 75),
    ({"session_time__gt": "75m"}, 60, 74),
    ({"session_time__gte": "24h", "session_time__lte": "65m"}, 65, 1440),
    ({"session_time__lt": "65m"}, 66, 1440),
]
"""What is said, and the ages in minutes, from and to, that it means."""


@settings(max_examples=30)
@given(
    saved=st.integers(0, 30),
    limit=st.integers(3, 20),
    ties=st.booleans(),
    arrivals=st.integers(0, 5),
    window=st.sampled_from(WINDOWS),
)
async def test_a_walk_repeats_nothing_and_loses_nothing_while_sessions_arrive(
    *, saved: int, limit: int, ties: bool, arrivals: int, window: tuple[dict[str, str], int, int]
) -> None:
    clock = FakeClock()
    arguments, youngest, oldest = window
    ages = {n: 60 + (n // 3 if ties else n) for n in range(saved)}
    api = emulator_with(*(make_record(n, minutes=age) for n, age in ages.items()), clock=clock)
    numbers = count(1000)

    def arrive() -> None:
        clock.pass_by(30)
        late = (NOW - clock.now).total_seconds() / 60
        api.data = api.data.with_records(
            *(make_record(next(numbers), late) for _ in range(arrivals))
        )

    async with connect(api, clock=clock, rate_limit=AMPLE) as client:
        seen = await walk(client, arrive, limit=limit, **arguments)
    assert seen == [f"{n:08x}" for n, age in ages.items() if youngest <= age <= oldest]


@pytest.mark.parametrize("limit", [3, 20])
async def test_r61_sessions_that_end_between_two_pages_push_no_row_out_of_sight(limit: int) -> None:
    clock = FakeClock()
    later = NOW + timedelta(hours=1)
    api = emulator_with(
        *(make_record(n, minutes=n, resolved_at=later) for n in range(1, 46)), clock=clock
    )

    async with connect(api, clock=clock, rate_limit=AMPLE) as client:
        first = await list_sessions(
            client, status="in-progress", limit=limit, session_time__gte="24h"
        )
        ids = [row[0] for row in first["rows"]]
        assert limit - 1 <= len(ids) <= limit
        last = first["rows"][-1][0]
        api.data = AccountData(
            replace(each, resolved_at=NOW) if each.uuid.startswith(last) else each
            for each in api.data.records
        )
        ids += await walk(client, lambda: None, status="in-progress", limit=limit, **first["next"])
    assert ids == [f"{n:08x}" for n in range(1, 46)]


async def test_next_goes_on_from_the_oldest_session_shown_in_the_same_window() -> None:
    clock = FakeClock()
    api = emulator_with(*(make_record(n, minutes=n) for n in range(1, 6)), clock=clock)
    async with connect(api, clock=clock) as client:
        answer = await list_sessions(client, limit=2)
        assert answer["next"] == {
            "offset": 1,
            "session_time__gte": "2026-11-20 09:30:00",
            "session_time__lte": "2026-11-21 09:28:00",
        }
        second = await list_sessions(client, limit=2, **answer["next"])
    assert second["next"] == {"offset": 1, "session_time__lte": "2026-11-21 09:26:00"}
    assert second["applied"] == {**answer["next"], "limit": 2, "offset": 1}


async def test_a_page_entered_in_the_middle_goes_on_from_there() -> None:
    api = emulator_with(*(make_record(n, minutes=n) for n in range(1, 9)))
    async with connect(api) as client:
        answer = await list_sessions(client, limit=2, offset=3)
        seen = [row[0] for row in answer["rows"]]
        seen += await walk(client, lambda: None, limit=2, **answer["next"])
    assert seen == [f"{n:08x}" for n in range(4, 9)]


@pytest.mark.parametrize(
    "switches",
    [
        {"pagination": "hybrid"},
        {"absolute_next": True},
        {"next_echo_filters": True},
        {"absolute_next": True, "next_echo_filters": True, "pagination": "hybrid"},
    ],
    ids=str,
)
async def test_pages_follow_each_other_however_the_api_writes_next(
    switches: dict[str, Any],
) -> None:
    api = emulator_with(*(make_record(n, minutes=n + 10) for n in range(1, 8)), **switches)
    async with connect(api) as client:
        seen = await walk(client, lambda: None, limit=3, status="expired")
    assert seen == [f"{n:08x}" for n in range(1, 8)]
    assert {request.headers["host"] for request in api.received} == {"localhost"}


async def test_a_list_tells_how_many_where_no_further_request_is_needed() -> None:
    api = emulator_with(*(make_record(n, minutes=n + 90) for n in range(1, 46)))
    window = {"session_time__gte": "12h", "session_time__lt": "80m"}
    async with connect(api, rate_limit=AMPLE) as client:
        first = await list_sessions(client, **window)
        last = await list_sessions(client, **window, offset=40)
        beyond = await list_sessions(client, **window, offset=60)
        await call_tool(client, "summarize_verify_sessions", window)
        asked = len(api.received)
        cached = [
            await list_sessions(client, **window, **more)
            for more in (
                {},
                {"offset": 40},
                {"offset": 20},
                {"status": "expired"},
                {"status": "verified"},
                {"recipient": "+919380010007"},
            )
        ]
        assert len(api.received) == asked
    assert [how_many(page) for page in (first, last, beyond)] == [
        (None, True),
        (45, None),
        (None, None),
    ]
    assert [how_many(page)[0] for page in cached] == [45, 45, None, 45, 0, 1]
    assert how_many(cached[0]) == (45, None)


async def test_the_total_of_many_days_comes_from_the_totals_of_days() -> None:
    app = {"app_uuid": APP}
    records = [make_record(n, minutes=150 + 120 * n, **(app if n % 3 else {})) for n in range(70)]
    window = {"session_time__gte": "7d", "session_time__lt": "2h"}
    filters: list[dict[str, Any]] = [{}, {"status": "expired"}, {"status": "verified"}, app]
    async with connect(emulator_with(*records), rate_limit=AMPLE) as client:
        await call_tool(client, "summarize_verify_sessions", window)
        answers = [await list_sessions(client, **window, **filter_) for filter_ in filters]
    assert [answer["total"] for answer in answers] == [70, 70, 0, 46]
    assert [answer["api_requests"] for answer in answers] == [0, 0, 0, 0]


def how_many(answer: dict[str, Any]) -> tuple[int | None, bool | None]:
    """What a list tells about the number of sessions: all of them, or that more follow."""
    return answer.get("total"), answer.get("more")


async def test_the_rest_of_a_list_is_not_counted_as_if_it_were_all_of_it() -> None:
    api = emulator_with(*(make_record(n, minutes=n) for n in range(1, 7)))
    async with connect(api) as client:
        first = await list_sessions(client, limit=4)
        rest = await list_sessions(client, limit=4, **first["next"])
    assert (len(first["rows"]), len(rest["rows"])) == (4, 2)
    assert (how_many(first), how_many(rest)) == ((None, True), (None, None))


async def test_rows_that_could_not_be_read_are_counted_all_the_same() -> None:
    page = {"sessions": [_row(1), _row(2), _row(2), _row(3, status=None)]}
    async with connect(CannedApi(page)) as client:
        answer = await list_sessions(client)
    assert (len(answer["rows"]), answer["skipped"], answer["total"]) == (2, 1, 3)


async def test_a_page_without_meta_is_taken_for_the_last_unless_it_is_full() -> None:
    row = _row(1)
    async with connect(CannedApi({"sessions": [row]})) as client:
        assert "next" not in await list_sessions(client)
        assert (await list_sessions(client, limit=1))["next"]["offset"] == 1


def _row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "session_uuid": uuid(number),
        "recipient": "919380013443",
        "channel": "sms",
        "status": "expired",
        "created_at": f"2026-11-21T08:00:{60 - number:02d}Z",
        **changes,
    }


@settings(max_examples=30)
@given(broken=st.sets(st.integers(1, 6)), limit=st.integers(1, 4))
async def test_unreadable_rows_are_counted_and_never_cost_a_readable_one(
    broken: set[int], limit: int
) -> None:
    records = [make_record(n, minutes=n) for n in range(1, 7)]
    api = Damaging(emulator_with(*records), broken)
    async with connect(api, rate_limit=AMPLE) as client:
        seen = await walk(client, lambda: None, limit=limit)
    assert set(seen) == {f"{n:08x}" for n in range(1, 7) if n not in broken}


class Damaging:
    """The account, some of whose rows lost their creation time on the way."""

    def __init__(self, api: Emulator, broken: set[int]) -> None:
        self.api = api
        self.damaged = {uuid(number).encode() for number in broken}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def damage(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    pair for pair in message["headers"] if pair[0] != b"content-length"
                ]
            for name in self.damaged:
                if name in message.get("body", b""):
                    message["body"] = message["body"].replace(name, b"none")
            await send(message)

        await self.api(scope, receive, damage)


async def test_a_subaccounts_credentials_ask_without_naming_it() -> None:
    api = emulator_with(make_record(1, subaccount=SUBACCOUNT), make_record(2))
    mine = Credentials(SUBACCOUNT, "sandbox-token-not-a-secret")
    async with connect(api, credentials=mine) as client:
        assert [row[0] for row in (await list_sessions(client))["rows"]] == ["00000001"]
        text = await call_tool_error(client, subaccount=SUBACCOUNT)
    assert text.startswith("subaccount cannot be asked with a subaccount's own credentials")
    assert len(api.received) == 1


async def test_r69_a_number_without_a_country_carries_its_plus_all_the_same() -> None:
    local = make_record(1, recipient="8097480999")
    shared = make_record(2, minutes=61, recipient="80012345678")
    async with connect(emulator_with(local, shared)) as client:
        found = rows(await list_sessions(client))
    assert [(row["recipient"], row["country"]) for row in found] == [
        ("+8097480999", ""),
        ("+80012345678", ""),
    ]


async def test_r71_the_default_window_is_told_to_the_microsecond_where_now_has_any() -> None:
    clock = FakeClock(NOW + timedelta(microseconds=250_000))
    one = Rate(1, 60.0)
    async with connect(emulator_with(), clock=clock, rate_limit=one, max_wait=0.0) as client:
        await list_sessions(client, session_time__gte="2h")
        answer = await list_sessions(client)
    assert answer["applied"] == {
        "session_time__gte": "2026-11-20 09:30:00.250000",
        "session_time__lte": "2026-11-21 09:30:00.250000",
        "limit": 20,
        "offset": 0,
    }


async def test_the_quota_left_counts_down_and_an_exhausted_one_is_no_error() -> None:
    clock = FakeClock()
    api = emulator_with(make_record(1), clock=clock)
    async with connect(api, clock=clock, max_wait=0.0) as client:
        left = [(await list_sessions(client))["quota_left"] for _ in range(20)]
        answer = await list_sessions(client, status="expired")
        clock.pass_by(60)
        after = await list_sessions(client)
    assert left == list(range(19, -1, -1))
    assert answer == {
        "complete": False,
        "why": "Not asked yet: the account's quota of API requests is in use. The same call can "
        "be answered in about 60 s.",
        "eta_s": 60,
        "applied": {
            "status": "expired",
            "session_time__gte": "2026-11-20 09:30:00",
            "session_time__lte": "2026-11-21 09:30:00",
            "limit": 20,
            "offset": 0,
        },
        "columns": COLUMNS,
        "rows": [],
        "as_of": "2026-11-21T09:30:00Z",
        "api_requests": 0,
        "quota_left": 0,
    }
    assert after["complete"] is True
    assert len(api.received) == 21


async def test_a_cursor_only_api_is_a_clear_error_beyond_the_first_page() -> None:
    api = emulator_with(*(make_record(n, minutes=n) for n in range(1, 6)), pagination="cursor")
    async with connect(api) as client:
        answer = await list_sessions(client, limit=2)
        text = await call_tool_error(client, limit=2, **answer["next"])
        again = await list_sessions(client, limit=2)
    assert "offset" in text
    assert again["rows"] == answer["rows"]


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        ("2025550147", "The number is none that is assigned under +20:"),
        ("020 2555 0147", "The number begins with no country's calling code:"),
        ("+62813555007", "compared with whole numbers"),
    ],
)
async def test_r69_a_number_that_cannot_match_gets_a_hint(number: str, hint: str) -> None:
    async with connect(emulator_with(make_record(1))) as client:
        answer = await list_sessions(client, recipient=number)
        total = await call_tool(client, "summarize_verify_sessions", {"recipient": number})
    assert hint in answer["note"]
    assert total["note"] == answer["note"]
