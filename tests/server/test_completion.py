"""Completion: whatever is typed, nothing but ids reaches the database."""

from __future__ import annotations

import pytest
from mcp_types import ResourceTemplateReference

from tests.support.client import NOW, connect, emulator_with, list_sessions, make_record
from tests.support.databases import Place
from verify_mcp.emulator import Emulator

pytestmark = pytest.mark.anyio


def sessions_held() -> Emulator:
    return emulator_with(make_record(1), list_limit=None)


@pytest.mark.parametrize("typed", ["\0", "0\0", "%", "0000000g", "\u0660", "0' OR '1'='1"])
async def test_what_starts_no_id_completes_to_nothing_and_harms_nothing(
    place: Place, typed: str
) -> None:
    template = ResourceTemplateReference(uri="verify://sessions/{session_uuid}")
    async with connect(sessions_held(), database_url=place.url, sandbox=True) as client:
        await list_sessions(client, session_time__lt=f"{NOW:%Y-%m-%d %H:%M}")
        found = await client.complete(template, {"name": "session_uuid", "value": typed})
        status = await client.call_tool("get_verify_status", {"about": "all"})
    assert found.completion.values == []
    assert status.structured_content is not None
    assert status.structured_content["problems"] == []
