"""A crowd of calls at the same moment."""

from typing import Any

import anyio
import pytest
from mcp import Client

from tests.support.client import connect, emulator_with, list_sessions, make_record

pytestmark = pytest.mark.anyio

CROWD = 1_000


async def test_r46_a_thousand_calls_at_once_are_each_answered_or_told_when() -> None:
    api = emulator_with(make_record(1))
    answers: list[dict[str, Any]] = []

    async def ask(client: Client, number: int) -> None:
        answers.append(await list_sessions(client, offset=number))

    async with connect(api) as client:
        async with anyio.create_task_group() as tasks:
            for number in range(CROWD):
                tasks.start_soon(ask, client, number)
        complete = [answer["complete"] for answer in answers]
        reasons = {
            (answer["why"] != "", answer["eta_s"] > 0) for answer in answers if "why" in answer
        }

    assert (complete.count(True), complete.count(False)) == (20, CROWD - 20)
    assert reasons == {(True, True)}
    assert {each.status for each in api.received} == {200}
