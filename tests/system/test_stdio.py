"""The real server as a child over stdin and stdout: nothing but JSON-RPC, and an end that comes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

import anyio
import anyio.abc
import pytest
from mcp import Client, StdioServerParameters

from tests.support.client import (
    Era,
    call_tool_error,
    get_session,
    list_sessions,
    uuid,
)
from tests.support.secrets import NUMBER, assert_discreet
from tests.support.stdio import END, PATIENCE, Child, environment
from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, Emulator, Options, serve
from verify_mcp.server.stdin import MAX_LINE_BYTES, MAX_TAIL_BYTES, LineSplitter, Overlong
from verify_mcp.server.stdio import replace_lone_surrogates

pytestmark = pytest.mark.anyio

SERVER = [sys.executable, "-m", "verify_mcp"]


@asynccontextmanager
async def start_child(*command: str, **more: str) -> AsyncIterator[Child]:
    async with await anyio.open_process(
        command or SERVER, env=environment(**more), stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield Child(process)
        finally:
            if process.returncode is None:
                process.kill()


@asynccontextmanager
async def api(**switches: Any) -> AsyncIterator[str]:
    async with serve(Emulator(behaviour=Options(**switches))) as url:
        yield url


async def test_a_real_client_is_answered_by_a_real_child_in_both_eras(era: Era) -> None:
    async with api() as url:
        server = StdioServerParameters(
            command=SERVER[0], args=SERVER[1:], env=environment(VERIFY_MCP_API_URL=url)
        )
        async with Client(server, mode=era) as client:
            answer = await list_sessions(client)
            assert (answer["complete"], len(answer["rows"]), answer["quota_left"]) == (True, 20, 19)
            short = answer["rows"][0][0]
            assert (await get_session(client, short))["session"].startswith(short)


async def test_r71_the_instructions_name_the_configured_rate(era: Era) -> None:
    server = StdioServerParameters(
        command=SERVER[0], args=SERVER[1:], env=environment(VERIFY_MCP_RATE_LIMIT="7/10")
    )
    async with Client(server, mode=era) as client:
        assert "at most 7 list requests in 10 s," in (client.instructions or "")


async def test_the_sandbox_needs_no_credentials_and_no_network(era: Era) -> None:
    bare = environment(PLIVO_AUTH_ID="", PLIVO_AUTH_TOKEN="")
    server = StdioServerParameters(
        command=SERVER[0], args=[*SERVER[1:], "serve", "--sandbox"], env=bare
    )
    async with Client(server, mode=era) as client:
        assert len((await list_sessions(client))["rows"]) == 20


STOPS: Mapping[str, int] = {"eof": 0, "sigterm": 143, "sigint": 130}


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "call in flight"])
@pytest.mark.parametrize("stop", STOPS)
async def test_r44_it_ends_in_time_whatever_is_under_way(stop: str, *, busy: bool) -> None:
    async with api(latency=60.0) as url, start_child(VERIFY_MCP_API_URL=url) as child:
        await child.greet()
        if busy:
            await child.say("tools/call", 1, name="list_verify_sessions", arguments={})
            await child.ask("ping", 2)
        if stop == "eof":
            await child.stdin.aclose()
        else:
            child.process.send_signal(signal.SIGTERM if stop == "sigterm" else signal.SIGINT)
        assert await child.wait_ended() == STOPS[stop]


ORPHAN = f"import subprocess, time; subprocess.Popen({SERVER!r}); time.sleep(600)"


async def test_r44_it_ends_when_its_parent_dies_though_its_input_stays_open() -> None:
    async with start_child(sys.executable, "-c", ORPHAN) as parent:
        await parent.greet()
        parent.process.kill()
        with anyio.fail_after(END):
            assert [chunk async for chunk in parent.stdout] == []


async def test_r45_it_ends_when_nobody_reads_any_more() -> None:
    async with start_child() as child:
        await child.greet()
        assert child.process.stdout is not None
        await child.process.stdout.aclose()
        for number in range(20):
            try:
                await child.say("tools/list", number)
            except anyio.BrokenResourceError:
                break
            await anyio.sleep(0.01)
        await child.stdin.aclose()
        with anyio.fail_after(END):
            await child.process.wait()


GARBAGE = [
    b"\n", b"garbage\n", b"{\n", b"null\n", b"[]\n", b'{"jsonrpc":"2.0"}\n', b"\xff\xfe\x00\x01\n",
    bytes(range(256)) + b"\n", b'{"jsonrpc":"2.0","id":5,"method":5}\n', b"[" * 100_000 + b"\n",
    b'{"jsonrpc":"2.0","id":6,"method":"ping","params":{"x":"' + b"x" * 2_000_000 + b'"}}\n',
    b"x" * 2_000_000 + b"\n",
]  # fmt: skip


async def test_r43_garbage_on_stdin_is_survived() -> None:
    async with api() as url, start_child(VERIFY_MCP_API_URL=url) as child:
        await child.greet()
        for number, raw in enumerate(GARBAGE, start=100):
            await child.write(raw)
            assert (await child.ask("ping", number))["result"] == {}
        await child.stdin.aclose()
        assert await child.wait_ended() == 0


NO_MESSAGES = [
    (b"garbage", -32700),
    (b'{"jsonrpc":"2.0","id":1,', -32700),
    (b"\xff\xfe\x00\x01", -32700),
    (b"[" * 100_000, -32700),
    (b"null", -32600),
    (b"[]", -32600),
    (b'{"jsonrpc":"2.0"}', -32600),
]


@pytest.mark.parametrize("era", ["before the greeting", "after it"])
async def test_r81_what_is_no_message_is_answered_with_an_error_without_an_id(era: str) -> None:
    async with start_child() as child:
        if era == "after it":
            await child.greet()
        for raw, code in NO_MESSAGES:
            await child.write(raw + b"\n")
            answer = await child.hear()
            assert (answer["id"], answer["error"]["code"]) == (None, code), raw[:14]
        if era != "after it":
            await child.greet()
        assert (await child.ask("ping", 2))["result"] == {}


async def test_r81_every_line_of_garbage_is_answered_in_order_and_empty_lines_never() -> None:
    async with start_child() as child:
        await child.greet()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child.write, b"\n" * 10 + b"x\n" * 5000)
            heard = [await child.hear() for _ in range(5000)]
        assert {(each["id"], each["error"]["code"]) for each in heard} == {(None, -32700)}
        await child.write(b"x\n")
        await child.say("ping", 1)
        assert (await child.hear())["error"]["code"] == -32700
        assert await child.hear() == {"jsonrpc": "2.0", "id": 1, "result": {}}


async def test_r81_who_reads_no_answers_is_read_no_further() -> None:
    async with start_child() as child:
        await child.greet()
        with anyio.move_on_after(2) as pause:
            await child.write(b"x\n" * 2_000_000)
        assert pause.cancelled_caught
        with anyio.fail_after(PATIENCE):
            assert (await child.hear())["error"]["code"] == -32700


HUGE = b'"params":{"x":"' + b"x" * 2_000_000 + b'"}'
OVERLONG: list[tuple[bytes, int | str | None]] = [
    (b'{"jsonrpc":"2.0","id":6,"method":"ping",' + HUGE + b"}", 6),
    (b'{"jsonrpc":"2.0","method":"ping",' + HUGE + b', "id": "six" } ', "six"),
    (b'{"jsonrpc":"2.0","method":"ping",' + HUGE + b"}", None),
    (b'{"jsonrpc":"2.0","id":6,"result":{},' + HUGE + b"}", None),
    (b'{"jsonrpc":"2.0","result":{},' + HUGE + b',"id":6}', None),
    (b'{"method":"ping",' + HUGE + b',"x,\\"id":6}', None),
    (b'{"jsonrpc":"2.0","method":"ping","id":' + b"7" * 2_000_000, None),
    (b"x" * 2_000_000, None),
]


async def test_r81_a_line_over_the_limit_is_answered_with_the_limit_and_its_id() -> None:
    async with start_child() as child:
        await child.greet()
        for number, (raw, answered) in enumerate(OVERLONG, start=100):
            await child.write(raw + b"\n")
            await child.say("ping", number)
            answer = await child.hear()
            assert (answer["id"], answer["error"]["code"]) == (answered, -32600), raw[:60]
            assert "1,048,576 bytes" in answer["error"]["message"]
            assert (await child.hear())["id"] == number


BAD_REQUESTS: dict[str, int | str | None] = {
    '"id":{},"method":"ping"': None,
    '"id":NaN,"method":"ping"': None,
    '"id":null,"method":"ping"': None,
    '"id":1.5,"method":"ping"': None,
    '"id":true,"method":"ping"': None,
    '"id":[],"method":5': None,
    '"id":5,"method":5': 5,
    '"id":"five","method":"ping","params":[1]': "five",
    '"id":5': 5,
    '"id":5,"result":5': None,
    '"id":5,"error":5': None,
}


async def test_r81_a_bad_request_is_answered_with_its_id_where_it_has_one() -> None:
    async with start_child() as child:
        await child.greet()
        for number, (members, answered) in enumerate(BAD_REQUESTS.items(), start=100):
            await child.write(f'{{"jsonrpc":"2.0",{members}}}\n'.encode())
            await child.say("ping", number)
            answer = await child.hear()
            assert (answer["id"], answer["error"]["code"]) == (answered, -32600), members
            assert (await child.hear())["id"] == number


async def test_r41_half_a_surrogate_pair_is_read_as_the_replacement_character() -> None:
    async with api() as url, start_child(VERIFY_MCP_API_URL=url) as child:
        await child.greet()
        await child.write(
            b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":'
            b'"list_verify_sessions","arguments":{"brand_name":"half \\ud83d"}}}\n'
        )
        heard = await child.hear()
    assert heard["result"]["structuredContent"]["applied"]["brand_name"] == "half \ufffd"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'"\\ud83d"', '"\\ufffd"'),
        (b'"\\uDE42 x"', '"\\ufffd x"'),
        (b'"\\ud83d\\ude42"', '"\\ud83d\\ude42"'),
        (b'"\\ud83d\\ud83d\\ude42"', '"\\ufffd\\ud83d\\ude42"'),
        (b'"\\\\ud83d"', '"\\\\ud83d"'),
        (b'"\xff"', '"\ufffd"'),
    ],
)
def test_only_half_a_pair_is_mended(line: bytes, text: str) -> None:
    assert replace_lone_surrogates(line) == text


async def test_r43_a_line_may_arrive_in_halves() -> None:
    async with start_child() as child:
        await child.greet()
        await child.write(b'{"jsonrpc":"2.0","id":3,')
        await anyio.sleep(0.05)
        await child.write(b'"method":"ping"}\n')
        assert await child.hear() == {"jsonrpc": "2.0", "id": 3, "result": {}}


async def test_r43_a_request_before_initialize_and_an_unknown_method_are_protocol_errors() -> None:
    async with start_child() as child:
        early = await child.ask("tools/list", 1)
        await child.greet()
        unknown = await child.ask("tools/dance", 2)
        assert len((await child.ask("tools/list", 3))["result"]["tools"]) >= 2
    assert early["error"]["code"] == -32602
    assert unknown["error"]["code"] == -32601


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PLIVO_AUTH_ID": "", "PLIVO_AUTH_TOKEN": ""},
         "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN not set."),
        ({"PLIVO_AUTH_TOKEN": "${user_config.token}"},
         "PLIVO_AUTH_TOKEN still holds a placeholder."),
        ({"PLIVO_AUTH_ID": SANDBOX_AUTH_TOKEN, "PLIVO_AUTH_TOKEN": SANDBOX_AUTH_ID},
         "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN look swapped"),
    ],
    ids=["missing", "placeholder", "swapped"],
)  # fmt: skip
async def test_r47_without_credentials_it_starts_lists_and_says_what_to_set(
    changes: dict[str, str], message: str
) -> None:
    server = StdioServerParameters(command=SERVER[0], args=SERVER[1:], env=environment(**changes))
    async with Client(server) as client:
        assert len((await client.list_tools()).tools) >= 2
        texts = {await call_tool_error(client) for _ in range(2)}
        texts.add(await call_tool_error(client, "get_verify_session", session_uuid=uuid(1)))
    (text,) = texts
    assert text.startswith(message)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VERIFY_MCP_API_URL", "http://api.plivo.com"),
        ("VERIFY_MCP_API_URL", "https://me:secret-secret@api.plivo.com"),
        ("VERIFY_MCP_RATE_LIMIT", "fast"),
    ],
)
async def test_r48_a_setting_that_cannot_be_used_is_refused_at_the_start_by_name(
    name: str, value: str
) -> None:
    child = await anyio.run_process(SERVER, env=environment(**{name: value}), check=False)
    assert (child.returncode, child.stdout) == (78, b"")
    text = child.stderr.decode()
    assert text.startswith(f"verify-mcp: {name} ")
    assert text.count("\n") == 1
    assert "secret-secret" not in text


def split_lines(chunks: Sequence[bytes]) -> list[bytes | Overlong]:
    splitter = LineSplitter(10)
    return [*chain.from_iterable(map(splitter.feed, chunks)), splitter.take_rest()]


def test_lines_too_long_keep_a_beginning_and_an_end_and_the_rest_stays_in_step() -> None:
    chunks = [b"one\ntw", b"o\n", b"x" * 8, b"y" * 8 + b"\nthree\nlong-long-long\nfo", b"ur"]
    assert split_lines(chunks) == [
        b"one", b"two", Overlong(b"x" * 8 + b"yy", b"x" * 8 + b"y" * 8), b"three",
        Overlong(b"long-long-", b"long-long-long"), b"four",
    ]  # fmt: skip
    assert split_lines([b"x" * 2000, b"yz"]) == [
        Overlong(b"x" * 10, b"x" * (MAX_TAIL_BYTES - 2) + b"yz")
    ]
    assert MAX_LINE_BYTES > 1_000_000


async def test_r49_the_real_child_at_debug_writes_no_secret_to_stderr_or_stdout() -> None:
    api = Emulator(behaviour=Options())
    async with serve(api) as url:
        command = [sys.executable, "-m", "verify_mcp"]
        env = environment(VERIFY_MCP_API_URL=url, VERIFY_MCP_LOG_LEVEL="DEBUG")
        async with await anyio.open_process(command, env=env, stderr=subprocess.PIPE) as process:
            child = Child(process)
            await child.greet()
            await child.ask(
                "tools/call",
                1,
                name="list_verify_sessions",
                arguments={"recipient": NUMBER, "x": 1},
            )
            await child.ask(
                "tools/call", 2, name="list_verify_sessions", arguments={"recipient": NUMBER}
            )
            await child.stdin.aclose()
            assert process.stderr is not None
            log = b"".join([chunk async for chunk in process.stderr]).decode()
            assert await child.wait_ended() == 0
    assert len(api.received) == 1
    assert_discreet(log)
