"""What the mirror holds of a summary's window, added up."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo

from verify_mcp.domain import tallies as tallies_module
from verify_mcp.domain.groups import MANY_GROUPS
from verify_mcp.domain.matching import admit_locally
from verify_mcp.domain.ranking import RankedGroups
from verify_mcp.domain.tallies import Tallies, Tally
from verify_mcp.domain.windows import Window, covers, gaps
from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.mirror.mirror import MAX_STALENESS, Mirror
from verify_mcp.mirror.store import RECENT_FETCHES
from verify_mcp.summaries.count_result import CountScope
from verify_mcp.summaries.query import SummaryQuery
from verify_mcp.summaries.span_counter import SpanScope
from verify_mcp.summaries.time_spans import local_spans, time_unit

MAX_STALENESS_WHILE_INCOMPLETE = RECENT_FETCHES
"""How old a part's unsettled sessions may be while other parts are missing altogether."""


@dataclass(frozen=True, slots=True)
class CachedFigures:
    """The window as it will be answered, and the tallies of its `parts` that are cached."""

    window: Window
    parts: tuple[Window, ...]
    tallies: Tallies
    as_of: datetime
    now: datetime
    other_groups: int = 0
    """How many groups were not read one by one, because the window is cached as a whole."""
    rest: Tally = field(default_factory=Tally)
    """The tally of those groups."""

    @property
    def missing(self) -> tuple[Window, ...]:
        """The parts of the window that are not cached, oldest first."""
        return gaps(self.window, self.parts)


class MirrorReader:
    """Reads one query's figures from the mirror."""

    def __init__(self, mirror: Mirror, query: SummaryQuery) -> None:
        self._mirror = mirror
        self._query = query
        self._scope = query.session_filter.subaccount or ""

    async def read(self, max_staleness: timedelta) -> CachedFigures:
        """The window as it will be answered, and its parts that need not be fetched."""
        return await self._add_up(await self._find_parts(max_staleness))

    async def _find_parts(self, max_staleness: timedelta) -> CachedFigures:
        """The same without tallies."""
        query, now = self._query, self._mirror.now()
        window = query.window
        if not query.session_filter.answerable_from_mirror():
            return CachedFigures(window, (), {}, now, now)
        parts, at = await self._mirror.cached_windows(self._scope, window, max_staleness)
        parts = await self._mirror.windows_of_known_text(self._scope, query.session_filter, parts)
        if parts and not query.is_end_pinned and window.end - parts[-1].end <= MAX_STALENESS:
            window = replace(window, end=parts[-1].end)
        as_of = min(at, now if query.is_end_pinned else window.end)
        return CachedFigures(window, parts, {}, as_of, now)

    async def _add_up(self, found: CachedFigures) -> CachedFigures:
        """The parts found, with their tallies; nothing when they are gone."""
        query, parts = self._query, found.parts
        ranking = query.ranking if parts and not found.missing else None
        is_ranked = ranking is not None and MANY_GROUPS & set(query.group_by)
        groups = await (self._rank(parts) if is_ranked else self._read_groups(parts))
        if groups is None:
            return CachedFigures(query.window, (), {}, found.now, found.now)
        return replace(found, tallies=groups.tallies, other_groups=groups.others, rest=groups.rest)

    async def _read_groups(self, parts: Sequence[Window]) -> RankedGroups | None:
        tallies = await self.tally(parts, self._query.group_by)
        return None if tallies is None else RankedGroups(tallies)

    async def _rank(self, parts: Sequence[Window]) -> RankedGroups | None:
        """The groups that are shown: only these are read where there may be millions."""
        store, query = self._mirror.store, self._query
        if store is None or query.ranking is None:
            return RankedGroups()
        try:
            ranked = await store.rank_groups(
                query.session_filter,
                self._scope,
                parts,
                query.group_by,
                query.zone,
                query.ranking,
            )
        except DatabaseUnavailable:
            return None
        return ranked if await self.is_cached(parts) else None

    async def is_stored(self) -> bool:
        """Whether the mirror answers the query, so that no request is needed."""
        return not (await self._find_parts(MAX_STALENESS)).missing

    async def covers(self, window: Window) -> bool:
        """Whether the mirror answers the query in all of a window."""
        session_filter = self._query.session_filter
        if not session_filter.answerable_from_mirror():
            return False
        parts, _ = await self._mirror.cached_windows(
            self._scope, window, MAX_STALENESS_WHILE_INCOMPLETE
        )
        known = await self._mirror.windows_of_known_text(self._scope, session_filter, parts)
        return not gaps(window, known)

    async def read_older(self) -> CachedFigures | None:
        """What is cached when older parts are missing, which are fetched first; else None.

        The window then ends where the newest part does, unless that is long ago.
        """
        found = await self._find_parts(MAX_STALENESS_WHILE_INCOMPLETE)
        if not found.parts:
            return None
        older = Window(found.window.start, found.parts[-1].end)
        if not gaps(older, found.parts):
            return None
        cached = await self._add_up(found)
        if not cached.parts:
            return None
        is_old = cached.window.end - older.end > MAX_STALENESS_WHILE_INCOMPLETE
        return cached if self._query.is_end_pinned or is_old else replace(cached, window=older)

    async def tally(
        self, parts: Sequence[Window], by: tuple[str, ...], zone: tzinfo | None = None
    ) -> Tallies | None:
        """The tallies of cached parts; None when the database or a part is not there any more.

        `zone` is the query's unless it is given.
        """
        store, query = self._mirror.store, self._query
        if store is None or not parts:
            return {}
        try:
            tallies = await store.tally(
                query.session_filter, self._scope, parts, by, zone or query.zone
            )
        except DatabaseUnavailable:
            return None
        return tallies if await self.is_cached(parts) else None

    async def is_cached(self, parts: Sequence[Window]) -> bool:
        """Whether parts are still cached: a purge may have removed sessions between two reads."""
        if not parts:
            return True
        still, _ = await self._mirror.cached_windows(
            self._scope, self._query.window, MAX_STALENESS_WHILE_INCOMPLETE
        )
        return not any(gaps(part, still) for part in parts)

    async def groups_inside(self, window: Window) -> Tallies:
        """The groups of the final sessions cached inside the window counted."""
        query = self._query
        if not query.group_by or not query.session_filter.answerable_from_mirror():
            return {}
        parts, _ = await self._mirror.cached_windows(self._scope, window, timedelta(0))
        return await self.tally(parts, query.group_by) or {}

    async def span_scope(self, window: Window) -> SpanScope | None:
        """The spans of time to count of a window; None where the query has no countable ones."""
        query = self._query
        unit = time_unit(query.group_by)
        spans = local_spans(window, unit, query.zone) if unit else ()
        if not unit or not spans:
            return None
        nothing = SpanScope(spans, (None,) * len(spans))
        if not query.session_filter.answerable_from_mirror():
            return nothing
        parts, _ = await self._mirror.cached_windows(self._scope, window, timedelta(0))
        parts = await self._mirror.windows_of_known_text(self._scope, query.session_filter, parts)
        covered = {span.label: span.window for span in spans if covers(span.window, parts)}
        tallies = await self.tally(list(covered.values()), (unit,))
        if tallies is None:
            return nothing
        known = (
            tallies.get((span.label,), Tally()) if span.label in covered else None for span in spans
        )
        return SpanScope(spans, tuple(known))

    async def groups_around(self, scope: CountScope) -> Tallies | None:
        """The groups of the sessions around the window counted; None when they are gone."""
        by = self._query.group_by
        return await self.tally_around(scope, by) if by else {}

    async def tally_around(self, scope: CountScope, by: tuple[str, ...]) -> Tallies | None:
        """The tallies of the query's sessions around the window counted; None when they are gone.

        They are what the mirror had there, and what was fetched on the way.
        """
        cached = await self.tally(scope.cached_parts, by)
        if cached is None:
            return None
        admitted = admit_locally(self._query.session_filter, scope.sessions)
        return tallies_module.merge(cached, tallies_module.tally_by(admitted, by, self._query.zone))
