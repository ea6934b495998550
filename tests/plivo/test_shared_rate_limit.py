"""The quota's ledger in a real database, shared by several processes; time is ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import anyio
import anyio.lowlevel
import pytest

from tests.support.client import FakeClock
from tests.support.databases import Place, SharedClock, at_once
from verify_mcp.database.migrations import MIGRATIONS
from verify_mcp.database.resilient import ResilientDatabase, open_database
from verify_mcp.errors import QuotaExhausted
from verify_mcp.plivo.memory_rate_limit import InMemoryRateLimitStore
from verify_mcp.plivo.rate_limit_store import Priority, RateLimitStatus, Slot
from verify_mcp.plivo.rate_limiter import RateLimiter
from verify_mcp.plivo.shared_rate_limit import DatabaseRateLimitStore
from verify_mcp.settings import Rate

pytestmark = pytest.mark.anyio

ONE, THREE = Rate(1, 60.0), Rate(3, 60.0)


Begin = Callable[..., DatabaseRateLimitStore]


@pytest.fixture
def begin(place: Place, clock: SharedClock) -> Iterator[Begin]:
    """Begin a process: its own way into the database, and its ledger of one endpoint."""
    opened: list[ResilientDatabase] = []

    def begun(rate: Rate = THREE, bucket: str = "MA1:list") -> DatabaseRateLimitStore:
        opened.append(
            ResilientDatabase(place.url, clock=lambda: clock.ticks, on_problem=pytest.fail)
        )
        return DatabaseRateLimitStore(opened[-1], bucket, rate)

    yield begun
    for access in opened:
        access.close()


def quota(ledger: DatabaseRateLimitStore, clock: FakeClock) -> RateLimiter:
    return RateLimiter(ledger, clock=lambda: clock.ticks, sleep=clock.sleep)


async def acquire(
    ledger: DatabaseRateLimitStore, priority: Priority = Priority.INTERACTIVE
) -> Slot:
    turn = await ledger.try_acquire(await ledger.enqueue(priority))
    assert isinstance(turn, Slot)
    return turn


async def send(ledger: DatabaseRateLimitStore) -> None:
    slot = await acquire(ledger)
    slot.sent = True
    await ledger.release(slot)


def rows(place: Place) -> tuple[int, int]:
    """How many slots and tickets the database holds."""
    slots, tickets = place.run(
        "SELECT (SELECT count(*) FROM verify_slots), (SELECT count(*) FROM verify_tickets)"
    )[0]
    return slots, tickets


async def test_r32_people_go_first_and_then_who_came_first_whichever_the_process(
    begin: Begin, clock: SharedClock
) -> None:
    ledgers = [begin(ONE) for _ in range(4)]
    names = ["sync", "first", "second", "third"]
    waiting = {}
    for name, ledger in zip(names, ledgers, strict=True):
        waiting[name] = (
            ledger,
            await ledger.enqueue(Priority.BACKGROUND if name == "sync" else Priority.INTERACTIVE),
        )
        clock.pass_by(0.25)
    served = []
    while waiting:
        for name in [*waiting][::-1]:
            ledger, ticket = waiting[name]
            turn = await ledger.try_acquire(ticket)
            if isinstance(turn, Slot):
                del waiting[name]
                served.append((name, clock.ticks - 1001.0))
                turn.sent = True
                await ledger.release(turn)
        clock.pass_by(4)
    assert served == [("first", 0.0), ("second", 60.0), ("third", 120.0), ("sync", 180.0)]


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
    await dead.enqueue(Priority.INTERACTIVE)
    clock.pass_by(0.5)
    mine = await alive.enqueue(Priority.INTERACTIVE)
    waits = []
    for seconds in (0, 4, 1, 144.4):
        clock.pass_by(seconds)
        waits.append(await alive.try_acquire(mine))
    # Behind the dead's ticket; then it lapses; then its slot does, 90 s and a window after.
    assert waits == [120.0, 120.0, 60.0, pytest.approx(0.1)]
    clock.pass_by(0.1)
    assert isinstance(await alive.try_acquire(mine), Slot)


async def test_a_waiter_that_was_held_up_longer_than_tickets_live_keeps_its_place(
    begin: Begin, clock: SharedClock
) -> None:
    slow, quick = begin(ONE), begin(ONE)
    await send(slow)
    early = await slow.enqueue(Priority.INTERACTIVE)
    clock.pass_by(30)
    late = await quick.enqueue(Priority.INTERACTIVE)
    assert await quick.try_acquire(late) == 30.0
    assert await slow.try_acquire(early) == 30.0
    assert await quick.try_acquire(late) == 90.0
    for _ in range(10):
        clock.pass_by(3)
        waits = [await quick.try_acquire(late)]
        if clock.ticks < 1060.0:
            waits.append(await slow.try_acquire(early))
    assert waits == [60.0]
    assert isinstance(await slow.try_acquire(early), Slot)


async def test_a_ticket_that_could_not_be_withdrawn_lapses_though_its_process_lives(
    begin: Begin, clock: SharedClock
) -> None:
    alive = begin(ONE)
    await alive.enqueue(Priority.INTERACTIVE)  # forgotten: its withdrawal met a locked database
    clock.pass_by(0.5)
    mine = await alive.enqueue(Priority.INTERACTIVE)
    assert await alive.try_acquire(mine) == 60.0
    clock.pass_by(3)
    assert await alive.try_acquire(mine) == 60.0
    clock.pass_by(2.5)
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
    await send(other)


async def test_the_standing_counts_requests_waiters_and_processes(
    begin: Begin, clock: SharedClock
) -> None:
    one, two, three = begin(), begin(), begin()
    assert await one.status() == RateLimitStatus(3, 0.0, processes=1)
    await send(one)
    await acquire(two)
    assert await one.status() == RateLimitStatus(1, 0.0, processes=2)
    await three.enqueue(Priority.INTERACTIVE)
    assert await one.status() == RateLimitStatus(0, 60.0, processes=3)
    clock.pass_by(6)
    assert await one.status() == RateLimitStatus(1, 0.0, processes=2)
    clock.pass_by(54)
    assert await one.status() == RateLimitStatus(2, 0.0, processes=2)


@pytest.mark.parametrize("back", [3600.0, 86400.0])
async def test_r30_after_a_reboot_nobody_exceeds_the_rate_or_waits_longer_than_a_window(
    begin: Begin, clock: SharedClock, back: float
) -> None:
    clock.set(back + 500)
    before = begin(ONE)
    await send(before)
    await before.enqueue(Priority.INTERACTIVE)
    await before.block(200)
    clock.set(20.0)
    after = begin(ONE)
    mine = await after.enqueue(Priority.INTERACTIVE)
    assert await after.try_acquire(mine) == 60.0
    clock.pass_by(60)
    assert isinstance(await after.try_acquire(mine), Slot)


async def test_r30_rows_of_a_short_uptime_are_known_by_their_date_too(
    begin: Begin, clock: SharedClock
) -> None:
    clock.set(100.0)
    before = begin(ONE)
    await acquire(before)  # would lapse at 250
    await before.block(250)
    clock.set(20.0)
    after = begin(ONE)
    mine = await after.enqueue(Priority.INTERACTIVE)
    assert await after.try_acquire(mine) == 60.0
    clock.pass_by(60)
    assert isinstance(await after.try_acquire(mine), Slot)


async def test_r33_who_is_cancelled_or_told_to_come_later_leaves_no_trace(
    begin: Begin, clock: SharedClock, place: Place
) -> None:
    ledger = begin(ONE)
    await send(ledger)
    patient = RateLimiter(ledger, clock=lambda: clock.ticks, sleep=lambda _: anyio.sleep_forever())
    heard = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def wait() -> None:
            async with patient.slot(max_wait=600, on_wait=lambda _: heard.set()):
                pytest.fail("there is no slot")

        tasks.start_soon(wait)
        await heard.wait()
        assert rows(place) == (1, 1)
        tasks.cancel_scope.cancel()
    assert rows(place) == (1, 0)
    with pytest.raises(QuotaExhausted, match="free again in 60 s"):
        async with quota(ledger, clock).slot(max_wait=59):
            pytest.fail("there is no slot")
    assert rows(place) == (1, 0)


@pytest.mark.parametrize("cancelled_after", range(12))
async def test_r33_a_cancellation_at_any_step_costs_nothing(
    begin: Begin, clock: SharedClock, place: Place, cancelled_after: int
) -> None:
    ledger = begin(ONE)
    await ledger.status()
    mine = quota(ledger, clock)
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


async def test_r39_accounts_and_endpoints_have_quotas_of_their_own(begin: Begin) -> None:
    buckets = ["MA1:list", "MA1:get", "MA2:list"]
    ledgers = [begin(ONE, bucket) for bucket in buckets]
    await send(ledgers[0])
    await ledgers[0].block(90)
    await ledgers[0].enqueue(Priority.INTERACTIVE)
    await send(ledgers[1])
    assert [await each.status() for each in ledgers] == [
        RateLimitStatus(0, 120.0),
        RateLimitStatus(0, 60.0),
        RateLimitStatus(1, 0.0),
    ]


async def test_processes_with_different_rates_each_keep_to_their_own(begin: Begin) -> None:
    high, low = begin(THREE), begin(ONE)
    for _ in range(2):
        await send(high)
    assert await low.status() == RateLimitStatus(0, 60.0, processes=2)
    assert (await high.status()).left == 1
    assert isinstance(await high.try_acquire(await high.enqueue(Priority.INTERACTIVE)), Slot)


async def test_requests_made_while_the_ledger_was_out_of_reach_are_counted_afterwards(
    place: Place, clock: SharedClock
) -> None:
    said: list[str] = []
    access = ResilientDatabase(place.url, clock=lambda: clock.ticks, on_problem=said.append)
    ledger = DatabaseRateLimitStore(access, "MA1:list", THREE)
    spare = InMemoryRateLimitStore(ONE, clock=lambda: clock.ticks)
    mine = RateLimiter(ledger, fallback=spare, clock=lambda: clock.ticks, sleep=clock.sleep)

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
    assert await ledger.status() == RateLimitStatus(1, 0.0)
    clock.pass_by(50)
    assert await ledger.status() == RateLimitStatus(2, 0.0)
    assert (len(said), access.problem) == (1, "")
    access.close()


def test_r37_many_processes_may_open_an_empty_database_at_once(place: Place) -> None:
    def open_it() -> None:
        database = open_database(place.url, pytest.fail)
        database.run_sync(lambda one: one.execute("DELETE FROM verify_slots"), write=True)
        database.close()

    failed = at_once(8, open_it)
    assert failed == []
    assert place.run("SELECT count(*) FROM verify_schema") == [(len(MIGRATIONS),)]
