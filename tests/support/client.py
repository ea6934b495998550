"""A clock that tests move, an emulated account, and a client of the server."""

from __future__ import annotations

import json
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from typing import Any, Literal

import anyio.lowlevel
from mcp import Client

from verify_mcp.clock import Clock as Surroundings
from verify_mcp.context import open_context
from verify_mcp.emulator import (
    SANDBOX_AUTH_ID,
    SANDBOX_AUTH_TOKEN,
    AccountData,
    AttemptRecord,
    Emulator,
    Options,
    SessionRecord,
)
from verify_mcp.server.server import build_server
from verify_mcp.settings import Credentials, Settings

Era = Literal["auto", "legacy"]
App = Callable[..., Any]

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
APP = "ec66515e-86f6-4507-8620-31c039538d7a"
SUBACCOUNT = "SASANDBOXRETAIL00001"
ERROR_BUDGET = 90
SANDBOX = Settings(
    credentials=Credentials(SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN), api_url="http://localhost"
)


class FakeClock:
    """Time that passes only when told to, or while somebody sleeps by it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now
        self.ticks = 1000.0

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.ticks += seconds

    async def sleep(self, seconds: float) -> None:
        self.pass_by(seconds)
        await anyio.lowlevel.checkpoint()

    def clock(self) -> Surroundings:
        return Surroundings(
            now=lambda: self.now, monotonic=lambda: self.ticks, sleep=self.sleep, random=lambda: 0.5
        )


def uuid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def make_record(number: int, minutes: float = 60.0, **changes: Any) -> SessionRecord:
    """An expired session begun so many minutes before NOW, with one delivered text."""
    created_at = NOW - timedelta(minutes=minutes)
    sent = AttemptRecord(
        uuid=uuid(number + 0xA000),
        channel="sms",
        status="delivered",
        time=created_at + timedelta(milliseconds=20),
        charge=Decimal("0.08"),
    )
    record = SessionRecord(
        uuid=uuid(number),
        recipient=f"91938001{number:04d}",
        created_at=created_at,
        resolved_at=created_at + timedelta(minutes=5),
        attempts=(sent,),
    )
    return replace(record, **changes)


def emulator_with(
    *records: SessionRecord, clock: FakeClock | None = None, **switches: Any
) -> Emulator:
    """A pretend account that holds these sessions."""
    clock = clock or FakeClock()
    return Emulator(
        AccountData(records),
        behaviour=Options(**switches),
        clock=lambda: clock.now,
        monotonic=lambda: clock.ticks,
        sleep=clock.sleep,
    )


class CannedApi:
    """An API that gives these bodies in turn, the last one ever after."""

    def __init__(
        self, *bodies: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.bodies = [
            body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies
        ]
        self.status = status
        self.headers = [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
        self.requests = 0

    async def __call__(self, _scope: object, _receive: object, send: App) -> None:
        body = self.bodies[min(self.requests, len(self.bodies) - 1)]
        self.requests += 1
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connect(
    app: App | None, *, clock: FakeClock | None = None, era: Era = "auto", **settings: Any
) -> AsyncIterator[Client]:
    """A client of the real server, whose API is `app`."""
    surroundings = (clock or FakeClock()).clock()
    chosen = replace(SANDBOX, **settings)
    opened = partial(open_context, chosen, clock=surroundings, app=app)
    try:
        async with Client(
            build_server(opened, chosen.rate_limit, sandbox=chosen.sandbox), mode=era
        ) as client:
            yield client
    except BaseExceptionGroup as group:
        raise _only(group) from None


def _only(error: BaseException) -> BaseException:
    """The one failure inside groups of one, so that a test shows it plainly."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


async def list_sessions(client: Client, **arguments: Any) -> dict[str, Any]:
    """The answer of list_verify_sessions, the same in both channels."""
    return await call_tool(client, "list_verify_sessions", arguments)


async def get_session(client: Client, session_uuid: str, **arguments: Any) -> dict[str, Any]:
    """The answer of get_verify_session, the same in both channels."""
    given = {"session_uuid": session_uuid, **arguments}
    return await call_tool(client, "get_verify_session", given)


async def call_tool(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    (block,) = result.content
    assert block.type == "text"
    assert not result.is_error, block.text
    assert result.structured_content == json.loads(block.text)
    assert block.text == json.dumps(
        result.structured_content, ensure_ascii=False, separators=(",", ":")
    )
    return dict(result.structured_content or {})


async def call_tool_error(
    client: Client, tool: str = "list_verify_sessions", /, **arguments: Any
) -> str:
    """The text of a clear error: short, and without traceback, secret or anything structured."""
    result = await client.call_tool(tool, arguments)
    (block,) = result.content
    assert block.type == "text"
    assert (result.is_error, result.structured_content) == (True, None), block.text
    assert tokens(block.text) <= ERROR_BUDGET, block.text
    assert block.text.endswith(".")
    assert "Internal error" not in block.text
    for leak in ("Traceback", "Error(", SANDBOX_AUTH_TOKEN, "9193", "pydantic", "httpx"):
        assert leak not in block.text
    return block.text


@cache
def _vocabulary() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how it opens its own vocabulary
        from bpe_openai import get_encoding  # type: ignore[import-untyped] # it has no types

        return get_encoding("o200k_base")


def tokens(text: str) -> int:
    """What a text costs a model, counted with o200k."""
    return len(_vocabulary().encode(text))


def rows(answer: Mapping[str, Any]) -> list[dict[str, str]]:
    """A table's rows by column."""
    return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]
