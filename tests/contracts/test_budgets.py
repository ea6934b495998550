"""What an answer costs its reader, counted in o200k tokens over the emulator's data."""

from __future__ import annotations

import json

import pytest

from tests.support.client import (
    NOW,
    FakeClock,
    call_tool_error,
    connect,
    get_session,
    list_sessions,
    tokens,
)
from verify_mcp.emulator import ASHA_SESSION, DOCUMENTED_NOW, Emulator, Fault, Options
from verify_mcp.server.server import instructions
from verify_mcp.settings import Rate, read_settings

pytestmark = pytest.mark.anyio


def cost(answer: object) -> int:
    return tokens(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))


@pytest.mark.parametrize("shape", ["lean", "rich"])
@pytest.mark.parametrize("seed", [1, 7, 42])
async def test_a_page_of_twenty_costs_at_most_eleven_hundred(seed: int, shape: str) -> None:
    clock = FakeClock()
    api = Emulator(seed=seed, clock=lambda: clock.now, behaviour=Options(shape=shape))  # type: ignore[arg-type] # one of the two shapes
    async with connect(api, clock=clock) as client:
        first = await list_sessions(client, session_time__gte="7d")
        second = await list_sessions(client, session_time__gte="7d", status="expired", offset=40)
    assert [len(page["rows"]) for page in (first, second)] == [20, 20]
    assert max(cost(first), cost(second)) <= 1100


async def test_a_session_with_three_attempts_costs_at_most_330() -> None:
    """The ids of its attempts, which Plivo's support asks for, take 76 of them."""
    async with connect(Emulator.documented(), clock=FakeClock(DOCUMENTED_NOW)) as client:
        answer = await get_session(client, ASHA_SESSION)
    assert len(answer["attempts"]) == 3
    assert cost(answer) <= 330


async def test_r71_whole_definitions_cost_at_most_2600() -> None:
    """All that a client is sent, output schemas and annotations as well."""
    async with connect(None) as client:
        tools = (await client.list_tools()).tools
    texts = [tool.model_dump_json(by_alias=True, exclude_none=True) for tool in tools]
    assert sum(map(tokens, texts)) <= 2600


async def test_all_definitions_together_cost_at_most_2000() -> None:
    async with connect(None) as client:
        tools = (await client.list_tools()).tools
    texts = [f"{tool.name}{tool.description}{json.dumps(tool.input_schema)}" for tool in tools]
    assert sum(map(tokens, texts)) <= 2000


def test_the_instructions_stay_short() -> None:
    assert len(instructions(Rate(999_999, 999_999.999))) <= 1000


async def test_the_longest_refusals_cost_at_most_ninety() -> None:
    clock = FakeClock()
    api = Emulator(clock=lambda: NOW)
    everything = {
        "app_uuid": ASHA_SESSION, "status": "expired", "recipient": "+12025553434",
        "subaccount": "SASANDBOXRETAIL00001", "session_time": "1h", "session_time__gt": "2h",
        "session_time__gte": "2h", "session_time__lt": "1m", "session_time__lte": "1m",
        "brand_name": "Acme", "app_hash": "x", "offset": 3,
    }  # fmt: skip
    api.fail_next(Fault.BAD_REQUEST)
    async with connect(api, clock=clock) as client:
        await call_tool_error(client, **everything)
        await call_tool_error(client, session_time_greater_than_or_equal="24h")
    async with connect(None, credentials=None, credentials_problem=missing()) as client:
        await call_tool_error(client)


def missing() -> str:
    return read_settings({"VERIFY_MCP_DATABASE_URL": "sqlite://"}).credentials_problem
