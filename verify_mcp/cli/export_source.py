"""What an export reads: the stored sessions of a period, once what it lacks was fetched."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain

from verify_mcp.cli import export_rows
from verify_mcp.cli.fetching import FetchEstimate, fetch_windows
from verify_mcp.cli.progress import UpdateProgress
from verify_mcp.context import AppContext
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.reach import reach_edge
from verify_mcp.domain.tallies import total
from verify_mcp.domain.windows import Window, gaps
from verify_mcp.errors import ApiError
from verify_mcp.mirror.mirror import MAX_STALENESS
from verify_mcp.mirror.scope import AccountScope
from verify_mcp.mirror.store import Store
from verify_mcp.mirror.stored_pages import scan
from verify_mcp.tools.envelope import parse_context

SESSIONS_AT_ONCE = 1_000
"""Sessions that are in memory at a time."""

Batches = AsyncIterator[tuple[int, list[export_rows.Row]]]
"""The number of sessions read and their rows, some at a time."""


@dataclass(frozen=True, slots=True)
class ExportSource:
    """The stored sessions of a period that a filter admits.

    `covered` are the windows of the period that are complete, `failure` is what stopped the
    fetching of the others.
    """

    context: AppContext
    store: Store
    session_filter: SessionFilter
    period: Window
    covered: tuple[Window, ...] = ()
    failure: ApiError | None = None

    @property
    def scope(self) -> str:
        """The subaccount whose sessions are read, "" for the account itself."""
        return self.session_filter.subaccount or ""

    @property
    def missing(self) -> tuple[Window, ...]:
        """The parts of the period that are not complete."""
        return gaps(self.period, self.covered)

    async def fetch(
        self, within: float, update: UpdateProgress, *, ends_now: bool
    ) -> "ExportSource":
        """The source after fetching what it lacks, for so many seconds at most.

        A period that `ends_now` ends where the newest fetch ended. Raises DatabaseUnavailable.
        """
        await self.store.cached_windows(self.scope, self.period)  # fails before any request
        started = self.context.now()
        covered = await self._cached_windows(MAX_STALENESS)
        missing, failure = self._fetchable(covered), None
        if missing and within > 0:
            failure = await self._fetch_windows(missing, within, update)
            took = max(timedelta(), self.context.now() - started)
            covered = await self._cached_windows(MAX_STALENESS + took)
        period = self.period
        if ends_now and covered and period.end - covered[-1].end <= MAX_STALENESS:
            period = Window(period.start, covered[-1].end)
        return replace(self, period=period, covered=covered, failure=failure)

    async def _fetch_windows(
        self, missing: tuple[Window, ...], within: float, update: UpdateProgress
    ) -> ApiError | None:
        """Fetch windows for so many seconds at most; the error that stopped it."""

        def show(estimate: FetchEstimate) -> None:
            update(f"{estimate.sessions} sessions fetched", estimate.seconds_left)

        deadline = self.context.clock.monotonic() + within
        unfiltered = SessionFilter(subaccount=self.session_filter.subaccount)
        try:
            await fetch_windows(self.context, unfiltered, missing, show, deadline=deadline)
        except ApiError as error:
            return error
        return None

    async def _cached_windows(self, max_staleness: timedelta) -> tuple[Window, ...]:
        cached, _ = await self.context.mirror.cached_windows(self.scope, self.period, max_staleness)
        return tuple(cached)

    def _fetchable(self, covered: tuple[Window, ...]) -> tuple[Window, ...]:
        """What is missing within the API's reach."""
        start = max(self.period.start, reach_edge(self.context.now()))
        if start >= self.period.end:
            return ()
        return gaps(Window(start, self.period.end), covered)

    async def count(self) -> int:
        """How many sessions there are to read."""
        tallies = await self.store.tally(self.session_filter, self.scope, [self.period], ())
        return total(tallies.values()).sessions

    async def read_sessions(self, content: str) -> Batches:
        """The rows of the sessions or of their attempts, oldest first."""
        rows_of = export_rows.TABLES[content][1]
        format_recipient = self.context.recipients.format
        found = scan(
            self.store.database,
            AccountScope(self.store.account, self.scope),
            self.session_filter,
            self.period,
            limit=SESSIONS_AT_ONCE,
        )
        async for sessions in found:
            rows = chain.from_iterable(rows_of(each, format_recipient) for each in sessions)
            yield len(sessions), list(rows)

    async def read_groups(self, by: tuple[str, ...]) -> Batches:
        """The rows of all groups of the complete part of the period, in their order."""
        zone = parse_context(self.context).zone
        tallies = await self.store.tally(self.session_filter, self.scope, self.covered, by, zone)
        format_recipient = self.context.recipients.format
        rows = [
            export_rows.group_row(by, key, tally, format_recipient)
            for key, tally in sorted(tallies.items())
        ]
        yield total(tallies.values()).sessions, rows
