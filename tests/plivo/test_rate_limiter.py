"""The rate limit: which request may be sent now, and how long the others wait."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from tests.support.client import FakeClock
from verify_mcp.errors import QuotaExhausted
from verify_mcp.plivo.memory_rate_limit import InMemoryRateLimitStore
from verify_mcp.plivo.rate_limit_store import (
    Priority,
    RateLimitStatus,
    TakenSlots,
    seconds_until_slot,
)
from verify_mcp.plivo.rate_limiter import RateLimiter
from verify_mcp.settings import Rate

pytestmark = pytest.mark.anyio

THREE = Rate(3, 60.0)


@pytest.mark.parametrize(
    ("free_at", "ahead", "gate", "seconds"),
    [
        ([], 0, 0.0, 0.0),
        ([], 2, 0.0, 0.0),
        ([], 3, 0.0, 60.0),
        ([], 7, 0.0, 120.0),
        ([130.0], 1, 0.0, 0.0),
        ([130.0], 2, 0.0, 30.0),
        ([110.0, 120.0, 130.0], 0, 0.0, 10.0),
        ([130.0, 110.0, 120.0], 2, 0.0, 30.0),
        ([110.0, 120.0, 130.0], 3, 0.0, 70.0),
        ([90.0, 99.0, 100.0], 0, 0.0, 0.0),
        ([250.0, 250.0, 250.0], 0, 0.0, 60.0),
        ([], 0, 105.0, 5.0),
        ([110.0, 110.0, 110.0], 0, 105.0, 10.0),
        ([110.0, 110.0, 110.0], 0, 190.0, 90.0),
    ],
)
def test_the_wait_follows_from_slots_queue_and_gate(
    free_at: list[float], ahead: int, gate: float, seconds: float
) -> None:
    taken = TakenSlots.at(at for at in free_at if at > 100.0)
    assert seconds_until_slot(taken, ahead, gate, THREE, 100.0) == seconds


def quota(clock: FakeClock, rate: Rate = THREE) -> RateLimiter:
    store = InMemoryRateLimitStore(rate, clock=lambda: clock.ticks)
    return RateLimiter(store, clock=lambda: clock.ticks, sleep=clock.sleep)


async def send(
    quota: RateLimiter, *, max_wait: float = 600.0, priority: Priority = Priority.INTERACTIVE
) -> None:
    async with quota.slot(max_wait=max_wait, priority=priority) as slot:
        slot.sent = True


async def test_a_slot_comes_back_a_window_after_its_request_completed() -> None:
    clock = FakeClock()
    one = quota(clock, Rate(1, 60.0))
    async with one.slot(max_wait=0) as slot:
        slot.sent = True
        clock.pass_by(10)
    began = clock.ticks
    await send(one)
    assert clock.ticks - began == 60.0


async def test_a_request_never_sent_gives_its_slot_back_at_once() -> None:
    clock = FakeClock()
    one = quota(clock, Rate(1, 60.0))
    async with one.slot(max_wait=0):
        pass
    await send(one, max_wait=0)
    assert clock.ticks == FakeClock().ticks


async def test_a_request_that_cannot_be_sent_in_time_fails_at_once_and_says_when() -> None:
    clock = FakeClock()
    three = quota(clock)
    for _ in range(3):
        await send(three)
    with pytest.raises(QuotaExhausted, match="free again in 60 s") as caught:
        await send(three, max_wait=59.9)
    assert (caught.value.eta_s, clock.ticks) == (60.0, FakeClock().ticks)
    assert await three.status() == RateLimitStatus(0, 60.0)


async def test_a_closed_gate_holds_everybody_and_opens_by_itself() -> None:
    clock = FakeClock()
    three = quota(clock)
    await three.block_for(7)
    await three.block_for(3)
    assert await three.status() == RateLimitStatus(0, 7.0)
    await send(three)
    assert clock.ticks == FakeClock().ticks + 7
    assert await three.status() == RateLimitStatus(2, 0.0)


async def test_waiters_are_served_people_first_and_in_order_of_arrival() -> None:
    clock = FakeClock()
    one = quota(clock, Rate(1, 60.0))
    served: list[str] = []

    async def ask(name: str, priority: Priority = Priority.INTERACTIVE) -> None:
        async with one.slot(max_wait=9999, priority=priority) as slot:
            slot.sent = True
            served.append(name)

    async with anyio.create_task_group() as tasks, one.slot(max_wait=0) as slot:
        slot.sent = True
        for name in ("sync", "first", "second", "third"):
            tasks.start_soon(
                ask, name, Priority.BACKGROUND if name == "sync" else Priority.INTERACTIVE
            )
            await checkpoint()
    assert served == ["first", "second", "third", "sync"]


async def test_r33_a_waiter_that_is_cancelled_leaves_the_queue_to_the_others() -> None:
    clock = FakeClock()
    store = InMemoryRateLimitStore(Rate(1, 60.0), clock=lambda: clock.ticks)
    one = RateLimiter(store, clock=lambda: clock.ticks, sleep=lambda _: anyio.sleep_forever())
    await send(one)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send, one)
        await anyio.wait_all_tasks_blocked()
        assert await one.status() == RateLimitStatus(0, 120.0)
        tasks.cancel_scope.cancel()
    assert await one.status() == RateLimitStatus(0, 60.0)
    clock.pass_by(60)
    await send(one, max_wait=0)


async def test_a_request_that_fails_pays_its_slot_all_the_same() -> None:
    clock = FakeClock()
    one = quota(clock, Rate(1, 60.0))

    async def fail() -> None:
        async with one.slot(max_wait=0) as slot:
            slot.sent = True
            raise RuntimeError("down")

    with pytest.raises(RuntimeError, match="down"):
        await fail()
    assert await one.status() == RateLimitStatus(0, 60.0)


REQUESTS = st.tuples(st.floats(0, 30), st.floats(0, 5), st.floats(0, 1))
"""Seconds before a request, its duration, and the part of that after which it arrives."""


@given(st.integers(1, 5), st.lists(REQUESTS, min_size=1, max_size=25))
async def test_no_minute_at_the_api_ever_holds_more_than_the_rate(
    most: int, requests: list[tuple[float, float, float]]
) -> None:
    clock = FakeClock()
    limited = quota(clock, Rate(most, 60.0))
    arrivals: list[float] = []
    for pause, length, part in requests:
        clock.pass_by(pause)
        async with limited.slot(max_wait=1e9) as slot:
            slot.sent = True
            arrivals.append(clock.ticks + length * part)
            clock.pass_by(length)
    for first in arrivals:
        assert sum(first <= each < first + 60.0 - 1e-6 for each in arrivals) <= most
