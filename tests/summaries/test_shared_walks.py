"""Two questions about overlapping windows share the pages of one walk."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.support.client import FakeClock, connect, emulator_with
from tests.support.databases import Place, sqlite_url
from tests.support.mirror import UNLIMITED
from tests.support.summaries import some, summarize

pytestmark = pytest.mark.anyio

SESSIONS = 800
WIDE = {"session_time__gte": "2026-11-20 10:00", "session_time__lt": "2026-11-21 07:00"}
NARROW = {"session_time__gte": "2026-11-20 12:00", "session_time__lt": "2026-11-21 06:00"}
PAGES_OF_WIDE = 35


class SlowClock(FakeClock):
    """A reply takes longer than the database, as a real API's does: its threads are done before."""

    async def sleep(self, seconds: float) -> None:
        self.pass_by(seconds)
        await anyio.sleep(0.05)


MANY: dict[str, Any] = {"max_requests": 100}


async def test_two_questions_at_once_in_one_process_share_their_pages() -> None:
    clock = SlowClock()
    emulator = emulator_with(*some(SESSIONS), clock=clock, list_limit=None, latency=0.1)
    answers: list[dict[str, Any]] = []
    async with connect(emulator, clock=clock, rate_limit=UNLIMITED) as client:

        async def ask(window: dict[str, str]) -> None:
            answers.append(await summarize(client, **window, **MANY))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, WIDE)
            tasks.start_soon(ask, NARROW)
        again = [await summarize(client, **window) for window in (WIDE, NARROW)]
    assert [answer["complete"] for answer in answers] == [True, True]
    assert sorted(each["sessions"] for each in answers) == sorted(
        each["sessions"] for each in again
    )
    assert len(emulator.received) <= 1.35 * PAGES_OF_WIDE


async def test_a_question_does_not_fetch_what_another_process_just_fetched(file: Place) -> None:
    clock = SlowClock()
    emulator = emulator_with(*some(SESSIONS), clock=clock, list_limit=None, latency=0.1)
    settings: dict[str, Any] = {"database_url": sqlite_url(file.path), "rate_limit": UNLIMITED}
    has_begun = anyio.Event()

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if len(emulator.received) >= 10:
            has_begun.set()
        await emulator(scope, receive, send)

    answers: list[dict[str, Any]] = []
    async with (
        connect(serve, clock=clock, **settings) as first,
        connect(serve, clock=clock, **settings) as second,
        anyio.create_task_group() as tasks,
    ):

        async def ask_later() -> None:
            await has_begun.wait()
            answers.append(await summarize(second, **NARROW, **MANY))

        tasks.start_soon(ask_later)
        answers.append(await summarize(first, **WIDE, **MANY))
    assert [answer["complete"] for answer in answers] == [True, True]
    assert len(emulator.received) <= 1.35 * PAGES_OF_WIDE
