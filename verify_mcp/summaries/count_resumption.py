"""Whether a call may go on with a count that an earlier call began."""

from datetime import timedelta

from verify_mcp.domain.receipts import CLOCK_TOLERANCE
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.count_result import CountScope
from verify_mcp.summaries.query import RESUME_TOLERANCE, SummaryQuery

MIN_JOB_AGE, MAX_JOB_AGE = timedelta(seconds=15), timedelta(hours=1)
"""How long a count may go on from call to call: a hundredth of its window, within these."""


def is_resumable(scope: CountScope, query: SummaryQuery, age: timedelta) -> bool:
    """Whether a count of this age is about the same window.

    A relative window of a repeated call has moved on with the clock; it is answered as of then.
    """
    if age < -CLOCK_TOLERANCE:
        return False  # it was begun before this machine's clock was known to be wrong
    moved = query.window.start - scope.window.start
    is_same_start = not moved or abs(moved - age) <= RESUME_TOLERANCE
    is_same_end = query.window.end == scope.window.end or not (
        query.is_end_pinned or scope.is_end_pinned
    )
    return is_same_start and is_same_end and age <= max_job_age(scope.window)


def max_job_age(window: Window) -> timedelta:
    """How long a count of a window may go on."""
    return min(max(window.length / 100, MIN_JOB_AGE), MAX_JOB_AGE)
