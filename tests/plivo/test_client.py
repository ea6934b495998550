"""Replies that a well-made API never gives, to the real client, whose network is replaced."""

import gzip
import json
import zlib
from base64 import b64encode
from collections import deque
from typing import Any

import httpx2
import pytest

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
NONE: dict[str, Any] = {"meta": {"next": None}, "sessions": None}
PAGE = json.dumps({"meta": {"next": None}, "sessions": [ROW]}).encode()


class Network:
    """Requests that left, each answered with the next of some replies, the last one ever after."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.replies: deque[tuple[int, dict[str, str], bytes]] = deque()

    def reply(self, status: int = 200, body: object = None, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.replies.append((status, named, content))

    async def send(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        last = len(self.replies) == 1
        status, headers, body = self.replies[0] if last else self.replies.popleft()
        return httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(body))

    @property
    def hosts(self) -> set[str]:
        return {request.url.host for request in self.requests}


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network()
    monkeypatch.setattr(
        httpx2.AsyncHTTPTransport,
        "handle_async_request",
        lambda _transport, request: network.send(request),
    )
    return network


async def test_credentials_go_to_the_configured_host_with_a_name_and_no_compression(
    network: Network,
) -> None:
    network.reply(body=PAGE)

    async with connect(None, api_url="https://verify.example") as client:
        answer = await list_sessions(client)

    sent = network.requests[-1]
    assert str(sent.url).startswith(ADDRESS)
    pair = f"{SANDBOX_AUTH_ID}:{SANDBOX_AUTH_TOKEN}".encode()
    assert sent.headers["authorization"] == f"Basic {b64encode(pair).decode()}"
    assert sent.headers["accept-encoding"] == "identity"
    assert sent.headers["user-agent"].startswith("verify-mcp/")
    assert [row[0] for row in answer["rows"]] == ["60ea68db"]


@pytest.mark.parametrize("host", ["evil.example", "verify.example.evil.example"])
async def test_a_next_link_to_another_host_is_never_asked(network: Network, host: str) -> None:
    following = f"https://{host}/v1/Account/{SANDBOX_AUTH_ID}/Verify/Session/?limit=20&offset=20"
    network.reply(body={"meta": {"next": following}, "sessions": [ROW]})

    async with connect(None, api_url="https://verify.example") as client:
        answer = await list_sessions(client)
        assert (await list_sessions(client, **answer["next"]))["complete"] is True

    assert network.hosts == {"verify.example"}


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
    network: Network, encoding: str, body: bytes
) -> None:
    network.reply(body=body, content_encoding=encoding)

    async with connect(None, api_url="https://verify.example") as client:
        assert (await list_sessions(client))["rows"] != []


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
    network: Network, body: bytes, problem: str
) -> None:
    network.reply(body=body, content_encoding="gzip")

    async with connect(None, api_url="https://verify.example") as client:
        assert problem in await call_tool_error(client)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip, gzip", gzip.compress(gzip.compress(PAGE))),
        ("br", PAGE),
    ],
)
async def test_a_compressed_answer_is_refused_unread(
    network: Network, encoding: str, body: bytes
) -> None:
    network.reply(body=body, content_encoding=encoding)

    async with connect(None, api_url="https://verify.example") as client:
        text = await call_tool_error(client)

    assert text == "The Verify API's answer is compressed in a way that was not asked for."


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_never_takes_the_credentials_along(network: Network, status: int) -> None:
    network.reply(status, location="https://evil.example/")

    async with connect(None, api_url="https://verify.example") as client:
        text = await call_tool_error(client)

    assert f"({status})" in text
    assert network.hosts == {"verify.example"}


@pytest.mark.parametrize("status", [226, 402, 409, 418, 422, 451, 501, 505, 599])
async def test_every_odd_status_is_a_clear_error_and_the_next_call_works(
    network: Network, status: int
) -> None:
    network.reply(status, b"<script>alert(919380013443)</script>")
    network.reply(body=NONE)

    async with connect(None, api_url="https://verify.example") as client:
        text = await call_tool_error(client)
        assert (await list_sessions(client))["rows"] == []

    assert str(status) in text
