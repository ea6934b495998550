"""The pretend list's windows, pages and limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verify_mcp.emulator import (
    SANDBOX_AUTH_ID,
    SANDBOX_AUTH_TOKEN,
    AccountData,
    Emulator,
    Options,
    SessionRecord,
    generate,
)

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
PATH = f"/v1/Account/{SANDBOX_AUTH_ID}/Verify/Session/"


def session(number: int, created_at: datetime) -> SessionRecord:
    return SessionRecord(
        uuid=f"{number:08x}-0000-4000-8000-000000000000",
        recipient="919380013443",
        created_at=created_at,
        resolved_at=created_at + timedelta(minutes=5),
    )


def minutely(count: int) -> AccountData:
    return AccountData(session(one, NOW - timedelta(minutes=one)) for one in range(1, count + 1))


def emulator(world: AccountData, **switches: Any) -> Emulator:
    switches = {"list_limit": None} | switches
    return Emulator(world, behaviour=Options(**switches), clock=lambda: NOW, monotonic=lambda: 0.0)


async def ask(api: Emulator, path: str = PATH, **params: Any) -> httpx.Response:
    transport = httpx.ASGITransport(api)
    auth = (SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN)
    async with httpx.AsyncClient(transport=transport, auth=auth) as client:
        return await client.get(f"http://emulator{path}", params=params or None)


async def numbers(api: Emulator, **params: Any) -> list[int]:
    rows = (await ask(api, **params)).json()["sessions"] or []
    return [int(row["session_uuid"][:8], 16) for row in rows]


async def walk(api: Emulator, **params: Any) -> list[str]:
    seen: list[str] = []
    query: dict[str, Any] = params
    while True:
        body = (await ask(api, **query)).json()
        seen += [row["session_uuid"] for row in body["sessions"] or []]
        if body["meta"]["next"] is None:
            return seen
        query = params | dict(parse_qsl(urlsplit(body["meta"]["next"]).query))


async def test_without_a_time_the_last_day_is_listed_newest_first() -> None:
    edge = session(2, NOW - DAY)
    api = emulator(
        AccountData(
            [
                session(3, NOW - DAY - timedelta(microseconds=1)),
                edge,
                replace(edge, uuid=session(1, NOW).uuid),
                session(4, NOW),
                session(5, NOW + timedelta(microseconds=1)),
            ]
        )
    )
    assert await numbers(api) == [4, 1, 2]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"session_time": "2026-11-20 09:00:30.000005"}, [2]),
        ({"session_time": "2026-11-20 09:00:30:000005"}, [2]),
        ({"session_time": "2026-11-20 09:00"}, [3]),
        ({"session_time__gt": "2026-11-20 09:00"}, [1, 2]),
        ({"session_time__gte": "2026-11-20 09:00"}, [1, 2, 3]),
        ({"session_time__lt": "2026-11-20 09:00:30.000005"}, [3, 4]),
        ({"session_time__lte": "2026-11-20 09:00:30.000005"}, [2, 3, 4]),
        ({"session_time__gt": "2026-11-20 09:00", "session_time__lt": "2026-11-20 09:01"}, [2]),
        ({"session_time__gte": "2026-11-20 09:00", "session_time": "2026-11-20 09:01"}, [1]),
        ({"session_time__gt": "2020-01-01 00:00"}, [1, 2, 3, 4]),
        ({"session_time__gt": "2026-11-20 09:01", "session_time__lt": "2026-11-20 09:00"}, []),
    ],
)
async def test_the_five_time_forms_combine(params: dict[str, str], expected: list[int]) -> None:
    minute = datetime(2026, 11, 20, 9, tzinfo=UTC)
    api = emulator(
        AccountData(
            [
                session(1, minute + timedelta(minutes=1)),
                session(2, minute + timedelta(seconds=30, microseconds=5)),
                session(3, minute),
                session(4, minute - 80 * DAY),
                session(5, minute - 90 * DAY),
            ]
        )
    )
    assert await numbers(api, **params) == expected


@settings(deadline=None)
@given(
    offsets=st.lists(st.integers(0, 5), max_size=30),
    forms=st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), st.integers(0, 5)),
)
def test_a_window_holds_exactly_what_its_bounds_say(
    offsets: list[int], forms: dict[str, int]
) -> None:
    start = NOW - timedelta(hours=1)
    moments = [start + timedelta(seconds=offset) for offset in offsets]
    world = AccountData(session(index, moment) for index, moment in enumerate(moments))
    params = {
        f"session_time__{form}": f"{start + timedelta(seconds=at):%Y-%m-%d %H:%M:%S}"
        for form, at in forms.items()
    }
    tests = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}
    numbers = [
        index
        for index, offset in enumerate(offsets)
        if all(tests[form](offset, at) for form, at in forms.items())
    ]
    assert asyncio.run(walk(emulator(world), **params)) == [
        record.uuid for record in world.records if int(record.uuid[:8], 16) in numbers
    ]


@settings(deadline=None)
@given(
    count=st.integers(0, 50),
    limit=st.integers(1, 20),
    pagination=st.sampled_from(["offset", "cursor", "hybrid"]),
    echo=st.booleans(),
)
def test_pages_put_together_are_the_whole_list(
    count: int, limit: int, pagination: str, *, echo: bool
) -> None:
    world = minutely(count)
    api = emulator(world, pagination=pagination, next_echo_filters=echo)
    assert asyncio.run(walk(api, limit=limit)) == [record.uuid for record in world.records]


async def test_meta_points_forwards_and_backwards() -> None:
    api = emulator(minutely(45))
    metas = [(await ask(api, offset=offset)).json()["meta"] for offset in (0, 20, 25, 60)]
    assert metas == [
        {"limit": 20, "offset": 0, "next": f"{PATH}?limit=20&offset=20", "previous": None},
        {
            "limit": 20,
            "offset": 20,
            "next": f"{PATH}?limit=20&offset=40",
            "previous": f"{PATH}?limit=20&offset=0",
        },
        {"limit": 20, "offset": 25, "next": None, "previous": f"{PATH}?limit=20&offset=5"},
        {"limit": 20, "offset": 60, "next": None, "previous": f"{PATH}?limit=20&offset=40"},
    ]
    assert (await ask(api, offset=60)).json()["sessions"] is None


async def test_next_may_be_absolute_and_echo_filters() -> None:
    api = emulator(minutely(3), absolute_next=True, next_echo_filters=True)
    body = (await ask(api, limit=1, status="expired", ignored="x")).json()
    assert body["meta"]["next"] is None
    body = (await ask(api, limit=1, recipient="+919380013443", ignored="x")).json()
    assert body["meta"]["next"] == (
        f"https://api.plivo.com{PATH}?limit=1&recipient=%2B919380013443&offset=1"
    )


async def test_a_cursor_keeps_its_place_while_sessions_arrive() -> None:
    api = emulator(minutely(4), pagination="cursor")
    first = (await ask(api, limit=2)).json()
    assert list(first["meta"]) == ["limit", "next", "previous"]
    api.data = api.data.with_records(session(99, NOW))
    following = await ask(api, f"{first['meta']['next']}")
    assert [row["session_uuid"][:8] for row in following.json()["sessions"]] == [
        "00000003",
        "00000004",
    ]


async def test_an_offset_does_not_ride_with_a_cursor() -> None:
    api = emulator(minutely(4), pagination="hybrid")
    assert await numbers(api, offset=2) == [3, 4]
    meta = (await ask(api, offset=1, limit=1)).json()["meta"]
    assert list(meta) == ["limit", "offset", "next", "previous"]
    cursor = dict(parse_qsl(urlsplit(meta["next"]).query))["cursor"]
    assert (await ask(api, offset=2, cursor=cursor)).status_code == 400
    assert await numbers(api, cursor=cursor) == [3, 4]
    assert (await ask(api, cursor="bm9wZQ")).status_code == 400
    assert (await ask(api, cursor="ééé")).status_code == 400
    api.behaviour = Options(pagination="cursor")
    assert (await ask(api, offset=2)).status_code == 400


async def test_a_twenty_first_request_within_a_minute_gets_429() -> None:
    ticks: Iterator[float] = iter([*(float(one) for one in range(21)), 59.9, 60.0, 60.5])
    api = Emulator(minutely(1), clock=lambda: NOW, monotonic=lambda: next(ticks))
    replies = [await ask(api) for _ in range(24)]
    statuses = [reply.status_code for reply in replies]
    assert statuses == [200] * 20 + [429, 429, 200, 429]
    assert replies[20].json()["error"] == "too many requests"
    assert "retry-after" not in replies[20].headers


async def test_a_limit_may_say_when_to_come_back() -> None:
    ticks = [0.0]
    api = Emulator(
        minutely(1),
        behaviour=Options(list_limit=1, get_limit=0, retry_after="seconds"),
        clock=lambda: NOW,
        monotonic=lambda: ticks[0],
    )
    assert (await ask(api)).status_code == 200
    ticks[0] = 20.5
    assert (await ask(api)).headers["retry-after"] == "40"
    assert (await ask(api, f"{PATH}x/")).headers["retry-after"] == "5"
    api.behaviour = replace(api.behaviour, retry_after="date")
    date = parsedate_to_datetime((await ask(api)).headers["retry-after"])
    assert date == NOW + timedelta(seconds=41)


async def test_refused_requests_count_only_where_switched_so() -> None:
    for counts, status in ((False, 200), (True, 429)):
        ticks = iter([0.0, 30.0, 61.0])
        behaviour = Options(list_limit=1, limit_counts_refused=counts)
        api = Emulator(
            minutely(1), behaviour=behaviour, clock=lambda: NOW, monotonic=ticks.__next__
        )
        assert [(await ask(api)).status_code for _ in range(3)] == [200, 429, status]


async def test_a_sandbox_makes_its_account_at_the_first_request_and_lists_a_day_of_it() -> None:
    api = emulator(generate(seed=7, now=NOW))
    lazy = Emulator(behaviour=Options(list_limit=None), clock=lambda: NOW)
    uuids = await walk(lazy)
    assert uuids == await walk(api)
    assert len(uuids) == 240
    made = Emulator(lambda now: AccountData([session(1, now)]), clock=lambda: NOW)
    assert await numbers(made) == [1]
