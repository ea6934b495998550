"""Mirrors opened around a pretend account, and whether what they claim to hold is true."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest

from tests.support.client import NOW, SANDBOX, App, FakeClock
from verify_mcp.context import AppContext, open_context
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain.payloads import parse_session
from verify_mcp.domain.windows import Window
from verify_mcp.emulator import SANDBOX_AUTH_ID, AccountData, SessionRecord
from verify_mcp.emulator.account import microseconds
from verify_mcp.emulator.options import Shape
from verify_mcp.emulator.payloads import session as payload
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.mirror.store import Store
from verify_mcp.settings import Rate

UNLIMITED = Rate(1_000_000, 1.0)
ALL_TIME = Window(datetime(2001, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC))


@asynccontextmanager
async def open_context_of(app: App, clock: FakeClock, **settings: Any) -> AsyncIterator[AppContext]:
    """A context whose API is `app`, with quota enough for everything."""
    chosen = replace(SANDBOX, **{"rate_limit": UNLIMITED, **settings})
    async with open_context(chosen, clock=clock.clock(), app=app) as context:
        yield context


@asynccontextmanager
async def open_mirror_of(app: App, clock: FakeClock, **settings: Any) -> AsyncIterator[Mirror]:
    """The mirror of such a context."""
    async with open_context_of(app, clock, **settings) as context:
        yield context.mirror


def created_in(world: AccountData, window: Window) -> set[str]:
    """The sessions that the account has in a window."""
    found = world.between(microseconds(window.start), microseconds(window.end) - 1)
    return {each.uuid for each in found}


async def check_claims(mirror: Mirror, world: AccountData, now: datetime) -> None:
    """Assert that every session of a claimed window is held, and settled ones as they ended."""
    assert mirror.store is not None
    settled = (await mirror.store.stats(""))[1]
    walks = await mirror.store.recently_fetched("", ALL_TIME, now - timedelta(days=99))
    database = mirror.store.database
    rows = await database.read(
        lambda connection: connection.fetch_all(
            "SELECT created, session, status FROM verify_sessions"
        )
    )
    outcomes = {each.uuid: each.outcome for each in world.records}
    for window in [*settled, *(each for each, _ in walks)]:
        start, end = microseconds(window.start), microseconds(window.end)
        found = {uuid: status for created, uuid, status in rows if start <= created < end}
        assert set(found) == created_in(world, window)
        if window in settled:
            assert found == {uuid: outcomes[uuid] for uuid in found}


async def hold(
    url: str, records: Iterable[SessionRecord], days: int = 40, shape: Shape = "rich"
) -> None:
    """Keep the sessions of so many days in a database, as if they had just been fetched."""
    window = Window(NOW - timedelta(days=days), NOW)
    made = [record for record in records if record.created_at in window]
    sessions = [
        parse_session(
            json.dumps(payload(record, NOW, endpoint="list", shape=shape, casing="docs")).encode()
        )
        for record in sorted(made, key=lambda record: record.created_at, reverse=True)
    ]
    access = ResilientDatabase(url, clock=monotonic, on_problem=pytest.fail)
    store = Store(access, SANDBOX_AUTH_ID, settle=timedelta(hours=1))
    await store.save(sessions, "", window, NOW, walked=NOW)
    access.close()
