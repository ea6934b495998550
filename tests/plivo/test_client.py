"""Replies that a well-made API never gives, set up with respx on the real client."""

import gzip
import json
import zlib
from base64 import b64encode
from typing import Any

import httpx
import pytest
import respx

from tests.support.client import call_tool_error, connect, list_sessions
from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN

pytestmark = pytest.mark.anyio

ADDRESS = f"https://verify.example/v1/Account/{SANDBOX_AUTH_ID}/Verify/Session/"
ROW: dict[str, Any] = {
    "session_uuid": "60ea68db-b123-46d9-9eb2-1201d516dbbd",
    "recipient": "919380013443",
    "status": "expired",
    "created_at": "2026-11-21T08:52:39.363253Z",
}
PAGE = json.dumps({"meta": {"next": None}, "sessions": [ROW]}).encode()


@respx.mock
async def test_credentials_go_to_the_configured_host_with_a_name_and_no_compression() -> None:
    route = respx.get(ADDRESS).respond(json={"meta": {"next": None}, "sessions": [ROW]})

    async with connect(None, api_url="https://verify.example") as client:
        answer = await list_sessions(client)

    sent = route.calls.last.request
    pair = f"{SANDBOX_AUTH_ID}:{SANDBOX_AUTH_TOKEN}".encode()
    assert sent.headers["authorization"] == f"Basic {b64encode(pair).decode()}"
    assert sent.headers["accept-encoding"] == "identity"
    assert sent.headers["user-agent"].startswith("verify-mcp/")
    assert [row[0] for row in answer["rows"]] == ["60ea68db"]


@respx.mock
@pytest.mark.parametrize("host", ["evil.example", "verify.example.evil.example"])
async def test_a_next_link_to_another_host_is_never_asked(host: str) -> None:
    following = f"https://{host}/v1/Account/{SANDBOX_AUTH_ID}/Verify/Session/?limit=20&offset=20"
    respx.get(ADDRESS).respond(json={"meta": {"next": following}, "sessions": [ROW]})
    evil = respx.get(host=host).respond(json={})

    async with connect(None, api_url="https://verify.example") as client:
        answer = await list_sessions(client)
        assert (await list_sessions(client, **answer["next"]))["complete"] is True

    assert not evil.called


@respx.mock
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(PAGE)),
        ("X-Gzip", gzip.compress(PAGE)),
        ("gzip", gzip.compress(PAGE[:40]) + gzip.compress(PAGE[40:])),
        ("gzip", gzip.compress(PAGE) + b"\0" * 9),
        ("deflate", zlib.compress(PAGE)),
        ("deflate", zlib.compress(PAGE, wbits=-15)),
    ],
)
async def test_r70_a_compressed_answer_is_read_though_none_was_asked_for(
    encoding: str, body: bytes
) -> None:
    respx.get(ADDRESS).respond(headers={"content-encoding": encoding}, content=body)

    async with connect(None, api_url="https://verify.example") as client:
        assert (await list_sessions(client))["rows"] != []


@respx.mock
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (gzip.compress(b" " * 50_000_000), "far larger than a page can be"),
        (gzip.compress(b" " * 1_000_000) * 3, "far larger than a page can be"),
        (gzip.compress(b"") * 1_001, "far larger than a page can be"),
        (gzip.compress(PAGE)[:-9], "compressed and cut short"),
        (gzip.compress(PAGE) + b"?", "compressed and"),
    ],
    ids=["bomb", "members", "empty members", "cut short", "no member"],
)
async def test_r70_decompressing_is_bounded_and_its_failure_an_error(
    body: bytes, problem: str
) -> None:
    respx.get(ADDRESS).respond(headers={"content-encoding": "gzip"}, content=body)

    async with connect(None, api_url="https://verify.example") as client:
        assert problem in await call_tool_error(client)


@respx.mock
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip, gzip", gzip.compress(gzip.compress(PAGE))),
        ("br", PAGE),
    ],
)
async def test_a_compressed_answer_is_refused_unread(encoding: str, body: bytes) -> None:
    respx.get(ADDRESS).respond(headers={"content-encoding": encoding}, content=body)

    async with connect(None, api_url="https://verify.example") as client:
        text = await call_tool_error(client)

    assert text == "The Verify API's answer is compressed in a way that was not asked for."


@respx.mock
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_never_takes_the_credentials_along(status: int) -> None:
    respx.get(ADDRESS).respond(status, headers={"location": "https://evil.example/"})
    evil = respx.get(host="evil.example").respond(json={})

    async with connect(None, api_url="https://verify.example") as client:
        text = await call_tool_error(client)

    assert (f"({status})" in text, evil.called) == (True, False)


@respx.mock
@pytest.mark.parametrize("status", [226, 402, 409, 418, 422, 451, 501, 505, 599])
async def test_every_odd_status_is_a_clear_error_and_the_next_call_works(status: int) -> None:
    respx.get(ADDRESS).mock(
        side_effect=[
            httpx.Response(status, text="<script>alert(919380013443)</script>"),
            httpx.Response(200, json={"meta": {"next": None}, "sessions": None}),
        ]
    )

    async with connect(None, api_url="https://verify.example") as client:
        text = await call_tool_error(client)
        assert (await list_sessions(client))["rows"] == []

    assert str(status) in text
