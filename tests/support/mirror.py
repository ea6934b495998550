"""Mirrors opened around a pretend account, and whether what they claim to hold is true."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.client import SANDBOX, App, FakeClock
from verify_mcp.context import AppContext, open_context
from verify_mcp.domain.windows import Window
from verify_mcp.emulator import AccountData
from verify_mcp.emulator.account import microseconds
from verify_mcp.mirror.mirror import Mirror
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
