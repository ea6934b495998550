"""How the databases answer queries: each goes by an index, none reads a full table."""

from __future__ import annotations

from collections.abc import Sized
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from tests.support.client import uuid
from tests.support.databases import Place
from tests.support.store import ACCOUNT, DAY, HOUR, find_sessions, random_session, store_in
from verify_mcp.database.base import Connection
from verify_mcp.database.postgres import PostgresConnection
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.database.sqlite import SqliteConnection
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.windows import Window
from verify_mcp.mirror import cell_totals, cells
from verify_mcp.mirror.scope import EPOCH, AccountScope
from verify_mcp.mirror.selection import Selection
from verify_mcp.mirror.store import Store

pytestmark = pytest.mark.anyio

END = datetime(2026, 11, 10, tzinfo=UTC)
LARGE = (
    "verify_sessions",
    "verify_bodies",
    "verify_day_totals",
    "verify_quarter_totals",
    "verify_place_totals",
)


async def fill(place: Place) -> Store:
    """A store of 90 days with enough sessions for an index to be worth its while."""
    random, store = Random(5), store_in(place)  # noqa: S311 - made-up data
    for day in range(90):
        window = Window(END - (day + 1) * DAY, END - day * DAY)
        sessions = [random_session(random, day * 100 + n, window) for n in range(60)]
        ended = [session for session in sessions if session.ended]
        await store.save(ended, "", window, END + DAY)
    place.run("ANALYZE")
    return store


async def list_page(store: Store, filter_: SessionFilter, window: Window) -> list[Session]:
    page = await store.list_page(filter_, "", window, limit=5, offset=0)
    return page.sessions if page else []


async def run_every_query(store: Store) -> dict[str, int]:
    """Run each query that a tool makes; how many rows came, by query."""
    window = Window(END - 3 * DAY - 5 * HOUR, END - DAY)
    (one,) = await find_sessions(store, SessionFilter(), "", window, limit=1, offset=3)
    app = SessionFilter(app_uuid=uuid(1), status="expired")
    everything = Selection(AccountScope(ACCOUNT, ""), SessionFilter())
    found: dict[str, Sized | None] = {
        "places": await store.database.read(
            lambda connection: cells.read_place_cells(
                connection, everything, [window], EPOCH, cell_totals.BLOCK
            )
        ),
        "page": await list_page(store, app, window),
        "recipient": await list_page(store, SessionFilter(recipient=one.recipient), window),
        "days": await store.tally(SessionFilter(), "", [window], ("status", "day")),
        "hours": await store.tally(app, "", [window], ("hour",)),
        "all_hours": await store.tally(SessionFilter(), "", [window], ("hour",)),
        "recipients": await store.count_recipients(app, "", [window], ("country",)),
        "gaps": await store.count_gaps(SessionFilter(), "", [window]),
        "final": [await store.get_final(one.uuid)],
        "starting": await store.ids_starting_with(one.uuid[:8]),
        "covered": await store.cached_windows("", window),
    }
    return {name: len(rows or ()) for name, rows in found.items()}


async def test_every_query_goes_by_an_index(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await fill(place)
    kind = SqliteConnection if place.server is None else PostgresConnection
    plain, statements = kind.fetch_all, []

    def observed(self: Connection, sql: str, values: Any = None) -> Any:
        statements.append((sql, values))
        return plain(self, sql, values)  # type: ignore[arg-type] # of either kind

    with monkeypatch.context() as patched:
        patched.setattr(kind, "fetch_all", observed)
        found = await run_every_query(store)
    assert all(found.values()), found

    access = ResilientDatabase(place.url, clock=lambda: 0.0, on_problem=pytest.fail)
    explain = "EXPLAIN QUERY PLAN " if place.server is None else "EXPLAIN "
    ours = [(sql, values) for sql, values in statements if any(table in sql for table in LARGE)]
    assert {table for table in LARGE for sql, _ in ours if table in sql} == set(LARGE)
    for sql, values in ours:
        rows = await access.read(lambda connection: connection.fetch_all(explain + sql, values))  # noqa: B023 - at once
        plan = "\n".join(str(row[-1]) for row in rows)
        assert "Seq Scan" not in plan, (sql, plan)
        scans = [
            line
            for line in plan.splitlines()
            if line.startswith("SCAN")
            and not line.endswith("USING INDEX verify_sessions_to_rebuild")
        ]
        # The page that was just cut, and the recipients that were just found.
        assert all(line in ("SCAN s", "SCAN pairs") for line in scans), (sql, plan)
    access.close()
