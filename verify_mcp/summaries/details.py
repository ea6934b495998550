"""Figures of an exact summary that do not simply add up: distinct recipients and gaps."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from verify_mcp.domain import spread
from verify_mcp.domain.groups import GroupKey
from verify_mcp.domain.spread import Gaps, GapsByGroup
from verify_mcp.domain.tallies import Tally, tally_by, total
from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.mirror.figure_store import FigureStore
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.summaries.mirror_reader import MirrorReader
from verify_mcp.summaries.query import SummaryQuery, SummaryResult

MAX_COUNTED_RECIPIENTS = 2_000_000
"""Sessions whose distinct recipients are counted unless the call asks for them."""
GAP_COLUMNS = frozenset({"gap_s", "gap_p90_s"})
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class SummaryDetails:
    """Of all sessions of a result, and of its groups where a call asks for it."""

    tally: Tally
    recipients: int | None = None
    """Distinct recipients; None when they are not counted."""
    gaps: Gaps | None = None
    recipients_by_group: Mapping[GroupKey, int] = field(default_factory=dict)
    gaps_by_group: Mapping[GroupKey, Gaps] = field(default_factory=dict)


class DetailReader:
    """Reads what a result of one query leaves out, from the mirror and the sessions fetched."""

    def __init__(self, mirror: Mirror, query: SummaryQuery) -> None:
        self._store = mirror.store
        self._query = query
        self._scope = query.session_filter.subaccount or ""
        self._reader = MirrorReader(mirror, query)

    async def read(self, result: SummaryResult, columns: tuple[str, ...]) -> SummaryDetails | None:
        """The details, with the groups' own for some columns; None for a result without figures."""
        if result.count is not None or result.missing == (result.window,):
            return None
        by, shown = self._query.group_by, set(columns) if self._query.group_by else set()
        tally = await self._tally(result)
        if tally is None:
            return None
        is_counted = tally.sessions <= MAX_COUNTED_RECIPIENTS or "recipients" in columns
        found = await self._spread(result, counts_recipients=is_counted)
        if found is None:
            return None
        if not shown & {"recipients", *GAP_COLUMNS}:
            return SummaryDetails(tally, *found)
        details = SummaryDetails(
            tally,
            *found,
            (await self._recipients(result, by) or {}) if "recipients" in shown else {},
            (await self._gaps(result, by) or {}) if shown & GAP_COLUMNS else {},
        )
        return details if await self._reader.is_cached(result.parts) else None

    async def _spread(
        self, result: SummaryResult, *, counts_recipients: bool
    ) -> tuple[int | None, Gaps] | None:
        """Distinct recipients and gaps of all sessions; None when they are gone."""
        if result.parts and not result.sessions:
            question = (self._query.session_filter, self._scope, result.parts)
            return await self._ask(
                lambda store: store.read_spread(*question, counts_recipients=counts_recipients)
            )
        numbers = await self._recipients(result, ()) if counts_recipients else {}
        gaps = await self._gaps(result, ())
        if numbers is None or gaps is None or not await self._reader.is_cached(result.parts):
            return None
        return numbers.get((), 0) if counts_recipients else None, gaps.get((), Gaps())

    async def list_recipients(
        self, result: SummaryResult, *, is_grouped: bool
    ) -> dict[GroupKey, set[str]] | None:
        """The distinct recipients themselves, of all or by group; None when they are gone."""
        query, by = self._query, self._query.group_by if is_grouped else ()
        found = spread.recipients_by(result.sessions, by, query.zone)
        if not result.parts:
            return found
        question = (query.session_filter, self._scope, result.parts, by, query.zone)
        stored = await self._ask(lambda store: store.list_recipients(*question))
        if stored is None:
            return None
        keys = found.keys() | stored.keys()
        return {key: found.get(key, set()) | stored.get(key, set()) for key in keys}

    async def count_gaps(self, result: SummaryResult) -> GapsByGroup | None:
        """The gaps of each group; None when they are gone."""
        return await self._gaps(result, self._query.group_by)

    async def _tally(self, result: SummaryResult) -> Tally | None:
        """The tally of all sessions: groups of attempt statuses overlap."""
        if "attempt_status" not in self._query.group_by:
            return total([*result.tallies.values(), result.rest])
        cached = await self._reader.tally(result.parts, ())
        if cached is None:
            return None
        return total([*cached.values(), *tally_by(result.sessions, ()).values()])

    async def _recipients(
        self, result: SummaryResult, by: tuple[str, ...]
    ) -> dict[GroupKey, int] | None:
        query = self._query
        found = spread.recipients_by(result.sessions, by, query.zone)
        if not result.parts:
            return {key: len(numbers) for key, numbers in found.items()}
        question = (query.session_filter, self._scope, result.parts, by, query.zone)
        if not found:
            return await self._ask(lambda store: store.count_recipients(*question))
        numbers = await self.list_recipients(result, is_grouped=bool(by))
        return None if numbers is None else {key: len(some) for key, some in numbers.items()}

    async def _gaps(self, result: SummaryResult, by: tuple[str, ...]) -> GapsByGroup | None:
        query = self._query
        found = spread.gaps_by(result.sessions, by, query.zone)
        if not result.parts:
            return found
        question = (query.session_filter, self._scope, result.parts, by, query.zone)
        stored = await self._ask(lambda store: store.count_gaps(*question))
        return None if stored is None else spread.merge_gaps(found, stored)

    async def _ask(self, read: Callable[[FigureStore], Awaitable[Value]]) -> Value | None:
        """What the store has, None when the database is not there."""
        if self._store is None:
            return None
        try:
            return await read(self._store)
        except DatabaseUnavailable:
            return None
