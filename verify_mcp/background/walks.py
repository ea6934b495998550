"""What the steps of every background backfill have in common."""

from collections.abc import Iterable

from verify_mcp.background.leased_loop import BUSY_SECONDS
from verify_mcp.clock import Clock
from verify_mcp.domain.windows import Window
from verify_mcp.errors import RateLimited
from verify_mcp.mirror.backfill import Backfill, BackfillProgress
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.rate_limit_store import Priority

STEP_SECONDS = 10.0
"""Seconds that a step may wait for slots."""


def background_call(clock: Clock) -> CallContext:
    """A call behind every person's, which ends at the first 429."""
    return CallContext(
        deadline=clock.monotonic() + STEP_SECONDS,
        priority=Priority.BACKGROUND,
        retries_refusals=False,
    )


def is_for_one_of(backfill: Backfill, missing: Iterable[Window]) -> bool:
    """Whether all that a backfill has before it is missing, in one of some windows."""
    left = backfill.remaining
    return any(gap.start <= left.start and left.end <= gap.end for gap in missing)


def pause_after(progress: BackfillProgress) -> float:
    """Seconds until the next step, after one that the quota may have stopped.

    Raises ApiError for a fault that stopped it. A 429 is none: the next step sees the pause.
    """
    if progress.failure is not None and not isinstance(progress.failure, RateLimited):
        raise progress.failure
    return BUSY_SECONDS if progress.is_stopped else 0.0
