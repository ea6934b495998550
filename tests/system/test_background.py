"""Real servers work in the background, and end at once all the same."""

from __future__ import annotations

import json
from functools import partial

import anyio
import pytest

from tests.support.client import SANDBOX
from tests.support.http_server import http_client, run_server
from tests.support.summaries import summarize
from tests.system.test_http_hostile import until
from tests.system.test_stdio import start_child
from verify_mcp.context import open_serving_context
from verify_mcp.emulator import Emulator, Options, serve

pytestmark = pytest.mark.anyio

ARGUMENTS = {"session_time__gte": "60d", "max_requests": 2}


async def test_r44_a_stdio_server_ends_in_time_while_it_works_in_the_background() -> None:
    emulator = Emulator(behaviour=Options(latency=0.2))
    async with serve(emulator) as url, start_child(VERIFY_MCP_API_URL=url) as child:
        await child.greet()
        reply = await child.ask(
            "tools/call", 1, name="summarize_verify_sessions", arguments=ARGUMENTS
        )
        answer = json.loads(reply["result"]["content"][0]["text"])
        assert "in the background" in answer["why"]
        await until(lambda: len(emulator.received) > 2 + 4)
        await child.stdin.aclose()
        assert await child.wait_ended() == 0


async def test_r53_an_http_server_ends_in_time_while_it_works_in_the_background() -> None:
    emulator = Emulator(behaviour=Options(latency=0.2))
    opened = partial(open_serving_context, SANDBOX, app=emulator)
    with anyio.fail_after(10):
        async with run_server(emulator, context_factory=opened) as here:
            async with http_client(here.url) as client:
                await summarize(client, **ARGUMENTS)
            await until(lambda: len(emulator.received) > 2 + 4)
            here.http_app.stop_background()
            sent = len(emulator.received)
    assert len(emulator.received) == sent
