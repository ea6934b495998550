"""What an answer leaves open is completed between two calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.background import connect_with_background, work_until, work_until_idle
from tests.support.client import APP, FakeClock, call_tool, emulator_with, make_record, tokens
from tests.support.databases import Place, SharedClock
from tests.support.summaries import some, summarize
from verify_mcp.background.lease import LEASE_TTL
from verify_mcp.context import AppContext
from verify_mcp.emulator import Emulator, Fault
from verify_mcp.tools.envelope import to_json

pytestmark = pytest.mark.anyio

SETTLED = {"session_time__gte": "2026-11-18 10:00", "session_time__lt": "2026-11-21 07:00"}


def account_of(pages: int, clock: FakeClock) -> Emulator:
    """About so many pages of sessions in the last three days."""
    return emulator_with(*some(20 * pages, hours=72), clock=clock)


async def quota_left(context: AppContext) -> int:
    return (await context.gateway.list_limiter.status()).left


@pytest.mark.parametrize("pages", [60, 150])
async def test_an_answer_becomes_exact_by_itself_when_it_says_so(pages: int) -> None:
    clock = FakeClock()
    emulator = account_of(pages, clock)
    async with connect_with_background(emulator, clock) as (client, context):
        first = await summarize(client, **SETTLED)
        seconds = await work_until_idle(context, clock)
        exact = await summarize(client, **SETTLED)
    assert (exact["complete"], exact["basis"], exact["api_requests"]) == (True, "held", 0)
    assert abs(first["eta_exact_s"] - seconds) <= 0.2 * seconds
    assert first["why"].endswith(
        f"It is completed in the background; ask again in about {first['eta_exact_s']} s."
    )
    assert "same call" not in first["why"]
    assert len(emulator.received) <= first["api_requests"] + 1.05 * pages


@pytest.mark.parametrize("filters", [{}, {"country": "IN"}], ids=["all", "of a country"])
async def test_what_a_count_read_is_not_read_again(filters: dict[str, Any]) -> None:
    clock = FakeClock()
    emulator = account_of(100, clock)
    async with connect_with_background(emulator, clock) as (client, context):
        await summarize(client, **SETTLED, **filters)
        await work_until_idle(context, clock)
        assert (await summarize(client, **SETTLED))["basis"] == "held"
    offsets = [
        dict(each.query)["offset"] for each in emulator.received if "status" not in dict(each.query)
    ]
    assert len(offsets) > 90
    assert len(offsets) == len(set(offsets))


async def test_a_session_that_comes_late_between_two_pages_is_not_lost() -> None:
    clock = FakeClock()
    emulator = account_of(100, clock)
    async with connect_with_background(emulator, clock) as (client, context):
        window = {"session_time__gte": "2026-11-18 10:00", "session_time__lt": "2026-11-21 09:30"}
        first = await summarize(client, **window)
        emulator.data = emulator.data.with_records(make_record(99_999, minutes=20))
        await work_until_idle(context, clock)
        exact = await summarize(client, **window)
    assert exact["complete"]
    assert exact["sessions"] == first["sessions"] + 1


async def test_people_find_the_reserve_free_while_the_background_works() -> None:
    clock = FakeClock()
    async with connect_with_background(account_of(100, clock), clock) as (client, context):
        await summarize(client, **SETTLED)
        clock.pass_by(60)
        free = []
        for _ in range(200):
            clock.pass_by(await context.background.step())
            free.append(await quota_left(context))
    assert min(free) == 4


async def test_windows_are_completed_in_the_order_of_asking_and_the_status_shows_it() -> None:
    clock = FakeClock()
    async with connect_with_background(account_of(120, clock), clock) as (client, context):
        old = {"session_time__gte": "2026-11-18 10:00", "session_time__lt": "2026-11-19 16:00"}
        new = {"session_time__gte": "2026-11-20 00:00", "session_time__lt": "2026-11-21 07:00"}
        first = await summarize(client, **old)
        clock.pass_by(60)
        second = await summarize(client, **new)
        status = await call_tool(client, "get_verify_status", {"about": "all"})

        async def is_first_done() -> bool:
            left = await context.background.status()
            return left is None or left.windows == 1

        await work_until(context, clock, is_first_done)
        assert (await summarize(client, **old))["basis"] == "held"
        await work_until_idle(context, clock)
        assert (await summarize(client, **new))["basis"] == "held"
    assert status["background"] == {"windows": 2, "done_in_s": second["eta_exact_s"]}
    assert second["eta_exact_s"] > 1.5 * first["eta_exact_s"]
    assert tokens(to_json(status)) <= 170


async def test_one_of_several_processes_works_and_another_goes_on_when_it_dies(
    place: Place, clock: SharedClock
) -> None:
    emulator = account_of(50, clock)
    settings: dict[str, Any] = {"database_url": place.url}
    async with (
        connect_with_background(emulator, clock, **settings) as (_, standby),
        connect_with_background(emulator, clock, **settings) as (client, holder),
    ):
        await summarize(client, **SETTLED)
        clock.pass_by(60)
        assert await holder.background.step() == 0
        before = len(emulator.received)
        assert await standby.background.step() > 0
        assert len(emulator.received) == before
        clock.pass_by(LEASE_TTL)  # without a heartbeat
        await work_until_idle(standby, clock)
        assert (await summarize(client, **SETTLED))["basis"] == "held"
        assert len(emulator.received) <= 20 + 1.1 * 50


async def test_a_429_stops_the_background_of_every_process_for_ten_minutes(file: Place) -> None:
    clock = FakeClock()
    emulator = account_of(60, clock)
    settings: dict[str, Any] = {"database_url": file.url}
    async with connect_with_background(emulator, clock, **settings) as (client, context):
        await summarize(client, **SETTLED)
        clock.pass_by(60)
        emulator.fail_next(Fault.TOO_MANY)
        await context.background.step()
        refused = len(emulator.received)
    async with connect_with_background(emulator, clock, **settings) as (client, context):
        began = clock.ticks

        async def has_begun() -> bool:
            return len(emulator.received) > refused

        await work_until(context, clock, has_begun)
        assert clock.ticks - began >= 590
        await work_until_idle(context, clock)
        assert (await summarize(client, **SETTLED))["basis"] == "held"


async def test_a_question_with_filters_has_its_window_completed_if_that_is_affordable() -> None:
    clock = FakeClock()
    narrow = {"app_uuid": APP, **SETTLED}
    async with connect_with_background(account_of(150, clock), clock) as (client, context):
        first = await summarize(client, **narrow)
        await work_until_idle(context, clock)
        assert (await summarize(client, **narrow))["basis"] == "held"
    assert first["why"].endswith("in the background, if 400 requests are enough.")


async def test_a_question_with_filters_is_left_when_its_window_takes_too_much() -> None:
    clock = FakeClock()
    emulator = account_of(150, clock)
    async with connect_with_background(emulator, clock, ahead=40) as (client, context):
        first = await summarize(client, app_uuid=APP, **SETTLED)
        await work_until_idle(context, clock)
        again = await summarize(client, app_uuid=APP, **SETTLED)
    assert len(emulator.received) <= first["api_requests"] + again["api_requests"] + 4


async def test_no_more_requests_than_the_setting_allows_are_made_for_one_question() -> None:
    clock = FakeClock()
    emulator = account_of(150, clock)
    async with connect_with_background(emulator, clock, ahead=30) as (client, context):
        first = await summarize(client, **SETTLED)
        await work_until_idle(context, clock)
    assert len(emulator.received) == first["api_requests"] + 30
    assert "30 of the requests are made in the background" in first["why"]


@pytest.mark.parametrize("settings", [{"ahead": 0}, {"mirror": False}])
async def test_nothing_is_done_in_the_background_unless_it_is_allowed(
    settings: dict[str, Any],
) -> None:
    clock = FakeClock()
    emulator = account_of(60, clock)
    async with connect_with_background(emulator, clock, **settings) as (client, context):
        first = await summarize(client, **SETTLED)
        assert await context.background.status() is None
    assert "background" not in first["why"]


async def test_a_window_is_forgotten_after_a_day() -> None:
    clock = FakeClock()
    async with connect_with_background(account_of(60, clock), clock) as (client, context):
        await summarize(client, **SETTLED)
        clock.pass_by(timedelta(hours=25).total_seconds())
        assert await context.background.status() is None


async def test_a_relative_window_asked_again_is_the_same_one() -> None:
    clock = FakeClock()
    async with connect_with_background(account_of(150, clock), clock) as (client, context):
        for _ in range(3):
            await summarize(client, session_time__gte="3d")
            clock.pass_by(20)
        status = await context.background.status()
    assert status is not None
    assert status.windows == 1
