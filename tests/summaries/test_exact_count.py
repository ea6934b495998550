"""How many sessions there are: exact totals from few pages, whatever the arrivals look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.traffic import four_counts, traffic
from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.exact_count import (
    CountSearch,
    Prior,
    max_requests_for,
    reconcile,
)

START = datetime(2026, 11, 14, tzinfo=UTC)
WEEK = Window(START, START + timedelta(days=7))
Shape = Callable[[float], float]

ends = st.lists(st.floats(0, 1), min_size=2, max_size=8).map(sorted)
totals = st.one_of(
    st.integers(0, 200_000), st.integers(0, 200), st.integers(0, 10_000).map((20).__mul__)
)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Which part of the window has passed at which part of the list: steadily or in bursts."""
    times = [0.0, *draw(ends), 1.0]
    ranks = [n / (len(times) - 1) for n in range(len(times))]

    def passed(rank: float) -> float:
        (low, high), (early, late) = next(
            (ranks, times)
            for ranks, times in zip(pairwise(ranks), pairwise(times), strict=True)
            if rank <= ranks[1]
        )
        return early + (late - early) * (rank - low) / (high - low)

    return passed


def answered(count: CountSearch, offset: int, total: int, shape: Shape) -> CountSearch:
    """The count with the page at this offset, of so many sessions arriving in this shape."""
    rows = max(0, min(PAGE_SIZE, total - offset))
    if not rows:
        return count.with_page(offset, 0)
    length = count.window.length
    newest, oldest = (
        count.window.end - length * shape(rank / total) for rank in (offset, offset + rows - 1)
    )
    return count.with_page(offset, rows, oldest=oldest, newest=newest)


def finished(count: CountSearch, total: int, shape: Shape) -> CountSearch:
    while (offset := count.next_offset()) is not None:
        assert offset not in {probe.offset for probe in count.probes}
        count = answered(count, offset, total, shape)
    return count


@given(totals, shapes())
def test_a_count_ends_with_the_exact_total_in_the_requests_promised(
    total: int, shape: Shape
) -> None:
    count = finished(CountSearch(WEEK), total, shape)
    assert (count.total, count.low, count.high) == (total, total, total)
    assert len(count.probes) <= max_requests_for(total)
    assert not count.contradiction


@pytest.mark.parametrize(
    ("total", "most"), [(0, 4), (20, 4), (21, 6), (1_000, 15), (10_000, 21), (200_000, 30)]
)
def test_the_promise_is_twice_the_logarithm_of_the_pages_and_four(total: int, most: int) -> None:
    assert max_requests_for(total) == most


@given(totals)
def test_pages_without_times_are_counted_as_well(total: int) -> None:
    count = CountSearch(WEEK)
    while (offset := count.next_offset()) is not None:
        count = count.with_page(offset, max(0, min(PAGE_SIZE, total - offset)))
    assert count.total == total
    assert len(count.probes) <= max_requests_for(total)


@given(totals, shapes(), st.integers(0, 200_000), st.floats(0, 10_000))
def test_a_wrong_guess_costs_requests_but_not_the_truth(
    total: int, shape: Shape, guess: int, spread: float
) -> None:
    count = finished(CountSearch(WEEK, prior=Prior(guess, spread)), total, shape)
    assert count.total == total
    assert len(count.probes) <= max_requests_for(max(total, guess))


@given(totals, shapes(), shapes(), totals)
def test_a_count_said_to_be_alike_may_be_unlike(
    total: int, shape: Shape, other: Shape, others: int
) -> None:
    like = finished(CountSearch(WEEK), others, other)
    count = finished(CountSearch(WEEK, reference=like), total, shape)
    assert count.total == total
    assert len(count.probes) <= max_requests_for(total)


def test_the_first_page_is_asked_for_first_and_may_be_all() -> None:
    assert CountSearch(WEEK).next_offset() == 0
    count = CountSearch(WEEK).with_page(0, 7)
    assert (count.next_offset(), count.total) == (None, 7)
    assert CountSearch(WEEK).with_page(0, 0).total == 0


def test_a_good_guess_takes_one_request() -> None:
    count = CountSearch(WEEK, prior=Prior(5_555))
    assert count.next_offset() == 5_540
    assert count.with_page(5_540, 15).total == 5_555


@given(st.lists(st.integers(0, 20), min_size=60, max_size=60))
def test_answers_without_sense_end_the_search_and_never_make_a_total(rows: list[int]) -> None:
    count = CountSearch(WEEK)
    for came in rows:
        offset = count.next_offset()
        if offset is None:
            break
        count = count.with_page(offset, came)
    assert count.next_offset() is None
    fits = [
        total
        for total in range(count.low, (count.high or count.low) + 1)
        if all(max(0, min(PAGE_SIZE, total - page.offset)) == page.rows for page in count.probes)
    ]
    assert ([] if count.total is None else [count.total]) == fits
    assert count.contradiction == (fits == [])


def test_a_page_that_is_full_and_then_empty_is_a_contradiction_with_bounds() -> None:
    count = CountSearch(WEEK).with_page(0, 20).with_page(100, 20).with_page(80, 0)
    assert count.contradiction
    assert (count.total, count.low, count.high, count.next_offset()) == (None, 80, 120, None)
    assert count.restarted().next_offset() == 80
    assert count.restarted().probes == ()


def test_an_api_that_refuses_deep_offsets_leaves_a_lower_bound() -> None:
    count = CountSearch(WEEK)
    while (offset := count.next_offset()) is not None:
        count = (
            count.with_refusal(offset)
            if offset >= 10_000
            else answered(count, offset, 50_000, shape=lambda rank: rank)
        )
    assert (count.total, count.high, count.contradiction) == (None, None, False)
    assert 0 < count.low <= 10_000
    assert len(count.probes) + len(count.refusals) <= 8


@given(st.integers(0, 9_999), shapes())
def test_a_refusal_beyond_the_last_session_does_not_spoil_the_count(
    total: int, shape: Shape
) -> None:
    count = CountSearch(WEEK, prior=Prior(9_000, 2_000)).with_refusal(12_000)
    assert finished(count, total, shape).total in (total, None)
    begun = replace(count, prior=None).with_page(0, min(total, PAGE_SIZE))
    assert finished(begun, total, lambda rank: rank).total == total


@pytest.mark.parametrize(("offset", "rows"), [(-20, 3), (0, -1)])
def test_an_offset_or_rows_below_zero_are_refused(offset: int, rows: int) -> None:
    with pytest.raises(ValueError, match="never negative"):
        CountSearch(WEEK).with_page(offset, rows)


@pytest.mark.parametrize(
    ("size", "repeat", "most"), [(1_000, 40, 12), (10_000, 10, 16), (100_000, 2, 24)]
)
def test_four_counts_of_lifelike_traffic_take_few_requests(
    size: int, repeat: int, most: int
) -> None:
    random, spent = Random(5), []  # noqa: S311 - made-up data
    for _ in range(repeat):
        told = traffic(
            random, int(size * random.uniform(0.9, 1.1)), hours=random.choice((24, 168, 2160))
        )
        counts = four_counts(told)
        assert reconcile(counts[0], counts[1:], again=False) == "exact"
        assert counts[0].total == len(told.rows)
        spent.append(sum(len(count.probes) for count in counts))
    assert fmean(spent) <= most


def of(total: int) -> CountSearch:
    return CountSearch(WEEK).with_page(total // PAGE_SIZE * PAGE_SIZE, total % PAGE_SIZE)


def test_counts_that_add_up_are_exact() -> None:
    assert reconcile(of(105), [of(4), of(90), of(11)], again=False) == "exact"


def test_counts_that_do_not_add_up_are_taken_once_more_and_then_told() -> None:
    parts = [of(4), of(90), of(12)]
    assert reconcile(of(105), parts, again=False) == "again"
    assert reconcile(of(105), parts, again=True) == "differs"


def test_a_contradiction_is_counted_once_more_too() -> None:
    confused = CountSearch(WEEK).with_page(100, 20).with_page(80, 0)
    assert reconcile(confused, [of(4)], again=False) == "again"
    assert reconcile(of(105), [confused], again=True) == "differs"


def test_counting_again_does_not_help_where_the_api_refuses() -> None:
    refused = CountSearch(WEEK).with_page(0, 20).with_refusal(20)
    assert (refused.next_offset(), refused.low) == (None, 20)
    assert reconcile(refused, [of(4), of(90)], again=False) == "unknown"
