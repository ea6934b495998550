"""One question to the API: its turn in the quota, its tries, and what they cost."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import TypeVar

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from verify_mcp import pacing, telemetry
from verify_mcp.api import Api
from verify_mcp.api_clock import ApiClock
from verify_mcp.errors import ApiError, ApiUnreachable, QuotaExhausted, RateLimited
from verify_mcp.filters import SessionFilter
from verify_mcp.flights import Flights
from verify_mcp.quota import PEOPLE, Quota, Slot
from verify_mcp.sessions import Page, Session
from verify_mcp.settings import Settings

Answer = TypeVar("Answer")

LONGEST_CALL = 50.0
"""Seconds after which every call is answered: clients give up after about sixty."""
TRIES = 3
"""Requests spent on one question at most; only faults that another try can mend get one."""


@dataclass(frozen=True, slots=True)
class World:
    """Time, patience and chance, as the process around us has them."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    chance: Callable[[], float] = random.random


@dataclass(slots=True)
class Effort:
    """What one answer has cost so far, and what it is doing now, in a few words.

    `deadline` bounds its waiting, on the world's clock; None means `max_wait` for each question.
    """

    requests: int = 0
    doing: str = "asking the Verify API"
    deadline: float | None = None
    priority: int = PEOPLE


def patience(settings: Settings) -> float:
    """Seconds that a call may wait for its turn: the last request takes time, too."""
    return min(settings.max_wait, max(0.0, LONGEST_CALL - settings.request_timeout))


class Exchange:
    """The account's two endpoints, asked at the pace that their quotas allow."""

    def __init__(
        self,
        api: Api,
        *,
        lists: Quota,
        retrieves: Quota,
        flights: Flights,
        settings: Settings,
        world: World,
    ) -> None:
        self._api = api
        self.lists = lists
        self.retrieves = retrieves
        self._flights = flights
        self._settings = settings
        self._world = world

    @property
    def clock(self) -> ApiClock:
        """The API's clock."""
        return self._api.clock

    async def page(
        self,
        wanted: SessionFilter,
        *,
        limit: int,
        offset: int,
        effort: Effort,
        cursor: str | None = None,
    ) -> Page:
        """One page of the sessions wanted. Raises QuotaExhausted or ApiError."""

        def ask() -> Awaitable[Page]:
            return self._api.page(wanted, limit=limit, offset=offset, cursor=cursor)

        return await self._flights.shared(
            ("page", wanted, limit, offset, cursor, effort.priority),
            lambda: self._asked(self.lists, ask, effort),
        )

    async def session(self, uuid: str, *, effort: Effort) -> Session:
        """One session. Raises QuotaExhausted, SessionNotFound or ApiError."""
        return await self._flights.shared(
            ("session", uuid),
            lambda: self._asked(self.retrieves, lambda: self._api.session(uuid), effort),
        )

    async def _asked(
        self, quota: Quota, ask: Callable[[], Awaitable[Answer]], effort: Effort
    ) -> Answer:
        """The answer to one question, each try paying its slot."""
        self._api.ready()  # what can fail without a request fails before it waits for one
        clock = self._world.clock
        deadline = effort.deadline or clock() + patience(self._settings)
        failure: ApiError | None = None
        for attempt in range(1, TRIES + 1):
            came = clock()
            try:
                async with quota.slot(
                    patience=deadline - clock(),
                    priority=effort.priority,
                    on_wait=lambda seconds: _waiting(effort, seconds),
                ) as slot:
                    telemetry.waited(clock() - came)
                    effort.doing = "asking the Verify API"
                    answer = await _sent(slot, ask, effort)
                    quota.note_answer()
                    return answer
            except QuotaExhausted:
                if failure is None or isinstance(failure, RateLimited):
                    raise
                raise failure from None
            except ApiError as error:
                failure, pause = error, pacing.backoff(attempt, self._world.chance())
                if isinstance(error, RateLimited):
                    wish = min(error.retry_after or 0.0, pacing.LONGEST_WISH)
                    await quota.close(max(pause, wish), asked_for=error.retry_after or 0.0)
                spent = attempt == TRIES or (error.once and attempt > 1)
                if spent or not await self._may_retry(error, pause, deadline):
                    raise
        raise failure or QuotaExhausted(0)  # pragma: no cover - the last try returned or raised

    async def _may_retry(self, error: ApiError, pause: float, deadline: float) -> bool:
        """Whether asking again can help in time; if so, after the pause it takes."""
        if isinstance(error, RateLimited):
            return True  # the quota's gate tells how long, and to everybody
        if not error.retryable or self._world.clock() + pause > deadline:
            return False
        await self._world.sleep(pause)
        return True


def _waiting(effort: Effort, seconds: float) -> None:
    effort.doing = f"waiting for the API's quota, about {max(1, round(seconds))} s"


async def _sent(slot: Slot, ask: Callable[[], Awaitable[Answer]], effort: Effort) -> Answer:
    await checkpoint_if_cancelled()  # who left while the slot was granted has sent nothing
    slot.sent = True
    effort.requests += 1
    try:
        return await ask()
    except ApiUnreachable as error:
        slot.sent = error.sent
        effort.requests -= not error.sent
        raise
