"""One request to the API: its cost when it is refused, and when its caller leaves."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from tests.support.client import FakeClock, connect, emulator_with
from tests.support.mirror import open_mirror_of
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.emulator import Fault
from verify_mcp.errors import RateLimited
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.gateway import MAX_ATTEMPTS
from verify_mcp.plivo.rate_limit_store import Priority, Slot, Ticket
from verify_mcp.settings import Rate

pytestmark = pytest.mark.anyio


async def pause() -> None:
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def test_a_caller_that_leaves_while_its_slot_is_granted_costs_none() -> None:
    clock = FakeClock()
    async with open_mirror_of(emulator_with(), clock, rate_limit=Rate(1, 60.0)) as mirror:
        quota, leaving = mirror.gateway.list_limiter, anyio.CancelScope()
        store = quota._store  # noqa: SLF001 - the moment of a grant is not public
        grant = store.acquire_or_enqueue

        async def take(priority: Priority) -> Slot | Ticket:
            leaving.cancel()
            with anyio.CancelScope(shield=True):  # as the thread of a database is
                await pause()
            return await grant(priority)

        store.acquire_or_enqueue = take  # type: ignore[method-assign] # as above
        with leaving:
            await mirror.fetch_and_save(SessionFilter(), limit=20, offset=0, call=CallContext())
        for _ in range(3):
            await pause()
        assert leaving.cancelled_caught
        assert (await quota.status()).left == 1


async def test_the_last_refusal_closes_the_gate_for_everybody_too() -> None:
    emulator = emulator_with(list_limit=None, fault_retry_after="7")
    async with open_mirror_of(emulator, FakeClock(), max_wait=50.0) as mirror:
        for _ in range(MAX_ATTEMPTS):
            emulator.fail_next(Fault.TOO_MANY_RETRY_AFTER)
        with pytest.raises(RateLimited):
            await mirror.fetch_and_save(SessionFilter(), limit=20, offset=0, call=CallContext())
        assert (await mirror.gateway.list_limiter.status()).eta_s == 7.0


async def test_a_wish_for_no_pause_at_all_is_not_taken_at_its_word() -> None:
    clock = FakeClock()
    emulator = emulator_with(clock=clock, list_limit=None, fault_retry_after="0")
    emulator.fail_next(Fault.TOO_MANY_RETRY_AFTER)
    began = clock.ticks
    async with connect(emulator, clock=clock) as client:
        await client.call_tool("list_verify_sessions", {})
    assert clock.ticks - began > 0.2
