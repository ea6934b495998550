"""When to try again: what a Retry-After means, and how long to back off."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.client import NOW
from verify_mcp.plivo.retry import MAX_ETA, backoff, retry_after

IN_A_MINUTE = format_datetime(NOW + timedelta(seconds=60), usegmt=True)
AN_HOUR_AGO = format_datetime(NOW - timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        (" 3 ", 3.0),
        ("0", 0.0),
        ("2.5", 2.5),
        ("-1", None),
        ("999999999999999999999999999999999999999999999999999999", MAX_ETA),
        ("9" * 65, None),
        ("soon", None),
        ("", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("\u0663", None),
        (IN_A_MINUTE, 60.0),
        (IN_A_MINUTE.replace("GMT", "-0000"), 60.0),
        (AN_HOUR_AGO, None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_ETA),
        ("Sun, 99 Nov 2026 09:30:00 GMT", None),
    ],
)
def test_a_wish_is_read_as_seconds_or_a_date_or_not_at_all(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after(header, NOW) == seconds


@given(st.text(max_size=80))
def test_nonsense_never_raises_and_never_exceeds_the_bound(header: str) -> None:
    wish = retry_after(header, NOW)
    assert wish is None or 0 <= wish <= MAX_ETA


@given(st.integers(1, 20), st.floats(0, 1, exclude_max=True))
def test_backing_off_doubles_to_a_bound_and_never_hurries(attempt: int, chance: float) -> None:
    bound = min(8.0, 0.5 * 2 ** (attempt - 1))
    assert bound / 2 <= backoff(attempt, chance) <= bound
