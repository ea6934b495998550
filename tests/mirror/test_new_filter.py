"""A filter that nobody listed: it reaches the API, and the mirror neither claims nor answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.support.client import NOW, FakeClock, emulator_with, make_record
from tests.support.mirror import open_mirror_of
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.backfill import Backfill
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.call import CallContext

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
WINDOW = Window(NOW - 6 * HOUR, NOW - 2 * HOUR)
RECORDS = [make_record(number, minutes=150 + number) for number in range(30)]


@dataclass(frozen=True, slots=True)
class NewFilter(SessionFilter):
    """A filter with a field that stands in no list; the emulator ignores what it does not know."""

    carrier: str | None = None


async def walk_window(mirror: Mirror, session_filter: SessionFilter) -> Backfill:
    walk = Backfill(mirror, session_filter, WINDOW)
    while not walk.done:
        await walk.step(CallContext(), budget=9)
    return walk


async def test_a_walk_by_an_unlisted_filter_claims_nothing() -> None:
    emulator = emulator_with(*RECORDS, list_limit=None)
    async with open_mirror_of(emulator, FakeClock()) as mirror:
        assert mirror.store is not None
        await walk_window(mirror, NewFilter(carrier="x"))
        assert await mirror.store.cached_windows("", WINDOW) == ()
        assert await mirror.store.recently_fetched("", WINDOW, NOW - HOUR) == []
        page_filter = NewFilter(carrier="x").restricted_to(WINDOW)
        await mirror.list_page(page_filter, limit=20, offset=0, call=CallContext())
        assert await mirror.store.cached_windows("", WINDOW) == ()
        await walk_window(mirror, SessionFilter())
        assert await mirror.store.cached_windows("", WINDOW) == (WINDOW,)


async def test_the_mirror_does_not_answer_by_an_unlisted_filter() -> None:
    emulator = emulator_with(*RECORDS, list_limit=None)
    async with open_mirror_of(emulator, FakeClock()) as mirror:
        assert mirror.store is not None
        await walk_window(mirror, SessionFilter())
        requests = {}
        for session_filter in (SessionFilter(), NewFilter(carrier="x")):
            call = CallContext()
            page_filter = session_filter.restricted_to(WINDOW)
            page = await mirror.list_page(page_filter, limit=20, offset=0, call=call)
            assert len(page.sessions) == 20
            requests[type(session_filter)] = call.requests_sent
        assert requests == {SessionFilter: 0, NewFilter: 1}
        with pytest.raises(ValueError, match="no column"):
            await mirror.store.tally(NewFilter(carrier="x"), "", [WINDOW], ())
