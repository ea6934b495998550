"""How far back the API shows sessions, and what of a filter's window lies before that."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from verify_mcp.domain.api_limits import REACH
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.times import SECOND, format_time

REACH_TOLERANCE = timedelta(minutes=1)
"""How much of a window's start may slide out of reach during a call; `applied` shows it."""
PAGING_TIME = timedelta(hours=1)
"""How long a caller may page through one window whose fixed start leaves the reach."""
REACH_SLACK = timedelta(seconds=3)
"""How far apart two readings of the API's clock may lie: replies carry it in whole seconds."""


def reach_edge(now: datetime) -> datetime:
    """The first whole second that the list endpoint still shows after `now`, the API's time."""
    return (now - REACH).replace(microsecond=0) + SECOND


def explain_reach(edge: datetime) -> str:
    """The sentence about the instant at which the reach ends."""
    return f"The API reaches back {REACH.days} days, to {format_time(edge)} UTC."


@dataclass(frozen=True, slots=True)
class OutOfReach:
    """A span of time that the API no longer shows, and the sentence about it."""

    why: str
    missing: str


def out_of_reach(start: datetime | None, end: datetime, *, edge: datetime) -> OutOfReach:
    """The span from `start` (None: open) to `end`, before the reach that ends at `edge`."""
    begin = f"{format_time(start)} to " if start else "until "
    return OutOfReach(explain_reach(edge), begin + format_time(end))


@dataclass(frozen=True, slots=True)
class ClippedFilter:
    """A filter as requested and as it is sent, for one instant `now` of the API's clock."""

    requested: SessionFilter
    sent: SessionFilter
    now: datetime

    @property
    def is_out_of_reach(self) -> bool:
        """Whether the requested window as a whole lies before the reach."""
        end = self.requested.end()
        return end is not None and end <= self.now - REACH

    def at(self, now: datetime) -> "ClippedFilter":
        """The same at a later instant; clipped again if the reach moved by more than the slack."""
        start = self.sent.start()
        has_moved = start is not None and now - REACH - start > REACH_SLACK
        sent = clip_start(self.sent, now=now) if has_moved else self.sent
        return replace(self, sent=sent, now=now)

    def out_of_reach(self, tolerance: timedelta) -> OutOfReach | None:
        """What of the requested window is not sent, None if it is at most `tolerance` long."""
        start, sent_start, edge = self.requested.start(), self.sent.start(), self.now - REACH
        is_cut = bool(start and sent_start and sent_start - start > tolerance)
        if not (is_cut or self.is_out_of_reach):
            return None
        return out_of_reach(start, min(edge, self.requested.end() or edge), edge=edge)


def clip_to_reach(session_filter: SessionFilter, *, now: datetime) -> ClippedFilter:
    """The filter beside the one to send; they are the same if nothing of it is within reach."""
    unclipped = ClippedFilter(session_filter, session_filter, now)
    if unclipped.is_out_of_reach:
        return unclipped
    return replace(unclipped, sent=clip_start(session_filter, now=now))


def clip_start(session_filter: SessionFilter, *, now: datetime) -> SessionFilter:
    """The filter with an explicit start that is not before the reach.

    A window with an end but no start gets the reach as its start, because the API's documents do
    not say which start it would assume. A filter without a time stays as it is: the API's default
    window applies.
    """
    edge, start = reach_edge(now), session_filter.start()
    if not session_filter.has_time() or (start and start >= edge):
        return session_filter
    return replace(session_filter, session_time__gt=None, session_time__gte=edge)
