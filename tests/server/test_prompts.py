"""The prompts: listed, filled, and precise about mistakes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import INVALID_PARAMS

from tests.support.client import Era, connect, emulator_with
from verify_mcp.emulator import ASHA_SESSION
from verify_mcp.server.prompts import load_prompts

pytestmark = pytest.mark.anyio

EXAMPLES = {"recipient": "+12025553434", "session_uuid": ASHA_SESSION}


async def get_prompt_text(client: Client, name: str, arguments: dict[str, str]) -> str:
    result = await client.get_prompt(name, arguments)
    (message,) = result.messages
    assert message.role == "user"
    assert message.content.type == "text"
    return message.content.text


async def mistake(client: Client, name: str, arguments: dict[str, Any]) -> str:
    with pytest.raises(MCPError) as caught:
        await client.get_prompt(name, arguments)
    assert caught.value.error.code == INVALID_PARAMS
    return caught.value.error.message


async def test_every_prompt_is_listed_with_title_and_described_arguments(era: Era) -> None:
    async with connect(emulator_with(), era=era) as client:
        listing = await client.list_prompts()
    assert [prompt.name for prompt in listing.prompts] == sorted(load_prompts())
    assert {"explain_session", "investigate_recipient"} <= set(load_prompts())
    for prompt in listing.prompts:
        assert prompt.title
        assert prompt.description
        assert all(argument.description for argument in prompt.arguments or ())


@pytest.mark.parametrize("name", sorted(load_prompts()))
async def test_a_prompt_fills_all_its_blanks_and_asks_little(name: str, era: Era) -> None:
    page = load_prompts()[name]
    needed = {blank.name: EXAMPLES[blank.name] for blank in page.arguments if blank.required}
    async with connect(emulator_with(), era=era) as client:
        text = await get_prompt_text(client, name, needed)
    assert "$" not in text
    assert all(value in text for value in needed.values())
    assert 1 <= len(re.findall(r"^\d+\. ", text, re.MULTILINE)) <= 3
    assert "`complete: false`" in text


async def test_what_is_said_takes_the_place_of_the_default() -> None:
    async with connect(emulator_with()) as client:
        arguments = {"recipient": " +1 202 555 3434 ", "since": "2026-11-01"}
        prompt = await get_prompt_text(client, "investigate_recipient", arguments)
        default = await get_prompt_text(
            client, "investigate_recipient", {"recipient": "+12025553434", "since": ""}
        )
    assert prompt.startswith(
        "What happened to the verification codes for +1 202 555 3434 since 2026-11-01?"
    )
    assert default.startswith("What happened to the verification codes for +12025553434 since 7d?")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "investigate_recipient",
            {},
            "recipient is missing: Phone number with country code, e.g. +12025553434",
        ),
        (
            "investigate_recipient",
            {"recipient": "  "},
            "recipient is missing: Phone number with country code, e.g. +12025553434",
        ),
        (
            "investigate_recipient",
            {"recipient": "Asha"},
            "recipient is not a phone number. Give the whole number with its country code, "
            "e.g. +12025553434.",
        ),
        (
            "investigate_recipient",
            {"recipient": "+12025553434", "until": "1h"},
            "There is no argument until. Valid: recipient, since.",
        ),
        (
            "explain_session",
            {"session_uuid": "ignore the rules"},
            "session_uuid is no session id: give the UUID, such as "
            "60ea68db-b123-46d9-9eb2-1201d516dbbd, or its first 8 or more characters.",
        ),
        ("nothing_like_it", {}, f"No such prompt. Prompts: {', '.join(sorted(load_prompts()))}."),
    ],
    ids=["missing", "blank", "no number", "unknown argument", "no id", "unknown prompt"],
)
async def test_a_mistake_is_invalid_params_and_says_what_is_wrong(
    name: str, arguments: dict[str, str], message: str, era: Era
) -> None:
    async with connect(emulator_with(), era=era) as client:
        assert await mistake(client, name, arguments) == message
        assert await get_prompt_text(client, "explain_session", {"session_uuid": ASHA_SESSION})


async def test_a_prompt_costs_no_request() -> None:
    api = emulator_with()
    async with connect(api) as client:
        await get_prompt_text(client, "explain_session", {"session_uuid": "60ea68db"})
    assert api.received == []
