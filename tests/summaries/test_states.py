"""What each state of a summary leads to: nothing is read, and no request is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.client import NOW, FakeClock, emulator_with
from tests.support.mirror import open_mirror_of
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.tallies import Tally
from verify_mcp.domain.windows import Window
from verify_mcp.errors import ApiFailed
from verify_mcp.mirror.backfill import Backfill
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.summaries.count_job import CountJob
from verify_mcp.summaries.count_result import ANY_STATUS, CountResult, CountScope
from verify_mcp.summaries.mirror_reader import CachedFigures
from verify_mcp.summaries.query import SummaryQuery, SummaryResult
from verify_mcp.summaries.states import (
    AddNewest,
    Answer,
    Count,
    Fetch,
    FetchWindows,
    LookForJob,
    ReadAgain,
    ReadCached,
    ReadOlder,
    Refresh,
    ResumeCount,
    StartCount,
    TakeFirstSteps,
)

pytestmark = pytest.mark.anyio

HOURS = [NOW - timedelta(hours=hours) for hours in range(6, -1, -1)]
WINDOW = Window(HOURS[0], HOURS[-1])
OLDEST, MIDDLE, NEWEST = (Window(HOURS[n], HOURS[n + 2]) for n in (0, 2, 4))
QUERY = SummaryQuery(SessionFilter(), WINDOW, is_end_pinned=False)
RESULT = SummaryResult("fetched", WINDOW, {}, NOW)
COUNTED = replace(RESULT, basis="counted", missing=(WINDOW,), count=CountResult(WINDOW))


def cached(*parts: Window, window: Window = WINDOW) -> CachedFigures:
    return CachedFigures(window, parts, {("tally",): Tally(7)}, NOW, NOW)


@pytest.fixture
async def mirror() -> AsyncIterator[Mirror]:
    clock = FakeClock()
    async with open_mirror_of(emulator_with(clock=clock), clock) as mirror:
        yield mirror


def backfill_of(mirror: Mirror, *, sessions: int = 0, complete: Window | None = None) -> Backfill:
    """A backfill of the window that has brought so many sessions of a part of it."""
    backfill = Backfill(mirror, SessionFilter(), WINDOW)
    backfill.progress.sessions = [Session.model_construct() for _ in range(sessions)]
    backfill.progress.complete_windows = [complete] if complete else []
    return backfill


def job_of(mirror: Mirror, sessions: int | None) -> CountJob:
    """A count that has found so many sessions, None when it has not come so far."""
    scope = CountScope(WINDOW, is_end_pinned=False, at=NOW, as_of=NOW, tally_outside=Tally())
    job = CountJob(mirror, SessionFilter(), WINDOW, scope, random=lambda: 0.5)
    job.result.counts = {} if sessions is None else {ANY_STATUS: sessions}
    return job


async def test_a_count_is_resumed_only_while_its_pages_are_too_many(mirror: Mirror) -> None:
    job = job_of(mirror, 401)
    assert LookForJob(QUERY).next(job, 20) == ResumeCount(QUERY, job)
    assert LookForJob(QUERY).next(job, 21) == ReadOlder(QUERY)
    assert LookForJob(QUERY).next(None, 21) == ReadOlder(QUERY)


async def test_a_resumed_count_that_read_all_pages_needs_only_what_came_since(
    mirror: Mirror,
) -> None:
    state = ResumeCount(QUERY, job_of(mirror, 401))
    assert state.next(COUNTED, is_cached=True) == Answer(COUNTED)
    assert state.next(RESULT, is_cached=True) == ReadOlder(QUERY)
    assert state.next(RESULT, is_cached=False) == AddNewest(RESULT)
    assert AddNewest(RESULT).next(RESULT) == Answer(RESULT)


def test_what_is_cached_as_a_whole_is_the_answer() -> None:
    held = SummaryResult("held", WINDOW, {("tally",): Tally(7)}, NOW, parts=(WINDOW,))
    assert ReadCached(QUERY).next(cached(WINDOW), cached(WINDOW), 20) == Answer(held)


def test_missing_parts_are_fetched_the_youngest_first() -> None:
    found = cached(MIDDLE)
    assert ReadCached(QUERY).next(found, found, 20) == TakeFirstSteps(
        QUERY, found, (NEWEST, OLDEST), is_older=False
    )


def test_what_is_known_a_little_older_is_enough_where_it_is_too_much_to_fetch_again() -> None:
    known = replace(cached(OLDEST, MIDDLE, NEWEST), tallies={("tally",): Tally(500)})
    state = ReadCached(QUERY)
    assert isinstance(state.next(cached(OLDEST), known, 20), Answer)
    few = replace(known, tallies={("tally",): Tally(100)})
    assert state.next(cached(OLDEST), few, 20) == TakeFirstSteps(
        QUERY, cached(OLDEST), (Window(MIDDLE.start, NEWEST.end),), is_older=False
    )


def test_a_recipients_window_is_fetched_as_one_where_it_has_several_gaps() -> None:
    query = replace(QUERY, session_filter=SessionFilter(recipient="919380013443"))
    assert ReadCached(query).next(cached(MIDDLE), cached(MIDDLE), 20) == TakeFirstSteps(
        query, CachedFigures(WINDOW, (), {}, NOW, NOW), (WINDOW,), is_older=False
    )


def test_older_parts_come_first_and_the_newest_is_looked_at_after_them() -> None:
    assert ReadOlder(QUERY).next(None) == ReadCached(QUERY)
    older = cached(MIDDLE, window=Window(WINDOW.start, MIDDLE.end))
    assert ReadOlder(QUERY).next(older) == TakeFirstSteps(QUERY, older, (OLDEST,), is_older=True)
    fetch = FetchWindows(QUERY, older, (OLDEST,), is_older=True)
    assert fetch.next(RESULT) == Refresh(QUERY, RESULT)
    partial = replace(RESULT, missing=(OLDEST,))
    assert fetch.next(partial) == Answer(partial)
    assert Refresh(QUERY, RESULT).next(cached(WINDOW)) == Answer(RESULT)
    known = cached(OLDEST, MIDDLE)
    assert Refresh(QUERY, RESULT).next(known) == TakeFirstSteps(
        QUERY, known, (NEWEST,), is_older=False
    )


@pytest.mark.parametrize(
    ("left", "max_requests", "fetched"),
    [(19, 20, True), (18, 20, False), (20, 100, True), (4, 100, True), (3, 100, False)],
)
async def test_what_seems_affordable_is_fetched(
    mirror: Mirror, left: int, max_requests: int, *, fetched: bool
) -> None:
    """A page of 20 sessions from a twelfth of the window: about eleven pages more."""
    seen = Window(WINDOW.end - WINDOW.length / 12, WINDOW.end)
    backfill = backfill_of(mirror, sessions=20, complete=seen)
    query, found = replace(QUERY, max_requests=max_requests), cached()
    state = TakeFirstSteps(query, found, (WINDOW,), is_older=False)
    expected = Fetch if fetched else ReadAgain
    assert state.next([backfill], left) == expected(query, found, (backfill,), is_older=False)


async def test_a_failure_is_raised_only_where_nothing_is_cached(mirror: Mirror) -> None:
    backfill = backfill_of(mirror)
    backfill.progress.failure = ApiFailed("It failed.")
    state = TakeFirstSteps(QUERY, cached(), (WINDOW,), is_older=False)
    with pytest.raises(ApiFailed, match="It failed"):
        state.next([backfill], 19)
    found = cached(OLDEST)
    assert replace(state, cached=found).next([backfill], 19) == Fetch(
        QUERY, found, (backfill,), is_older=False
    )


async def test_a_count_begins_where_more_than_the_newest_part_is_missing(mirror: Mirror) -> None:
    backfills = (backfill_of(mirror),)
    state = ReadAgain(QUERY, cached(), backfills, is_older=False)
    assert state.next(cached(), 19) == StartCount(QUERY, cached(), backfills, is_older=False)
    assert state.next(cached(MIDDLE), 19) == StartCount(QUERY, cached(), backfills, is_older=False)
    known = cached(OLDEST, MIDDLE)
    assert state.next(known, 19) == FetchWindows(QUERY, known, (NEWEST,), is_older=False)


async def test_a_count_does_not_begin_where_all_gaps_together_are_few_pages(
    mirror: Mirror,
) -> None:
    page = Window(NEWEST.start, NEWEST.end - NEWEST.length / 2)
    backfills = (backfill_of(mirror, sessions=20, complete=page),)
    state = ReadAgain(QUERY, cached(), backfills, is_older=False)
    known = cached(MIDDLE, page)
    assert state.next(known, 19) == FetchWindows(QUERY, known, known.missing, is_older=False)
    assert state.next(known, 2) == StartCount(QUERY, cached(), backfills, is_older=False)


async def test_without_quota_the_older_reading_is_the_answer_where_it_has_nearly_all(
    mirror: Mirror,
) -> None:
    backfill = backfill_of(mirror)
    backfill.progress.eta_s = 60.0
    first = TakeFirstSteps(QUERY, cached(), (WINDOW,), is_older=False)
    state = first.next([backfill], 19)
    assert state == ReadAgain(QUERY, cached(), (backfill,), is_older=False)
    assert isinstance(state, ReadAgain)
    known = cached(OLDEST, MIDDLE)
    assert state.next(known, 19) == FetchWindows(QUERY, known, (NEWEST,), is_older=False)
    assert state.next(cached(), 19) == Fetch(QUERY, cached(), (backfill,), is_older=False)


async def test_a_window_that_reaches_further_when_it_is_read_again_is_started_anew(
    mirror: Mirror,
) -> None:
    older = cached(MIDDLE, window=Window(WINDOW.start, MIDDLE.end))
    state = ReadAgain(QUERY, older, (backfill_of(mirror),), is_older=True)
    known = cached(MIDDLE)
    assert state.next(known, 19) == TakeFirstSteps(QUERY, known, (NEWEST, OLDEST), is_older=True)


async def test_the_exact_number_may_show_that_all_can_be_fetched(mirror: Mirror) -> None:
    backfills = (backfill_of(mirror),)
    state = StartCount(QUERY, cached(), backfills, is_older=False)
    few, many, unknown = (job_of(mirror, sessions) for sessions in (200, 201, None))
    assert state.next(few, 10) == Fetch(QUERY, cached(), backfills, is_older=False)
    assert state.next(many, 10) == Count(QUERY, many, is_older=False)
    assert state.next(unknown, 10) == Count(QUERY, unknown, is_older=False)
    assert Count(QUERY, many, is_older=True).next(COUNTED) == Answer(COUNTED)
