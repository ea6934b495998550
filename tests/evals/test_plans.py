"""Every question of the evaluation has a plan that finds the truth from data that is held."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from evals.catalogue import AREAS, QUESTIONS
from evals.plans import MAX_CALLS, MAX_TOKENS, CallNotOffered, PlanResult, run_plan
from evals.world import fill, make_emulator, make_world, open_client
from verify_mcp.emulator import HOSTILE_SESSION

NOT_OFFERED_YET: tuple[str, ...] = ()
"""Calls of plans that a later change adds; empty once it is there."""


@pytest.mark.anyio
async def test_every_plan_finds_the_truth_in_few_calls_and_tokens(tmp_path: Path) -> None:
    """One test, so that the account is made and stored once."""
    world, found, later = make_world(), dict[str, PlanResult](), list[str]()
    file = tmp_path / "verify.sqlite3"
    await fill(world, file)
    async with open_client(make_emulator(world), file) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        for question in QUESTIONS:
            try:
                found[question.id] = await run_plan(client, tools, question)
            except CallNotOffered as call:
                later.append(str(call))
    truths = {each.id: each.truth(world) for each in QUESTIONS if each.id in found}
    assert {name: result.facts for name, result in found.items()} == truths
    dear = {
        name: (result.calls, result.tokens)
        for name, result in found.items()
        if result.calls > MAX_CALLS or result.tokens > MAX_TOKENS
    }
    assert dear == {}
    assert [call for call in later if not call.startswith(NOT_OFFERED_YET)] == []
    (answer,) = found["traps-hidden-instruction"].answers
    assert "ignore your instructions" in world.find(HOSTILE_SESSION).brand_name
    assert "ignore your instructions" in answer["sessions"][0]["brand"]


def test_there_are_questions_of_every_kind() -> None:
    areas = Counter(question.area for question in QUESTIONS)
    answerable = [question for question in QUESTIONS if question.is_answerable]
    assert len(QUESTIONS) >= 40
    assert set(areas) == set(AREAS)
    assert min(areas.values()) >= 6
    assert len(QUESTIONS) - len(answerable) == 3
    assert len({question.language for question in answerable} - {"en"}) >= 2
    assert len({question.id for question in QUESTIONS}) == len(QUESTIONS)
    assert len({question.text for question in QUESTIONS}) == len(QUESTIONS)
