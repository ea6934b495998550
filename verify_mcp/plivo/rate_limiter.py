"""The account's rate limit as one process uses it: requests wait for a slot, within a bound.

`rate_limit_store` has the rules and the protocol of the store that slots and tickets live in.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TypeVar

import anyio

from verify_mcp.deferred import DeferredWork
from verify_mcp.errors import DatabaseUnavailable, QuotaExhausted
from verify_mcp.plivo.rate_limit_store import (
    TRAVEL_SECONDS,
    Priority,
    RateLimitStatus,
    RateLimitStore,
    Slot,
    SlotExpired,
    Ticket,
)

Figure = TypeVar("Figure")

MIN_POLL, FIRST_WAITER_POLL, OTHER_WAITERS_POLL = 0.01, 0.5, 2.0
"""Seconds between two polls of the store: by this process's first waiter once a slot is due, by the
first waiter before that, and by the waiters behind it, which the first one wakes. A poll keeps the
ticket alive, and that of the first waiter the others' tickets, too.
"""


@dataclass(slots=True)
class _Waiter:
    store: RateLimitStore
    ticket: Ticket
    wake: anyio.Event = field(default_factory=anyio.Event)


class RateLimiter:
    """One endpoint's rate limit: `slot` waits for a slot, within a bound.

    `clock` is monotonic seconds and `sleep` waits them; `now` also passes while this machine is
    suspended. While `store` is unavailable, `fallback`
    replaces it: a store of this process alone, at a fraction of the rate. The slots of completed
    requests are released in `releases`.
    """

    def __init__(
        self,
        store: RateLimitStore,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        fallback: RateLimitStore | None = None,
        releases: DeferredWork | None = None,
    ) -> None:
        self._store = store
        self._releases = releases or DeferredWork()
        self._fallback = fallback
        self._clock = clock
        self._sleep = sleep
        self._now = now
        self._waiters: list[_Waiter] = []
        self._completed_at: dict[str, float] = {}
        """When each of this process's requests of the last window completed, by slot, in order."""
        self._refused_until = clock()
        """The end of the API's last Retry-After; the store may grant a slot before it."""
        self._opened: int | None = None
        """The store's opening since which it knows this process's requests; None: it may not."""

    @asynccontextmanager
    async def slot(
        self,
        *,
        max_wait: float,
        priority: Priority = Priority.INTERACTIVE,
        on_wait: Callable[[float], None] = lambda _seconds: None,
    ) -> AsyncIterator[Slot]:
        """A slot for one request, after waiting for it at most `max_wait` seconds.

        `on_wait` is called with the seconds that the wait may still take. Raises QuotaExhausted, at
        once when the estimate already exceeds `max_wait`.
        """
        store, slot = await self._acquire(max_wait, priority, on_wait)
        try:
            yield slot
        finally:
            completed_at = max(self._clock(), slot.arrives_by)
            if slot.sent:  # until it is released its slot counts as taken just the same
                self._forget_old_requests()
                self._completed_at[slot.key] = completed_at
                await self._releases.put_off(lambda: self._release(store, slot, completed_at))
            else:
                await self._release(store, slot, completed_at)

    async def block_for(self, seconds: float, *, retry_after: float = 0.0) -> None:
        """Grant no slot for this many seconds: the API answered "too many requests".

        `retry_after` is the API's own figure in seconds, which `status` and QuotaExhausted report
        while it lasts.
        """
        self._refused_until = max(self._refused_until, self._clock() + retry_after)
        for store in filter(None, (self._store, self._fallback)):
            with suppress(DatabaseUnavailable):
                await store.block(seconds)

    def record_success(self) -> None:
        """Record that the API answered, which ends its last Retry-After."""
        self._refused_until = self._clock()

    async def count_left(self) -> int:
        """Requests that may be sent now."""
        return await self._read(lambda store: store.count_left())

    async def status(self) -> RateLimitStatus:
        """The rate limit's status now."""
        status = await self._read(lambda store: store.status())
        return status if status.left else replace(status, eta_s=self._eta(status.eta_s))

    async def _read(self, read: Callable[[RateLimitStore], Awaitable[Figure]]) -> Figure:
        try:
            return await read(self._store)
        except DatabaseUnavailable:
            if self._fallback is None:
                raise
            return await read(self._fallback)

    def _eta(self, seconds: float) -> float:
        """Seconds to wait, not less than the API's last Retry-After."""
        return max(seconds, self._refused_until - self._clock())

    async def _acquire(
        self, max_wait: float, priority: Priority, on_wait: Callable[[float], None]
    ) -> tuple[RateLimitStore, Slot]:
        deadline = self._clock() + max_wait
        try:
            await self._import_unless_known()
            return self._store, await self._wait_in_queue(self._store, deadline, priority, on_wait)
        except DatabaseUnavailable:
            if self._fallback is None:
                raise
            self._opened = None
            await self._fallback.import_recent(self._ages())
            return self._fallback, await self._wait_in_queue(
                self._fallback, deadline, priority, on_wait
            )

    async def _import_unless_known(self) -> None:
        """Tell the store of this process's requests, if it may lack some."""
        opened = await self._store.open()
        if opened != self._opened:
            if ages := self._ages():
                await self._store.import_recent(ages)
            self._opened = opened

    async def _release(self, store: RateLimitStore, slot: Slot, completed_at: float) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await store.release(slot, completed_at)
            except DatabaseUnavailable:
                self._opened = None
        self._wake()

    def _forget_old_requests(self) -> None:
        since = self._clock() - self._store.rate.window
        old = takewhile(lambda request: request[1] <= since, self._completed_at.items())
        for key, _ in list(old):
            del self._completed_at[key]

    def _ages(self) -> dict[str, float]:
        """Seconds since each of this process's requests of the last window completed, by slot."""
        self._forget_old_requests()
        now = self._clock()
        return {key: now - at for key, at in self._completed_at.items()}

    async def _wait_in_queue(
        self,
        store: RateLimitStore,
        deadline: float,
        priority: Priority,
        on_wait: Callable[[float], None],
    ) -> Slot:
        check = self._expiry(store)
        result = await store.acquire_or_enqueue(priority)
        if isinstance(result, Slot):
            result.check = check
            return result
        waiter = _Waiter(store, result)
        self._waiters.append(waiter)
        self._waiters.sort(key=lambda waiter: waiter.ticket)
        try:
            return await self._poll(waiter, deadline, on_wait)
        except BaseException:
            with anyio.CancelScope(shield=True), suppress(DatabaseUnavailable):
                await store.dequeue(waiter.ticket)
            raise
        finally:
            self._waiters.remove(waiter)
            self._wake()

    async def _poll(
        self, waiter: _Waiter, deadline: float, on_wait: Callable[[float], None]
    ) -> Slot:
        while isinstance(result := await self._try_acquire(waiter), float):
            if self._clock() + result > deadline:
                raise QuotaExhausted(self._eta(result))
            on_wait(result)
            await self._sleep_or_wake(waiter, result, deadline)
        return result

    async def _try_acquire(self, waiter: _Waiter) -> Slot | float:
        behind = self._waiters[1:] if self._waiters[0] is waiter else []
        alive = [other.ticket for other in behind if other.store is waiter.store]
        check = self._expiry(waiter.store)
        result = await waiter.store.try_acquire(waiter.ticket, alive)
        if isinstance(result, Slot):
            result.check = check
        return result

    def _expiry(self, store: RateLimitStore) -> Callable[[], None]:
        """The check of a slot that will be granted from now on."""
        left = store.lease - TRAVEL_SECONDS
        end, end_time = self._clock() + left, self._now() + timedelta(seconds=left)

        def check() -> None:
            if self._clock() > end or self._now() > end_time:
                raise SlotExpired

        return check

    async def _sleep_or_wake(self, waiter: _Waiter, seconds: float, deadline: float) -> None:
        """Sleep for `seconds` at most, or until the queue before `waiter` changed."""
        waiter.wake = anyio.Event()
        is_first = self._waiters[0] is waiter
        pause = min(max(seconds, MIN_POLL), FIRST_WAITER_POLL) if is_first else OTHER_WAITERS_POLL

        async def wake_after_pause() -> None:
            await self._sleep(min(pause, max(deadline - self._clock(), MIN_POLL)))
            waiter.wake.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wake_after_pause)
            await waiter.wake.wait()
            tasks.cancel_scope.cancel()

    def _wake(self) -> None:
        if self._waiters:
            self._waiters[0].wake.set()
