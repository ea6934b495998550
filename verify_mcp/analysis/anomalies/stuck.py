"""Sessions that stay in progress longer than sessions do."""

from dataclasses import dataclass
from datetime import timedelta

from verify_mcp.analysis.anomalies.finding import Finding, Search
from verify_mcp.analysis.anomalies.reference import beta_binomial_upper_tail
from verify_mcp.domain.windows import Window

MIN_AGE = timedelta(hours=1)
"""How old a session must have been when it was read last. Codes expire after minutes."""


@dataclass(frozen=True, slots=True)
class OldSessions:
    """The sessions that were so old when they were read last, and those of them in progress."""

    sessions: int
    in_progress: int


def find_stuck(window: Window, now: OldSessions, past: OldSessions) -> Search:
    """One finding if more sessions are in progress than was usual.

    The chance is that of a rate that was `past`'s, with half a session of either kind added to it
    (Jeffreys' prior), so that a past without any does not make one session a certainty.
    """
    if not now.in_progress:
        return Search("stuck", 1)
    ended = past.sessions - past.in_progress
    chance = beta_binomial_upper_tail(
        now.in_progress, now.sessions, past.in_progress + 0.5, ended + 0.5
    )
    usual = now.sessions * (past.in_progress + 0.5) / (past.sessions + 1)
    finding = Finding("stuck", {}, window, "in_progress", usual, now.in_progress, chance)
    return Search("stuck", 1, (finding,))
