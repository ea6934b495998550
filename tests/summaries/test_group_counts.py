"""Groups that the API filters by: counted where that takes far fewer requests than every page."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from tests.support import expected
from tests.support.client import (
    APP,
    NOW,
    FakeClock,
    call_tool,
    connect,
    emulator_with,
    make_record,
    uuid,
)
from tests.support.client import rows as table
from verify_mcp.emulator import SessionRecord

pytestmark = pytest.mark.anyio

PERIOD = {"session_time__gte": "2026-11-08", "session_time__lt": "2026-11-20"}
OTHER_APP, RARE_APP = uuid(0xB), uuid(0xC)


def mixed(size: int = 3_000) -> list[SessionRecord]:
    """Sessions of twelve days, of two large apps and a brand that half of them have."""
    random = Random(9)  # noqa: S311 - made-up data
    return [
        make_record(
            each,
            minutes=2_011 + each * 5.7,
            app_uuid=random.choice([APP, APP, OTHER_APP]),
            brand_name=random.choice(["Acme", ""]),
            outcome=random.choice(["verified", "verified", "expired"]),
        )
        for each in range(size)
    ]


async def answers_to(
    records: Sequence[SessionRecord], calls: int, **question: Any
) -> list[dict[str, Any]]:
    clock, answers = FakeClock(), []
    async with connect(emulator_with(*records, clock=clock, shape="rich"), clock=clock) as client:
        for _ in range(calls):
            arguments = {**PERIOD, **question}
            answers.append(await call_tool(client, "summarize_verify_sessions", arguments))
            clock.pass_by(61)
    return answers


def exact_rows(answer: dict[str, Any], by: str) -> dict[str, tuple[int, str]]:
    """The sessions and conversion of the groups whose sessions are exact."""
    return {
        row[by]: (int(row["sessions"]), row["conversion_pct"])
        for row in table(answer)
        if row["sessions_low"] == row["sessions_high"] and row["conversion_low"]
    }


async def test_apps_are_counted_with_their_conversion_before_the_cost_is_sampled() -> None:
    records = mixed()
    answers = await answers_to(records, 4, group_by="app")
    real = expected.grouped(records, NOW, [lambda record: record.app_uuid])
    true = {key[0]: (int(figures[0]), figures[3]) for key, figures in real.items()}
    assert exact_rows(answers[-1], "app") == true
    assert "counted group by group for 2" in answers[-1]["note"]
    assert "may be missing" not in answers[-1]["note"]
    assert answers[-1]["basis"] == "counted"
    assert sum(answer["api_requests"] for answer in answers[:3]) <= 48
    for answer in answers:
        for row in table(answer) if "rows" in answer else ():
            assert int(row["sessions_low"]) <= true[row["app"]][0] <= int(row["sessions_high"])


async def test_sessions_without_a_brand_are_what_the_counted_brands_leave() -> None:
    records = mixed()
    (*_, last) = await answers_to(records, 4, group_by="brand")
    acme = sum(record.brand_name == "Acme" for record in records)
    assert {brand: found[0] for brand, found in exact_rows(last, "brand").items()} == {"Acme": acme}
    (unknown,) = (row for row in table(last) if row["brand"] == "?")
    assert int(unknown["sessions_low"]) <= len(records) - acme == int(unknown["sessions_high"])


async def test_groups_are_sampled_where_every_page_takes_few_requests_more() -> None:
    (answer,) = await answers_to(mixed(700), 1, group_by="app", max_requests=20)
    assert answer["basis"] == "counted"
    assert "group by group" not in answer["note"]
