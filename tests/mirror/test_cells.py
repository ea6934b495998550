"""The sums for the detection of anomalies are those of the sessions themselves."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random

import pytest

from tests.support.client import NOW
from tests.support.databases import Place
from tests.support.store import ACCOUNT, random_session, store_in
from verify_mcp.domain import groups
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.windows import Window
from verify_mcp.mirror import attempt_sql, cells
from verify_mcp.mirror.scope import AccountScope
from verify_mcp.mirror.selection import Selection, except_prefixes

pytestmark = pytest.mark.anyio

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FAILED = ("failed", "undelivered")


def place_key(session: Session, window: Window) -> tuple[int, tuple[str, ...]]:
    names = ("country", "network", "app", "brand", "first_channel")
    (key,) = [tuple(groups.group_of(session, name, NOW.tzinfo) for name in names)]  # type: ignore[arg-type] # UTC
    return (session.created - window.start) // HOUR, key


async def test_cells_count_the_attempts_and_the_sessions_that_were_reached(place: Place) -> None:
    window = Window(NOW - DAY, NOW)
    random = Random(3)  # noqa: S311 - made-up data
    sessions = [random_session(random, number, window) for number in range(300)]
    store = store_in(place)
    await store.save(sessions, "", window, NOW)
    selection = Selection(AccountScope(ACCOUNT, ""), SessionFilter())
    found = await store.database.read(
        lambda connection: cells.read_place_cells(
            connection, selection, [window], window.start, HOUR
        )
    )
    verified: Counter[object] = Counter()
    ended: Counter[object] = Counter()
    failed: Counter[object] = Counter()
    attempts: Counter[object] = Counter()
    for session in sessions:
        key = place_key(session, window)
        reached = any(attempt.status not in FAILED for attempt in session.attempts)
        verified[key] += reached and session.status == "verified"
        ended[key] += reached and session.ended
        for attempt in session.attempts:
            attempts[key, attempt.channel] += 1
            failed[key, attempt.channel] += attempt.status in FAILED
    for cell in found:
        key = (cell[0], cell[1:6])
        assert cell[6:8] == (verified[key], ended[key])
        assert cell[8:] == tuple(
            count[key, channel]
            for channel in attempt_sql.COUNTED_CHANNELS
            for count in (failed, attempts)
        )
    assert sum(cell[7] for cell in found) == ended.total() > 40
    assert len(found) == len({place_key(session, window) for session in sessions})


async def test_evidence_leaves_out_what_is_excluded(place: Place) -> None:
    window = Window(NOW - DAY, NOW)
    random = Random(4)  # noqa: S311 - made-up data
    sessions = [random_session(random, number, window) for number in range(100)]
    store = store_in(place)
    await store.save(sessions, "", window, NOW)
    everything = Selection(AccountScope(ACCOUNT, ""), SessionFilter())
    morning = Window(NOW - DAY, NOW - DAY / 2)
    rest = except_prefixes(everything, 0, ["1415", "91938"], morning)
    rest = except_prefixes(rest, 1, ["44770"], window)
    left = [
        session
        for session in sessions
        if not (session.recipient.startswith(("1415", "91938")) and session.created in morning)
        and not session.recipient.startswith("44770")
    ]
    evidence = await store.database.read(
        lambda connection: cells.read_evidence(connection, rest, window, with_numbers=True)
    )
    assert evidence.sessions == len(left) < 100
    assert set(evidence.numbers) == {session.recipient for session in left}
    assert evidence.verified == sum(session.status == "verified" for session in left)
    assert len(evidence.examples) == 5
