"""Fetching what the mirror lacks, for the commands that may take their time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from verify_mcp.context import AppContext
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.windows import Window
from verify_mcp.errors import ApiError
from verify_mcp.mirror.backfill import CONCURRENT_PAGES, Backfill
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.rate_limit_store import Priority


@dataclass(slots=True)
class FetchResult:
    """The number of sessions fetched, the windows that stay incomplete, and what stopped it."""

    sessions: int = 0
    incomplete: list[Window] = field(default_factory=list)
    failure: ApiError | None = None


async def fetch_windows(
    app: AppContext,
    session_filter: SessionFilter,
    missing: Sequence[Window],
    *,
    deadline: float,
    show_progress: Callable[[int, float], None],
) -> FetchResult:
    """Fetch windows at background priority, the newest first, until a deadline.

    `deadline` is in monotonic seconds. `show_progress` is called with the number of sessions so far
    and with the share of the windows that is fetched, from 0 to 1.
    """
    call = CallContext(deadline=deadline, priority=Priority.BACKGROUND)
    result, total = FetchResult(), total_seconds(missing)
    for window in reversed(missing):
        backfill = Backfill(app.mirror, session_filter, window)
        while not backfill.done and result.failure is None and app.clock.monotonic() < deadline:
            await backfill.step(call, budget=CONCURRENT_PAGES)
            result.failure = backfill.progress.failure
            left = [*backfill.progress.missing, *(other for other in missing if other < window)]
            sessions = result.sessions + len(backfill.progress.sessions)
            show_progress(sessions, 1 - total_seconds(left) / total)
            if backfill.progress.eta_s is not None:
                break  # the quota allows nothing more before the deadline
        result.sessions += len(backfill.progress.sessions)
        result.incomplete += backfill.progress.missing
    return result


def total_seconds(windows: Sequence[Window]) -> float:
    """The seconds that all windows have together."""
    return sum(window.length.total_seconds() for window in windows)
