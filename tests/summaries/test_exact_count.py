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

from tests.support.traffic import counted, four_counts, traffic
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.exact_count import (
    PAGE,
    CountSearch,
    Prior,
    Probe,
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
widths = st.integers(1, 4)


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
    rows = max(0, min(PAGE, total - offset))
    if not rows:
        return count.with_page(offset, 0)
    length = count.window.length
    newest, oldest = (
        count.window.end - length * shape(rank / total) for rank in (offset, offset + rows - 1)
    )
    return count.with_page(offset, rows, oldest=oldest, newest=newest)


def finished(count: CountSearch, total: int, shape: Shape, width: int = 1) -> CountSearch:
    while offsets := count.next_offsets(width):
        assert len(set(offsets)) == len(offsets) <= width
        assert not {probe.offset for probe in count.probes} & set(offsets)
        for offset in offsets:
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


@given(totals, shapes(), widths)
def test_asking_for_several_pages_at_a_time_ends_with_the_same_total(
    total: int, shape: Shape, width: int
) -> None:
    assert finished(CountSearch(WEEK), total, shape, width).total == total


@given(totals)
def test_pages_without_times_are_counted_as_well(total: int) -> None:
    count = CountSearch(WEEK)
    while offsets := count.next_offsets():
        count = count.with_page(offsets[0], max(0, min(PAGE, total - offsets[0])))
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


@given(totals, shapes(), st.lists(st.integers(0, 10_100).map((20).__mul__), max_size=5))
def test_pages_known_before_are_not_asked_for_again(
    total: int, shape: Shape, offsets: list[int]
) -> None:
    known = CountSearch(WEEK)
    for offset in offsets:
        known = answered(known, offset, total, shape)
    count = finished(CountSearch(WEEK, known=known.probes), total, shape)
    assert count.total == total
    assert len(count.probes) <= max_requests_for(max(total, known.high or 0))
    assert not {probe.offset for probe in count.probes} & set(offsets)


def test_the_first_page_is_asked_for_first_and_may_be_all() -> None:
    assert CountSearch(WEEK).next_offsets(width=4) == (0,)
    count = CountSearch(WEEK).with_page(0, 7)
    assert (count.next_offsets(), count.total) == ((), 7)
    assert CountSearch(WEEK).with_page(0, 0).total == 0


def test_a_known_last_page_answers_without_a_request() -> None:
    known = (Probe(400, 20), Probe(420, 3))
    count = CountSearch(WEEK, known=known)
    assert (count.next_offsets(), count.total) == ((), 423)


def test_a_good_guess_takes_one_request() -> None:
    count = CountSearch(WEEK, prior=Prior(5_555))
    assert count.next_offsets() == (5_540,)
    assert count.with_page(5_540, 15).total == 5_555


@given(st.lists(st.integers(0, 20), min_size=60, max_size=60), widths)
def test_answers_without_sense_end_the_search_and_never_make_a_total(
    rows: list[int], width: int
) -> None:
    count = CountSearch(WEEK)
    for came in rows:
        offsets = count.next_offsets(width)
        if not offsets:
            break
        for offset in offsets:
            count = count.with_page(offset, came)
    assert count.next_offsets(width) == ()
    fits = [
        total
        for total in range(count.low, (count.high or count.low) + 1)
        if all(max(0, min(PAGE, total - page.offset)) == page.rows for page in count.probes)
    ]
    assert ([] if count.total is None else [count.total]) == fits
    assert count.contradiction == (fits == [])


def test_a_page_that_is_full_and_then_empty_is_a_contradiction_with_bounds() -> None:
    count = CountSearch(WEEK).with_page(0, 20).with_page(100, 20).with_page(80, 0)
    assert count.contradiction
    assert (count.total, count.low, count.high, count.next_offsets()) == (None, 80, 120, ())
    assert count.restarted().next_offsets() == (80,)
    assert count.restarted().probes == ()


def test_an_api_that_refuses_deep_offsets_leaves_a_lower_bound() -> None:
    count = CountSearch(WEEK)
    while offsets := count.next_offsets():
        deep = offsets[0] >= 10_000
        count = (
            count.with_refusal(offsets[0])
            if deep
            else answered(count, offsets[0], 50_000, shape=lambda rank: rank)
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
    known = replace(count, prior=None, known=(Probe(0, min(total, PAGE)),))
    assert finished(known, total, lambda rank: rank).total == total


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
        counts, _ = four_counts(told)
        assert reconcile(counts[0], counts[1:], again=False) == "exact"
        assert counts[0].total == len(told.rows)
        spent.append(sum(len(count.probes) for count in counts))
    assert fmean(spent) <= most


def test_more_at_a_time_takes_fewer_rounds_for_not_many_more_requests() -> None:
    random = Random(3)  # noqa: S311 - made-up data
    told = [traffic(random, 5_000 + seed, hours=168) for seed in range(12)]
    one, three = (
        [counted(CountSearch(each.window), each.rows, width) for each in told] for width in (1, 3)
    )
    assert fmean(rounds for _, rounds in three) < fmean(rounds for _, rounds in one)
    requests = [fmean(len(count.probes) for count, _ in each) for each in (one, three)]
    assert requests[1] < 1.7 * requests[0]


def of(total: int) -> CountSearch:
    return CountSearch(WEEK).with_page(total // PAGE * PAGE, total % PAGE)


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
    assert (refused.next_offsets(), refused.low) == ((), 20)
    assert reconcile(refused, [of(4), of(90)], again=False) == "unknown"
