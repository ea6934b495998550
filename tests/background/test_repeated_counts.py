"""What is cheaper to count than to fetch goes on being counted between two calls."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.background import connect_with_background, work_until
from tests.support.client import FakeClock, emulator_with, make_record
from tests.support.client import rows as table
from tests.support.summaries import summarize

pytestmark = pytest.mark.anyio

BY_DAY = {
    "session_time__gte": "2026-11-08",
    "session_time__lt": "2026-11-20",
    "group_by": "day",
}


async def test_days_become_exact_by_themselves_when_the_answer_says_so() -> None:
    clock, random = FakeClock(), Random(2)  # noqa: S311 - made-up data
    records = [
        make_record(each, minutes=2_011 + random.random() * 17_200, outcome="verified")
        for each in range(3_600)
    ]
    emulator = emulator_with(*records, clock=clock)
    async with connect_with_background(emulator, clock) as (client, context):
        first = await summarize(client, **BY_DAY)

        async def never() -> bool:
            return False

        await work_until(context, clock, never, seconds=first["eta_s"] + 5)
        second = await summarize(client, **BY_DAY)
    assert f"exact counts in about {first['eta_s']} s" in first["why"]
    assert first["eta_s"] <= 200
    assert any(row["sessions_low"] for row in table(first))
    assert (second["basis"], second["api_requests"]) == ("counted", 0)
    assert second["columns"] == ["day", "sessions", "conversion_pct"]
    assert sum(int(row["sessions"]) for row in table(second)) == len(records)
