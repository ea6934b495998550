"""The sums for the detection of anomalies are those of the sessions themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from tests.support.client import NOW, uuid
from tests.support.databases import Place
from tests.support.store import ACCOUNT, random_session, store_in, tallies_of
from verify_mcp.database.base import Connection
from verify_mcp.domain import groups
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.windows import Window
from verify_mcp.mirror import attempt_sql, cell_totals, cells
from verify_mcp.mirror.scope import EPOCH, AccountScope
from verify_mcp.mirror.selection import Selection, except_prefixes
from verify_mcp.mirror.store import Store

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


MIDNIGHT = NOW.replace(hour=0, minute=0)
SPAN = Window(MIDNIGHT - 6 * DAY, MIDNIGHT)
Sums = dict[tuple[object, ...], tuple[int, ...]]


async def read_cells(store: Store, selection: Selection, windows: list[Window]) -> list[object]:
    """The places by block without empty ones, and the busy prefixes of each kind."""

    def work(connection: Connection) -> list[object]:
        rows = cells.read_place_cells(connection, selection, windows, EPOCH, cell_totals.BLOCK)
        places: Sums = {}
        for row in rows:
            before = places.get(row[:6], (0,) * len(row[6:]))
            places[row[:6]] = tuple(a + b for a, b in zip(before, row[6:], strict=True))
        prefixes = [
            cells.read_prefix_counts(
                connection, selection, windows, tail=tail, step=step, least=least
            )
            for tail, step in cell_totals.PREFIX_STEPS
            for least in (8, 11)
        ]
        return [places, *prefixes]

    return await store.database.read(work)


async def hold_days(place: Place, seed: int) -> Store:
    """Six complete days of random sessions."""
    random = Random(seed)  # noqa: S311 - made-up data
    sessions = [random_session(random, number, SPAN) for number in range(900)]
    busy = SPAN.start + 2 * DAY + 7 * HOUR
    sessions += [tallies_of(number, busy + number * HOUR / 9000) for number in range(1000, 1040)]
    store = store_in(place)
    await store.save([each for each in sessions if each.ended], "", SPAN, NOW)
    return store


@pytest.mark.parametrize("seed", range(2))
async def test_totals_of_days_have_what_their_rows_have(place: Place, seed: int) -> None:
    store = await hold_days(place, seed)
    everything = Selection(AccountScope(ACCOUNT, ""), SessionFilter())
    noon = SPAN.start + 3 * DAY + DAY / 2
    selections = [
        everything,
        except_prefixes(everything, 0, ["1415", "91938"], Window(noon, noon + HOUR)),
        replace(everything, session_filter=SessionFilter(country=("US", "GB"))),
        replace(everything, session_filter=SessionFilter(app_uuid=uuid(1))),
        replace(everything, session_filter=SessionFilter(recipient="447700900123")),
        everything.narrowed("status = :only", {"only": "expired"}),
    ]
    windows = [
        [SPAN],
        [Window(SPAN.start + 5 * HOUR / 3, SPAN.end - 7 * HOUR / 2)],
        [Window(SPAN.start + HOUR, noon), Window(noon + HOUR, SPAN.end - DAY)],
    ]
    cases = [(selection, parts) for selection in selections for parts in windows]
    from_totals = [await read_cells(store, *case) for case in cases]
    assert place.run("SELECT count(*), min(cells) FROM verify_total_days") == [(6, 1)]
    assert all(from_totals[0])
    place.run("UPDATE verify_total_days SET cells = 0")
    assert [await read_cells(store, *case) for case in cases] == from_totals
    place.run("UPDATE verify_total_days SET cells = 1")
    place.run("DELETE FROM verify_place_totals")
    place.run("DELETE FROM verify_prefix_totals")
    assert not any(await read_cells(store, everything, [SPAN]))


async def test_totals_follow_a_session_that_comes_late_and_a_purge(place: Place) -> None:
    store = await hold_days(place, 5)
    everything = Selection(AccountScope(ACCOUNT, ""), SessionFilter())
    before = await read_cells(store, everything, [SPAN])
    late = tallies_of(99_999, SPAN.start + DAY / 2, status="verified", country="IN")
    await store.save([late], "", None, NOW)
    after = await read_cells(store, everything, [SPAN])
    assert after != before
    place.run("UPDATE verify_total_days SET cells = 0")
    assert await read_cells(store, everything, [SPAN]) == after
    await store.add_cells("", [SPAN])
    await store.purge(SPAN.start + 5 * DAY / 2)
    for table in cell_totals.TABLES:
        days = place.run(f"SELECT min(day) FROM {table}")  # noqa: S608 - fixed names
        assert days == [((SPAN.start + 3 * DAY - EPOCH) // DAY,)]


async def test_days_of_an_earlier_version_get_the_totals_that_they_lack(place: Place) -> None:
    store = await hold_days(place, 6)
    tables = [f"SELECT * FROM {table} ORDER BY 3, 4, 5, 6, 7, 8, 9" for table in cell_totals.TABLES]  # noqa: S608 - fixed names
    written = [place.run(table) for table in tables]
    place.run("UPDATE verify_total_days SET cells = 0")
    for table in cell_totals.TABLES[1:]:  # whatever an interruption left there
        place.run(f"DELETE FROM {table}")  # noqa: S608 - fixed names
    await store.add_cells("", [Window(SPAN.start - DAY, SPAN.end - HOUR)])
    assert place.run("SELECT sum(cells) FROM verify_total_days") == [(5,)]
    await store.add_cells("", [SPAN])
    assert [place.run(table) for table in tables] == written
