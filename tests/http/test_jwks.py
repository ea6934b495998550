"""The authorization server's keys are read within bounds, whatever it does and whoever asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import jwt
import pytest

from tests.support.client import FakeClock, emulator_with
from tests.support.http_server import PATIENCE, RunningServer, bearer, post, run_server
from tests.support.issuer import REPLIES, Authority, authority, new_key
from tests.support.network_faults import Authority as CertificateAuthority
from tests.support.network_faults import Wire
from tests.support.oauth import PUBLIC, claims, trusting
from verify_mcp.http import jwks
from verify_mcp.http.oauth import JwtVerifier

pytestmark = pytest.mark.anyio

READ_AT_ONCE = (*REPLIES, "reset", "endless", "too large")
STRANGERS_KEY = new_key()


@pytest.fixture(scope="module")
def server() -> Iterator[Authority]:
    with authority() as process:
        yield process


@pytest.fixture
def issuer(server: Authority) -> Iterator[Authority]:
    """The authorization server, which is well again after the test."""
    yield server
    server.break_down("")


def verifier(issuer: Authority, clock: FakeClock, timeout: float = PATIENCE) -> JwtVerifier:
    return JwtVerifier(trusting(issuer), 1000, timeout=timeout, clock=lambda: clock.ticks)


@asynccontextmanager
async def serve(
    issuer: Authority, clock: FakeClock, **options: float
) -> AsyncIterator[RunningServer]:
    """A server that takes the authorization server's tokens; `clock` is that of its keys."""
    checked_by = verifier(issuer, clock, **options)
    changes: dict[str, Any] = {"oauth": trusting(issuer), "public_url": PUBLIC}
    async with run_server(emulator_with(), jwt_verifier=checked_by, **changes) as here:
        yield here


def good(issuer: Authority) -> str:
    return issuer.token(**claims(issuer))


def strange(issuer: Authority, number: int = 0) -> str:
    """A stranger's token, which names a key that nobody published."""
    return jwt.encode(claims(issuer), STRANGERS_KEY, "RS256", headers={"kid": f"stranger-{number}"})


async def status(here: RunningServer, token: str) -> int:
    return (await post(here.url, **bearer(token))).status_code


async def becomes_true(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - of another process
            await anyio.sleep(0.01)


async def test_r76_a_caller_with_a_known_key_is_answered_while_strangers_wait_for_keys(
    issuer: Authority,
) -> None:
    clock = FakeClock()
    async with serve(issuer, clock) as here:
        token = good(issuer)
        assert await status(here, token) == 200
        clock.pass_by(jwks.JWKS_COOLDOWN)
        fetched = issuer.fetched()
        issuer.break_down("hang")
        strangers = [asyncio.create_task(status(here, strange(issuer, n))) for n in range(8)]
        await becomes_true(lambda: issuer.fetched() > fetched)
        for _ in range(3):
            assert await status(here, token) == 200
        assert not any(task.done() for task in strangers)
        issuer.break_down("")
        assert await asyncio.gather(*strangers) == [401] * 8
        assert issuer.fetched() == fetched + 1


async def test_r76_a_stale_key_is_good_while_the_server_hangs(
    issuer: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "MAX_STALE_WAIT", 0.05)
    clock = FakeClock()
    async with serve(issuer, clock) as here:
        token = good(issuer)
        assert await status(here, token) == 200
        issuer.break_down("hang")
        clock.pass_by(jwks.JWKS_TTL)
        assert [await status(here, token) for _ in range(3)] == [200] * 3


async def test_r76_many_strangers_cause_one_request_and_no_more_within_the_cooldown(
    issuer: Authority,
) -> None:
    clock = FakeClock()
    checked_by = verifier(issuer, clock)
    assert await checked_by.verify(good(issuer))
    fetched = issuer.fetched()
    for round_ in (1, 2):
        clock.pass_by(jwks.JWKS_COOLDOWN)
        for _ in range(2):
            tokens = [strange(issuer, number) for number in range(30)]
            assert not any(await asyncio.gather(*map(checked_by.verify, tokens)))
            assert issuer.fetched() == fetched + round_


async def test_r76_only_so_many_strangers_wait_and_the_others_are_refused_at_once(
    issuer: Authority,
) -> None:
    clock = FakeClock()
    checked_by = verifier(issuer, clock)
    assert await checked_by.verify(good(issuer))
    clock.pass_by(jwks.JWKS_COOLDOWN)
    issuer.break_down("hang")
    tokens = [strange(issuer, number) for number in range(jwks.MAX_WAITERS + 50)]
    tasks = [asyncio.create_task(checked_by.verify(token)) for token in tokens]
    await becomes_true(lambda: sum(task.done() for task in tasks) == 50)
    issuer.break_down("")
    assert not any(await asyncio.gather(*tasks))


async def test_r76_a_reset_is_a_401_and_one_line_in_the_log(
    issuer: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    issuer.break_down("reset")
    async with serve(issuer, clock) as here:
        fetched = issuer.fetched()
        tokens = [good(issuer), strange(issuer), good(issuer)]
        assert [await status(here, token) for token in tokens] == [401] * 3
        assert issuer.fetched() == fetched + 1
        assert [record.getMessage() for record in caplog.records] == [
            "The authorization server's keys cannot be read (the connection broke); "
            "tokens are refused."
        ]
        issuer.break_down("")
        clock.pass_by(jwks.JWKS_COOLDOWN)
        assert await status(here, good(issuer)) == 200


@pytest.mark.parametrize("fault", READ_AT_ONCE)
async def test_r76_after_a_reading_that_failed_there_is_a_cooldown_too(
    issuer: Authority, fault: str
) -> None:
    clock = FakeClock()
    checked_by = verifier(issuer, clock)
    issuer.break_down(fault)
    fetched = issuer.fetched()
    assert await checked_by.verify(good(issuer)) is None
    issuer.break_down("")
    clock.pass_by(jwks.JWKS_COOLDOWN - 1)
    assert await checked_by.verify(good(issuer)) is None
    assert issuer.fetched() == fetched + 1
    clock.pass_by(1)
    assert await checked_by.verify(good(issuer))


@pytest.mark.parametrize("fault", ["endless", "too large"])
async def test_r76_more_than_a_set_of_keys_can_be_is_not_read(
    issuer: Authority, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.break_down(fault)
    assert await verifier(issuer, FakeClock()).verify(good(issuer)) is None
    assert [record.getMessage() for record in caplog.records] == [
        "The authorization server's keys cannot be read (more than 262144 bytes); "
        "tokens are refused."
    ]


@pytest.mark.parametrize("fault", ["hang", "drip"])
async def test_r76_an_answer_that_does_not_end_is_given_up_in_time(
    issuer: Authority, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.break_down(fault)
    with anyio.fail_after(PATIENCE):
        assert await verifier(issuer, FakeClock(), timeout=0.2).verify(good(issuer)) is None
    assert [record.getMessage() for record in caplog.records] == [
        "The authorization server's keys cannot be read (no complete answer within 0.2 s); "
        "tokens are refused."
    ]


@pytest.mark.parametrize("fault", READ_AT_ONCE)
async def test_r76_known_keys_are_good_for_a_quarter_of_an_hour_while_they_cannot_be_read(
    issuer: Authority, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    checked_by, token = verifier(issuer, clock), good(issuer)
    assert await checked_by.verify(token)
    issuer.break_down(fault)
    clock.pass_by(jwks.JWKS_MAX_AGE - 1)
    for _ in range(2):
        assert await checked_by.verify(token)
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().endswith("; known keys stay valid.")
    clock.pass_by(1)
    assert await checked_by.verify(token) is None


async def test_r76_a_rotation_of_keys_is_picked_up(issuer: Authority) -> None:
    clock = FakeClock()
    async with serve(issuer, clock) as here:
        before = good(issuer)
        assert await status(here, before) == 200
        issuer.rotate()
        after = good(issuer)
        assert [await status(here, token) for token in (before, after)] == [200, 401]
        clock.pass_by(jwks.JWKS_COOLDOWN)
        assert [await status(here, token) for token in (after, before)] == [200, 401]


async def test_r76_a_key_that_is_no_longer_published_is_refused_after_five_minutes(
    issuer: Authority,
) -> None:
    clock = FakeClock()
    checked_by, token = verifier(issuer, clock), good(issuer)
    assert await checked_by.verify(token)
    issuer.rotate()
    clock.pass_by(jwks.JWKS_TTL - 1)
    assert await checked_by.verify(token)
    clock.pass_by(1)
    assert await checked_by.verify(token) is None


async def test_r76_a_caller_who_leaves_does_not_end_the_reading_for_the_others(
    issuer: Authority,
) -> None:
    checked_by = verifier(issuer, FakeClock())
    fetched = issuer.fetched()
    issuer.break_down("hang")
    first, second = (asyncio.create_task(checked_by.verify(good(issuer))) for _ in range(2))
    await becomes_true(lambda: issuer.fetched() > fetched)
    first.cancel()
    issuer.break_down("")
    assert await second
    assert first.cancelled()


def publishing(keys: dict[str, Any]) -> Wire:
    body = json.dumps(keys).encode()

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return Wire(answer)


@pytest.mark.parametrize(("is_named", "requests"), [(True, 1), (False, 0)])
async def test_r76_keys_come_only_from_a_server_whose_certificate_is_trusted(
    issuer: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_named: bool,  # noqa: FBT001 - a parameter of the test
    requests: int,
) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    certificates = CertificateAuthority(tmp_path)
    if is_named:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.file))
    wire = publishing(issuer.published())
    async with wire.listen(certificates.secured()) as port:
        oauth = replace(trusting(issuer), jwks_url=f"https://localhost:{port}/jwks")
        checked_by = JwtVerifier(oauth, 1000, timeout=PATIENCE)
        assert (await checked_by.verify(good(issuer)) is not None) == is_named
    assert len(wire.heads) == requests
