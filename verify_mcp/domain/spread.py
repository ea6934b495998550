"""Figures of many sessions that do not simply add up: distinct recipients, gaps between attempts.

A gap is the time from a session's first attempt to its second, in whole seconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from fractions import Fraction

from verify_mcp.domain import tallies
from verify_mcp.domain.groups import GroupKey
from verify_mcp.domain.sessions import Session

MEDIAN, NINETIETH = Fraction(1, 2), Fraction(9, 10)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Gaps:
    """How many sessions had each gap, by its whole seconds."""

    sessions: Mapping[int, int] = field(default_factory=dict)

    def quantile(self, share: Fraction) -> int | None:
        """The shortest gap that at least `share` of the sessions do not exceed; None of none."""
        needed, seen = share * sum(self.sessions.values()), 0
        for seconds in sorted(self.sessions):
            seen += self.sessions[seconds]
            if seen >= needed:
                return seconds
        return None


GapsByGroup = dict[GroupKey, Gaps]


def merge_gaps(*parts: Mapping[GroupKey, Gaps]) -> GapsByGroup:
    """The gaps of parts added up, group by group."""
    merged: dict[GroupKey, dict[int, int]] = {}
    for part in parts:
        for key, gaps in part.items():
            sums = merged.setdefault(key, {})
            for seconds, count in gaps.sessions.items():
                sums[seconds] = sums.get(seconds, 0) + count
    return {key: Gaps(sums) for key, sums in merged.items()}


def gaps_by(
    sessions: Iterable[Session], by: tuple[str, ...] = (), zone: tzinfo = UTC
) -> GapsByGroup:
    """The gaps of sessions, by any number of groups."""
    return merge_gaps(
        *(
            {key: Gaps({(session.retry_gap + _SECOND / 2) // _SECOND: 1})}
            for session in sessions
            if session.retry_gap is not None
            for key in tallies.group_keys(session, by, zone)
        )
    )


def recipients_by(
    sessions: Iterable[Session], by: tuple[str, ...] = (), zone: tzinfo = UTC
) -> dict[GroupKey, set[str]]:
    """The different recipients of sessions, by any number of groups; unknown ones are left out."""
    found: dict[GroupKey, set[str]] = {}
    for session in sessions:
        if session.recipient:
            for key in tallies.group_keys(session, by, zone):
                found.setdefault(key, set()).add(session.recipient)
    return found
