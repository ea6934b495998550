"""Daily totals: written once a day is complete, equal to its rows, and deleted with them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from random import Random
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread
import pytest

from tests.support.client import NOW
from tests.support.databases import Place
from tests.support.store import (
    ALL_GROUPS,
    DAY,
    EVER,
    HOUR,
    SCOPES,
    find_sessions,
    random_session,
    store_in,
    tallies_of,
)
from verify_mcp.domain import tallies
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.tallies import MAX_COST
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.daily_totals import day_number
from verify_mcp.mirror.store import Store

pytestmark = pytest.mark.anyio

MIDNIGHT = datetime(2026, 11, 10, tzinfo=UTC)


def days_with_totals(place: Place) -> set[int]:
    """The days that have totals, by number."""
    return {row[0] for row in place.run("SELECT day FROM verify_total_days")}


async def check(store: Store, scope: str, window: Window, random: Random) -> None:
    """Assert that the database adds up its sessions as Python does."""
    sessions = await find_sessions(store, SessionFilter(), scope, window, limit=10_000, offset=0)
    for by in random.sample(ALL_GROUPS, 8):
        zone = ZoneInfo(random.choice(["UTC", "UTC", "Asia/Kolkata", "America/New_York"]))
        assert await store.tally(SessionFilter(), scope, [window], by, zone) == (
            tallies.tally_by(sessions, by, zone)
        )


@pytest.mark.parametrize("seed", range(6))
async def test_daily_totals_equal_their_rows_whatever_is_stored_and_purged(
    place: Place, seed: int
) -> None:
    random = Random(seed)  # noqa: S311 - made-up data
    span = Window(MIDNIGHT - 8 * DAY, MIDNIGHT)
    store, sessions = store_in(place), [random_session(random, n, span) for n in range(60)]
    sessions = [session for session in sessions if session.ended or random.random() < 0.1]
    for _ in range(25):
        edges = sorted(span.start + random.randrange(16) * DAY / 2 for _ in range(2))
        window = Window(*edges)
        scope = random.choice(SCOPES[:2])
        fetched = NOW - random.choice([0, 0, 9]) * DAY
        page = [session for session in sessions if session.created in window]
        match random.randrange(6):
            case 0:
                await store.purge(random.choice(edges))
            case 1:
                await store.save(random.sample(sessions, 5), scope, None, fetched)
            case _:
                await store.save(page, scope, window, fetched)
        for stored_scope in SCOPES[:2]:
            await check(store, stored_scope, span, random)
            await check(store, stored_scope, window, random)


async def test_a_day_has_totals_when_its_last_part_is_stored(place: Place) -> None:
    store = store_in(place)
    morning = [tallies_of(n, MIDNIGHT + n * HOUR) for n in range(1, 9)]
    evening = [tallies_of(n, MIDNIGHT + n * HOUR) for n in range(12, 20)]
    noon = MIDNIGHT + DAY / 2
    await store.save(evening, "", Window(noon, MIDNIGHT + DAY), NOW)
    assert days_with_totals(place) == set()
    await store.save(morning, "", Window(MIDNIGHT - HOUR, noon), NOW)
    assert days_with_totals(place) == {day_number(MIDNIGHT)}
    (tally,) = (await store.tally(SessionFilter(), "", [EVER], ())).values()
    assert tally.sessions == 16


async def test_a_session_that_comes_late_is_counted_with_the_day_it_belongs_to(
    place: Place,
) -> None:
    store, day = store_in(place), Window(MIDNIGHT, MIDNIGHT + DAY)
    await store.save([tallies_of(1, MIDNIGHT + HOUR)], "", day, NOW)
    before = place.run("SELECT * FROM verify_day_totals")
    await store.save([tallies_of(1, MIDNIGHT + HOUR)], "", None, NOW)  # nothing new
    assert place.run("SELECT * FROM verify_day_totals") == before
    await store.save([tallies_of(2, MIDNIGHT + 2 * HOUR, status="verified")], "", None, NOW)
    by_status = await store.tally(SessionFilter(), "", [day], ("status",))
    assert {key: tally.sessions for key, tally in by_status.items()} == {
        ("expired",): 1, ("verified",): 1,
    }  # fmt: skip
    assert days_with_totals(place) == {day_number(MIDNIGHT)}


async def test_filters_apply_to_daily_totals_too(
    place: Place,
) -> None:
    store, day = store_in(place), Window(MIDNIGHT, MIDNIGHT + DAY)
    sessions = [tallies_of(n, MIDNIGHT + n * HOUR, status="verified") for n in range(3)]
    await store.save(sessions, "", day, NOW)
    assert await store.tally(SessionFilter(status="expired"), "", [day], ("channel",)) == {}
    assert await store.tally(SessionFilter(app_uuid="none"), "", [day], ()) == {}
    (tally,) = (await store.tally(SessionFilter(status="verified"), "", [day], ())).values()
    assert tally.sessions == 3


async def test_a_day_whose_cost_exceeds_an_integer_is_added_up_by_rows(place: Place) -> None:
    store, day = store_in(place), Window(MIDNIGHT, MIDNIGHT + DAY)
    dearest = str(tallies.from_nanos(MAX_COST))
    sessions = [
        tallies_of(n, MIDNIGHT + n * HOUR / 500, charges={"total_charge": dearest})
        for n in range(9_300)
    ]
    await store.save(sessions, "", day, NOW)
    assert days_with_totals(place) == set()
    half = Window(MIDNIGHT, MIDNIGHT + 8 * HOUR)
    (tally,) = (await store.tally(SessionFilter(), "", [half], ())).values()
    assert tally.cost == 4_000 * MAX_COST


async def test_concurrent_writers_of_parts_of_a_day_leave_correct_totals(place: Place) -> None:
    minutes = [Window(MIDNIGHT + n * HOUR / 5, MIDNIGHT + (n + 1) * HOUR / 5) for n in range(120)]
    parts = [[tallies_of(n, each.start)] for n, each in enumerate(minutes)]
    stores = [store_in(place) for _ in range(4)]
    await stores[0].save([tallies_of(n + 500, each.start) for n, each in enumerate(minutes)], "",
                         Window(MIDNIGHT, MIDNIGHT + DAY), NOW)  # fmt: skip
    gate = threading.Barrier(len(stores))

    async def writer(number: int) -> None:
        await anyio.to_thread.run_sync(gate.wait)
        for n in range(number, len(parts), len(stores)):
            await stores[number].save(parts[n], "", minutes[n], NOW)

    async with anyio.create_task_group() as tasks:
        for number in range(len(stores)):
            tasks.start_soon(writer, number)
    assert days_with_totals(place) == {day_number(MIDNIGHT)}
    assert place.run("SELECT sum(sessions) FROM verify_day_totals")[0][0] == 240
