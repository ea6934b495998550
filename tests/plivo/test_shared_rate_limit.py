"""The rate limit in a real database that several processes share; the clock is a fake."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

import anyio
import anyio.lowlevel
import pytest

from tests.support.client import FakeClock
from tests.support.databases import Place, SharedClock, at_once
from verify_mcp.database.migrations import MIGRATIONS
from verify_mcp.database.resilient import ResilientDatabase, open_database
from verify_mcp.database.sqlite import SqliteDatabase
from verify_mcp.errors import QuotaExhausted
from verify_mcp.plivo.memory_rate_limit import InMemoryRateLimitStore
from verify_mcp.plivo.rate_limit_store import Priority, RateLimitStatus, Slot, Ticket
from verify_mcp.plivo.rate_limiter import RateLimiter
from verify_mcp.plivo.shared_rate_limit import DatabaseRateLimitStore
from verify_mcp.settings import Rate

pytestmark = pytest.mark.anyio

ONE, THREE = Rate(1, 60.0), Rate(3, 60.0)


Begin = Callable[..., DatabaseRateLimitStore]


@pytest.fixture
def begin(place: Place, clock: SharedClock) -> Iterator[Begin]:
    """Begin a process: its database and its store of one endpoint's rate limit."""
    opened: list[ResilientDatabase] = []

    def begun(rate: Rate = THREE, bucket: str = "MA1:list") -> DatabaseRateLimitStore:
        opened.append(
            ResilientDatabase(place.url, clock=lambda: clock.ticks, on_problem=pytest.fail)
        )
        return DatabaseRateLimitStore(opened[-1], bucket, rate)

    yield begun
    for access in opened:
        access.close()


def quota(store: DatabaseRateLimitStore, clock: FakeClock) -> RateLimiter:
    return RateLimiter(store, clock=lambda: clock.ticks, sleep=clock.sleep)


async def acquire(store: DatabaseRateLimitStore, priority: Priority = Priority.INTERACTIVE) -> Slot:
    result = await store.acquire_or_enqueue(priority)
    assert isinstance(result, Slot)
    return result


async def enqueue(
    store: DatabaseRateLimitStore, priority: Priority = Priority.INTERACTIVE
) -> Ticket:
    result = await store.acquire_or_enqueue(priority)
    assert isinstance(result, Ticket)
    return result


async def send(store: DatabaseRateLimitStore, clock: SharedClock) -> None:
    slot = await acquire(store)
    slot.sent = True
    await store.release(slot, clock.ticks)


def rows(place: Place) -> tuple[int, int]:
    """How many slots and tickets the database holds."""
    slots, tickets = place.run(
        "SELECT (SELECT count(*) FROM verify_slots), (SELECT count(*) FROM verify_tickets)"
    )[0]
    return slots, tickets


async def test_r32_people_go_first_and_then_who_came_first_whichever_the_process(
    begin: Begin, clock: SharedClock
) -> None:
    stores = [begin(ONE) for _ in range(4)]
    await send(stores[0], clock)
    names = ["sync", "first", "second", "third"]
    waiting = {}
    for name, store in zip(names, stores, strict=True):
        waiting[name] = (
            store,
            await enqueue(store, Priority.BACKGROUND if name == "sync" else Priority.INTERACTIVE),
        )
        clock.pass_by(0.25)
    served = []
    while waiting:
        for name in [*waiting][::-1]:
            store, ticket = waiting[name]
            result = await store.try_acquire(ticket)
            if isinstance(result, Slot):
                del waiting[name]
                served.append((name, clock.ticks - 1001.0))
                result.sent = True
                await store.release(result, clock.ticks)
        clock.pass_by(1)
    assert served == [("first", 59.0), ("second", 119.0), ("third", 179.0), ("sync", 239.0)]


async def test_a_slot_comes_back_to_everybody_a_window_after_its_request_completed(
    begin: Begin, clock: SharedClock
) -> None:
    one, other = begin(ONE), begin(ONE)
    async with quota(one, clock).slot(max_wait=0) as slot:
        slot.sent = True
        clock.pass_by(10)
    assert await other.status() == RateLimitStatus(0, 60.0, processes=2)
    clock.pass_by(59.5)
    assert await other.status() == RateLimitStatus(0, 0.5, processes=2)
    clock.pass_by(0.5)
    assert await other.status() == RateLimitStatus(1, 0.0, processes=1)


async def test_a_request_never_sent_gives_its_slot_back_to_everybody_at_once(
    begin: Begin, clock: SharedClock, place: Place
) -> None:
    one, other = begin(ONE), begin(ONE)
    async with quota(one, clock).slot(max_wait=0):
        assert await other.status() == RateLimitStatus(0, 60.0, processes=2)
    assert await other.status() == RateLimitStatus(1, 0.0, processes=1)
    assert rows(place) == (0, 0)


async def test_r29_what_a_dead_process_held_lapses(begin: Begin, clock: SharedClock) -> None:
    dead, alive = begin(ONE), begin(ONE)
    await acquire(dead)
    await enqueue(dead)
    clock.pass_by(0.5)
    mine = await enqueue(alive)
    waits = []
    for seconds in (0, 0.9, 0.2, 78.3):
        clock.pass_by(seconds)
        waits.append(await alive.try_acquire(mine))
    # Behind the dead's ticket; then it lapses; then its slot does, 20 s and a window after.
    assert waits == pytest.approx([120.0, 120.0, 60.0, 0.1])
    clock.pass_by(0.1)
    assert isinstance(await alive.try_acquire(mine), Slot)


async def test_a_waiter_that_was_slow_for_longer_than_tickets_live_keeps_its_place(
    begin: Begin, clock: SharedClock
) -> None:
    slow, quick = begin(ONE), begin(ONE)
    await send(slow, clock)
    early = await enqueue(slow)
    clock.pass_by(30)
    late = await enqueue(quick)
    assert await quick.try_acquire(late) == 30.0
    assert await slow.try_acquire(early) == 30.0
    assert await quick.try_acquire(late) == 90.0
    for _ in range(30):
        clock.pass_by(1)
        waits = [await quick.try_acquire(late)]
        if clock.ticks < 1060.0:
            waits.append(await slow.try_acquire(early))
    assert waits == [60.0]
    assert isinstance(await slow.try_acquire(early), Slot)


async def test_a_ticket_that_could_not_be_withdrawn_lapses_though_its_process_lives(
    begin: Begin, clock: SharedClock
) -> None:
    alive = begin(ONE)
    await send(alive, clock)
    await enqueue(alive)  # forgotten: its withdrawal met a locked database
    clock.pass_by(0.5)
    mine = await enqueue(alive)
    assert await alive.try_acquire(mine) == 119.5
    clock.pass_by(0.9)
    assert await alive.try_acquire(mine) == pytest.approx(118.6)
    clock.pass_by(0.2)
    assert await alive.try_acquire(mine) == pytest.approx(58.4)
    clock.pass_by(58.4)
    assert isinstance(await alive.try_acquire(mine), Slot)


async def test_r06_a_closed_gate_holds_every_process_and_opens_by_itself(
    begin: Begin, clock: SharedClock
) -> None:
    one, other = begin(), begin()
    await one.block(7)
    await one.block(3)
    assert await other.status() == RateLimitStatus(0, 7.0)
    clock.pass_by(7)
    assert await other.status() == RateLimitStatus(3, 0.0)
    await send(other, clock)


async def test_the_status_counts_requests_waiters_and_processes(
    begin: Begin, clock: SharedClock
) -> None:
    one, two, three = begin(), begin(), begin()
    assert await one.status() == RateLimitStatus(3, 0.0, processes=1)
    await send(one, clock)
    await acquire(two)
    assert await one.status() == RateLimitStatus(1, 0.0, processes=2)
    await acquire(two)
    await enqueue(three)
    assert await one.status() == RateLimitStatus(0, 60.0, processes=3)
    clock.pass_by(6)
    assert await one.status() == RateLimitStatus(0, 54.0, processes=2)
    clock.pass_by(54)
    assert await one.status() == RateLimitStatus(1, 0.0, processes=2)
    clock.pass_by(20)
    assert await one.status() == RateLimitStatus(3, 0.0, processes=1)


@pytest.mark.parametrize("back", [3600.0, 86400.0])
async def test_r30_after_a_reboot_nobody_exceeds_the_rate_or_waits_longer_than_a_window(
    begin: Begin, clock: SharedClock, back: float
) -> None:
    clock.set(back + 500)
    before = begin(ONE)
    await send(before, clock)
    await enqueue(before)
    await before.block(200)
    clock.set(20.0)
    after = begin(ONE)
    mine = await enqueue(after)
    assert await after.try_acquire(mine) == 60.0
    clock.pass_by(60)
    assert isinstance(await after.try_acquire(mine), Slot)


async def test_r30_rows_of_a_short_uptime_are_known_by_their_date_too(
    begin: Begin, clock: SharedClock
) -> None:
    clock.set(100.0)
    before = begin(ONE)
    await acquire(before)  # would lapse at 180
    await before.block(250)
    clock.set(20.0)
    after = begin(ONE)
    mine = await enqueue(after)
    assert await after.try_acquire(mine) == 60.0
    clock.pass_by(60)
    assert isinstance(await after.try_acquire(mine), Slot)


async def test_r33_a_waiter_that_is_cancelled_or_refused_leaves_no_trace(
    begin: Begin, clock: SharedClock, place: Place
) -> None:
    store = begin(ONE)
    await send(store, clock)
    limiter = RateLimiter(store, clock=lambda: clock.ticks, sleep=lambda _: anyio.sleep_forever())
    is_waiting = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def wait() -> None:
            async with limiter.slot(max_wait=600, on_wait=lambda _: is_waiting.set()):
                pytest.fail("there is no slot")

        tasks.start_soon(wait)
        await is_waiting.wait()
        assert rows(place) == (1, 1)
        tasks.cancel_scope.cancel()
    assert rows(place) == (1, 0)
    with pytest.raises(QuotaExhausted, match="free again in 60 s"):
        async with quota(store, clock).slot(max_wait=59):
            pytest.fail("there is no slot")
    assert rows(place) == (1, 0)


@pytest.mark.parametrize("cancelled_after", range(12))
async def test_r33_a_cancellation_at_any_step_costs_nothing(
    begin: Begin, clock: SharedClock, place: Place, cancelled_after: int
) -> None:
    store = begin(ONE)
    await store.status()
    mine = quota(store, clock)
    with anyio.CancelScope() as scope:

        async def cancel_soon() -> None:
            for _ in range(cancelled_after):
                await anyio.lowlevel.checkpoint()
            scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel_soon)
            async with mine.slot(max_wait=0):
                await anyio.sleep_forever()
    assert rows(place) == (0, 0)


async def test_r39_accounts_and_endpoints_have_quotas_of_their_own(
    begin: Begin, clock: SharedClock
) -> None:
    buckets = ["MA1:list", "MA1:get", "MA2:list"]
    stores = [begin(ONE, bucket) for bucket in buckets]
    await send(stores[0], clock)
    await stores[0].block(90)
    await enqueue(stores[0])
    await send(stores[1], clock)
    assert [await each.status() for each in stores] == [
        RateLimitStatus(0, 120.0),
        RateLimitStatus(0, 60.0),
        RateLimitStatus(1, 0.0),
    ]


async def test_processes_with_different_rates_each_keep_to_their_own(
    begin: Begin, clock: SharedClock
) -> None:
    high, low = begin(THREE), begin(ONE)
    for _ in range(2):
        await send(high, clock)
    assert await low.status() == RateLimitStatus(0, 60.0, processes=2)
    assert (await high.status()).left == 1
    await acquire(high)


async def test_requests_made_while_the_store_was_unavailable_are_counted_afterwards(
    place: Place, clock: SharedClock
) -> None:
    problems: list[str] = []
    access = ResilientDatabase(place.url, clock=lambda: clock.ticks, on_problem=problems.append)
    store = DatabaseRateLimitStore(access, "MA1:list", THREE)
    spare = InMemoryRateLimitStore(ONE, clock=lambda: clock.ticks)
    mine = RateLimiter(store, fallback=spare, clock=lambda: clock.ticks, sleep=clock.sleep)

    async def ask() -> None:
        async with mine.slot(max_wait=0) as slot:
            slot.sent = True

    await ask()
    clock.pass_by(55)
    with place.locked():
        clock.pass_by(5)
        await ask()  # the first has come back, so one may leave
        with pytest.raises(QuotaExhausted):
            await ask()
    clock.pass_by(10)
    await ask()
    assert await store.status() == RateLimitStatus(1, 0.0)
    clock.pass_by(50)
    assert await store.status() == RateLimitStatus(2, 0.0)
    assert (len(problems), access.problem) == (1, "")
    access.close()


async def test_shared_slots_are_counted_as_those_in_memory_are(
    begin: Begin, clock: SharedClock
) -> None:
    random, rate = Random(3), Rate(8, 60.0)  # noqa: S311 - made-up traffic
    shared = [begin(rate), begin(rate)]
    oracle = InMemoryRateLimitStore(rate, clock=lambda: clock.ticks)
    in_use: list[tuple[Slot, Slot]] = []
    for _ in range(120):
        clock.pass_by(random.choice([0, 0, 0.5, 3, 9]))
        store = random.choice(shared)
        if in_use and random.random() < 0.6:
            slots = in_use.pop(random.randrange(len(in_use)))
            for slot in slots:
                slot.sent = len(in_use) != 2
            completed_at = clock.ticks - random.choice([0, 1])
            await store.release(slots[0], completed_at)
            await oracle.release(slots[1], completed_at)
        elif await oracle.count_left():
            expected = await oracle.acquire_or_enqueue(Priority.INTERACTIVE)
            assert isinstance(expected, Slot)
            in_use.append((await acquire(store), expected))
        status, count = await store.status(), await store.count_left()
        assert (replace(status, processes=1), count) == (await oracle.status(), status.left)


async def test_a_grant_takes_no_longer_when_more_slots_are_taken(
    file: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    plain = SqliteDatabase._connect  # noqa: SLF001 - SQLite counts its own steps

    def counted(self: SqliteDatabase, wait: float) -> sqlite3.Connection:
        raw = plain(self, wait)
        raw.set_progress_handler(lambda: steps.append(1), 10)
        return raw

    monkeypatch.setattr(SqliteDatabase, "_connect", counted)
    access = ResilientDatabase(file.url, clock=lambda: 100.0, on_problem=pytest.fail)
    store = DatabaseRateLimitStore(access, "MA1:list", Rate(900_000, 60.0))
    used = []
    await store.count_left()
    for most in (10, 10_000):
        file.run(
            f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most}) "  # noqa: S608 - a number
            "INSERT OR IGNORE INTO verify_slots (bucket, slot, owner, noted_at, free_at, number) "
            "SELECT 'MA1:list', 'slot' || i, 'me', 99, 150 + i / 1000.0, i FROM n"
        )
        steps.clear()
        await store.release(await acquire(store), 100.0)
        assert await store.count_left() == 900_000 - most
        used.append(len(steps))
    assert used[1] <= used[0] * 1.2
    access.close()


def test_r37_many_processes_may_open_an_empty_database_at_once(place: Place) -> None:
    def open_it() -> None:
        database = open_database(place.url, pytest.fail)
        database.run_sync(lambda one: one.execute("DELETE FROM verify_slots"), write=True)
        database.close()

    failed = at_once(8, open_it)
    assert failed == []
    assert place.run("SELECT count(*) FROM verify_schema") == [(len(MIGRATIONS),)]
