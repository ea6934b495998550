"""The network fails: the error names the kind, nothing is weakened, and the next call works."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.client import NOW, call_tool_error, connect, list_sessions, make_record
from tests.support.network_faults import Answer, Authority, Wire
from verify_mcp.emulator import AccountData, Emulator, Fault, Options, serve
from verify_mcp.settings import Rate

pytestmark = pytest.mark.anyio
EMPTY = b'{"sessions":[]}'
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n" + EMPTY
BROKE = "The connection to the Verify API broke during the answer."
REFUSED = (
    "The connection to the Verify API was refused. Check the network, VERIFY_MCP_API_URL and, if "
    "HTTPS_PROXY is set, that proxy."
)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def well(writer: asyncio.StreamWriter) -> None:
    writer.write(WHOLE)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    opened: socket.socket = writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reset_midway(writer: asyncio.StreamWriter) -> None:
    writer.write(WHOLE[:-5])
    await writer.drain()
    await reset(writer)


async def stop_midway(writer: asyncio.StreamWriter) -> None:
    writer.write(WHOLE[:-5])
    await anyio.sleep_forever()


async def silence(_writer: asyncio.StreamWriter) -> None:
    await anyio.sleep_forever()


async def drip(writer: asyncio.StreamWriter) -> None:
    for byte in WHOLE:
        writer.write(bytes([byte]))
        await writer.drain()
        await anyio.sleep(0.05)


async def babble(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x16\x03\x01 this is no HTTP \r\n\r\n")


def plain(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_r12_a_body_shorter_than_promised_is_an_error() -> None:
    api = Emulator(AccountData([make_record(1)]), clock=lambda: NOW)
    async with serve(api) as url, connect(None, api_url=url) as client:
        api.fail_next(Fault.TRUNCATED_BODY, times=3)
        text = await call_tool_error(client)
        assert len((await list_sessions(client))["rows"]) == 1
    assert text == BROKE


@pytest.mark.parametrize("answer", [hang_up, reset, reset_midway, babble])
async def test_r24_a_connection_that_breaks_is_told_as_such(answer: Answer) -> None:
    wire = Wire(*[answer] * 3, well)
    async with wire.listen() as port, connect(None, api_url=plain(port)) as client:
        text = await call_tool_error(client)
        assert (await list_sessions(client))["complete"] is True
    assert text == BROKE


async def test_r24_a_connection_that_breaks_once_is_tried_again() -> None:
    wire = Wire(reset_midway, well)
    async with wire.listen() as port, connect(None, api_url=plain(port)) as client:
        answer = await list_sessions(client)
    assert (answer["complete"], answer["api_requests"]) == (True, 2)


async def test_r24_a_refused_connection_is_told_and_costs_no_slot() -> None:
    async with connect(None, api_url=plain(free_port()), rate_limit=Rate(1, 60.0)) as client:
        texts = {await call_tool_error(client) for _ in range(3)}
    assert texts == {REFUSED}


async def test_r24_a_name_that_does_not_resolve_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unresolved(*_anything: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    async with connect(None, api_url="https://verify.example") as client:
        texts = {await call_tool_error(client) for _ in range(2)}
    assert texts == {"The Verify API's host name could not be resolved. Check the network."}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


CERTIFICATES: dict[str, dict[str, Any]] = {
    "expired": {"days": -1},
    "wrong host": {"host": "other.example"},
    "unknown authority": {},
}


@pytest.mark.parametrize("fault", CERTIFICATES)
async def test_r24_a_certificate_that_proves_nothing_is_never_accepted(
    fault: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault != "unknown authority":
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    wire = Wire(well)
    async with (
        wire.listen(authority.secured(**CERTIFICATES[fault])) as port,
        connect(None, api_url=f"https://localhost:{port}") as client,
    ):
        texts = {await call_tool_error(client) for _ in range(2)}
    assert texts == {
        "The Verify API's certificate is not trusted here. Behind a company proxy, set "
        "SSL_CERT_FILE to a file with its CA certificate; `verify-mcp doctor` explains."
    }
    assert wire.heads == []


async def test_r24_a_server_that_speaks_no_tls_gets_no_request() -> None:
    wire = Wire(well, greeting=b"220 hello\r\n")
    async with (
        wire.listen() as port,
        connect(None, api_url=f"https://localhost:{port}") as client,
    ):
        text = await call_tool_error(client)
    assert wire.heads == []
    assert text == (
        "No secure connection to the Verify API. Behind a company proxy, set SSL_CERT_FILE to a "
        "file with its CA certificate; `verify-mcp doctor` explains."
    )


async def test_r26_a_company_certificate_is_trusted_when_it_is_named(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    wire = Wire(well)
    async with (
        wire.listen(authority.secured()) as port,
        connect(None, api_url=f"https://localhost:{port}") as client,
    ):
        assert (await list_sessions(client))["complete"] is True
    assert b"\r\nAuthorization: Basic " in wire.heads[0]


@pytest.mark.parametrize("answer", [silence, stop_midway, drip])
async def test_r25_an_answer_that_does_not_end_is_given_up(answer: Answer) -> None:
    wire = Wire(*[answer] * 3, well)
    async with (
        wire.listen() as port,
        connect(None, api_url=plain(port), request_timeout=0.4) as client,
    ):
        text = await call_tool_error(client)
        after = await list_sessions(client)
    assert text == "The Verify API gave no complete answer within 0.4 s."
    assert (after["complete"], after["quota_left"]) == (True, 20 - len(wire.heads))


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.SLOW_BODY])
async def test_r25_a_slow_api_in_process_is_given_up_as_well(fault: Fault) -> None:
    api = Emulator(
        AccountData([make_record(1)]), clock=lambda: NOW, behaviour=Options(drip_seconds=0.01)
    )
    api.fail_next(fault, times=3)
    async with connect(api, request_timeout=0.1) as client:
        text = await call_tool_error(client)
        assert len((await list_sessions(client))["rows"]) == 1
    assert text == "The Verify API gave no complete answer within 0.1 s."


PROXY_TROUBLE = (
    "The proxy named in the environment (HTTPS_PROXY) refused or failed. "
    "`verify-mcp doctor` explains."
)


async def forbid(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")


async def test_r26_the_proxy_of_the_environment_is_used_and_its_refusal_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = Wire(forbid)
    async with proxy.listen() as port:
        monkeypatch.setenv("HTTPS_PROXY", plain(port))
        async with connect(None, api_url="https://verify.example") as client:
            text = await call_tool_error(client)
    assert text == PROXY_TROUBLE
    assert {head.partition(b"\r\n")[0] for head in proxy.heads} == {
        b"CONNECT verify.example:443 HTTP/1.1"
    }
    assert b"Basic" not in b"".join(proxy.heads)


async def test_r26_a_proxy_that_is_down_is_told_as_a_connection_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", plain(free_port()))
    async with connect(None, api_url="https://verify.example") as client:
        text = await call_tool_error(client)
    assert text == REFUSED


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "gopher://127.0.0.1:1"])
async def test_r26_a_proxy_of_a_kind_that_cannot_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    async with connect(None, api_url="https://verify.example") as client:
        text = await call_tool_error(client)
    assert text == (
        "The proxy named in the environment cannot be used: give an http:// or https:// "
        "address in HTTPS_PROXY."
    )


async def test_r26_plain_http_on_this_machine_never_goes_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy, wire = Wire(forbid), Wire(well)
    async with proxy.listen() as proxy_port, wire.listen() as port:
        monkeypatch.setenv("HTTP_PROXY", plain(proxy_port))
        monkeypatch.setenv("ALL_PROXY", plain(proxy_port))
        async with connect(None, api_url=plain(port)) as client:
            assert (await list_sessions(client))["complete"] is True
    assert (len(proxy.heads), len(wire.heads)) == (0, 1)


async def test_r27_a_connection_gone_stale_is_replaced() -> None:
    wire = Wire(well, hang_up, well)
    async with wire.listen() as port, connect(None, api_url=plain(port)) as client:
        first, second = await list_sessions(client), await list_sessions(client)
    assert (first["complete"], second["complete"]) == (True, True)
    assert (first["api_requests"], second["api_requests"]) == (1, 2)


async def test_r27_a_server_that_was_restarted_is_found_again() -> None:
    port = free_port()
    api = Emulator(AccountData([make_record(1)]), clock=lambda: NOW)
    async with connect(None, api_url=plain(port)) as client:
        for _ in range(2):
            async with serve(api, port=port):
                assert len((await list_sessions(client))["rows"]) == 1
        assert await call_tool_error(client)
