"""Spans of time against a naive oracle: the set of the minutes they hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify_mcp.domain.windows import Window, covers, gaps, join_closest, merge, overlap

ZERO = datetime(2026, 11, 21, tzinfo=UTC)


def at(minute: int) -> datetime:
    return ZERO + timedelta(minutes=minute)


def span(start: int, end: int) -> Window:
    return Window(at(start), at(end))


def minutes(*windows: Window) -> set[int]:
    """Every minute the windows hold, one by one."""
    return {minute for minute in range(70) if any(at(minute) in window for window in windows)}


spans = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda ends: span(*sorted(ends)))
many = st.lists(spans, max_size=8)


def test_a_window_holds_its_start_and_not_its_end() -> None:
    assert at(3) in span(3, 5)
    assert at(5) not in span(3, 5)
    assert at(3) not in span(3, 3)
    assert span(3, 5).length == timedelta(minutes=2)


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="end before it starts"):
        span(5, 3)


@pytest.mark.parametrize("zone", [None, timezone(timedelta(hours=5, minutes=30))])
def test_bounds_that_are_not_utc_are_refused(zone: timezone | None) -> None:
    with pytest.raises(ValueError, match="aware datetimes in UTC"):
        Window(at(3), at(5).replace(tzinfo=zone))


@given(many)
def test_merged_windows_hold_the_same_minutes_in_order_and_apart(windows: list[Window]) -> None:
    joined = merge(windows)
    assert minutes(*joined) == minutes(*windows)
    assert all(window.length for window in joined)
    assert all(earlier.end < later.start for earlier, later in pairwise(joined))


@given(spans, spans)
def test_an_overlap_is_the_minutes_both_hold(a: Window, b: Window) -> None:
    shared = overlap(a, b)
    assert minutes(*([shared] if shared else [])) == minutes(a) & minutes(b)
    assert overlap(b, a) == shared


@given(spans, many)
def test_gaps_are_the_minutes_of_a_window_that_no_other_holds(
    window: Window, windows: list[Window]
) -> None:
    missing = gaps(window, windows)
    assert minutes(*missing) == minutes(window) - minutes(*windows)
    assert merge(missing) == missing


@given(spans, many)
def test_a_window_is_covered_when_no_minute_of_it_is_missing(
    window: Window, windows: list[Window]
) -> None:
    assert covers(window, windows) == (minutes(window) <= minutes(*windows))


@given(spans, many)
def test_windows_and_their_gaps_cover_the_window(window: Window, windows: list[Window]) -> None:
    assert covers(window, [*windows, *gaps(window, windows)])


@given(many, st.integers(1, 8))
def test_r68_joined_windows_are_few_and_in_order_and_lose_no_minute(
    windows: list[Window], most: int
) -> None:
    few = join_closest(windows, most)
    assert len(few) == min(most, len(merge(windows)))
    assert minutes(*few) >= minutes(*windows)
    assert merge(few) == few


@given(many, st.integers(1, 8))
def test_r68_joined_windows_take_in_as_few_other_minutes_as_any_could(
    windows: list[Window], most: int
) -> None:
    apart = sorted(later.start - earlier.end for earlier, later in pairwise(merge(windows)))
    closest = apart[: max(0, len(apart) - most + 1)]
    added = len(minutes(*join_closest(windows, most)) - minutes(*windows))
    assert timedelta(minutes=added) == sum(closest, timedelta())


@given(many, st.integers(1, 8))
def test_r68_windows_that_are_few_already_stay_as_they_are(
    windows: list[Window], more: int
) -> None:
    assert join_closest(windows, len(windows) + more) == merge(windows)
