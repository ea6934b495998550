"""What hostile answers cost a server in memory."""

from __future__ import annotations

import json
import sys

import anyio
import pytest

from tests.support.client import (
    make_record,
)
from verify_mcp.emulator import AccountData, Emulator, Fault, Options, serve

pytestmark = pytest.mark.anyio


ENDLESS = [
    Fault.GZIP_BOMB, Fault.HUGE_BODY, Fault.DEEP_JSON, Fault.MANY_ROWS, Fault.BIG_HEADER,
]  # fmt: skip
GREEDY = """
import json, resource, sys
from functools import partial
import anyio
from mcp import Client
from verify_mcp.context import open_context
from verify_mcp.server.server import build_server
from verify_mcp.settings import Credentials, Settings

async def main(url, calls):
    mine = Settings(credentials=Credentials("MASANDBOXACCOUNT0000", "sandbox-token-not-a-secret"),
                    api_url=url)
    async with Client(build_server(partial(open_context, mine))) as client:
        await client.call_tool("list_verify_sessions", {})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answers = [await client.call_tool("list_verify_sessions", {}) for _ in range(calls)]
        last = await client.call_tool("list_verify_sessions", {})
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"errors": [answer.content[0].text for answer in answers if answer.is_error],
                      "last": last.structured_content["complete"], "grown_kb": grown}))

anyio.run(main, sys.argv[1], int(sys.argv[2]))
"""


async def test_r21_answers_without_end_cost_little_memory() -> None:
    api = Emulator(AccountData([make_record(1)]), behaviour=Options())
    async with serve(api) as url:
        # The first request warms the child up; one without a fault ends it.
        api.fail_next(Fault.DUPLICATE_ROWS)
        for fault in ENDLESS:
            api.fail_next(fault, times=3 if fault is Fault.BIG_HEADER else 1)
        child = await anyio.run_process([sys.executable, "-c", GREEDY, url, str(len(ENDLESS))])
    report = json.loads(child.stdout)
    assert report["last"] is True
    assert report["errors"] == [
        "The Verify API's answer is far larger than a page can be.",
        "The Verify API's answer is far larger than a page can be.",
        "The Verify API answered with something that is not JSON.",
        "The Verify API's answer is far larger than a page can be.",
        "The connection to the Verify API broke during the answer.",
    ]
    assert report["grown_kb"] < 50_000
