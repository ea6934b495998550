"""A server whose background work a test does step by step, by a clock of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from mcp import Client

from tests.support.client import SANDBOX, App, FakeClock
from verify_mcp.context import AppContext, open_context
from verify_mcp.server.server import build_server

MAX_STEPS = 10_000


@asynccontextmanager
async def connect_with_background(
    app: App, clock: FakeClock, **settings: Any
) -> AsyncIterator[tuple[Client, AppContext]]:
    """A client of the real server, and its context, whose background work is announced."""
    chosen = replace(SANDBOX, **settings)
    async with open_context(chosen, clock=clock.clock(), app=app) as context:
        context.background.is_running = True

        @asynccontextmanager
        async def open_it() -> AsyncIterator[AppContext]:
            yield context

        async with Client(build_server(open_it, chosen.rate_limit)) as client:
            yield client, context


async def work_until(
    context: AppContext, clock: FakeClock, is_done: Callable[[], Any], *, seconds: float = 86400
) -> float:
    """Work in the background until something is so; the seconds that it took."""
    start = clock.ticks
    for _ in range(MAX_STEPS):
        if await is_done() or clock.ticks - start > seconds:
            return clock.ticks - start
        clock.pass_by(await context.background.step())
    raise AssertionError("The background work does not end.")


async def work_until_idle(context: AppContext, clock: FakeClock) -> float:
    """Work until nothing is unfinished; the seconds that it took."""

    async def is_idle() -> bool:
        return await context.background.status() is None

    return await work_until(context, clock, is_idle)
