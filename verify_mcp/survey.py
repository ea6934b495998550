"""A question about many sessions, answered from what is held, what can be fetched, or by counting.

The three ways are tried in this order, and the finding says which it was. Nothing is ever silently
partial: what a finding does not cover is in `missing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from verify_mcp import summary
from verify_mcp.exchange import Effort
from verify_mcp.filters import SessionFilter
from verify_mcp.mirror import Mirror, age
from verify_mcp.summary import Tallies
from verify_mcp.walk import Walk, Walker
from verify_mcp.windows import Window, gaps

LONGEST_CALL = 40.0
"""Seconds after which a call answers with what it has, however fast the API is."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about which sessions; `wanted` holds no times, `window` does.

    `pinned` says that the asker named the window's end; otherwise it is now, and an answer may be
    a little older.
    """

    wanted: SessionFilter
    window: Window
    pinned: bool
    by: tuple[str, ...] = ()
    zone: tzinfo = UTC
    max_requests: int = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: `tallies` of all sessions in `window` but those in `missing`."""

    basis: str
    window: Window
    tallies: Tallies
    as_of: datetime
    missing: tuple[Window, ...] = ()
    why: str = ""
    eta_s: float | None = None
    skipped: int = 0


class Survey:
    """One question under way."""

    def __init__(self, mirror: Mirror, question: Question, effort: Effort) -> None:
        self._mirror = mirror
        self._question = question
        self._effort = effort
        self._scope = question.wanted.subaccount or ""
        self._stop_at = mirror.world.clock() + LONGEST_CALL
        effort.deadline = mirror.world.clock() + mirror.settings.max_wait

    async def finding(self) -> Finding:
        """The answer. Raises QuotaExhausted or ApiError when there is nothing to tell."""
        window, held, as_of = await self._held()
        missing = gaps(window, held)
        tallies = await self._tallied(held)
        if not missing:
            return Finding("held", window, tallies, as_of)
        walks = await self._walked(missing)
        sessions = [each for walk in walks for each in walk.sessions]
        fetched = summary.tallied(sessions, self._question.by, self._question.zone)
        left = gaps(window, [*held, *(each for walk in walks for each in walk.whole)])
        return Finding(
            "fetched",
            window,
            summary.added(tallies, fetched),
            as_of,
            left,
            self._why(left, walks),
            await self._eta(left, walks),
            sum(walk.skipped for walk in walks),
        )

    async def _held(self) -> tuple[Window, tuple[Window, ...], datetime]:
        """The window as it will be answered, its parts that are held, and as of when."""
        question = self._question
        if not question.wanted.on_what_is_kept():
            return question.window, (), self._mirror.world.now()
        held, at = await self._mirror.covered(self._scope, question.window)
        window = question.window
        if held and not question.pinned and window.end - held[-1].end <= age(window):
            window = replace(window, end=held[-1].end)
        return window, held, at

    async def _tallied(self, held: Sequence[Window]) -> Tallies:
        store, question = self._mirror.store, self._question
        if store is None or not held:
            return {}
        return await store.tallied(question.wanted, self._scope, held, question.by, question.zone)

    async def _walked(self, missing: Sequence[Window]) -> list[Walk]:
        """Walks of what is missing, the youngest part first, within the question's budget."""
        walks = []
        pinned = self._mirror.world.now()
        for window in reversed(missing):
            walker = Walker(self._mirror, self._question.wanted, window, pinned)
            walks.append(walker.walk)
            while not walker.over and self._may_go_on(walker.walk):
                await walker.step(self._effort, budget=self._budget())
        return walks

    def _budget(self) -> int:
        return self._question.max_requests - self._effort.requests

    def _may_go_on(self, walk: Walk) -> bool:
        stopped = walk.eta_s is not None or walk.failure is not None
        in_time = self._mirror.world.clock() < self._stop_at
        return not stopped and in_time and self._budget() > 0

    def _why(self, left: Sequence[Window], walks: Sequence[Walk]) -> str:
        """Why a finding does not cover the whole window, in fixed words."""
        if not left:
            return ""
        failure = next((walk.failure for walk in walks if walk.failure), None)
        if failure is not None:
            return f"{failure} The figures cover the part that was fetched before."
        if any(walk.skipped for walk in walks):
            return "Some of the API's rows could not be read; the times around them are left out."
        if any(walk.eta_s is not None for walk in walks):
            return "The quota of API requests is used up for now. The same call goes on from here."
        return (
            "The part still missing takes more requests than max_requests. The same call goes on "
            "from here."
        )

    async def _eta(self, left: Sequence[Window], walks: Sequence[Walk]) -> float | None:
        """Seconds until the missing part can be there, at the present quota."""
        if not left:
            return None
        standing = await self._mirror.exchange.lists.standing()
        pages = max(1, sum(walk.expected_pages() for walk in walks))
        rate = self._mirror.settings.rate_limit
        wave = max(0, -(-(pages - standing.left) // rate.requests) - 1)
        return standing.eta_s + wave * rate.window
