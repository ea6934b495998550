"""How far back the API shows sessions: the filter to send, and the sentence about the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify_mcp.domain.api_limits import REACH
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import (
    REACH_SLACK,
    REACH_TOLERANCE,
    ClippedFilter,
    OutOfReach,
    clip_start,
    clip_to_reach,
)

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
EDGE = NOW - REACH + timedelta(seconds=1)
INSTANTS = st.none() | st.datetimes(
    datetime(1900, 1, 1),  # noqa: DTZ001 - hypothesis wants bounds without a zone
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
WHY = "The API reaches back 90 days, to 2026-08-23 09:30:00 UTC."


@given(INSTANTS, INSTANTS)
def test_a_clipped_filter_never_starts_before_the_reach(
    lower: datetime | None, upper: datetime | None
) -> None:
    session_filter = SessionFilter(session_time__gte=lower, session_time__lt=upper)
    reachable = clip_start(session_filter, now=NOW)
    start = reachable.start()
    assert (start is None) == (not session_filter.has_time())
    assert start is None or start > NOW - REACH
    assert reachable.end() == session_filter.end()
    assert clip_start(reachable, now=NOW) == reachable


def test_a_window_within_reach_is_sent_as_it_is() -> None:
    session_filter = SessionFilter(session_time__gte=EDGE, status="expired")
    clipped = clip_to_reach(session_filter, now=NOW)
    assert clipped == ClippedFilter(session_filter, session_filter, NOW)
    assert not clipped.is_out_of_reach
    assert clipped.out_of_reach(REACH_TOLERANCE) is None


def test_what_lies_before_the_reach_is_cut_off_and_named() -> None:
    clipped = clip_to_reach(SessionFilter(session_time__gt=NOW - 2 * REACH), now=NOW)
    assert clipped.sent == SessionFilter(session_time__gte=EDGE)
    assert clipped.out_of_reach(REACH_TOLERANCE) == OutOfReach(
        WHY, "2026-05-25 09:30:00 to 2026-08-23 09:30:00"
    )


@pytest.mark.parametrize(
    ("start", "missing"),
    [
        (None, "until 2026-08-22 09:30:00"),
        (NOW - 2 * REACH, "2026-05-25 09:30:00 to 2026-08-22 09:30:00"),
    ],
)
def test_of_a_window_that_is_wholly_out_of_reach_nothing_is_sent(
    start: datetime | None, missing: str
) -> None:
    end = NOW - REACH - timedelta(days=1)
    clipped = clip_to_reach(SessionFilter(session_time__gte=start, session_time__lt=end), now=NOW)
    assert clipped.is_out_of_reach
    assert clipped.sent == clipped.requested
    assert clipped.out_of_reach(REACH_TOLERANCE) == OutOfReach(WHY, missing)


def test_seconds_that_slide_out_of_reach_are_not_missing() -> None:
    clipped = clip_to_reach(SessionFilter(session_time__gte=EDGE), now=NOW)
    later = clipped.at(NOW + REACH_SLACK)
    assert later.sent == clipped.sent
    later = clipped.at(NOW + timedelta(minutes=1))
    assert later.sent.start() == EDGE + timedelta(minutes=1)
    assert later.out_of_reach(REACH_TOLERANCE) is None
    assert clipped.at(NOW + timedelta(minutes=2)).out_of_reach(REACH_TOLERANCE) is not None
