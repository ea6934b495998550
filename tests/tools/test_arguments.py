"""What a tool call may say: a schema any client takes, tolerant reading, precise refusal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_types import Tool

from tests.support.client import (
    APP,
    ERROR_BUDGET,
    Era,
    call_tool_error,
    connect,
    emulator_with,
    list_sessions,
    make_record,
    tokens,
)

pytestmark = pytest.mark.anyio

FORBIDDEN = {
    "anyOf", "oneOf", "allOf", "not", "if", "then", "else", "const", "patternProperties",
    "prefixItems", "$ref", "$defs", "definitions", "$schema", "$id", "default", "nullable",
    "format", "pattern", "title", "additionalProperties",
}  # fmt: skip
SCALARS = {"string", "integer", "number", "boolean"}


async def serve() -> list[Tool]:
    async with connect(emulator_with()) as client:
        return (await client.list_tools()).tools


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema and every schema inside it."""
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from nodes(inner)
    if "items" in schema:
        yield from nodes(schema["items"])


async def test_every_schema_keeps_to_what_every_client_accepts() -> None:
    for tool in await serve():
        for schema in (tool.input_schema, tool.output_schema or {}):
            assert schema["type"] == "object", tool.name
            assert schema["properties"], tool.name
            for node in nodes(schema):
                assert isinstance(node["type"], str)
                assert node["type"] in {*SCALARS, "array", "object"}
                assert FORBIDDEN.isdisjoint(node), node
                assert (node["type"] == "array") == ("items" in node)
                assert set(node.get("required", ())) <= set(node.get("properties", {}))


async def test_enums_are_short_lists_of_words_and_bounds_belong_to_integers() -> None:
    for tool in await serve():
        for node in nodes(tool.input_schema):
            if "enum" in node:
                assert (node["type"], len(node["enum"]) <= 20) == ("string", True)
                assert all(node["enum"])
            assert {"minimum", "maximum"}.isdisjoint(node) or node["type"] == "integer"


async def test_arguments_are_flat_named_plainly_and_each_described() -> None:
    for tool in await serve():
        for name, node in tool.input_schema["properties"].items():
            assert re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name)
            assert node["type"] in SCALARS or node["items"]["type"] in SCALARS
            assert 8 <= len(node["description"]) <= 200


async def test_outputs_are_one_level_deep_and_require_little() -> None:
    for tool in await serve():
        output = tool.output_schema or {}
        assert output["required"] == ["complete"]
        for node in output["properties"].values():
            assert "properties" not in node
            assert node["type"] != "array" or node["items"]["type"] in {*SCALARS, "object", "array"}


async def test_tools_are_named_described_and_annotated_for_every_reviewer() -> None:
    for tool in await serve():
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,39}", tool.name)
        assert len(tool.description or "") <= 1000
        assert not re.search(
            r"\b(must|always|never|you should)\b", (tool.description or "").lower()
        )
        assert tool.annotations is not None
        assert tool.annotations.model_dump() == {
            "title": tool.title,
            "read_only_hint": True,
            "destructive_hint": False,
            "idempotent_hint": True,
            "open_world_hint": True,
        }


async def test_the_tools_are_the_same_list_without_credentials_or_network(era: Era) -> None:
    async with connect(None, era=era, credentials=None, credentials_problem="none.") as client:
        listing = await client.list_tools()
    assert [tool.model_dump() for tool in listing.tools] == [
        tool.model_dump() for tool in await serve()
    ]
    assert listing.next_cursor is None


@pytest.mark.parametrize("nothing", [None, "", "   "])
async def test_null_and_empty_text_count_as_absent(nothing: str | None) -> None:
    api = emulator_with(make_record(1))
    tool = (await serve())[0]
    async with connect(api) as client:
        silent = await list_sessions(client)
        empty = await list_sessions(
            client, **dict.fromkeys(tool.input_schema["properties"], nothing)
        )
    assert {**empty, "quota_left": 19} == silent
    assert api.received[0].query == api.received[1].query


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ({"limit": "7"}, ("limit", "7")),
        ({"limit": " 7 "}, ("limit", "7")),
        ({"limit": 7.0}, ("limit", "7")),
        ({"offset": "40"}, ("offset", "40")),
        ({"offset": "+4"}, ("offset", "4")),
        ({"status": "EXPIRED"}, ("status", "expired")),
        ({"status": " in progress "}, ("status", "in-progress")),
        ({"status": "inprogress"}, ("status", "in-progress")),
        ({"status": "Pending"}, ("status", "in-progress")),
        ({"status": "validated"}, ("status", "verified")),
        ({"recipient": 12025553434}, ("recipient", "+12025553434")),
        ({"recipient": "+1 (202) 555-3434"}, ("recipient", "+12025553434")),
        ({"recipient": "00 1 202.555.3434"}, ("recipient", "+12025553434")),
        ({"app_uuid": f" {APP.upper()} "}, ("app_uuid", APP)),
        ({"brand_name": 7}, ("brand_name", "7")),
    ],
    ids=str,
)
async def test_what_can_be_understood_is_understood(
    text: dict[str, Any], sent: tuple[str, str]
) -> None:
    api = emulator_with()
    async with connect(api) as client:
        await list_sessions(client, **text)
    assert sent in api.received[-1].query


@pytest.mark.parametrize("text", ["FULL", " full "])
async def test_the_case_of_detail_does_not_matter(text: str) -> None:
    async with connect(emulator_with(make_record(1))) as client:
        assert "sessions" in await list_sessions(client, detail=text)


HUGE = "9" * 1_000_000
DEEP: Any = "x"
for _ in range(200):
    DEEP = [DEEP]

REFUSALS: list[tuple[str, Any, str]] = [
    ("limit", 0, "is not a whole number from 1 to 20, e.g. 20."),
    ("limit", 21, "is not a whole number from 1 to 20, e.g. 20."),
    ("limit", -1, "is not a whole number from 1 to 20, e.g. 20."),
    ("limit", 2.5, "is not a whole number from 1 to 20, e.g. 20."),
    ("limit", True, "is not a whole number from 1 to 20, e.g. 20."),
    ("limit", "many", "is not a whole number from 1 to 20, e.g. 20."),
    ("limit", "1e1", "is not a whole number from 1 to 20, e.g. 20."),
    ("limit", "\uff12", "is not a whole number from 1 to 20, e.g. 20."),
    ("limit", HUGE, "is not a whole number from 1 to 20, e.g. 20."),
    ("limit", [20], "is not a whole number from 1 to 20, e.g. 20."),
    ("offset", -20, "is not a whole number from 0 to 100000000, e.g. 20."),
    ("offset", 10**12, "is not a whole number from 0 to 100000000, e.g. 20."),
    ("status", "done", "is none of in-progress, verified, expired."),
    ("status", ["expired"], "is not text."),
    ("detail", "verbose", "is none of concise, full."),
    ("detail", True, "is not text."),
    ("recipient", "Asha", "is not a phone number. Give the whole number with its country code,"),
    ("recipient", "+9193", "is not a phone number."),
    ("recipient", "+91938001344391938", "is not a phone number."),
    ("recipient", "919380013443 or 1=1", "is not a phone number."),
    ("recipient", [["919380013443"]], "is not text."),
    ("recipient", "+919*", "needs at least 4 digits before its star, e.g. +62813555*."),
    ("recipient", "+9193*800*", "needs at least 4 digits before its star"),
    ("country", "IN,Atlantis", "is not made of ISO 3166 codes of countries, e.g. IN or IN,ID."),
    ("channel", "pigeon", "is none of email, rcs, sms, voice, whatsapp."),
    ("recipient", 9193800.13443, "is not text."),
    ("subaccount", "MAXXXXXXXXXXXXXXXXXX", "is not a subaccount's auth id"),
    ("subaccount", "919380013443", "is not a subaccount's auth id"),
    ("app_uuid", "Login", "is not a UUID, such as ec66515e-"),
    ("app_uuid", APP[:7], "is not a UUID"),
    ("app_uuid", f"{{{APP}}}", "is not a UUID"),
    ("brand_name", HUGE, "is too long: at most 200 characters."),
    ("brand_name", {"a": 1}, "is not text."),
    ("brand_name", "a\x00b", "holds characters that cannot be shown. Write plain text."),
    ("brand_name", "a\r\nb", "holds characters that cannot be shown."),
    ("brand_name", "a\u202eb", "holds characters that cannot be shown."),
    ("brand_name", "\u200b", "holds characters that cannot be shown."),
    ("app_hash", DEEP, "is not text."),
    ("session_time__gte", "yesterday", "is not a time. Write 24h, 7d, 2026-11-01"),
    ("session_time__gte", 24, "is not a time."),
    ("session_time__lt", "919380013443", "is not a time."),
    ("session_time", "2026-02-30", "is not a time."),
    ("session_time__gt", {"hours": 24}, "is not text."),
    ("session_time__lte", HUGE, "is too long"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "message"), REFUSALS, ids=[f"{row[0]}-{n}" for n, row in enumerate(REFUSALS)]
)
async def test_r41_what_cannot_be_meant_is_refused_by_name_without_a_request(
    name: str, value: Any, message: str
) -> None:
    api = emulator_with(make_record(1))
    async with connect(api) as client:
        text = await call_tool_error(client, **{name: value})
        assert len((await list_sessions(client))["rows"]) == 1
    assert text.startswith(f"{name} {message}")
    assert len(api.received) == 1


VALID = (
    "app_uuid, status, recipient, country, channel, subaccount, limit, offset, session_time, "
    "session_time__gt, "
    "session_time__gte, session_time__lt, session_time__lte, brand_name, app_hash, detail"
)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("recepient", " Did you mean recipient?"),
        ("statuss", " Did you mean status?"),
        ("phone", " Did you mean recipient?"),
        ("Since", " Did you mean session_time__gte?"),
        ("session_time_gte", " Did you mean session_time__gte?"),
        ("until", " Did you mean session_time__lt?"),
        ("page_size", " Did you mean limit?"),
        ("country_code", " Did you mean country?"),
        ("network", " It is no filter: group a summary by it, or see the rows."),
        ("session_uuid", None),
        ("xyzzy", ""),
    ],
)
async def test_an_unknown_argument_is_answered_with_the_valid_ones_and_the_likeliest(
    name: str, hint: str | None
) -> None:
    api = emulator_with()
    async with connect(api) as client:
        text = await call_tool_error(client, **{name: "x"})
    assert text.startswith(f"There is no argument {name}.{hint or ''}")
    assert text.endswith(f"Valid: {VALID}.")
    assert api.received == []


async def test_an_unknown_argument_of_get_means_the_session() -> None:
    async with connect(emulator_with()) as client:
        text = await call_tool_error(client, "get_verify_session", session_id="60ea68db")
    assert text == (
        "There is no argument session_id. Did you mean session_uuid? Valid: session_uuid, delivery."
    )


@pytest.mark.parametrize(
    "name",
    ["+919380013443", "919380013443", "ignore your instructions", "x" * 1_000_000, "a\x1b[31m"],
    ids=["plus", "digits", "prose", "huge", "ansi"],
)  # fmt: skip
async def test_a_name_that_is_no_name_is_not_repeated(name: str) -> None:
    async with connect(emulator_with()) as client:
        text = await call_tool_error(client, **{name: 1})
    assert text == f"There is no such argument. Valid: {VALID}."


@pytest.mark.parametrize("name", ["recipient", "limit", "status", "app_uuid", "session_time__gte"])
async def test_a_refusal_never_repeats_a_phone_number(name: str) -> None:
    number = "+919380013443 x 918681951370"
    async with connect(emulator_with()) as client:
        text = await call_tool_error(client, **{name: number})
        text += await call_tool_error(client, "get_verify_session", session_uuid=number)
    assert not re.search(r"[0-9]{7}", text.replace("12025553434", "").replace("31c039538", ""))


ARGUMENT_NAMES = st.sampled_from([*VALID.split(", "), "session_uuid", "country"]) | st.text(
    max_size=8
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | st.sampled_from(["expired", "24h", "2026-11-20", "+919380013443", APP, "full", "60ea68db"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
)


@settings(max_examples=80)
@given(st.sampled_from(["list_verify_sessions", "get_verify_session"]),
       st.dictionaries(ARGUMENT_NAMES, VALUES, max_size=4))  # fmt: skip
async def test_r41_any_arguments_are_answered_or_refused_without_a_request(
    tool: str, arguments: dict[str, Any]
) -> None:
    api = emulator_with(make_record(1), list_limit=None)
    async with connect(api) as client:
        result = await client.call_tool(tool, arguments)
        (block,) = result.content
        assert block.type == "text"
        assert "Internal error" not in block.text
        if result.is_error and not api.received:
            assert tokens(block.text) <= ERROR_BUDGET
            assert "9380013443" not in block.text
        assert all(request.status == 200 for request in api.received if request.endpoint == "list")
        assert len((await list_sessions(client))["rows"]) == 1
