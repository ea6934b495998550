"""Answers in made worlds, where each way of being wrong that was once found is found again."""

from __future__ import annotations

import pytest

from benchmarks.fuzz.scenarios import play

pytestmark = pytest.mark.anyio


async def violations(point: str) -> list[str]:
    """What a point's scenarios find, in words."""
    report = await play(point)
    return [f"{each.kind}: {each.text}" for each in report.violations]


async def test_r56_a_page_read_earlier_is_never_final_by_a_later_time() -> None:
    assert await violations("p01") == []


async def test_r57_a_count_does_not_outlive_the_reach_of_the_api() -> None:
    assert await violations("p02") == []


async def test_r58_ninety_days_reach_to_their_edge_and_stay_complete() -> None:
    assert await violations("p03") == []


async def test_r59_a_wrong_clock_here_changes_no_answer() -> None:
    assert await violations("p04") == []


async def test_r60_a_window_that_ends_now_has_what_came_since() -> None:
    assert await violations("p05") == []


async def test_r61_page_after_page_each_row_comes_once() -> None:
    assert await violations("p06") == []


async def test_r62_where_nothing_is_known_there_is_no_figure() -> None:
    assert await violations("p07") == []


async def test_r63_groups_cover_the_whole_window() -> None:
    assert await violations("p08") == []


@pytest.mark.slow(6)
async def test_r65_what_a_sample_cannot_have_seen_is_bounded() -> None:
    assert await violations("p10") == []


async def test_r66_rows_that_move_or_cannot_be_read_are_told_bounded_and_end() -> None:
    assert await violations("p11") == []
