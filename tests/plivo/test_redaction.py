"""What the API repeats of the account's credentials never reaches an answer."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.client import (
    CannedApi,
    call_tool,
    connect,
    emulator_with,
    get_session,
    list_sessions,
    make_record,
    uuid,
)
from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN
from verify_mcp.redaction import Redactor
from verify_mcp.settings import Credentials

pytestmark = pytest.mark.anyio

TOKEN = SANDBOX_AUTH_TOKEN
BASIC = base64.b64encode(f"{SANDBOX_AUTH_ID}:{TOKEN}".encode()).decode()
FORMS = [
    TOKEN,
    f"Authorization: Basic {BASIC}",
    BASIC.rstrip("="),
    base64.b64encode(TOKEN.encode()).decode(),
]
redact = Redactor(Credentials(SANDBOX_AUTH_ID, TOKEN))


def leaks(answer: object) -> bool:
    text = json.dumps(answer, ensure_ascii=False)
    return any(form.removeprefix("Authorization: Basic ").rstrip("=") in text for form in FORMS)


@pytest.mark.parametrize("form", FORMS)
async def test_r78_credentials_that_the_api_repeats_are_removed_from_every_answer(
    form: str,
) -> None:
    record = make_record(1, minutes=300)
    attempt = replace(record.attempts[0], channel=form)
    repeated: dict[str, Any] = {
        "alias": f"to {form}",
        "brand_name": form,
        "network": form,
        "app_hash": form,
    }
    api = emulator_with(replace(record, **repeated, attempts=(attempt,)), shape="rich")
    async with connect(api) as client:
        answers = [
            await list_sessions(client, detail="full"),
            await list_sessions(client),
            await get_session(client, uuid(1)),
            await call_tool(
                client, "summarize_verify_sessions", {"group_by": ["brand", "channel"]}
            ),
        ]
        resource = await client.read_resource(f"verify://sessions/{uuid(1)}")
    assert not leaks(answers)
    assert not leaks(str(resource))
    assert "[hidden]" in answers[0]["sessions"][0]["app_name"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-le"])
@pytest.mark.parametrize("form", FORMS)
async def test_r78_no_escape_and_no_encoding_hides_them(form: str, encoding: str) -> None:
    escaped = "".join(f"\\u{ord(each):04x}" for each in form)
    row = {
        "session_uuid": uuid(1),
        "recipient": "919380013443",
        "status": "expired",
        "created_at": "2026-11-21 08:00:00",
        "alias": "@",
        "charges": {"total_charge": 0.1},
    }
    body = json.dumps({"sessions": [row], "meta": {}})
    for written in (escaped, form.replace("/", "\\/")):
        async with connect(CannedApi(body.replace("@", written).encode(encoding))) as client:
            answer = await list_sessions(client, detail="full")
        assert not leaks(answer)
        assert "[hidden]" in answer["sessions"][0]["app_name"]
        assert answer["sessions"][0]["cost"] == "0.1"


async def test_r78_a_long_text_is_cut_only_after_they_are_removed() -> None:
    api = emulator_with(
        replace(make_record(1), alias="x" * (119 - len(TOKEN) // 2) + TOKEN), shape="rich"
    )
    async with connect(api) as client:
        name = (await list_sessions(client, detail="full"))["sessions"][0]["app_name"]
    assert TOKEN[: len(TOKEN) // 2] not in name


@given(st.recursive(st.none() | st.integers() | st.floats(allow_nan=False) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_a_body_without_credentials_is_left_as_it_is(value: object) -> None:
    body = json.dumps(value).encode()
    assert redact(body) is body


@pytest.mark.parametrize("body", [b"", b"\\", b"[" * 9000, TOKEN.encode(), b"\xff\\"])
def test_what_is_no_json_is_left_to_whoever_reads_it(body: bytes) -> None:
    assert redact(body) is body


def test_numbers_beside_a_removed_credential_stay() -> None:
    body = f'{{"a": "{TOKEN}", "b": 0.1, "c": 1{"0" * 400}, "d": NaN, "e": 1e-7}}'.encode()
    read = json.loads(redact(body))
    assert (read["a"], read["b"], read["c"], read["e"]) == ("[hidden]", 0.1, 10**400, 1e-7)
    assert math.isnan(read["d"])
