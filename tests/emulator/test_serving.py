"""The pretend API on a port and on a command line, and what importing it costs."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import anyio
import anyio.lowlevel
import httpx
import pytest

from verify_mcp.emulator import (
    SANDBOX_AUTH_ID,
    SANDBOX_AUTH_TOKEN,
    Emulator,
    Fault,
    Options,
    documented_payload,
    run,
    serve,
)
from verify_mcp.emulator.asgi_io import Receive, Scope, Send
from verify_mcp.emulator.cli import add_arguments, from_arguments

PATH = f"/v1/Account/{SANDBOX_AUTH_ID}/Verify/Session/"
AUTH = (SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN)
PINNED = datetime(2023, 6, 1, 12, tzinfo=UTC)


def get_json(*words: str, **environ: str) -> Emulator:
    parser = argparse.ArgumentParser("emulator")
    add_arguments(parser, environ)
    return from_arguments(parser.parse_args(words))


def test_without_options_it_behaves_as_documented_in_real_time() -> None:
    before = datetime.now(UTC)
    emulator = get_json()
    assert emulator.behaviour == Options()
    assert before <= emulator.clock() <= datetime.now(UTC)


def test_every_option_reaches_its_switch() -> None:
    emulator = get_json(
        *("--shape", "rich", "--casing", "sdk", "--empty-list", "empty"),
        *("--unknown-params", "refuse", "--pagination", "cursor", "--next-echo"),
        *("--absolute-next", "--limit", "5/2.5", "--retry-after", "date", "--latency", "0.1-0.5"),
        *("--fault", "bad-gateway:0.2", "--fault", "hang"),
    )
    assert emulator.behaviour == Options(
        shape="rich",
        casing="sdk",
        empty_list="empty",
        unknown_params="refuse",
        pagination="cursor",
        next_echo_filters=True,
        absolute_next=True,
        list_limit=5,
        list_window=2.5,
        retry_after="date",
        latency=(0.1, 0.5),
        fault_chances=((Fault.BAD_GATEWAY, 0.2), (Fault.HANG, 1.0)),
    )


def test_limits_may_be_off_and_latency_fixed() -> None:
    behaviour = get_json("--limit", "off", "--latency", "0.2").behaviour
    assert behaviour == Options(list_limit=None, latency=0.2)


def test_the_clock_may_be_pinned_by_option_or_by_environment() -> None:
    clocks = [
        get_json("--now", "2023-06-01T12:00:00Z"),
        get_json("--now", "2023-06-01 14:00+02:00"),
        get_json(EMULATOR_NOW="2023-06-01T12:00"),
        get_json("--golden"),
    ]
    assert [emulator.clock() for emulator in clocks] == [PINNED] * 4


def test_host_and_port_are_read_for_whoever_serves() -> None:
    parser = argparse.ArgumentParser("emulator")
    add_arguments(parser, {})
    read = parser.parse_args(["--host", "localhost", "--port", "8080"])
    assert (read.host, read.port) == ("127.0.0.1", 8080)


def test_data_options_size_the_account() -> None:
    emulator = get_json(
        "--now", "2026-11-21T09:30Z", "--last-day", "3", "--total", "9", "--seed", "2"
    )
    past = [one for one in emulator.data.records if one.created_at <= emulator.clock()]
    assert len(past) == 9
    assert get_json("--golden").data.records == documented_payload().records


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--host", "0.0.0.0"], "not a loopback address"),  # noqa: S104 - refused
        (["--port", "70000"], "not a port"),
        (["--port", "x"], "not a whole number"),
        (["--now", "noon"], "not an ISO 8601 time"),
        (["--total", "many"], "not a whole number"),
        (["--last-day", "10", "--total", "9"], "must not be above --total"),
        (["--limit", "20"], "not a limit"),
        (["--limit", "x/60"], "not a limit"),
        (["--limit", "20/-1"], "not a limit"),
        (["--latency", "slow"], "not a latency"),
        (["--latency", "0.5-0.1"], "not a latency"),
        (["--latency", "nan"], "not a latency"),
        (["--fault", "meteor"], "not a fault"),
        (["--fault", "hang:2"], "not a fault"),
        (["--shape", "round"], "invalid choice"),
    ],
)
def test_a_bad_value_ends_with_2_and_a_reason(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        get_json(*words)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_bad_time_in_the_environment_is_a_bad_value() -> None:
    with pytest.raises(SystemExit) as ended:
        get_json(EMULATOR_NOW="noon")
    assert ended.value.code == 2


async def chunks() -> AsyncIterator[bytes]:
    yield b"{"
    yield b"}"


@pytest.mark.anyio
async def test_over_a_socket_faults_look_like_a_broken_network() -> None:
    api = Emulator.documented()
    async with serve(api) as base_url, httpx.AsyncClient(auth=AUTH, base_url=base_url) as client:
        drained = await client.request("GET", PATH, content=chunks())
        assert (drained.status_code, (await client.get(PATH)).status_code) == (200, 200)
        for fault in (Fault.TRUNCATED_BODY, Fault.RESET):
            api.fail_next(fault)
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(PATH)
        api.fail_next(Fault.NO_CONTENT)
        assert (await client.get(PATH)).status_code == 204
    with pytest.raises(httpx.ConnectError):
        await ask_over(base_url)


async def ask_over(base_url: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(base_url)


class Watched(Emulator):
    """Tells when it is done with a request."""

    done: anyio.Event

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.done.set()


@pytest.mark.anyio
@pytest.mark.parametrize(("fault", "status"), [(Fault.HANG, None), (Fault.SLOW_BODY, 200)])
async def test_a_client_that_gives_up_is_noticed(fault: Fault, status: int | None) -> None:
    api = Watched.documented(behaviour=Options(drip_seconds=3600.0))
    api.done = anyio.Event()
    api.fail_next(fault)
    with anyio.fail_after(5):
        async with serve(api) as base_url:
            async with httpx.AsyncClient(auth=AUTH) as client:
                with pytest.raises(httpx.ReadTimeout):
                    await client.get(f"{base_url}{PATH}", timeout=0.05)
            await api.done.wait()
    assert [seen.status for seen in api.received] == [status]


@pytest.mark.anyio
async def test_shutting_down_does_not_wait_for_a_reply_that_hangs() -> None:
    api = Emulator.documented()
    api.fail_next(Fault.HANG)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks, httpx.AsyncClient(auth=AUTH) as client:
            async with serve(api) as base_url:
                tasks.start_soon(client.get, f"{base_url}{PATH}")
                while not api.received:
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", ""])  # noqa: S104
def test_only_loopback_is_served(host: str) -> None:
    with pytest.raises(ValueError, match="not a loopback address"):
        run(Emulator.documented(), host)
