"""Fetching windows into the mirror for a command, at background priority, until a deadline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, inf

from verify_mcp.context import AppContext
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.backfill import CONCURRENT_PAGES, Backfill, BackfillProgress
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.rate_limit_store import Priority, reserved_slots
from verify_mcp.settings import Rate
from verify_mcp.summaries.explain import expected_pages


@dataclass(frozen=True, slots=True)
class FetchEstimate:
    """How a fetch stands: its sessions so far, and the seconds that it may still take.

    The seconds are None until the first page shows how many sessions there are.
    """

    sessions: int
    seconds_left: float | None


@dataclass(slots=True)
class FetchOutcome:
    """What a fetch brought: the number of sessions, and the windows that stay incomplete."""

    sessions: int = 0
    incomplete: list[Window] = field(default_factory=list)


ShowEstimate = Callable[[FetchEstimate], None]


async def fetch_windows(
    app: AppContext,
    session_filter: SessionFilter,
    windows: Sequence[Window],
    show: ShowEstimate,
    *,
    deadline: float = inf,
) -> FetchOutcome:
    """Fetch windows, the newest first, until the deadline in monotonic seconds.

    Raises ApiError; what was fetched before is in the mirror.
    """
    call = CallContext(deadline=deadline, priority=Priority.BACKGROUND)
    progresses = [BackfillProgress(window) for window in reversed(windows)]
    for index, window in enumerate(reversed(windows)):
        backfill = Backfill(app.mirror, session_filter, window)
        progresses[index] = backfill.progress
        while not backfill.done and app.clock.monotonic() < deadline:
            show(await _estimate(app, progresses))
            await backfill.step(call, budget=CONCURRENT_PAGES)
            if backfill.progress.failure is not None:
                raise backfill.progress.failure
            if backfill.progress.eta_s is not None:  # no slot before the deadline
                return _outcome(progresses)
    return _outcome(progresses)


async def _estimate(app: AppContext, progresses: Sequence[BackfillProgress]) -> FetchEstimate:
    sessions = sum(len(progress.sessions) for progress in progresses)
    pages = expected_pages(progresses)
    if pages == inf:
        return FetchEstimate(sessions, None)
    status = await app.gateway.list_limiter.status()
    left = seconds_until_fetched(pages, status.left, app.settings.rate_limit)
    return FetchEstimate(sessions, left)


def seconds_until_fetched(pages: float, slots_left: int, rate: Rate) -> float:
    """Seconds that so many requests of a command take at most, which leave slots to people."""
    reserved = reserved_slots(Priority.BACKGROUND, rate)
    later = max(0.0, pages - max(0, slots_left - reserved))
    return ceil(later / (rate.requests - reserved)) * rate.window


def in_background(seconds: float, rate: Rate) -> float:
    """What takes so many seconds with every slot, with those that a command may use."""
    return seconds * rate.requests / (rate.requests - reserved_slots(Priority.BACKGROUND, rate))


def _outcome(progresses: Sequence[BackfillProgress]) -> FetchOutcome:
    sessions = sum(len(progress.sessions) for progress in progresses)
    missing = [window for progress in progresses for window in progress.missing]
    return FetchOutcome(sessions, missing)
