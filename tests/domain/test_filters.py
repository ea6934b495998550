"""Times and filters: how times are written, and what a filter admits and derives."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.client import NOW
from verify_mcp.domain.filters import (
    LOCAL_FILTERS,
    SCOPE_FILTER,
    STORED_COLUMNS,
    TIME_FILTERS,
    SessionFilter,
)
from verify_mcp.domain.times import format_api_time, is_relative_time, parse_time
from verify_mcp.errors import InvalidArgument
from verify_mcp.plivo.page_request import PageRequest

DOCUMENTED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?", re.ASCII)
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants bounds without a zone
LEFT_TO_API: set[str] = set()
"""The filters that the mirror cannot apply."""
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-20 10:04", datetime(2026, 11, 20, 10, 4, tzinfo=UTC)),
        ("2026-11-20 10:04:12", datetime(2026, 11, 20, 10, 4, 12, tzinfo=UTC)),
        ("2026-11-20 10:04:12.5", datetime(2026, 11, 20, 10, 4, 12, 500_000, tzinfo=UTC)),
        ("2026-11-20 10:04:12:000005", datetime(2026, 11, 20, 10, 4, 12, 5, tzinfo=UTC)),
        ("2026-11-20 10:04:12.123456789", datetime(2026, 11, 20, 10, 4, 12, 123_456, tzinfo=UTC)),
        ("2026-11-20t10:04z", datetime(2026, 11, 20, 10, 4, tzinfo=UTC)),
        ("2026-11-20T10:04:12 +05:30", datetime(2026, 11, 20, 4, 34, 12, tzinfo=UTC)),
        ("2026-11-20T10:04-0800", datetime(2026, 11, 20, 18, 4, tzinfo=UTC)),
        (" 2026-11-20 ", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("30s", NOW - timedelta(seconds=30)),
        ("15m", NOW - timedelta(minutes=15)),
        ("24 H", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
        ("0m", NOW),
    ],
)
def test_a_time_is_understood(text: str, meant: datetime) -> None:
    assert parse_time(text, now=NOW) == meant


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "-1h", "1.5h", "7 days", "24", "1732180000", "20/11/2026", "2026-13-01",
        "2026-02-30", "2025-02-29", "2026-11-20 25:00", "2026-11-20 10:60", "2026-11-20 10",
        "2026-11-20T10:04+25:00", "2026-11-20 10:04:12.1234567890", "0000-01-01",
        "0001-01-01T00:00+05:30", "9999-12-31T23:59-01:00", "999999w", "2026-11-20T",
        "\uff12\uff14h",
        "2026-11-20 10:04 " + " " * 60 + "Z", "24h" + "0" * 1_000_000,
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^is not a time\. Write 24h, 7d, 2026-11-01"):
        parse_time(text, now=NOW)


@given(INSTANTS, ZONES)
def test_an_instant_survives_being_written_and_read(instant: datetime, zone: timezone) -> None:
    text = format_api_time(instant.astimezone(zone))
    assert DOCUMENTED.fullmatch(text)
    assert parse_time(text, now=NOW) == instant
    assert format_api_time(parse_time(text, now=NOW)) == text


@given(INSTANTS, ZONES, st.sampled_from(["T", " "]))
def test_iso_8601_with_any_offset_means_the_same_instant(
    instant: datetime, zone: timezone, separator: str
) -> None:
    text = instant.astimezone(zone).isoformat(sep=separator)
    assert parse_time(text, now=NOW) == instant


@given(st.text("0123456789-:. TZ+smhdw", max_size=45))
def test_whatever_is_written_is_an_instant_or_refused(text: str) -> None:
    try:
        read = parse_time(text, now=NOW)
    except InvalidArgument:
        return
    assert read.tzinfo is UTC
    assert parse_time(format_api_time(read), now=NOW) == read


@given(st.integers(0, 999_999), st.sampled_from("smhdw"))
def test_so_long_ago_slides_and_lies_before_now(number: int, unit: str) -> None:
    text = f"{number}{unit}"
    assert is_relative_time(text)
    try:
        assert parse_time(text, now=NOW) <= NOW
    except InvalidArgument:
        assert unit in {"w", "d"}


@pytest.mark.parametrize("text", ["2026-11-20", "2026-11-20T10:04Z", "now", ""])
def test_a_date_does_not_slide(text: str) -> None:
    assert not is_relative_time(text)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


@pytest.mark.parametrize(
    "window",
    [
        SessionFilter(),
        SessionFilter(session_time=ago(hours=1)),
        SessionFilter(session_time__gte=ago(hours=1), session_time__lte=ago(hours=1)),
        SessionFilter(session_time__gt=ago(hours=2), session_time__lt=ago(hours=1)),
        SessionFilter(session_time__gte=NOW + timedelta(minutes=4)),
        SessionFilter(session_time__lte=NOW + timedelta(days=4)),
        SessionFilter(session_time=ago(hours=1), session_time__gte=ago(hours=1)),
    ],
    ids=str,
)
def test_a_window_that_can_hold_something_passes(window: SessionFilter) -> None:
    window.validate(now=NOW)
    assert window.start() is None or window.end() is None or window.start() <= window.end()  # type: ignore[operator] # both are known here


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (
            SessionFilter(session_time__gte=ago(hours=1), session_time__lt=ago(hours=2)),
            "session_time: the window starts at 2026-11-21 08:30:00 but ends at "
            "2026-11-21 07:30:00 UTC. Give a start before the end, e.g. session_time__gte=7d and "
            "session_time__lt=24h.",
        ),
        (
            SessionFilter(session_time__gt=NOW + timedelta(hours=1)),
            "session_time: the window starts at 2026-11-21 10:30:00 UTC, in the future "
            "(now 2026-11-21 09:30:00 UTC). Times are UTC; try 24h.",
        ),
    ],
    ids=["backwards", "future"],
)
def test_a_window_that_can_hold_nothing_is_refused(window: SessionFilter, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        window.validate(now=NOW)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "window",
    [
        SessionFilter(session_time__gt=ago(hours=1), session_time__lt=ago(hours=1)),
        SessionFilter(session_time__gt=ago(hours=1), session_time__lte=ago(hours=1)),
        SessionFilter(session_time=ago(hours=1), session_time__lt=ago(hours=1)),
        SessionFilter(session_time=ago(hours=1), session_time__lte=ago(hours=2)),
    ],
    ids=str,
)
def test_an_empty_instant_is_refused(window: SessionFilter) -> None:
    with pytest.raises(InvalidArgument, match="Give a start before the end"):
        window.validate(now=NOW)


def test_only_set_filters_are_listed_in_documented_order() -> None:
    session_filter = SessionFilter(
        brand_name="Acme", session_time__lt=NOW, app_uuid="x", status="expired"
    )
    assert list(session_filter.set_filters()) == [
        "app_uuid",
        "status",
        "session_time__lt",
        "brand_name",
    ]


def value_of(name: str) -> str | datetime | tuple[str, ...]:
    if name in TIME_FILTERS:
        return NOW
    is_several = name in LOCAL_FILTERS and name != "recipient_prefix"
    return ("x", "y") if is_several else "x"


@pytest.mark.parametrize("name", [field.name for field in fields(SessionFilter)])
def test_each_filter_is_a_time_or_the_scope_or_has_a_column_or_is_left_to_the_api(
    name: str,
) -> None:
    session_filter = SessionFilter(**{name: value_of(name)})  # type: ignore[arg-type] # of any field
    assert session_filter.is_unfiltered() == (name in TIME_FILTERS or name == SCOPE_FILTER)
    assert session_filter.answerable_from_mirror() == (name not in LEFT_TO_API)
    if name in STORED_COLUMNS:
        (condition,) = session_filter.stored_conditions()
        assert condition.column == STORED_COLUMNS[name]
        assert condition.admits("x")
        assert not condition.admits("z")
    assert STORED_COLUMNS.keys() >= LOCAL_FILTERS


@pytest.mark.parametrize("name", sorted(LOCAL_FILTERS))
def test_a_filter_that_the_api_does_not_know_is_never_sent_to_it(name: str) -> None:
    session_filter = SessionFilter(status="expired", **{name: value_of(name)})  # type: ignore[arg-type] # of any field
    with pytest.raises(ValueError, match=f"cannot filter by {name}"):
        PageRequest(session_filter, 20, 0).query_params()
    params = PageRequest(session_filter.for_api(), 20, 0).query_params()
    assert params == {"status": "expired", "limit": "20", "offset": "0"}
    assert not SessionFilter(**{name: value_of(name)}).is_unfiltered()  # type: ignore[arg-type] # of any field


@dataclass(frozen=True, slots=True)
class NewFilter(SessionFilter):
    """A filter with a field that stands in no list."""

    carrier: str | None = None


def test_a_filter_in_no_list_is_neither_unfiltered_nor_answerable() -> None:
    session_filter = NewFilter(carrier="x", status="expired")
    assert not session_filter.is_unfiltered()
    assert not session_filter.answerable_from_mirror()
    with pytest.raises(ValueError, match="no column"):
        session_filter.stored_conditions()
