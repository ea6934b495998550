"""A process that stands still between a grant and its request never exceeds the account's rate."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest

from tests.support.client import SANDBOX, FakeClock, emulator_with
from tests.support.databases import Place, SharedClock
from tests.support.mirror import open_context_of, open_mirror_of
from verify_mcp.context import open_context
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.emulator import serve
from verify_mcp.errors import QuotaExhausted
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.rate_limit_store import Priority, Slot, Ticket
from verify_mcp.plivo.shared_rate_limit import DatabaseRateLimitStore
from verify_mcp.settings import Rate

pytestmark = pytest.mark.anyio

ONE = Rate(1, 60.0)


async def fetch(mirror: Mirror) -> int:
    """Fetch a page; how many requests it took."""
    call = CallContext(deadline=1e9)
    await mirror.fetch_and_save(SessionFilter(), limit=20, offset=0, call=call)
    return call.requests_sent


def stop_after_grant(mirror: Mirror, stand_still: Callable[[], Awaitable[Any]], times: int) -> None:
    """Let the process of this mirror stand still after each of its next grants."""
    store: Any = mirror.gateway.list_limiter._store  # noqa: SLF001 - a grant is not public
    acquire, left = store.acquire_or_enqueue, [times]

    async def acquire_and_stop(priority: Priority) -> Slot | Ticket:
        result: Slot | Ticket = await acquire(priority)
        if isinstance(result, Slot) and left[0]:
            left[0] -= 1
            await stand_still()
        return result

    store.acquire_or_enqueue = acquire_and_stop


@pytest.mark.parametrize("seconds", [17.0, 85.0, 3600.0])
async def test_a_process_that_stood_still_after_its_grant_sends_with_a_new_slot(
    place: Place, clock: SharedClock, seconds: float
) -> None:
    emulator = emulator_with(clock=clock, list_limit=1)
    shared = {"database_url": place.url, "rate_limit": ONE, "mirror": False}
    async with (
        open_mirror_of(emulator, clock, **shared) as stopped,
        open_mirror_of(emulator, clock, **shared) as other,
    ):

        async def stand_still() -> None:
            clock.pass_by(seconds)
            if seconds > 80:  # the slot came back meanwhile
                await fetch(other)

        stop_after_grant(stopped, stand_still, times=1)
        assert await fetch(stopped) == 1
        await fetch(other)
    assert [request.status for request in emulator.received] == [200] * (2 + (seconds > 80))


async def test_a_process_that_stands_still_after_every_grant_sends_nothing_and_says_so(
    place: Place, clock: SharedClock
) -> None:
    emulator = emulator_with(clock=clock)
    async with open_mirror_of(
        emulator, clock, database_url=place.url, rate_limit=ONE, mirror=False
    ) as stopped:

        async def stand_still() -> None:
            clock.pass_by(100)

        stop_after_grant(stopped, stand_still, times=99)
        with pytest.raises(QuotaExhausted):
            await fetch(stopped)
    assert emulator.received == []


async def test_a_machine_that_was_suspended_after_a_grant_sends_with_a_new_slot() -> None:
    clock = FakeClock()
    emulator = emulator_with(clock=clock)
    grants = []
    async with open_mirror_of(emulator, clock, rate_limit=ONE, database_url="sqlite://") as mirror:

        async def suspend() -> None:
            grants.append(clock.ticks)
            before = clock.ticks
            clock.pass_by(600)
            clock.ticks = before  # a monotonic clock stands still meanwhile

        stop_after_grant(mirror, suspend, times=1)
        assert await fetch(mirror) == 1
    assert (len(grants), len(emulator.received)) == (1, 1)


async def test_a_slot_that_expires_while_the_connection_is_made_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    resolved: list[object] = []
    emulator = emulator_with(clock=clock)
    plain = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **named: Any) -> Any:
        if host in ("localhost", b"localhost") and not resolved:
            resolved.append(host)
            clock.pass_by(100)
        return plain(host, *rest, **named)

    async with serve(emulator) as url:
        port = url.rpartition(":")[2]
        settings = replace(SANDBOX, api_url=f"http://localhost:{port}", database_url="sqlite://")
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        async with open_context(settings, clock=clock.clock()) as context:
            left: list[float] = []
            store: Any = context.gateway.list_limiter._store  # noqa: SLF001 - as above
            acquire = store.acquire_or_enqueue

            async def count(priority: Priority) -> Slot | Ticket:
                left.append(clock.ticks)
                result: Slot | Ticket = await acquire(priority)
                return result

            store.acquire_or_enqueue = count
            assert await fetch(context.mirror) == 1
    assert left == [1000.0, 1100.0]
    assert len(emulator.received) == 1


async def test_a_pause_while_a_slot_is_released_does_not_bring_it_back_early(
    place: Place, clock: SharedClock
) -> None:
    pauses = [0.0]

    def read() -> float:
        ticks = clock.ticks
        clock.pass_by(pauses[0])
        return ticks

    database = ResilientDatabase(place.url, clock=read, on_problem=pytest.fail)
    store = DatabaseRateLimitStore(database, "MA1:list", ONE)
    slot = await store.acquire_or_enqueue(Priority.INTERACTIVE)
    assert isinstance(slot, Slot)
    slot.sent, completed_at, pauses[0] = True, clock.ticks, 30.0
    await store.release(slot, completed_at)
    pauses[0] = 0.0
    clock.set(completed_at + 59.9)
    assert await store.count_left() == 0
    database.close()


async def test_a_request_given_up_without_a_reply_counts_until_it_must_have_arrived() -> None:
    clock, is_sent = FakeClock(), anyio.Event()

    async def silent(_scope: object, _receive: object, _send: object) -> None:
        is_sent.set()
        await anyio.sleep_forever()

    async with open_context_of(silent, clock, rate_limit=ONE) as context:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fetch, context.mirror)
            await is_sent.wait()
            tasks.cancel_scope.cancel()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        left = []
        for _ in range(2):
            clock.pass_by(62.5)
            left.append(await context.gateway.list_limiter.count_left())
    assert left == [0, 1]
