"""No figure of another question, another moment or another caller, however calls meet."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp import Client

from tests.support import expected
from tests.support.client import (
    NOW,
    App,
    CannedApi,
    FakeClock,
    connect,
    emulator_with,
    list_sessions,
    make_record,
)
from tests.support.databases import sqlite_url
from tests.support.mirror import UNLIMITED, open_mirror_of
from tests.support.store import find_sessions
from tests.support.summaries import some, summarize
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.windows import Window
from verify_mcp.emulator import Emulator, Fault
from verify_mcp.mirror.backfill import Backfill
from verify_mcp.plivo.call import MAX_CALL_SECONDS, CallContext

pytestmark = pytest.mark.anyio

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BUSY = {"session_time__gte": "2026-11-12", "session_time__lt": "2026-11-21"}


def busy(clock: FakeClock | None = None) -> Emulator:
    """An account with more sessions in ten days than one call fetches."""
    return emulator_with(*some(3000, hours=240), clock=clock, list_limit=None)


def true_count(emulator: Emulator, since: str, until: str) -> int:
    start, end = (NOW.fromisoformat(f"{each}T00:00Z") for each in (since, until))
    return len(expected.among(emulator.data, start, end))


async def until_counted(client: Client, clock: FakeClock, **arguments: Any) -> dict[str, Any]:
    """The answer after as many calls as the count takes, a minute between two."""
    for _ in range(12):
        answer = await summarize(client, **arguments)
        if "expired" in answer and "leave" not in answer["why"]:
            break
        clock.pass_by(60)
    return answer


async def test_a_count_of_a_past_window_is_no_answer_about_the_time_until_now() -> None:
    async with connect(busy(), rate_limit=UNLIMITED) as client:
        past = await summarize(
            client, session_time__gte="2026-11-12", session_time__lt="2026-11-17"
        )
        until_now = await summarize(client, session_time__gte="2026-11-12")
    assert past["applied"]["session_time__lt"] == "2026-11-17 00:00:00"
    assert until_now["applied"]["session_time__lt"] == "2026-11-21 09:30:00"
    assert until_now["sessions"] > past["sessions"]


async def test_what_is_held_beside_the_part_counted_counts_for_every_group_asked() -> None:
    emulator = busy()
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        await summarize(
            client, session_time__gte="2026-11-12", session_time__lt="2026-11-13", max_requests=99
        )
        answer = await summarize(client, **BUSY, group_by=["attempt_status"])
    assert answer["basis"] == "counted"
    assert answer["sessions"] == true_count(emulator, "2026-11-12", "2026-11-21")


async def test_a_window_that_ends_in_the_future_is_counted_on_over_several_calls() -> None:
    clock = FakeClock()
    async with connect(busy(clock), clock=clock, rate_limit=UNLIMITED) as client:
        asked = {"session_time__gte": "2026-11-12", "session_time__lt": "2026-11-22"}
        answer = await until_counted(client, clock, **asked, max_requests=6)
    assert answer["verified"] + answer["expired"] + answer["in_progress"] == answer["sessions"]


async def test_two_groupings_of_one_window_at_the_same_time_are_not_mixed_up(
    tmp_path: Path,
) -> None:
    groups: dict[str, set[str]] = {}
    async with connect(
        busy(), rate_limit=UNLIMITED, database_url=sqlite_url(tmp_path / "verify.sqlite3")
    ) as client:
        await summarize(client, **BUSY)

        async def ask(by: str) -> None:
            answer = await summarize(client, **BUSY, group_by=[by])
            groups[by] = {row[0] for row in answer["rows"]}

        async with anyio.create_task_group() as tasks:
            for by in ("country", "channel", "status"):
                tasks.start_soon(ask, by)
    assert groups == {
        "country": {"IN", "US", "FR"},
        "channel": {"sms", "voice", "whatsapp"},
        "status": {"verified", "expired"},
    }


async def test_a_row_that_cannot_be_read_is_counted_though_it_cannot_be_fetched() -> None:
    emulator = busy()
    async with connect(emulator, rate_limit=UNLIMITED) as client:
        await summarize(
            client, session_time__gte="2026-11-18", session_time__lt="2026-11-19", max_requests=99
        )
        emulator.fail_next(Fault.ROW_WITHOUT_UUID)
        answer = await summarize(
            client, session_time__gte="2026-11-12", session_time__lt="2026-11-19 01:00"
        )
    start, end = NOW.fromisoformat("2026-11-12T00:00Z"), NOW.fromisoformat("2026-11-19T01:00Z")
    assert answer["basis"] == "counted"
    assert answer["sessions"] == len(expected.among(emulator.data, start, end))


async def test_a_purge_between_two_calls_takes_nothing_from_a_count_under_way(
    tmp_path: Path,
) -> None:
    emulator, place = busy(), sqlite_url(tmp_path / "verify.sqlite3")
    async with (
        connect(emulator, rate_limit=UNLIMITED, database_url=place) as client,
        open_mirror_of(emulator, FakeClock(), database_url=place) as another,
    ):
        await summarize(
            client, session_time__gte="2026-11-12", session_time__lt="2026-11-13", max_requests=99
        )
        before = await summarize(client, **BUSY)
        assert another.store is not None
        await another.store.purge(None)
        after = await summarize(client, **BUSY)
    whole = true_count(emulator, "2026-11-12", "2026-11-21")
    assert (before["sessions"], after["sessions"]) == (whole, whole)


async def test_expired_sessions_inferred_are_told_no_more_once_they_proved_wrong() -> None:
    clock = FakeClock()
    open_ = [
        make_record(each, minutes=300 + each / 10, resolved_at=NOW + HOUR / 2, outcome="verified")
        for each in range(700)
    ]
    over = [make_record(1000 + each, minutes=500 + each / 10) for each in range(700)]
    emulator = emulator_with(*open_, *over, clock=clock, list_limit=None)
    async with connect(emulator, clock=clock, rate_limit=UNLIMITED) as client:
        asked = {"session_time__gte": "2026-11-12", "session_time__lt": "2026-11-21 08:00"}
        seen = []
        for budget in range(2, 9):
            clock.now = NOW
            answer = await summarize(client, **asked, max_requests=budget)
            seen.append(answer)
            clock.now = NOW + HOUR * 0.6
            seen.append(await summarize(client, **asked, max_requests=budget))
    for answer in seen:
        if "expired" in answer and "leave" not in answer["why"]:
            ended = answer["verified"] + answer["expired"]
            assert ended + answer["in_progress"] == answer["sessions"]
            assert answer["expired"] == 700


def dated(app: App, clock: FakeClock, ahead: timedelta) -> App:
    """The API with a Date on its replies, our clock being ahead of it."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        async def send_late(message: Any) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(clock.now - ahead, usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        await app(scope, receive, send_late)

    return serve


async def test_a_clock_ahead_of_the_apis_claims_no_time_that_is_still_to_come() -> None:
    clock, ahead = FakeClock(), timedelta(hours=3)
    there = FakeClock()
    there.now = NOW - ahead
    emulator = emulator_with(
        make_record(1, minutes=60 * 5),
        make_record(2, minutes=110),
        clock=there,
        list_limit=None,
        date_header=False,
    )
    async with open_mirror_of(dated(emulator, clock, ahead), clock) as mirror:
        window = Window(NOW - DAY, NOW)
        walker = Backfill(mirror, SessionFilter(), window)
        await walker.step(CallContext(), budget=1)
        assert mirror.store is not None
        _, claimed = await mirror.store.stats("")
        walked = [each for each, _ in await mirror.store.recently_fetched("", window, NOW - DAY)]
    assert walker.done
    assert [each.end for each in claimed] == [NOW - ahead - HOUR]
    assert [each.end for each in walked] == [NOW - ahead]


async def test_an_answer_before_the_first_reply_is_not_of_the_future(tmp_path: Path) -> None:
    """A process whose clock is two hours ahead answers a stored window without a request."""
    clock = FakeClock()
    emulator = emulator_with(*some(30, hours=20), clock=clock)
    place: dict[str, Any] = {"database_url": sqlite_url(tmp_path / "verify.db"), "mirror": True}
    stored = {"session_time__gte": "2026-11-20 00:00", "session_time__lt": "2026-11-21 00:00"}
    async with connect(emulator, clock=clock, **place) as client:
        await summarize(client, **stored)
    late = FakeClock(NOW + 2 * HOUR)
    async with connect(emulator, clock=late, **place) as client:
        answer = await summarize(client, **stored)
    assert (answer["complete"], answer["api_requests"]) == (True, 0)
    assert answer["as_of"] == "2026-11-21T09:30:00Z"


async def test_a_clock_set_back_leaves_no_old_status_in_what_is_claimed() -> None:
    window = Window(NOW - DAY, NOW - 4 * HOUR)
    told = {
        "session_uuid": "00000001-0000-4000-8000-000000000000",
        "recipient": "919380013443",
        "created_at": "2026-11-21T04:30:00Z",
    }
    open_, over = (
        Session.model_validate({**told, "status": status}) for status in ("in-progress", "verified")
    )
    async with open_mirror_of(emulator_with(), FakeClock()) as mirror:
        assert mirror.store is not None
        await mirror.store.save([open_], "", None, NOW + 10 * HOUR)
        await mirror.store.save([over], "", window, NOW)
        assert await mirror.store.cached_windows("", window) == (window,)
        assert await find_sessions(
            mirror.store, SessionFilter(), "", window, limit=9, offset=0
        ) == [over]


def slow(app: App, clock: FakeClock, seconds: float) -> App:
    """The API, each reply taking so long; those asked for together come together."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        due = clock.ticks + seconds
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        clock.pass_by(max(0.0, due - clock.ticks))
        await app(scope, receive, send)

    return serve


@pytest.mark.parametrize("reply_takes", [4.0, 14.9])
async def test_a_summary_of_a_slow_api_is_answered_within_its_time(reply_takes: float) -> None:
    clock = FakeClock()
    api = slow(busy(clock), clock, reply_takes)
    async with connect(api, clock=clock, rate_limit=UNLIMITED) as client:
        began = clock.ticks
        await summarize(client, **BUSY, max_requests=200)
    assert clock.ticks - began <= MAX_CALL_SECONDS


async def test_ninety_days_are_complete_between_two_seconds_too() -> None:
    clock = FakeClock(NOW + timedelta(milliseconds=500))
    async with connect(emulator_with(clock=clock), clock=clock) as client:
        assert (await list_sessions(client, session_time__gte="90d"))["complete"]
        cut = await list_sessions(client, session_time__gte="91d")
    assert cut["missing"] == ["2026-08-22 09:30:00 to 2026-08-23 09:30:01"]


@pytest.mark.parametrize("tool", ["list_verify_sessions", "summarize_verify_sessions"])
@pytest.mark.parametrize("time", ["0001-01-01", "9999-12-31 23:59:59.999999"])
async def test_a_time_nobody_means_is_refused(tool: str, time: str) -> None:
    async with connect(CannedApi({})) as client:
        result = await client.call_tool(tool, {"session_time__lt": time})
    assert result.is_error
    assert getattr(result.content[0], "text", "").startswith("session_time__lt is not a time.")
