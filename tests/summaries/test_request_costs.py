"""What a busy account's questions cost: requests the first time, and none the second."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from mcp import Client

from tests.support import expected
from tests.support.client import NOW, FakeClock, call_tool, connect, rows
from verify_mcp.emulator import AccountData, Emulator, Options, generate

pytestmark = pytest.mark.anyio

NINETY_DAYS = {"session_time__gte": "90d"}


@pytest.fixture(scope="module")
def busy() -> AccountData:
    """2,000 sessions in the last day, 30,000 in ninety; more arrive in the hour to come."""
    return generate(now=NOW, seed=11, last_day=2000, total=30_000)


def api(world: AccountData, clock: FakeClock) -> Emulator:
    """The account as the API serves it, 20 requests a minute."""
    return Emulator(
        world,
        behaviour=Options(shape="rich"),
        clock=lambda: clock.now,
        monotonic=lambda: clock.ticks,
        sleep=clock.sleep,
    )


async def gone_on(
    client: Client, clock: FakeClock, at_most: int, **arguments: Any
) -> list[dict[str, Any]]:
    """The answers of one question, asked again whenever it says it can go on, until complete."""
    answers: list[dict[str, Any]] = []
    for _ in range(at_most):
        answers.append(await call_tool(client, "summarize_verify_sessions", arguments))
        if answers[-1]["complete"]:
            break
        clock.pass_by(answers[-1]["eta_s"])
    return answers


async def test_a_day_of_2000_by_channel_is_exact_within_110_requests_and_free_after(
    busy: AccountData,
) -> None:
    clock = FakeClock()
    emulator = api(busy, clock)
    async with connect(emulator, clock=clock) as client:
        answers = await gone_on(client, clock, 9, group_by=["channel"], max_requests=100)
        spent = len(emulator.received)
        again = await call_tool(
            client, "summarize_verify_sessions", {"group_by": ["channel"], "max_requests": 100}
        )
    assert spent == sum(each["api_requests"] for each in answers) <= 110
    assert (len(emulator.received), again["api_requests"], again["basis"]) == (spent, 0, "held")
    assert all(each.status == 200 for each in emulator.received)
    for answer in (answers[-1], again):
        assert answer["complete"]
        check_channels(answer, busy, clock.now)


def check_channels(answer: dict[str, Any], world: AccountData, now: datetime) -> None:
    """The account's own figures, for the window and the moment that the answer names."""
    start, end = (moment(answer["applied"][f"session_time__{each}"]) for each in ("gte", "lt"))
    records = [each for each in expected.among(world, start, end) if each.resolved_at <= now]
    real = expected.grouped(records, now, [lambda each: expected.channel(each, now)])
    columns = ("verified", "expired", "conversion_pct")
    ended = {row["channel"]: [row[column] for column in columns] for row in rows(answer)}
    assert ended == {key[0]: figures[1:4] for key, figures in real.items()}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def test_conversion_of_ninety_days_of_30000_is_exact_within_60_requests(
    busy: AccountData,
) -> None:
    clock = FakeClock()
    emulator = api(busy, clock)
    async with connect(emulator, clock=clock) as client:
        answers = [await call_tool(client, "summarize_verify_sessions", NINETY_DAYS)]
        while "conversion_pct" not in answers[-1] or "what the others leave" in answers[-1]["why"]:
            clock.pass_by(answers[-1]["eta_s"])
            answers.append(await call_tool(client, "summarize_verify_sessions", NINETY_DAYS))
    answer = answers[-1]
    assert max(each["api_requests"] for each in answers) <= 16
    assert len(emulator.received) <= 60
    start, end = (moment(answer["applied"][f"session_time__{each}"]) for each in ("gte", "lt"))
    now = datetime.fromisoformat(answer["as_of"])
    real = expected.totals(expected.among(busy, start, end), now)
    assert answer["basis"] == "counted"
    assert (answer["sessions"], answer["verified"], answer["expired"]) == (
        real["sessions"], real["verified"], real["expired"],
    )  # fmt: skip
    assert answer["conversion_pct"] == real["conversion_pct"]


async def test_a_question_leaves_four_requests_for_the_next_one(busy: AccountData) -> None:
    clock = FakeClock()
    async with connect(api(busy, clock), clock=clock) as client:
        large = await call_tool(client, "summarize_verify_sessions", {"group_by": "country"})
        small = await call_tool(client, "list_verify_sessions", {})
        again = await call_tool(client, "summarize_verify_sessions", {"group_by": "country"})
        assert (large["quota_left"], small["quota_left"], again["quota_left"]) == (4, 3, 3)
        assert "left for the next question" in again["why"]
        assert again["eta_s"] >= 55
        clock.pass_by(again["eta_s"])
        later = await call_tool(client, "summarize_verify_sessions", {"group_by": "country"})
    assert later["api_requests"] == 16
