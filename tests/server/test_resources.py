"""Documents by URI, and completion of what can be named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, PromptReference, ResourceTemplateReference

from tests.support.client import (
    Era,
    FakeClock,
    connect,
    emulator_with,
    get_session,
    list_sessions,
    make_record,
    uuid,
)
from verify_mcp.emulator import ASHA_SESSION, DOCUMENTED_NOW, Emulator, Fault

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000
SESSION = ResourceTemplateReference(uri="verify://sessions/{session_uuid}")


async def text_of(client: Client, uri: str) -> tuple[str | None, str]:
    (document,) = (await client.read_resource(uri)).contents
    return document.mime_type, str(getattr(document, "text", ""))


async def mistake(client: Client, uri: str) -> tuple[int, str, Any]:
    with pytest.raises(MCPError) as caught:
        await client.read_resource(uri)
    error = caught.value.error
    return error.code, error.message, error.data


async def test_the_documents_are_listed(era: Era) -> None:
    async with connect(emulator_with(), era=era) as client:
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
    assert ("verify://guide", "text/markdown") in [(str(r.uri), r.mime_type) for r in resources]
    assert [(t.uri_template, t.mime_type) for t in templates] == [
        ("verify://sessions/{session_uuid}", "application/json")
    ]


async def test_every_listed_document_can_be_read_without_a_request(era: Era) -> None:
    api = emulator_with()
    async with connect(api, era=era) as client:
        for resource in (await client.list_resources()).resources:
            kind, text = await text_of(client, str(resource.uri))
            assert (kind, bool(text.strip())) == (resource.mime_type, True)
    assert api.received == []


async def test_the_guide_explains_every_field_of_an_answer() -> None:
    async with connect(emulator_with(make_record(1))) as client:
        _, guide = await text_of(client, "verify://guide")
        fields = {*await list_sessions(client), *await get_session(client, uuid(1))}
    known = {"columns", "rows", "note", "recipient", "summary", "session", "app"}
    assert {field for field in fields if f"`{field}" not in guide} <= known


async def test_a_session_by_its_address_is_what_the_tool_tells(era: Era) -> None:
    async with connect(Emulator.documented(), clock=FakeClock(DOCUMENTED_NOW), era=era) as client:
        answer = await get_session(client, ASHA_SESSION)
        kind, text = await text_of(client, f"verify://sessions/{ASHA_SESSION}")
        _, short = await text_of(client, "verify://sessions/60ea68db")
    message = json.loads(text)
    assert (kind, short) == ("application/json", text)
    assert message == {name: answer[name] for name in message}
    assert set(answer) - set(message) == {
        "complete", "summary", "as_of", "api_requests", "quota_left",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("verify://nothing", "Unknown resource."),
        ("file:///etc/passwd", "Unknown resource."),
        ("verify://sessions/", "session_uuid is missing"),
        ("verify://sessions/..%2F..%2FMessage", "session_uuid is no session id"),
        ("verify://sessions/60ea68db", "No session starting with 60ea68db was seen here."),
        (f"verify://sessions/{uuid(9)}", f"No Verify session {uuid(9)} in the last 90 days."),
    ],
)
async def test_a_mistake_is_invalid_params_with_the_uri(uri: str, message: str, era: Era) -> None:
    async with connect(emulator_with(), era=era) as client:
        code, text, data = await mistake(client, uri)
        assert await text_of(client, "verify://guide")
    assert (code, data) == (INVALID_PARAMS, {"uri": uri})
    assert text.startswith(message)


async def test_an_outage_is_not_the_readers_mistake() -> None:
    api = emulator_with(make_record(1))
    api.fail_next(Fault.SERVER_ERROR, times=2)
    async with connect(api) as client:
        code, message, _ = await mistake(client, f"verify://sessions/{uuid(1)}")
        assert await text_of(client, f"verify://sessions/{uuid(1)}")
    assert (code, message) == (
        INTERNAL_ERROR,
        "The Verify API failed (500). Try again in a minute.",
    )


async def test_statuses_and_seen_sessions_are_completed(era: Era) -> None:
    async with connect(emulator_with(*(make_record(n) for n in range(30))), era=era) as client:
        await list_sessions(client, limit=20)

        async def complete_argument(
            name: str, typed: str
        ) -> tuple[list[str], int | None, bool | None]:
            found = (await client.complete(SESSION, {"name": name, "value": typed})).completion
            return found.values, found.total, found.has_more

        assert await complete_argument("status", "") == (
            ["in-progress", "verified", "expired"],
            3,
            False,
        )
        assert await complete_argument("status", "EX") == (["expired"], 1, False)
        assert await complete_argument("session_uuid", "00000007") == ([uuid(7)], 1, False)
        assert await complete_argument("session_uuid", "zz") == ([], 0, False)
        assert await complete_argument("colour", "") == ([], 0, False)
        values, total, more = await complete_argument("session_uuid", "0000")
    assert (len(values), total, more) == (20, 20, False)


async def test_a_prompts_argument_is_completed_like_a_documents() -> None:
    async with connect(emulator_with(make_record(1))) as client:
        await list_sessions(client)
        found = await client.complete(
            PromptReference(name="explain_session"), {"name": "session_uuid", "value": "0000"}
        )
    assert found.completion.values == [uuid(1)]


async def test_lists_may_be_kept_for_an_hour_and_answers_not_at_all() -> None:
    async with connect(emulator_with()) as client:
        stored: list[Any] = [
            await client.list_tools(), await client.list_prompts(), await client.list_resources(),
            await client.list_resource_templates(),
        ]  # fmt: skip
        guide = await client.read_resource("verify://guide")
    assert [(each.ttl_ms, each.cache_scope) for each in stored] == [(HOUR_MS, "public")] * 4
    assert (guide.ttl_ms, guide.cache_scope) == (0, "private")
