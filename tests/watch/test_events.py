"""Events out of findings: each begins once, goes on silently, and is over once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.support.client import NOW
from verify_mcp.analysis.anomalies.finding import Finding
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.cells import Evidence
from verify_mcp.summaries.anomaly_query import ReportedFinding
from verify_mcp.watch.events import Transition, WatchedEvent, transitions

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def found(start: float, end: float, kind: str = "delivery", **where: str) -> ReportedFinding:
    """A finding from so many hours ago to so many hours ago."""
    places = where or {"country": "ID", "channel": "sms"}
    window = Window(NOW - start * HOUR, NOW - end * HOUR)
    finding = Finding(kind, places, window, "delivered_share", 0.9, 0.3, 1e-9)
    return ReportedFinding(finding, Evidence(sessions=40, recipients=40))


def look(
    known: list[WatchedEvent], *findings: ReportedFinding, hours: float = 0, complete: bool = True
) -> tuple[list[str | None], list[WatchedEvent]]:
    """The changes of a look so many hours after NOW, and the events afterwards."""
    now = NOW + hours * HOUR
    made: tuple[Transition, ...] = transitions(
        known, findings, now=now, start=now - DAY, is_complete=complete
    )
    return [one.change for one in made], [one.after for one in made]


def test_an_event_begins_once_goes_on_and_is_over_once() -> None:
    began, events = look([], found(1, 0))
    later = replace(found(0, 0), finding=replace(found(0, 0).finding, window=Window(
        NOW - HOUR, NOW + HOUR
    )))  # fmt: skip
    goes_on, events = look(events, later, hours=1)
    quiet, events = look(events, later, hours=2.5)
    over, events = look(events, later, hours=3.5)
    again, events = look(events, later, hours=9)
    gone, events = look(events, hours=30)
    changes = [began, goes_on, quiet, over, again, gone]
    assert changes == [["began"], [None], [None], ["ended"], [None], []]


def test_what_was_over_before_it_was_seen_is_reported_once() -> None:
    changes, events = look([], found(8, 6))
    assert (changes, [event.is_over for event in events]) == (["passed"], [True])
    assert look(events, found(8, 6), hours=1)[0] == [None]


def test_what_is_not_found_any_more_is_over_only_after_a_complete_look() -> None:
    _, events = look([], found(1, 0))
    assert look(events, hours=1, complete=False)[0] == [None]
    assert look(events, hours=1)[0] == ["ended"]


def test_a_wider_or_narrower_place_is_the_same_event_and_another_place_is_not() -> None:
    _, events = look([], found(1, 0))
    narrower = found(1, 0, country="ID", channel="sms", network="Telkomsel")
    elsewhere = found(1, 0, country="BR", channel="sms")
    assert look(events, narrower)[0] == [None]
    assert look(events, narrower, elsewhere)[0] == [None, "began"]
    assert look(events, found(1, 0, kind="conversion", country="ID"))[0] == ["ended", "began"]


def test_more_prefixes_join_pumping_that_goes_on() -> None:
    _, events = look([], found(2, 1, "pumping", country="AZ", prefix="+99450271"))
    more = found(2, 0, "pumping", country="AZ", prefix="+99450271 +99450272")
    assert look(events, more)[0] == [None]


def test_the_same_fault_hours_later_is_another_event() -> None:
    _, events = look([], found(20, 18))
    assert look(events, found(20, 18), found(4, 0))[0] == [None, "began"]
