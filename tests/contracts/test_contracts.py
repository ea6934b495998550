"""What clients see of the tools and prompts is a file under review.

`UPDATE_SNAPSHOTS=1 pytest tests/test_contracts.py` rewrites the files in tests/snapshots/; then
read the difference as a user of the tool would.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Era, connect

pytestmark = pytest.mark.anyio

SNAPSHOTS = Path(__file__).parent / "snapshots"


def agree(kind: str, served: dict[str, Any]) -> None:
    """The served definitions are the files, no more and no fewer."""
    folder = SNAPSHOTS / kind
    texts = {
        f"{name}.json": json.dumps(definition, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        for name, definition in served.items()
    }
    if os.environ.get("UPDATE_SNAPSHOTS"):
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("*.json"):
            stale.unlink()
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    assert {each.name: each.read_text(encoding="utf-8") for each in folder.glob("*.json")} == texts


async def test_the_tools_are_what_was_reviewed(era: Era) -> None:
    async with connect(None, era=era) as client:
        tools = (await client.list_tools()).tools
    agree("tools", {tool.name: plain(tool) for tool in tools})


@pytest.mark.parametrize(
    ("tool", "facts"),
    [
        (
            "list_verify_sessions",
            [
                "Of the last attempt",
                "other statuses may occur",
                "`quota_left` counts list requests",
            ],
        ),
        (
            "summarize_verify_sessions",
            [
                "`conversion_pct` and `first_try_pct` are of the sessions that ended",
                "`quota_left` counts list requests",
                "channel is the last attempt's",
                "gap from first to second attempt",
            ],
        ),
        (
            "get_verify_session",
            [
                "`channel` is the last attempt's",
                "such as rejected, occur",
                "`quota_left` counts get requests, which have a quota of their own",
            ],
        ),
        (
            "get_verify_status",
            ["both quotas (list requests; `get_left`", "days (UTC) held whole or in part"],
        ),
    ],
)
async def test_r71_a_definition_says_what_no_reader_could_guess(
    tool: str, facts: list[str]
) -> None:
    async with connect(None) as client:
        defined = {each.name: each for each in (await client.list_tools()).tools}[tool]
    text = f"{defined.description} {json.dumps(defined.input_schema, ensure_ascii=False)}"
    assert [fact for fact in facts if fact not in text] == []


async def test_the_prompts_are_what_was_reviewed(era: Era) -> None:
    async with connect(None, era=era) as client:
        prompts = (await client.list_prompts()).prompts
    agree("prompts", {prompt.name: plain(prompt) for prompt in prompts})


def plain(definition: Any) -> dict[str, Any]:
    written: dict[str, Any] = definition.model_dump(mode="json", by_alias=True, exclude_none=True)
    return written
