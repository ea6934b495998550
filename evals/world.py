"""The made-up account that the questions are about, and a server that has all of it already."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
from mcp import Client

from verify_mcp.clock import Clock
from verify_mcp.context import open_context
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain.payloads import parse_page
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.windows import Window
from verify_mcp.emulator import (
    SANDBOX_AUTH_ID,
    SANDBOX_AUTH_TOKEN,
    AccountData,
    Emulator,
    Options,
    SessionRecord,
    generate,
)
from verify_mcp.emulator.account import microseconds
from verify_mcp.emulator.payloads import session as session_payload
from verify_mcp.emulator.responses import dump
from verify_mcp.mirror.store import Store
from verify_mcp.server.server import build_server
from verify_mcp.settings import Credentials, Rate, Settings

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
"""When the questions are asked."""
REACH = timedelta(days=90)
SESSIONS, SESSIONS_OF_LAST_DAY = 1800, 240
_PAGE = 200
_RATE = Rate(1_000_000, 1.0)


@dataclass(frozen=True, slots=True)
class World:
    """The account as it is at NOW."""

    data: AccountData

    def sessions(
        self,
        since: timedelta,
        until: timedelta = timedelta(),
        where: Callable[[SessionRecord], bool] = lambda _record: True,
    ) -> tuple[SessionRecord, ...]:
        """The sessions created from `since` before now until `until` before now, newest first."""
        start, end = microseconds(NOW - since), microseconds(NOW - until)
        return tuple(filter(where, self.data.between(start, end - 1)))

    def find(self, uuid: str) -> SessionRecord:
        """The session with this UUID."""
        record = self.data.find(uuid)
        assert record is not None
        return record


def make_world() -> World:
    """The account of the questions: a quarter of a year, with a burst and an incident in it."""
    return World(generate(now=NOW, total=SESSIONS, last_day=SESSIONS_OF_LAST_DAY, hostile=True))


def make_emulator(world: World) -> Emulator:
    """The pretend API of that account, whose clock stands at NOW."""
    options = Options(shape="rich", list_limit=None, get_limit=None)
    return Emulator(world.data, behaviour=options, clock=lambda: NOW)


async def fill(world: World, file: Path) -> None:
    """Store every session of the account, as if each page had just been fetched."""
    database = ResilientDatabase(_url(file), clock=Clock().monotonic, on_problem=_fail)
    store = Store(database, SANDBOX_AUTH_ID, settle=Settings().settle)
    try:
        settled = NOW - Settings().settle
        for start in range(0, len(records := world.sessions(REACH)), _PAGE):
            await store.save(_parse(records[start : start + _PAGE]), "", None, NOW)
        await store.save((), "", Window(NOW - REACH, settled), NOW)
        recent = Window(settled, NOW)
        await store.save(_parse(world.sessions(Settings().settle)), "", recent, NOW, NOW)
    finally:
        database.close()


def _parse(records: Iterable[SessionRecord]) -> tuple[Session, ...]:
    """The sessions as the API tells them."""
    payloads = [
        session_payload(record, NOW, endpoint="list", shape="rich", casing="docs")
        for record in records
    ]
    return parse_page(dump({"sessions": payloads})).sessions


def _url(file: Path) -> str:
    return f"sqlite:///{file}"


def _fail(problem: str) -> None:
    raise AssertionError(problem)


@asynccontextmanager
async def open_client(emulator: Emulator, file: Path) -> AsyncIterator[Client]:
    """A client of the real server, which reads that file and asks that API for the rest."""
    settings = Settings(
        credentials=Credentials(SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN),
        api_url="http://localhost",
        database_url=_url(file),
        rate_limit=_RATE,
        retrieve_rate_limit=_RATE,
        sandbox=True,
    )
    clock = Clock(now=lambda: NOW, monotonic=lambda: 0.0, sleep=anyio.sleep)
    opened = partial(open_context, settings, clock=clock, app=emulator)
    async with Client(build_server(opened, settings.rate_limit)) as client:
        yield client
