"""Walking a window: none lost, none twice, and nothing claimed that is not held."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any, Literal

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.client import (
    NOW,
    SUBACCOUNT,
    App,
    CannedApi,
    FakeClock,
    emulator_with,
    make_record,
    uuid,
)
from tests.support.databases import Place
from tests.support.mirror import check_claims, created_in, open_mirror_of
from tests.support.store import find_sessions
from verify_mcp.domain.api_limits import REACH
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, gaps
from verify_mcp.emulator import AccountData, Emulator, Fault, SessionRecord
from verify_mcp.errors import ApiFailed
from verify_mcp.mirror.backfill import CONCURRENT_PAGES, Backfill, BackfillProgress
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.call import CallContext

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
WINDOW = Window(NOW - 6 * HOUR, NOW)
Pagination = Literal["offset", "cursor", "hybrid"]


def records(random: Random, number: int, *, ties: bool = True) -> list[SessionRecord]:
    """Sessions of six hours and the half to come: many of one instant, ending soon or late."""
    span = 390 * 60
    instants = [NOW + HOUR / 2 - timedelta(seconds=random.uniform(0, span)) for _ in range(number)]
    if ties:
        instants = [random.choice(instants[: 1 + number // 5]) for _ in range(number)]
    return [
        make_record(
            each,
            created_at=instant,
            resolved_at=instant + timedelta(minutes=random.choice([1, 5, 40, 200])),
            outcome=random.choice(["verified", "expired"]),
            attempts=(),
        )
        for each, instant in enumerate(instants)
    ]


def moving(app: App, clock: FakeClock, random: Random) -> App:
    """The API, the clock moving on before each reply."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            clock.pass_by(random.choice([0.0, 0.2, 30.0, 400.0]))
        await app(scope, receive, send)

    return serve


def in_cursors(pagination: Pagination) -> dict[str, Any]:
    return {"list_limit": None, "pagination": pagination}


async def walk_window(
    mirror: Mirror,
    window: Window = WINDOW,
    wanted: SessionFilter | None = None,
    *,
    pages: int = 10_000,
    after_each: Callable[[], Any] | None = None,
) -> BackfillProgress:
    """A walk of at most so many steps."""
    walker = Backfill(mirror, wanted or SessionFilter(), window)
    call = CallContext()
    while not walker.done and call.requests_sent < pages:
        await walker.step(call, budget=pages - call.requests_sent)
        if after_each:
            await after_each()
        if walker.progress.failure or walker.progress.eta_s is not None:
            break
    return walker.progress


def ids(sessions: list[Session]) -> list[str]:
    return [each.uuid for each in sessions]


@pytest.mark.parametrize("pagination", ["offset", "cursor", "hybrid"])
@settings(max_examples=12)
@given(seed=st.integers(0, 10**9), number=st.integers(0, 150), ties=st.booleans())
def test_r40_while_sessions_arrive_and_change_none_is_lost_and_none_comes_twice(
    pagination: Pagination,
    seed: int,
    number: int,
    ties: bool,  # noqa: FBT001 - drawn
) -> None:
    random, clock = Random(seed), FakeClock()  # noqa: S311 - made-up data
    world = AccountData(records(random, number, ties=ties))
    emulator = emulator_with(*world.records, clock=clock, **in_cursors(pagination))

    async def walk() -> None:
        async with open_mirror_of(moving(emulator, clock, random), clock) as mirror:

            async def check() -> None:
                await check_claims(mirror, world, clock.now)

            found = await walk_window(mirror, after_each=check)
        assert found.missing == ()
        assert sorted(ids(found.sessions)) == sorted(created_in(world, WINDOW))

    anyio.run(walk)


@settings(max_examples=12)
@given(seed=st.integers(0, 10**9), number=st.integers(0, 150))
def test_walks_that_stop_anywhere_and_go_on_hold_in_the_end_what_one_walk_brings(
    seed: int, number: int
) -> None:
    random, clock = Random(seed), FakeClock()  # noqa: S311 - made-up data
    window = Window(NOW - 6 * HOUR, NOW - 2 * HOUR)  # its sessions end while we walk, or before
    world = AccountData(records(random, number))
    emulator = emulator_with(*world.records, clock=clock, list_limit=None)

    async def walk() -> None:
        async with open_mirror_of(moving(emulator, clock, random), clock) as mirror:
            store = mirror.store
            assert store is not None
            while missing := gaps(window, await store.cached_windows("", window)):
                await walk_window(mirror, missing[-1], pages=random.randrange(1, 4))
                await check_claims(mirror, world, clock.now)
                clock.pass_by(random.choice([0, 3600]))
            found = await find_sessions(store, SessionFilter(), "", window, limit=999, offset=0)
        async with open_mirror_of(emulator, clock) as another:
            once = await walk_window(another, window)
        assert found == once.sessions

    anyio.run(walk)


@pytest.mark.parametrize("number", [19, 20, 21, 40, 41, 60, 79])
async def test_sessions_of_one_instant_across_the_edge_of_a_page_stay_together(
    number: int,
) -> None:
    same = [make_record(each, minutes=90) for each in range(number)]
    emulator = emulator_with(
        make_record(998, minutes=80), *same, make_record(999, minutes=100), list_limit=None
    )
    clock = FakeClock()
    async with open_mirror_of(emulator, clock) as mirror:

        async def check() -> None:
            await check_claims(mirror, emulator.data, NOW)

        found = await walk_window(mirror, after_each=check)
    assert sorted(ids(found.sessions)) == sorted(each.uuid for each in emulator.data.records)
    assert found.missing == ()


async def test_a_filtered_walk_brings_what_it_asks_for_and_claims_nothing() -> None:
    mine = [make_record(each, minutes=80 + each, subaccount=SUBACCOUNT) for each in range(30)]
    others = [
        make_record(each, minutes=80.5 + each, recipient="14155550100") for each in range(40, 90)
    ]
    emulator, clock = emulator_with(*mine, *others, list_limit=None), FakeClock()
    async with open_mirror_of(emulator, clock) as mirror:
        assert mirror.store is not None
        one = await walk_window(mirror, wanted=SessionFilter(recipient="14155550100"))
        assert (await mirror.store.stats(""))[1] == ()
        sub = await walk_window(mirror, wanted=SessionFilter(subaccount=SUBACCOUNT))
        settled = (Window(WINDOW.start, NOW - HOUR),)
        assert [(await mirror.store.stats(each))[1] for each in ("", SUBACCOUNT)] == [
            (),
            settled,
        ]
    assert (ids(one.sessions), ids(sub.sessions)) == (
        [each.uuid for each in others],
        [each.uuid for each in mine],
    )


@settings(max_examples=20)
@given(seed=st.integers(0, 10**9))
def test_a_row_that_cannot_be_read_leaves_a_hole_and_never_a_claim(seed: int) -> None:
    random, clock = Random(seed), FakeClock()  # noqa: S311 - made-up data
    world = AccountData(records(random, random.randrange(1, 150)))
    emulator = emulator_with(*world.records, list_limit=None)
    chance = random.choice([0.02, 0.3, 1.0])
    broken = {each.uuid for each in world.records if random.random() < chance}
    spoiled = Spoiled(emulator, broken)

    async def walk() -> None:
        async with open_mirror_of(spoiled, clock) as mirror:

            async def check() -> None:
                await check_claims(mirror, world, clock.now)

            found = await walk_window(mirror, after_each=check)
        truth = created_in(world, WINDOW)
        assert found.skipped == len(truth & broken)
        for window in found.complete_windows:
            inside = {each.uuid for each in found.sessions if each.created in window}
            assert inside == created_in(world, window)
        assert bool(found.missing) == bool(truth & broken)

    anyio.run(walk)


class Spoiled:
    """The API, these sessions' creation times turned to rubbish."""

    def __init__(self, app: Emulator, uuids: set[str]) -> None:
        self.app = app
        self.uuids = uuids

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def spoil(message: Any) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": self.spoiled(message["body"])}
            await send(message)

        await self.app(scope, receive, spoil)

    def spoiled(self, body: bytes) -> bytes:
        payload = json.loads(body)
        for row in payload.get("sessions") or []:
            if row["session_uuid"] in self.uuids:
                row["created_at"] = "long ago"
        return json.dumps(payload).encode()


def row(number: int, minutes: float) -> dict[str, Any]:
    return {
        "session_uuid": uuid(number),
        "recipient": "14155550100",
        "status": "expired",
        "created_at": (NOW - timedelta(minutes=minutes)).isoformat(),
    }


async def test_an_api_that_ignores_the_offset_ends_the_walk_with_what_came() -> None:
    api = CannedApi({"sessions": [row(number, 70 + number) for number in range(20)]})
    async with open_mirror_of(api, FakeClock()) as mirror:
        found = await walk_window(mirror)
    seen = Window(NOW - timedelta(minutes=89) + MICROSECOND, NOW)
    assert (found.api_repeats, found.missing) == (True, gaps(WINDOW, [seen]))
    assert (len(found.sessions), api.requests) == (19, 2)


async def test_an_api_whose_next_leads_in_a_circle_ends_the_walk_with_what_came() -> None:
    pages = [
        {
            "sessions": [row(20 * page + number, 70 + 20 * page + number) for number in range(20)],
            "meta": {"next": f"/v1/Account/X/Verify/Session/?limit=20&cursor={page}"},
        }
        for page in range(3)
    ]
    api = CannedApi(*pages, pages[0])
    async with open_mirror_of(api, FakeClock()) as mirror:
        found = await walk_window(mirror)
    assert (found.api_repeats, len(found.sessions), api.requests) == (True, 59, 4)


async def test_pages_shorter_than_asked_are_followed_row_by_row() -> None:
    ours = [make_record(number, minutes=70 + number) for number in range(45)]

    async def seven(scope: Any, receive: Any, send: Any) -> None:
        asked = scope["query_string"].replace(b"limit=20", b"limit=7")
        await emulator({**scope, "query_string": asked}, receive, send)

    emulator = emulator_with(*ours, list_limit=None)
    async with open_mirror_of(seven, FakeClock()) as mirror:
        found = await walk_window(mirror)
    assert ids(found.sessions) == [each.uuid for each in ours]
    assert found.missing == ()


async def test_many_pages_come_a_few_at_once() -> None:
    emulator = emulator_with(
        *(make_record(each, minutes=(each + 1) / 2) for each in range(700)), list_limit=None
    )
    async with open_mirror_of(emulator, FakeClock()) as mirror:
        walker = Backfill(mirror, SessionFilter(), WINDOW)
        asked = []
        while not walker.done:
            before = len(emulator.received)
            await walker.step(CallContext(), budget=100)
            asked.append(len(emulator.received) - before)
    assert (asked[0], max(asked), sum(asked)) == (1, CONCURRENT_PAGES, 35)
    assert len(walker.progress.sessions) == 700


async def test_a_step_spends_no_more_than_its_budget() -> None:
    emulator = emulator_with(
        *(make_record(each, minutes=(each + 1) / 2) for each in range(700)), list_limit=None
    )
    async with open_mirror_of(emulator, FakeClock()) as mirror:
        await walk_window(mirror, pages=3)
    assert len(emulator.received) == 3


async def test_an_api_that_fails_midway_leaves_what_had_come_and_says_how_it_failed() -> None:
    emulator = emulator_with(
        *(make_record(each, minutes=70 + each) for each in range(90)), list_limit=None
    )
    async with open_mirror_of(emulator, FakeClock()) as mirror:
        walker = Backfill(mirror, SessionFilter(), WINDOW)
        for _ in range(2):
            await walker.step(CallContext(), budget=1)
        emulator.fail_next(Fault.SERVER_ERROR, times=2)
        await walker.step(CallContext(), budget=1)
        await check_claims(mirror, emulator.data, NOW)
    assert isinstance(walker.progress.failure, ApiFailed)
    assert len(walker.progress.sessions) == 39


@pytest.mark.parametrize("beyond", ["clip", "refuse"])
async def test_what_left_the_apis_reach_while_walking_is_not_claimed(
    beyond: Literal["clip", "refuse"],
) -> None:
    clock = FakeClock()
    old = NOW - REACH + 5 * timedelta(minutes=1)
    ours = [make_record(each, created_at=old + each * timedelta(seconds=20)) for each in range(100)]
    emulator = emulator_with(*ours, clock=clock, list_limit=None, beyond_reach=beyond)
    window = Window(NOW - REACH, NOW - REACH + HOUR)

    async def age(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await emulator(scope, receive, send)
            clock.pass_by(110)

    async with open_mirror_of(age, clock) as mirror:

        async def check() -> None:
            await check_claims(mirror, emulator.data, clock.now)

        found = await walk_window(mirror, window, after_each=check)
    (missing,) = found.missing
    assert found.failure is None
    assert (missing.start, missing.end) == (window.start, clock.now - 109 * SECOND - REACH)


SECOND = timedelta(seconds=1)


async def test_a_short_page_while_more_follow_drops_the_pages_asked_beside_it(
    place: Place,
) -> None:
    """The pages behind it were asked at offsets that do not follow on."""
    ours = [make_record(number, minutes=70 + number / 4) for number in range(400)]
    emulator = emulator_with(*ours, list_limit=None)
    cut = 0

    async def cut_short(scope: Any, receive: Any, send: Any) -> None:
        nonlocal cut
        cut += 1
        asked = scope["query_string"]
        if cut == 4:
            asked = asked.replace(b"limit=20", b"limit=11")
        await emulator({**scope, "query_string": asked}, receive, send)

    async with open_mirror_of(cut_short, FakeClock(), database_url=place.url) as mirror:

        async def check() -> None:
            await check_claims(mirror, emulator.data, NOW)

        found = await walk_window(mirror, after_each=check)
    assert sorted(ids(found.sessions)) == sorted(each.uuid for each in ours)


async def test_two_processes_that_walk_the_same_window_at_once_claim_what_is_true(
    place: Place,
) -> None:
    ours = [make_record(number, minutes=70 + number / 3) for number in range(200)]
    emulator = emulator_with(*ours, list_limit=None)
    async with (
        open_mirror_of(emulator, FakeClock(), database_url=place.url) as one,
        open_mirror_of(emulator, FakeClock(), database_url=place.url) as other,
    ):
        async with anyio.create_task_group() as tasks:
            for mirror in (one, other):
                tasks.start_soon(walk_window, mirror)
        await check_claims(one, emulator.data, NOW)
        assert one.store is not None
        count, (held,) = await one.store.stats("")
    assert (count, held.start) == (200, WINDOW.start)
    assert held.end >= NOW - HOUR  # a little more, when one waited for the other


async def test_r37_purging_while_windows_are_walked_leaves_no_claim_that_is_false(
    place: Place,
) -> None:
    ours = [make_record(number, minutes=70 + number / 3) for number in range(200)]
    emulator = emulator_with(*ours, list_limit=None)
    async with (
        open_mirror_of(emulator, FakeClock(), database_url=place.url) as one,
        open_mirror_of(emulator, FakeClock(), database_url=place.url) as other,
    ):
        assert other.store is not None

        async def purge() -> None:
            assert other.store is not None
            for edge in (NOW - 2 * HOUR, None, NOW - 1.5 * HOUR):
                await other.store.purge(edge)
                await check_claims(other, emulator.data, NOW)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(walk_window, one)
            tasks.start_soon(purge)
        await check_claims(one, emulator.data, NOW)


async def test_what_is_older_than_the_retention_is_forgotten_on_the_way() -> None:
    clock = FakeClock()
    emulator = emulator_with(
        make_record(1, minutes=90), make_record(2, minutes=300), clock=clock, list_limit=None
    )
    async with open_mirror_of(emulator, clock, retention=4 * HOUR) as mirror:
        assert mirror.store is not None
        await walk_window(mirror)
        held = await mirror.store.stats("")
        clock.pass_by(7 * 3600)
        await walk_window(mirror, Window(clock.now - 3 * HOUR, clock.now))
        later = await mirror.store.stats("")
    assert held == (1, (Window(NOW - 4 * HOUR, NOW - HOUR),))
    assert later == (0, (Window(NOW + 4 * HOUR, NOW + 6 * HOUR),))
