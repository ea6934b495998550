"""Figures about one account's stored sessions, added up by the database."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import TypeVar

from verify_mcp.database.base import Connection
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.groups import GroupKey
from verify_mcp.domain.ranking import RankedGroups, Ranking
from verify_mcp.domain.spread import Gaps, GapsByGroup
from verify_mcp.domain.tallies import Tallies
from verify_mcp.domain.windows import Window
from verify_mcp.errors import RowsIncomplete
from verify_mcp.mirror import cell_totals, coverage, ranked_groups, rebuild, tally_queries
from verify_mcp.mirror.daily_totals import day_window
from verify_mcp.mirror.rebuild import RebuiltRows
from verify_mcp.mirror.scope import AccountScope
from verify_mcp.mirror.tally_queries import StoredQuery

Figures = TypeVar("Figures")


class FigureStore:
    """Reads figures; `scope` is a subaccount's id, or "" for the account itself.

    `max_rebuild` is the seconds that a call completes rows of an earlier version at most, None
    without a limit. Methods raise DatabaseUnavailable, and RowsIncomplete where that is not enough.
    """

    max_rebuild: float | None = None

    def __init__(self, database: ResilientDatabase, account: str) -> None:
        self.database = database
        self.account = account

    async def tally(
        self,
        session_filter: SessionFilter,
        scope: str,
        windows: Iterable[Window],
        by: tuple[str, ...],
        zone: tzinfo = UTC,
    ) -> Tallies:
        """The tallies of the sessions stored in some windows, by any number of `GROUPS`.

        Raises ValueError for a filter that has no column.
        """
        query = StoredQuery(self.account_scope(scope), session_filter, by, zone)
        return await self._read_figures(query, windows, tally_queries.tally)

    async def rank_groups(
        self,
        session_filter: SessionFilter,
        scope: str,
        windows: Iterable[Window],
        by: tuple[str, ...],
        zone: tzinfo,
        ranking: Ranking,
    ) -> RankedGroups:
        """The first groups of a ranking, and the rest in one tally."""
        query = StoredQuery(self.account_scope(scope), session_filter, by, zone)
        return await self._read_figures(
            query,
            windows,
            lambda connection, query, windows: ranked_groups.rank_groups(
                connection, query, windows, ranking
            ),
        )

    async def count_recipients(
        self,
        session_filter: SessionFilter,
        scope: str,
        windows: Iterable[Window],
        by: tuple[str, ...] = (),
        zone: tzinfo = UTC,
    ) -> dict[GroupKey, int]:
        """How many different recipients the sessions stored in some windows have, by group."""
        query = StoredQuery(self.account_scope(scope), session_filter, by, zone)
        return await self._read_figures(query, windows, tally_queries.count_recipients)

    async def read_spread(
        self,
        session_filter: SessionFilter,
        scope: str,
        windows: Iterable[Window],
        *,
        counts_recipients: bool,
    ) -> tuple[int | None, Gaps] | None:
        """The distinct recipients and the gaps of all sessions, in one transaction.

        None when some of the windows are not covered any more.
        """
        query = StoredQuery(self.account_scope(scope), session_filter)

        def read(
            connection: Connection, query: StoredQuery, windows: Iterable[Window]
        ) -> tuple[int | None, Gaps] | None:
            if not coverage.are_known(connection, query.account_scope, list(windows)):
                return None
            gaps = tally_queries.count_gaps(connection, query, windows).get((), Gaps())
            if not counts_recipients:
                return None, gaps
            return tally_queries.count_recipients(connection, query, windows).get((), 0), gaps

        return await self._read_figures(query, windows, read)

    async def list_recipients(
        self,
        session_filter: SessionFilter,
        scope: str,
        windows: Iterable[Window],
        by: tuple[str, ...] = (),
        zone: tzinfo = UTC,
    ) -> dict[GroupKey, set[str]]:
        """The different recipients themselves: sessions elsewhere may have the same."""
        query = StoredQuery(self.account_scope(scope), session_filter, by, zone)
        return await self._read_figures(query, windows, tally_queries.list_recipients)

    async def count_gaps(
        self,
        session_filter: SessionFilter,
        scope: str,
        windows: Iterable[Window],
        by: tuple[str, ...] = (),
        zone: tzinfo = UTC,
    ) -> GapsByGroup:
        """How many sessions had each gap between the first two attempts, by group."""
        query = StoredQuery(self.account_scope(scope), session_filter, by, zone)
        return await self._read_figures(query, windows, tally_queries.count_gaps)

    async def _read_figures(
        self,
        query: StoredQuery,
        windows: Iterable[Window],
        read: Callable[[Connection, StoredQuery, Iterable[Window]], Figures],
    ) -> Figures:
        windows = list(windows)

        def work(connection: Connection) -> tuple[Figures] | None:
            if rebuild.days_to_rebuild(connection, query.account_scope, windows):
                return None
            return (read(connection, query, windows),)

        while (found := await self.database.read(work)) is None:
            await self.rebuild(query.account_scope.scope, windows)
        return found[0]

    async def rebuild(self, scope: str, windows: Sequence[Window]) -> None:
        """Complete the rows of an earlier version, some at a time: an interruption loses these.

        Raises RowsIncomplete when `max_rebuild` is over; what is done stays.
        """
        account_scope = self.account_scope(scope)
        days = await self.database.read(
            lambda connection: rebuild.days_to_rebuild(connection, account_scope, windows)
        )
        started = self.database.clock()
        for done, day in enumerate(days):
            taken = self.database.clock() - started
            if done and self.max_rebuild is not None and taken >= self.max_rebuild:
                raise RowsIncomplete(_explain_incomplete(len(days) - done, taken / done))
            await self._rebuild_day(account_scope, day)

    async def _rebuild_day(self, account_scope: AccountScope, day: int) -> None:
        start: datetime | None = day_window(day).start
        while start is not None:
            left = Window(start, day_window(day).end)
            rebuilt = await self.database.read(
                partial(
                    rebuild.read_rows,
                    account_scope=account_scope,
                    window=left,
                    limit=rebuild.MAX_ROWS,
                )
            )
            await self.database.write(partial(self._write_rows, rebuilt))
            start = rebuilt.next_start

        def add_totals(connection: Connection) -> None:
            self.lock(connection)
            rebuild.add_totals(connection, account_scope, {day})

        await self.database.write(add_totals)

    def _write_rows(self, rebuilt: RebuiltRows, connection: Connection) -> None:
        self.lock(connection)
        rebuild.write_rows(connection, rebuilt)

    async def add_cells(self, scope: str, windows: Sequence[Window]) -> None:
        """Add up for the detection of anomalies what an earlier version did not, day by day."""
        account_scope = self.account_scope(scope)
        days = await self.database.read(
            lambda connection: cell_totals.days_without(connection, account_scope, windows)
        )
        for day in days:
            await self.database.write(partial(self._add_cells_of_day, account_scope, day))

    def _add_cells_of_day(
        self, account_scope: AccountScope, day: int, connection: Connection
    ) -> None:
        self.lock(connection)
        if cell_totals.days_without(connection, account_scope, [day_window(day)]):
            cell_totals.add_day(connection, account_scope, day)

    def account_scope(self, scope: str) -> AccountScope:
        """The rows of the account, or of one of its subaccounts."""
        return AccountScope(self.account, scope)

    def lock(self, connection: Connection) -> None:
        """Lock this account's rows, coverage and daily totals until the transaction ends."""
        connection.lock(f"verify_coverage {self.account}")


def _explain_incomplete(days: int, seconds: float) -> str:
    return (
        "Sessions that an earlier version stored are being completed, once, the newest first. "
        f"Days left of those asked about: {days}, about {days * seconds:.0f} s. The same call goes "
        "on. A window of the last days is answered sooner."
    )
