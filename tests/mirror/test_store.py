"""What is stored and claimed: SQL equals its Python oracle, and claims never exceed rows."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from time import monotonic
from zoneinfo import ZoneInfo

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.client import NOW, uuid
from tests.support.databases import Place
from tests.support.store import (
    ACCOUNT,
    ALL_GROUPS,
    DAY,
    EVER,
    HOUR,
    OTHER,
    SCOPES,
    _opened,
    find_sessions,
    random_session,
    store_in,
    tallies_of,
)
from verify_mcp.database import migrations
from verify_mcp.database.migrations import MIGRATIONS
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain import tallies
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.matching import fulfils
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.spread import gaps_by, recipients_by
from verify_mcp.domain.tallies import MAX_COST
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, covers, gaps, merge
from verify_mcp.errors import RowsIncomplete
from verify_mcp.mirror import rebuild
from verify_mcp.mirror.scope import AccountScope, micros
from verify_mcp.mirror.session_rows import DERIVED_COLUMNS, SessionRow
from verify_mcp.mirror.store import Store

pytestmark = pytest.mark.anyio
ZONES = ("UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def filter_sessions(
    sessions: Iterable[Session], session_filter: SessionFilter, window: Window
) -> list[Session]:
    """The sessions of a window that a filter admits, newest first: the oracle of the SQL."""
    conditions = session_filter.stored_conditions()
    found = [
        session
        for session in sessions
        if session.created in window and fulfils(session, conditions)
    ]
    return sorted(found, key=lambda session: (-session.created.timestamp(), session.uuid))


async def save_sessions(place: Place, sessions: Iterable[Session], scope: str = "") -> Store:
    store = store_in(place)
    await store.save(list(sessions), scope, None, NOW)
    return store


@pytest.mark.parametrize("seed", [1, 2])
async def test_sql_adds_up_as_python_does_by_every_group_and_pair(place: Place, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - made-up data
    # Over the ends of summer time in New York, Lord Howe (half an hour) and Europe.
    span = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC))
    sessions = [random_session(random, number, span) for number in range(150)]
    store = await save_sessions(place, sessions)
    for by in random.sample(ALL_GROUPS, 60):
        zone = ZoneInfo(random.choice(ZONES))
        found = await store.tally(SessionFilter(), "", [span], by, zone)
        assert found == tallies.tally_by(sessions, by, zone), (by, zone)


async def test_sql_finds_and_adds_what_filters_and_windows_let_through(place: Place) -> None:
    random = Random(3)  # noqa: S311 - made-up data
    span = Window(NOW - 60 * DAY, NOW)
    sessions = [random_session(random, number, span) for number in range(300)]
    store = await save_sessions(place, sessions)
    for _ in range(80):
        session_filter = SessionFilter(
            app_uuid=random.choice([None, None, uuid(1), uuid(9)]),
            status=random.choice([None, "verified", "expired"]),
            recipient=random.choice([None, None, "919380013443", "1"]),
            brand_name=random.choice([None, None, None, "Acme", "acme"]),
            country=random.choice([(), (), ("IN",), ("IN", "GB", "FR")]),
            channel=random.choice([(), (), ("sms",), ("voice", "whatsapp")]),
            recipients=random.choice([(), (), ("919380013443", "14155550100")]),
            recipient_prefix=random.choice([None, None, "9193", "1415555010"]),
        )
        edges = sorted(random.choice(sessions).created for _ in range(4))
        windows = [Window(*edges[:2]), Window(*edges[2:])]
        by = random.choice(ALL_GROUPS)
        zone = ZoneInfo(random.choice(ZONES))
        matching = [
            s for window in windows for s in filter_sessions(sessions, session_filter, window)
        ]
        assert await store.tally(session_filter, "", windows, by, zone) == tallies.tally_by(
            matching, by, zone
        )
        limit, offset = random.randrange(1, 30), random.choice([0, 0, 5, 300])
        page = await find_sessions(
            store, session_filter, "", windows[0], limit=limit, offset=offset
        )
        assert (
            page == filter_sessions(sessions, session_filter, windows[0])[offset : offset + limit]
        )


async def test_days_and_hours_are_those_of_the_zone_when_its_clocks_change(place: Place) -> None:
    moments = {
        datetime(2026, 11, 1, 5, 59, tzinfo=UTC): "2026-11-01 01:00",  # New York's first one
        datetime(2026, 11, 1, 6, 1, tzinfo=UTC): "2026-11-01 01:00",  # and its second
        datetime(2026, 11, 1, 3, 59, tzinfo=UTC): "2026-10-31 23:00",
        datetime(2026, 11, 1, 4, 0, tzinfo=UTC): "2026-11-01 00:00",
    }
    store = await save_sessions(
        place, [tallies_of(number, at) for number, at in enumerate(moments)]
    )
    hours = await store.tally(SessionFilter(), "", [EVER], ("hour",), ZoneInfo("America/New_York"))
    days = await store.tally(SessionFilter(), "", [EVER], ("day",), ZoneInfo("Asia/Kolkata"))
    assert {key: tally.sessions for key, tally in hours.items()} == {
        ("2026-11-01 01:00",): 2, ("2026-10-31 23:00",): 1, ("2026-11-01 00:00",): 1,
    }  # fmt: skip
    assert {key: tally.sessions for key, tally in days.items()} == {("2026-11-01",): 4}


async def test_money_adds_up_to_the_last_digit(place: Place) -> None:
    costs = [Decimal("0.000000001"), Decimal("999999.999999999"), Decimal("0.1"), Decimal("0.2")]
    store = await save_sessions(
        place,
        [
            tallies_of(number, NOW - DAY, charges={"total_charge": f"{cost:f}"})
            for number, cost in enumerate(costs)
        ],
    )
    (tally,) = (await store.tally(SessionFilter(), "", [EVER], ())).values()
    assert tallies.from_nanos(tally.cost) == sum(costs)


@pytest.mark.parametrize(
    "cost", ["0.0000000001", "12345678901234567890.1234567891", "99999999999999999999", "1000000.1"]
)
async def test_a_cost_the_database_cannot_tell_exactly_is_neither_kept_nor_covered(
    place: Place, cost: str
) -> None:
    odd = tallies_of(1, NOW - 2 * DAY, charges={"total_charge": cost})
    plain = tallies_of(2, NOW - 2 * DAY + HOUR)
    store, window = store_in(place), Window(NOW - 3 * DAY, NOW - DAY)
    await store.save([plain, odd], "", window, NOW, NOW)
    hole = Window(odd.created, odd.created + MICROSECOND)
    assert await find_sessions(store, SessionFilter(), "", window, limit=9, offset=0) == [plain]
    assert gaps(window, await store.cached_windows("", window)) == (hole,)
    assert gaps(window, [each for each, _ in await store.recently_fetched("", window, NOW)]) == (
        hole,
    )


async def test_the_dearest_session_is_kept_and_thousands_of_it_add_up(place: Place) -> None:
    dear = f"{tallies.from_nanos(MAX_COST):f}"
    sessions = [
        tallies_of(number, NOW - DAY, charges={"total_charge": dear}) for number in range(2000)
    ]
    store = await save_sessions(place, sessions)
    (tally,) = (await store.tally(SessionFilter(), "", [EVER], ())).values()
    assert tallies.from_nanos(tally.cost) == 2000 * Decimal(dear)


async def test_a_final_session_stays_as_it_is_whatever_comes_later(place: Place) -> None:
    ended = tallies_of(1, NOW - DAY, status="verified")
    store = await save_sessions(place, [ended])
    await store.save([tallies_of(1, NOW - DAY, status="in-progress")], "", None, NOW + HOUR)
    assert await store.get_final(ended.uuid) == ended
    assert await find_sessions(store, SessionFilter(), "", EVER, limit=9, offset=0) == [ended]
    assert await store.tally(SessionFilter(), "", [EVER], ()) == tallies.tally_by([ended], ())


@pytest.mark.parametrize("late", [False, True])
async def test_the_younger_reply_wins_in_whatever_order_the_two_are_kept(
    place: Place, *, late: bool
) -> None:
    begun = tallies_of(1, NOW - timedelta(minutes=9), status="in-progress", attempt_details=[])
    ended = tallies_of(1, NOW - timedelta(minutes=9), status="verified")
    replies = [(begun, NOW), (ended, NOW + timedelta(seconds=1))]
    store = store_in(place)
    for session, fetched in reversed(replies) if late else replies:
        await store.save([session], "", None, fetched)
    assert await find_sessions(store, SessionFilter(), "", EVER, limit=9, offset=0) == [ended]
    assert await store.tally(SessionFilter(), "", [EVER], ("status",)) == tallies.tally_by(
        [ended], ("status",)
    )


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=8))
def test_claims_of_any_order_and_overlap_become_the_fewest_windows(
    spans: list[tuple[int, int]],
) -> None:
    minute = timedelta(minutes=1)
    windows = [
        Window(NOW - DAY + start * minute, NOW - DAY + (start + length) * minute)
        for start, length in spans
    ]

    async def claim_window() -> tuple[Window, ...]:
        access = ResilientDatabase("sqlite://", clock=monotonic, on_problem=pytest.fail)
        store = Store(access, ACCOUNT, settle=HOUR)
        for window in windows:
            await store.save([], "", window, NOW)
        _opened.append(access)
        return (await store.stats(""))[1]

    assert anyio.run(claim_window) == merge(windows)


async def test_sessions_that_may_still_change_are_holes_in_what_is_claimed(place: Place) -> None:
    window = Window(NOW - DAY, NOW)
    begun = tallies_of(1, NOW - 5 * HOUR, status="in-progress")
    ended = tallies_of(2, NOW - 4 * HOUR)
    # Its last attempt is younger than the settling time, long as it began before.
    lasting = tallies_of(3, NOW - 3 * HOUR, updated_at=(NOW - HOUR / 2).isoformat())
    store = store_in(place)
    await store.save([lasting, ended, begun], "", window, NOW)
    assert gaps(window, await store.cached_windows("", window)) == (
        Window(begun.created, begun.created + MICROSECOND),
        Window(lasting.created, lasting.created + MICROSECOND),
        Window(NOW - HOUR, NOW),
    )
    later = NOW + HOUR
    await store.save([tallies_of(1, NOW - 5 * HOUR), lasting, ended], "", window, later)
    assert covers(window, await store.cached_windows("", window))


async def test_a_window_is_claimed_by_its_settled_part_only(place: Place) -> None:
    store = store_in(place)
    await store.save([], "", Window(NOW - HOUR / 2, NOW), NOW)
    await store.save([], "", Window(NOW - 3 * HOUR, NOW + HOUR), NOW)
    assert (await store.stats(""))[1] == (Window(NOW - 3 * HOUR, NOW - HOUR),)


async def test_a_walk_is_remembered_whole_for_ninety_minutes(place: Place) -> None:
    store, window = store_in(place), Window(NOW - 3 * HOUR, NOW)
    await store.save([], "", window, NOW, NOW)
    assert await store.recently_fetched("", Window(NOW - HOUR, NOW), NOW - HOUR) == [(window, NOW)]
    assert await store.recently_fetched("", window, NOW + MICROSECOND) == []
    assert await store.recently_fetched(SCOPES[1], window, NOW - HOUR) == []
    later = NOW + 1.5 * HOUR + MICROSECOND
    await store.save([], "", Window(NOW, later), later, later)
    assert await store.recently_fetched("", window, NOW - DAY) == []


async def test_of_each_time_only_the_latest_fetch_is_remembered(place: Place) -> None:
    store = store_in(place)
    start, middle = NOW - HOUR, NOW - HOUR / 2
    first, second = NOW - timedelta(minutes=9), NOW - timedelta(minutes=3)
    await store.save([], "", Window(start, NOW - timedelta(minutes=10)), first, first)
    await store.save([], "", Window(middle, NOW - timedelta(minutes=5)), second, second)
    await store.save([], "", Window(middle - HOUR / 4, middle), first, first)
    await store.save(
        [], "", Window(NOW - timedelta(minutes=5), NOW - timedelta(minutes=4)), second, second
    )
    assert await store.recently_fetched("", Window(start, NOW), NOW - HOUR) == [
        (Window(start, middle), first),
        (Window(middle, NOW - timedelta(minutes=4)), second),
    ]


async def test_purging_by_age_leaves_what_is_younger_and_claims_no_more(place: Place) -> None:
    days = Window(NOW - 9 * DAY, NOW - DAY)
    sessions = [tallies_of(number, NOW - number * DAY) for number in range(2, 9)]
    edge = sessions[3].created
    store = store_in(place)
    await store.save(sessions, "", days, NOW, NOW)
    await store.save([], "", Window(NOW - 20 * DAY, NOW - 15 * DAY), NOW)
    assert await store.purge(edge) == 3
    assert await store.stats("") == (4, (Window(edge, days.end),))
    assert await store.recently_fetched("", days, NOW) == []
    assert await find_sessions(store, SessionFilter(), "", EVER, limit=9, offset=0) == sessions[:4]
    assert [len(place.run(f"SELECT * FROM {table}")) for table in _TABLES] == [4, 4, 1, 0, 3]  # noqa: S608 - fixed names


_TABLES = (
    "verify_sessions",
    "verify_bodies",
    "verify_coverage",
    "verify_walks",
    "verify_total_days",
)


async def test_purging_whole_leaves_nothing_of_this_account_and_all_of_another(
    place: Place,
) -> None:
    mine, other = store_in(place), store_in(place, OTHER)
    window, session = Window(NOW - 9 * DAY, NOW), tallies_of(1, NOW - 2 * DAY)
    for store in (mine, other):
        for scope in SCOPES:
            await store.save([session], scope, window, NOW, NOW)
    assert await mine.purge(None) == 3
    assert [len(place.run(f"SELECT * FROM {table}")) for table in _TABLES] == [3, 3, 3, 3, 3]  # noqa: S608 - fixed names
    assert await mine.stats("") == (0, ())
    assert await other.stats("") == (3, (Window(NOW - 9 * DAY, NOW - HOUR),))


async def test_r39_accounts_and_subaccounts_never_mix(place: Place) -> None:
    sessions = {
        (owner, scope): tallies_of(number, NOW - 2 * DAY + number * HOUR)
        for number, (owner, scope) in enumerate(
            (owner, scope) for owner in (ACCOUNT, OTHER) for scope in SCOPES
        )
    }
    stores = {owner: store_in(place, owner) for owner in (ACCOUNT, OTHER)}
    for (owner, scope), session in sessions.items():
        at = session.created
        await stores[owner].save([session], scope, Window(at, at + HOUR), NOW, NOW)
    for (owner, scope), session in sessions.items():
        store, at = stores[owner], session.created
        hour = Window(at, at + HOUR)
        assert await find_sessions(store, SessionFilter(), scope, EVER, limit=9, offset=0) == [
            session
        ]
        assert await store.cached_windows(scope, EVER) == (hour,)
        assert await store.recently_fetched(scope, EVER, NOW) == [(hour, NOW)]
        assert await store.tally(SessionFilter(), scope, [EVER], ("recipient",)) == (
            tallies.tally_by([session], ("recipient",))
        )
        others = {each.uuid for (one, _), each in sessions.items() if one != owner}
        assert not others & set(await store.ids_starting_with("0000"))
        assert [await store.get_final(each) for each in others] == [None] * 3
        assert len(await store.recipients_like("91", "")) == 3


async def test_what_was_kept_can_be_found_by_how_it_starts_and_by_its_number(place: Place) -> None:
    sessions = [tallies_of(number, NOW - DAY) for number in (0xAB, 0xAC, 0x1AB)]
    store = await save_sessions(place, sessions)
    assert await store.ids_starting_with("000000a") == [uuid(0xAB), uuid(0xAC)]
    assert await store.ids_starting_with("0", limit=2) == [uuid(0xAB), uuid(0xAC)]
    assert await store.ids_starting_with("f") == []
    assert await store.recipients_like("91", sessions[0].recipient[-4:]) == [sessions[0].recipient]


async def test_a_session_comes_back_from_the_store_as_the_api_told_it(place: Place) -> None:
    random = Random(5)  # noqa: S311 - made-up data
    sessions = [random_session(random, number, Window(NOW - DAY, NOW)) for number in range(60)]
    store = await save_sessions(place, sessions)
    found = await find_sessions(store, SessionFilter(), "", EVER, limit=99, offset=0)
    assert sorted(found, key=lambda each: each.uuid) == sessions


FIRST_DERIVED = next(
    number for number, statements in enumerate(MIGRATIONS) if "derived" in str(statements)
)
"""Migrations before rows had the columns that are derived from their bodies."""


def insert_old_row(place: Place, session: Session) -> None:
    """Write a final session as a version before the derived columns did."""
    scope = AccountScope(ACCOUNT, "")
    row = SessionRow(session, is_final=True, fetched=NOW)
    values = {
        name: value for name, value in row.params(scope).items() if name not in DERIVED_COLUMNS
    }
    literals = ", ".join("NULL" if value is None else repr(value) for value in values.values())
    place.run(f"INSERT INTO verify_sessions ({', '.join(values)}) VALUES ({literals})")  # noqa: S608 - made up here
    body = bytes(row.body_params(scope)["body"]).hex()  # type: ignore[arg-type] # bytes
    blob = f"X'{body}'" if place.server is None else f"decode('{body}', 'hex')"
    key = {name: values[name] for name in ("account", "scope", "created", "session")}
    place.run(
        f"INSERT INTO verify_bodies ({', '.join(key)}, body) "  # noqa: S608 - made up here
        f"VALUES ({', '.join(map(repr, key.values()))}, {blob})"
    )


async def hold_old_rows(
    place: Place, sessions: Sequence[Session], window: Window, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """A store whose sessions were stored, and their window covered, before the derived columns."""
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", MIGRATIONS[:FIRST_DERIVED])
        patched.setattr(migrations, "TABLES", ["verify_sessions"])
        await store_in(place).stats("")
        _opened.pop().close()
    for session in sessions:
        insert_old_row(place, session)
    place.run(
        "INSERT INTO verify_coverage (account, scope, starts, ends) "  # noqa: S608 - made up here
        f"VALUES ('{ACCOUNT}', '', {micros(window.start)}, {micros(window.end)})"
    )
    return store_in(place)


async def test_rows_of_an_older_schema_are_completed_before_anything_is_read_from_them(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, window = Random(8), Window(NOW.replace(hour=0, minute=0) - 3 * DAY, NOW - DAY / 2)  # noqa: S311 - made-up data
    sessions = [random_session(random, number, window) for number in range(30)]
    sessions += [tallies_of(number, window.start + HOUR) for number in range(30, 40)]
    monkeypatch.setattr(rebuild, "MAX_ROWS", 4)
    store = await hold_old_rows(place, sessions, window, monkeypatch)
    assert await store.stats("") == (40, (window,))
    for by in ((), ("network", "path"), ("attempt_status",), ("tries", "number_type")):
        found = await store.tally(SessionFilter(), "", [window], by)
        assert found == tallies.tally_by(sessions, by), by
    assert place.run("SELECT count(*) FROM verify_sessions WHERE derived = 0")[0][0] == 0
    assert place.run("SELECT count(*), sum(cells) FROM verify_total_days") == [(2, 2)]
    assert place.run("SELECT count(*) FROM verify_schema")[0][0] == len(MIGRATIONS)


async def test_a_call_completes_old_rows_for_a_bounded_time_and_the_next_one_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = Window(NOW - 3 * DAY, NOW - DAY / 2)
    sessions = [tallies_of(number, NOW - (number + 1) * DAY + HOUR) for number in range(3)]
    store = await hold_old_rows(place, sessions, window, monkeypatch)
    store.max_rebuild = 0.0
    for left in (2, 1):
        with pytest.raises(RowsIncomplete, match=f"Days left of those asked about: {left},"):
            await store.tally(SessionFilter(), "", [window], ())
    everything = await store.tally(SessionFilter(), "", [window], ())
    assert everything == tallies.tally_by(sessions, ())


async def test_a_body_that_only_the_validators_can_read_is_completed_too(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = Window(NOW - 3 * DAY, NOW - DAY)
    store = await hold_old_rows(place, [tallies_of(1, NOW - 2 * DAY)], window, monkeypatch)
    body = zlib.compress(
        json.dumps(
            {"uuid": uuid(1), "status": "expired", "created": "2026-11-19T09:30:00Z",
             "recipient": "919380010001", "attempts": None}
        ).encode()
    ).hex()  # fmt: skip
    blob = f"X'{body}'" if place.server is None else f"decode('{body}', 'hex')"
    place.run(f"UPDATE verify_bodies SET body = {blob}")  # noqa: S608 - made up here
    assert set(await store.tally(SessionFilter(), "", [window], ("path",))) == {("none",)}


@pytest.mark.parametrize("seed", range(2))
async def test_recipients_and_gaps_of_groups_are_those_of_their_sessions(
    place: Place, seed: int
) -> None:
    random = Random(seed)  # noqa: S311 - made-up data
    span = Window(datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC))
    sessions = [random_session(random, number, span) for number in range(120)]
    ended = [session for session in sessions if session.ended]
    store = store_in(place)
    await store.save(ended, "", span, NOW)
    parts = [Window(span.start, span.start + 3 * DAY), Window(span.end - 5 * DAY, span.end)]
    inside = [session for session in ended if any(session.created in part for part in parts)]
    for by in [(), *random.sample(ALL_GROUPS, 12), ("attempt_status", "day")]:
        zone = ZoneInfo(random.choice(ZONES))
        recipients = recipients_by(inside, by, zone)
        assert await store.list_recipients(SessionFilter(), "", parts, by, zone) == recipients
        counts = {key: len(numbers) for key, numbers in recipients.items()}
        assert await store.count_recipients(SessionFilter(), "", parts, by, zone) == counts
        gaps = gaps_by(inside, by, zone)
        assert await store.count_gaps(SessionFilter(), "", parts, by, zone) == gaps
