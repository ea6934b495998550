"""Twelve ordinary questions about an account of 30,000 sessions, in simulated time.

    python -m benchmarks.questions

From the root of a checkout. One person asks one after the other; an answer that is not exact is
asked for again when the server said it would be. Requests of the API, calls, tokens of the answers
(o200k) and minutes until the figures asked about are exact; beside them what a plain wrapper of
the list and get endpoints takes, which fetches every page of each question.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import anyio
import httpx
from mcp import Client

from tests.support.background import connect_with_background, work_until
from tests.support.client import NOW, SANDBOX, FakeClock, call_tool, tokens
from verify_mcp.context import AppContext
from verify_mcp.emulator import AccountData, Emulator, Options, generate
from verify_mcp.emulator.account import microseconds
from verify_mcp.tools.envelope import to_json

MAX_CALLS, MAX_TOKENS = 24, 6_000
MAX_CALLS_OF_ONE = 12
PAUSE = 20.0
"""Seconds between a person's questions."""
SUMMARIZE, LIST = "summarize_verify_sessions", "list_verify_sessions"
QUESTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("what happened to a recipient today", LIST, {"recipient": ""}),
    ("the last of these sessions in detail", "get_verify_session", {}),
    ("conversion by channel, 24 h", SUMMARIZE, {"group_by": "channel"}),
    ("what sessions ended in, 24 h", SUMMARIZE, {"group_by": "attempt_status"}),
    ("spend by app, 7 days", SUMMARIZE, {"session_time__gte": "7d", "group_by": "app"}),
    ("worst delivery by country, 7 days", SUMMARIZE,
     {"session_time__gte": "7d", "group_by": "country", "order_by": "conversion_pct", "top": 5}),
    ("a brand against the day before", "compare_verify_sessions", {"brand_name": "Acme"}),
    ("spend that was wasted, 7 days", SUMMARIZE, {"session_time__gte": "7d"}),
    ("conversion, 90 days", SUMMARIZE, {"session_time__gte": "90d"}),
    ("sessions by day, 30 days", SUMMARIZE, {"session_time__gte": "30d", "group_by": "day"}),
    ("top recipients, 24 h", SUMMARIZE, {"group_by": "recipient", "top": 10}),
    ("app by week", SUMMARIZE, {"session_time__gte": "84d", "group_by": "week", "app_uuid": ""}),
)  # fmt: skip


@dataclass(slots=True)
class Cost:
    """What a question took."""

    requests: int = 0
    calls: int = 0
    tokens: int = 0
    minutes: float = 0.0
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Known:
    """A recipient and an application of the account, and the arguments of a summary."""

    recipient: str
    app_uuid: str
    arguments: Mapping[str, Any]

    @property
    def groups(self) -> Sequence[str]:
        return tuple(self.arguments["group_by"]["items"]["enum"])


@dataclass(slots=True)
class Run:
    """The account, the clock and the server under measurement."""

    world: AccountData
    clock: FakeClock
    emulator: Emulator
    client: Client
    context: AppContext

    @property
    def sent(self) -> int:
        return len(self.emulator.received)


def is_exact(answer: Mapping[str, Any]) -> bool:
    """Whether the figures asked about are exact: all of them, or all sessions and conversions."""
    if answer.get("complete", True):
        return True
    if answer.get("basis") != "counted" or "unchecked" in answer or "conversion_pct" not in answer:
        return False
    rows = [dict(zip(answer["columns"], row, strict=True)) for row in answer.get("rows", ())]
    if answer["applied"].get("group_by") in (["day"], ["week"]):
        return list(answer["columns"][1:]) == ["sessions", "conversion_pct"]
    if answer["applied"].get("group_by"):
        return bool(rows) and all(
            row["conversion_low"] == row["conversion_high"] != "" for row in rows
        )
    return True


async def ask(run: Run, tool: str, arguments: dict[str, Any]) -> tuple[Cost, dict[str, Any]]:
    """One question, asked until it is exact."""
    cost, start, sent = Cost(), run.clock.ticks, run.sent
    while True:
        answer = await call_tool(run.client, tool, arguments)
        cost.calls += 1
        cost.tokens += tokens(to_json(answer))
        cost.exact = is_exact(answer)
        if cost.exact or cost.calls >= MAX_CALLS_OF_ONE:
            break
        await wait(run, answer)
    cost.minutes = (run.clock.ticks - start) / 60
    cost.requests = run.sent - sent
    return cost, answer


async def wait(run: Run, answer: Mapping[str, Any]) -> None:
    """Let the server work as long as it said that it takes."""
    eta, is_counted = answer.get("eta_s", 0), "counting goes on" in answer["why"]

    async def is_idle() -> bool:
        return await run.context.background.status() is None

    seconds = max(1.0, eta) if is_counted else 86_400.0
    waited = await work_until(run.context, run.clock, is_idle, seconds=seconds)
    run.clock.pass_by(max(0.0, eta - waited))


async def plain(run: Run, tool: str, arguments: Mapping[str, Any]) -> Cost:
    """The same by a wrapper that gives back what the API says, page by page."""
    if tool == "get_verify_session":
        return Cost(1, 1, 400)
    end = run.clock.now
    age = str(arguments.get("session_time__gte", "24h"))
    length = timedelta(days=int(age[:-1])) if age.endswith("d") else timedelta(hours=24)
    start = end - length * (2 if tool == "compare_verify_sessions" else 1)
    filters = {
        name: arguments[name]
        for name in ("recipient", "brand_name", "app_uuid")
        if name in arguments
    }
    api = Emulator(run.world, behaviour=Options(shape="rich", list_limit=None), clock=lambda: end)
    cost, offset = Cost(), 0
    credentials = SANDBOX.credentials
    assert credentials  # noqa: S101 - the sandbox has them
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(api),
        base_url="http://localhost",
        auth=(credentials.auth_id, credentials.auth_token),
    ) as http:
        while True:
            reply = await http.get(
                f"/v1/Account/{credentials.auth_id}/Verify/Session/",
                params={
                    **filters,
                    "limit": 20,
                    "offset": offset,
                    "session_time__gte": f"{start:%Y-%m-%d %H:%M:%S}",
                    "session_time__lt": f"{end:%Y-%m-%d %H:%M:%S}",
                },
            )
            cost.calls += 1
            cost.tokens += tokens(reply.text)
            if len(reply.json()["sessions"] or ()) < 20:
                break
            offset += 20
    cost.requests, cost.minutes = cost.calls, (cost.calls - 1) // 20
    return cost


async def measure() -> list[tuple[str, Cost, Cost]]:
    """Each question with what it took here, and with a plain wrapper."""
    clock = FakeClock()
    world = generate(now=NOW, seed=11, last_day=2_000, total=30_000)
    emulator = Emulator(
        world,
        behaviour=Options(shape="rich"),
        clock=lambda: clock.now,
        monotonic=lambda: clock.ticks,
        sleep=clock.sleep,
    )
    found = []
    async with connect_with_background(emulator, clock) as (client, context):
        run = Run(world, clock, emulator, client, context)
        newest = world.between(microseconds(NOW - timedelta(hours=3)), microseconds(NOW))[0]
        schemas = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}
        known = Known(newest.recipient, newest.app_uuid, schemas[SUMMARIZE]["properties"])
        for name, tool, question in QUESTIONS:
            arguments = _filled(question, known) | (
                {"session_uuid": newest.uuid} if tool == "get_verify_session" else {}
            )
            cost, _ = await ask(run, tool, arguments)
            found.append((name, cost, await plain(run, tool, arguments)))
            print(_row(name, cost, found[-1][2]), flush=True)
            clock.pass_by(PAUSE)
    return found


def _filled(question: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """The arguments, with what is not known before; days where there are no weeks."""
    arguments = dict(question)
    if "recipient" in arguments:
        arguments["recipient"] = known.recipient
    if "app_uuid" in arguments:
        arguments["app_uuid"] = known.app_uuid
    if arguments.get("group_by") == "week" and "week" not in known.groups:
        arguments["group_by"] = "day"
    if "top" not in known.arguments:
        arguments.pop("top", None)
    return arguments


def _row(name: str, ours: Cost, wrapper: Cost) -> str:
    cells = [
        f"{each.requests} | {each.calls} | {each.tokens:,} | {each.minutes:.0f}"
        for each in (ours, wrapper)
    ]
    return f"| {name} | {' | '.join(cells)} |" + ("" if ours.exact else " not exact")


def main() -> int:
    """Print the table."""
    print(
        "| question | requests | calls | tokens | minutes | requests | calls | tokens | minutes |"
    )
    print("|---|" + "---|" * 8)
    found = anyio.run(measure)
    sums = [Cost(), Cost()]
    for _, *costs in found:
        for total, cost in zip(sums, costs, strict=True):
            total.requests += cost.requests
            total.calls += cost.calls
            total.tokens += cost.tokens
            total.minutes += cost.minutes
            total.exact &= cost.exact
    print(_row("all", *sums))
    return int(sums[0].calls > MAX_CALLS or sums[0].tokens > MAX_TOKENS or not sums[0].exact)


if __name__ == "__main__":
    sys.exit(main())
