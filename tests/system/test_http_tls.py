"""Connections are counted and timed from accept on, over TLS too, and never exceed the files."""

from __future__ import annotations

import resource
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import anyio.abc
import httpx2
import pytest

from tests.support.certificates import certified
from tests.support.client import emulator_with
from tests.support.http_server import PATIENCE, Child, RunningServer, child, run_server
from tests.support.raw_http import Hasty, Small, connection, heard

pytestmark = pytest.mark.anyio

FILES = 256
SILENT = 400
LIMITED = ("sh", "-c", f'ulimit -n {FILES}; exec "$@"', "sh")
FEW_LINES = 5


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certified(tmp_path_factory.mktemp("tls"))


async def healthy(url: str, trust: Path | None = None) -> int:
    """The status of one request on a connection of its own."""
    verify = ssl.create_default_context(cafile=trust) if trust else True
    async with httpx2.AsyncClient(verify=verify, timeout=PATIENCE, trust_env=False) as http:
        return (await http.get(url + "/healthz")).status_code


@contextmanager
def silent(url: str, number: int) -> Iterator[list[socket.socket]]:
    """Connections on which nothing is ever sent."""
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    streams = [socket.create_connection(address, PATIENCE) for _ in range(number)]
    try:
        yield streams
    finally:
        for stream in streams:
            stream.close()


async def log_of(here: Child) -> list[str]:
    """All that the child wrote until its end, which is asked for."""
    here.send()
    lines = b""
    with anyio.fail_after(PATIENCE):
        async for chunk in here.log:
            lines += chunk
    return lines.decode().splitlines()


async def test_r72_hundreds_of_silent_tls_connections_keep_no_caller_waiting(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    chain, key = certificate
    words = ("--sandbox", "--tls-cert", str(chain), "--tls-key", str(key))
    async with child(*words, environ={"HOME": str(tmp_path)}, under=LIMITED) as here:
        with silent(here.url, SILENT), anyio.fail_after(PATIENCE):
            for _ in range(5):
                assert await healthy(here.url, chain) == 200
        assert len(await log_of(here)) < FEW_LINES


async def test_r72_plain_connections_stay_within_the_files_there_are(tmp_path: Path) -> None:
    async with child("--sandbox", environ={"HOME": str(tmp_path)}, under=LIMITED) as here:
        with silent(here.url, SILENT) as streams:
            assert await healthy(here.url) == 503
            for stream in streams[FILES:]:
                assert stream.recv(100).startswith(b"HTTP/1.1 503 ")
        while await healthy(here.url) == 503:
            pass
        assert len(await log_of(here)) < FEW_LINES


async def test_r72_when_files_run_out_it_is_logged_once_and_passes(tmp_path: Path) -> None:
    async with child("--sandbox", environ={"HOME": str(tmp_path)}) as here:
        assert await healthy(here.url) == 200
        usual = resource.prlimit(here.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(here.process.pid, resource.RLIMIT_NOFILE, (3, usual[1]))
        with silent(here.url, SILENT):
            await here.log.receive()
            resource.prlimit(here.process.pid, resource.RLIMIT_NOFILE, usual)
            assert await healthy(here.url) == 200
        assert len(await log_of(here)) < FEW_LINES


class HastyHandshake(Hasty):
    """The real protocol with little time for a handshake, and all of it for a request."""

    handshake_seconds = 0.4
    request_seconds = 2.0 * PATIENCE


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"], ids=repr)
async def test_r72_a_handshake_that_does_not_end_is_cut(
    certificate: tuple[Path, Path], begun: bytes
) -> None:
    async with (
        run_server(emulator_with(), protocol=HastyHandshake, certificate=certificate) as here,
        connection(here) as stream,
    ):
        await stream.send(begun)
        await heard(stream)
        assert await healthy(here.url, certificate[0]) == 200


async def drip(stream: anyio.abc.ByteSendStream) -> None:
    while True:
        await stream.send(b"\x00")
        await anyio.sleep(0.05)


async def test_r72_a_drip_of_a_handshake_buys_no_time(certificate: tuple[Path, Path]) -> None:
    async with (
        run_server(emulator_with(), protocol=HastyHandshake, certificate=certificate) as here,
        connection(here) as stream,
    ):
        await stream.send(b"\x16\x03\x01\x02\x00")
        with anyio.fail_after(PATIENCE), pytest.raises(anyio.BrokenResourceError):
            await drip(stream)


@asynccontextmanager
async def connect_tls(here: RunningServer, trust: Path) -> AsyncIterator[anyio.abc.ByteStream]:
    """A connection whose handshake is done."""
    context = ssl.create_default_context(cafile=trust)
    async with await anyio.connect_tcp("127.0.0.1", here.port, ssl_context=context) as stream:
        yield stream


async def test_r72_the_oldest_unfinished_handshake_makes_room(
    certificate: tuple[Path, Path],
) -> None:
    async with (
        run_server(emulator_with(), protocol=Small, certificate=certificate) as here,
        AsyncExitStack() as stack,
    ):
        streams = [
            await stack.enter_async_context(connection(here)) for _ in range(Small.max_connections)
        ]
        async with connect_tls(here, certificate[0]):
            assert await heard(streams[0]) == b""
            with pytest.raises(TimeoutError), anyio.fail_after(0):
                await streams[-1].receive()


async def test_r72_finished_handshakes_keep_their_room(certificate: tuple[Path, Path]) -> None:
    async with (
        run_server(emulator_with(), protocol=Small, certificate=certificate) as here,
        AsyncExitStack() as stack,
    ):
        first = await stack.enter_async_context(connect_tls(here, certificate[0]))
        for _ in range(Small.max_connections - 1):
            await stack.enter_async_context(connect_tls(here, certificate[0]))
        async with connection(here) as stream:
            assert await heard(stream) == b""
        await first.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert (await heard(first)).startswith(b"HTTP/1.1 200 ")
