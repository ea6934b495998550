"""Several real processes on one quota."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.concurrency import measure
from tests.support.databases import Place
from tests.support.processes import Plan, run_processes

pytestmark = pytest.mark.anyio


@pytest.mark.slow(9)
async def test_r28_r29_r30_the_api_never_sees_more_than_the_rate_whoever_dies_or_tells_the_time(
    place: Place,
) -> None:
    outcome = await run_processes(Plan(place.url, window=1.0, seconds=7.0, lapse=2.5, dies_at=3))
    assert (outcome.violations(), outcome.statuses.count(429)) == (0, 0)
    assert (outcome.died, outcome.problems) == (1, [])
    assert len(outcome.arrivals) > 10  # a busy machine starts eight processes slowly


@pytest.mark.slow(5)
async def test_two_servers_of_one_account_answer_every_call_without_a_429(tmp_path: Path) -> None:
    found = await measure(30, 10, 1.0, tmp_path, servers=2)
    assert (found.requests, found.refused, found.failed) == (30, 0, 0)
    assert found.busiest <= 10
