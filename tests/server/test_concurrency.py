"""Many callers at once: the account's limit is kept, and everybody is answered."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import pytest
from mcp import Client

from tests.support.client import SANDBOX, emulator_with, list_sessions, make_record
from verify_mcp.clock import Clock
from verify_mcp.context import open_context
from verify_mcp.emulator import Emulator, Options
from verify_mcp.emulator.app import real_clock
from verify_mcp.server.server import build_server
from verify_mcp.settings import Rate, Settings

pytestmark = pytest.mark.anyio

CALLERS = 60


def hurried(**changes: Any) -> Settings:
    return replace(SANDBOX, rate_limit=Rate(20, 0.5), max_wait=30.0, **changes)


async def test_sixty_callers_at_once_are_all_answered_in_order_without_a_429() -> None:
    api = Emulator(behaviour=Options(list_limit=20, list_window=0.5, latency=(0.0, 0.05)))
    answers: dict[int, dict[str, Any]] = {}

    async def ask(client: Client, number: int) -> None:
        # Different questions, because the same one asked at once is asked of the API once.
        answers[number] = await list_sessions(client, offset=number)

    server = build_server(partial(open_context, hurried(), clock=Clock(), app=api))
    async with Client(server) as client, anyio.create_task_group() as tasks:
        for number in range(CALLERS):
            tasks.start_soon(ask, client, number)
    assert {answer["complete"] for answer in answers.values()} == {True}
    assert [each.status for each in api.received] == [200] * CALLERS
    arrived = [int(dict(each.query)["offset"]) for each in api.received]
    assert arrived == list(range(CALLERS))


async def test_the_same_question_asked_at_once_costs_one_request() -> None:
    api = emulator_with(make_record(1), latency=0.01)
    api.clock = real_clock
    answers: list[dict[str, Any]] = []

    async def ask(client: Client) -> None:
        answers.append(await list_sessions(client))

    server = build_server(partial(open_context, hurried(), app=api))
    async with Client(server) as client, anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(ask, client)
    assert len(answers) == 10
    assert len({str(answer["rows"]) for answer in answers}) == 1
    assert len(api.received) == 1


async def test_r33_a_cancelled_call_stops_and_the_next_is_answered() -> None:
    api = Emulator(behaviour=Options(latency=30.0))
    server = build_server(partial(open_context, hurried(), app=api))
    async with Client(server) as client:
        with anyio.move_on_after(0.2) as abandoned:
            await list_sessions(client)
        api.behaviour = Options()
        answer = await list_sessions(client, status="expired")
    assert (abandoned.cancelled_caught, answer["complete"]) == (True, True)
