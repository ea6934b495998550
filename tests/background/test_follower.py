"""The newest days are kept covered, with few requests and behind people's calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.background import connect_with_background, work_until
from tests.support.client import (
    NOW,
    FakeClock,
    call_tool,
    emulator_with,
    list_sessions,
    make_record,
)
from tests.support.databases import Place, SharedClock, sqlite_url
from tests.support.mirror import open_context_of
from tests.support.summaries import DAY, HOUR, MINUTE, summarize
from verify_mcp.background.follow_plan import (
    FollowView,
    newest_window,
    older_gap,
    plan_refresh,
    recent_gap,
    settled_window,
    unsettled_instants,
)
from verify_mcp.cli.following import follow_command
from verify_mcp.clock import Clock
from verify_mcp.context import AppContext
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window
from verify_mcp.emulator import Emulator, Fault, SessionRecord
from verify_mcp.errors import CredentialsRejected, InvalidArgument

pytestmark = pytest.mark.anyio

SETTLE = HOUR
PERIOD = Window(NOW - DAY, NOW)
EDGE = NOW - SETTLE - 6 * MINUTE


class SlowClock(FakeClock):
    """Time whose servers' clocks are 20 minutes slow."""

    def clock(self) -> Clock:
        return replace(super().clock(), now=lambda: self.now - 20 * MINUTE)


def view(covered: Window, known: Window | None = None, rate: float | None = None) -> FollowView:
    return FollowView(PERIOD, [covered], [known] if known else [], SETTLE, rate)


def coming(hours: float, every: timedelta) -> list[SessionRecord]:
    """Sessions that come evenly, from an hour before now until so many hours after it."""
    number = int((hours + 1) * HOUR / every)
    return [
        make_record(
            each,
            created_at=NOW - HOUR + each * every,
            resolved_at=NOW - HOUR + each * every + timedelta(minutes=4),
            attempts=(),
        )
        for each in range(number)
    ]


def api_of(clock: FakeClock, hours: float = 6, every: timedelta = MINUTE / 2) -> Emulator:
    return emulator_with(*coming(hours, every), clock=clock)


async def follow(context: AppContext, clock: FakeClock, seconds: float) -> None:
    async def never() -> bool:
        return False

    await work_until(context, clock, never, seconds=seconds)


async def test_a_followed_day_is_answered_without_a_request_and_without_a_gap() -> None:
    clock = FakeClock()
    emulator = api_of(clock)
    async with connect_with_background(emulator, clock, follow=DAY) as (client, context):
        await follow(context, clock, 3 * 3600)
        status = await call_tool(client, "get_verify_status", {"about": "mirror"})
        await follow(context, clock, status["follow"]["behind_s"])
        settled = await summarize(
            client, session_time__gte="2026-11-20 12:00", session_time__lt="2026-11-21 11:20"
        )
        recent = await summarize(client, session_time__gte="24h")
    assert (settled["basis"], settled["api_requests"], settled["sessions"]) == ("held", 0, 340)
    assert (recent["complete"], recent["api_requests"] <= 8) == (True, True)
    assert status["follow"]["stored_pct"] >= 99
    assert status["follow"]["behind_s"] <= 330


async def test_few_sessions_are_followed_with_few_requests() -> None:
    clock = FakeClock()
    emulator = api_of(clock, every=10 * MINUTE)
    async with connect_with_background(emulator, clock, follow=DAY) as (_, context):
        await follow(context, clock, 2 * 3600)
        before = len(emulator.received)
        await follow(context, clock, 3600)
    assert len(emulator.received) - before <= 40


async def test_a_session_that_ends_late_is_final_soon_after() -> None:
    clock = FakeClock()
    late = make_record(9999, created_at=NOW + 1.5 * MINUTE, resolved_at=NOW + 3 * HOUR, attempts=())
    emulator = emulator_with(*coming(6, MINUTE), late, clock=clock)
    async with connect_with_background(emulator, clock, follow=DAY) as (client, context):
        await follow(context, clock, 2 * 3600)
        window = {"session_time__gte": "2026-11-21 09:00", "session_time__lt": "2026-11-21 09:40"}
        assert (await summarize(client, **window))["in_progress"] == 1
        await follow(context, clock, 3 * 3600)
        answer = await summarize(client, **window)
    assert (answer["basis"], answer["in_progress"], answer["api_requests"]) == ("held", 0, 0)
    alone = [each for each in emulator.received if each.endpoint == "get"]
    assert 1 <= len(alone) <= 8


async def test_a_session_fetched_alone_from_an_api_without_dates_is_replaced_by_a_later_page() -> (
    None
):
    clock = SlowClock()
    late = make_record(9999, created_at=NOW + 2 * MINUTE, resolved_at=NOW + HOUR, attempts=())
    emulator = emulator_with(late, clock=clock, date_header=False)
    async with connect_with_background(emulator, clock, follow=DAY) as (client, context):
        clock.pass_by(120)
        await list_sessions(client)  # which shows that the clock is slow
        await follow(context, clock, 1800)
        assert "get" in [each.endpoint for each in emulator.received]
        clock.pass_by(3 * 3600)
        for _ in range(2):  # the first call fetches pages, the second one reads what they brought
            answer = await summarize(client, session_time__gte="2026-11-21 09:00", max_requests=16)
            assert (answer["complete"], answer["in_progress"]) == (True, 0)


async def test_one_process_follows_for_all_and_another_takes_over(
    place: Place, clock: SharedClock
) -> None:
    emulator = api_of(clock, hours=1)
    settings: dict[str, Any] = {"database_url": place.url, "follow": HOUR}
    async with (
        connect_with_background(emulator, clock, **settings) as (_, first),
        connect_with_background(emulator, clock, **settings) as (_, second),
    ):
        await first.background.step()
        sent = len(emulator.received)
        await second.background.step()
        assert len(emulator.received) == sent
        await follow(second, clock, 120)
        assert len(emulator.received) > sent


async def test_what_cannot_be_read_is_not_fetched_over_and_over() -> None:
    clock = FakeClock()
    emulator = api_of(clock, every=10 * MINUTE)
    async with connect_with_background(emulator, clock, follow=HOUR) as (_, context):
        emulator.fail_next(Fault.ROW_WITHOUT_UUID)
        await follow(context, clock, 600)
    assert len(emulator.received) <= 12


def test_the_newest_part_is_fetched_when_a_page_of_it_may_have_come() -> None:
    known = Window(EDGE, NOW - 2 * MINUTE)
    part = Window(known.end, NOW)
    assert newest_window(view(Window(PERIOD.start, EDGE), known, rate=1.0)) == part
    assert newest_window(view(Window(PERIOD.start, EDGE), known, rate=0.1)) is None
    assert newest_window(FollowView(PERIOD, [], [], SETTLE)) == PERIOD


def test_what_settled_is_fetched_when_it_fills_pages_or_waited_long() -> None:
    known = Window(EDGE - HOUR, NOW)
    short, longer = (Window(PERIOD.start, EDGE - wait) for wait in (4 * MINUTE, 5 * MINUTE))
    assert settled_window(view(short, known, rate=1.0)) is None
    assert settled_window(view(short, known, rate=2.0)) == Window(short.end, EDGE)
    assert settled_window(view(longer, known, rate=0.0)) == Window(longer.end, EDGE)


def test_what_settled_is_fetched_before_what_was_known_of_it_is_too_old() -> None:
    behind = Window(PERIOD.start, EDGE - 20 * MINUTE)
    first = Window(behind.end, behind.end + 5 * MINUTE)
    assert settled_window(view(behind, Window(behind.end, NOW), rate=2.0)) == first
    quiet = view(behind, Window(behind.end, NOW), rate=0.1)
    assert settled_window(quiet) == Window(behind.end, EDGE)
    known = Window(EDGE - 10 * MINUTE, NOW)
    assert settled_window(view(behind, known, rate=2.0)) == Window(known.start, EDGE - 5 * MINUTE)
    done = replace(view(behind, None, rate=2.0), covered=[behind, Window(known.start, NOW)])
    assert settled_window(done) == Window(behind.end, known.start)


def test_older_gaps_come_newest_first_and_an_unsettled_session_is_none() -> None:
    hole = NOW - 5 * HOUR
    first, second = Window(NOW - 20 * HOUR, hole), Window(hole + MICROSECOND, EDGE)
    state = FollowView(PERIOD, [first, second], [Window(EDGE, NOW)], SETTLE)
    assert older_gap(state) == Window(PERIOD.start, first.start)
    assert recent_gap(state) is None
    begun = replace(state, known=[Window(EDGE, NOW - 2 * MINUTE), Window(NOW - MINUTE, NOW)])
    assert recent_gap(begun) == Window(NOW - 2 * MINUTE, NOW - MINUTE)
    assert unsettled_instants(state) == (hole,)
    assert state.stored_share > 0.8


def test_sessions_of_one_page_are_fetched_together_and_a_lonely_one_alone() -> None:
    seconds: Callable[[float], timedelta] = lambda number: timedelta(seconds=number)  # noqa: E731
    crowd = [NOW - seconds(each) for each in range(60)]
    lonely, pair = NOW - HOUR, [NOW - 2 * HOUR, NOW - 2 * HOUR - seconds(5)]
    plan = plan_refresh([*crowd, lonely, *pair], rate=1.0)
    assert plan.singles == (lonely,)
    assert plan.windows == (
        Window(crowd[-1], crowd[0] + MICROSECOND),
        Window(pair[1], pair[0] + MICROSECOND),
    )


async def test_sync_follow_refuses_what_it_cannot_follow_and_ends_when_it_may_not_ask() -> None:
    async with open_context_of(emulator_with(), FakeClock()) as context:
        with pytest.raises(InvalidArgument, match="--since is shorter than an hour"):
            await follow_command("5m", None, "")(context)
        with pytest.raises(InvalidArgument, match="--until"):
            await follow_command("7d", "24h", "")(context)
        with pytest.raises(InvalidArgument, match="--since is not a length"):
            await follow_command("2026-11-01", None, "")(context)


async def test_sync_follow_keeps_the_period_until_it_is_ended(
    file: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = FakeClock()
    emulator = api_of(clock)
    settings = {"database_url": sqlite_url(file.path)}

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if clock.now > NOW + HOUR:
            emulator.fail_next(Fault.UNAUTHORIZED_JSON)
        await emulator(scope, receive, send)

    async with open_context_of(serve, clock, **settings) as context:
        with pytest.raises(CredentialsRejected):
            await follow_command("24h", None, "")(context)
    first, *reports = capsys.readouterr().err.splitlines()
    assert first == "The last 24h are kept in the mirror from now on. Ctrl-C ends it."
    assert "% of the period is stored" in reports[-1]
