"""A summary of several subaccounts or recipients: one query each, whose results are put together.

The API lists the sessions of one subaccount, or of one recipient, at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from verify_mcp.domain import tallies as tallies_module
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.groups import SUBACCOUNT, GroupKey
from verify_mcp.domain.spread import Gaps, GapsByGroup, merge_gaps
from verify_mcp.domain.tallies import Tallies
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.details import GAP_COLUMNS, DetailReader, SummaryDetails
from verify_mcp.summaries.query import SummaryQuery, SummaryResult
from verify_mcp.summaries.summarizer import Summarizer
from verify_mcp.summaries.summary_context import SummaryContext


@dataclass(frozen=True, slots=True)
class _Part:
    """The result of one subaccount or recipient, and what reads its details."""

    name: str
    result: SummaryResult
    reader: DetailReader


def by_subaccount(
    session_filter: SessionFilter, subaccounts: Sequence[str]
) -> dict[str, SessionFilter]:
    """The filter of each subaccount, by its id."""
    return {each: replace(session_filter, subaccount=each) for each in subaccounts}


def by_recipient(session_filter: SessionFilter) -> dict[str, SessionFilter]:
    """The filter of each of several recipients, by its place among them: numbers may be masked."""
    filters = session_filter.for_each_recipient()
    return {f"recipient {place}": each for place, each in enumerate(filters, 1)}


class CombinedSummarizer:
    """Answers one query about the sessions of several filters together, of which none has two."""

    def __init__(
        self, app: SummaryContext, query: SummaryQuery, filters: Mapping[str, SessionFilter]
    ) -> None:
        self._app = app
        self._query = query
        self._filters = filters

    async def run(
        self, call: CallContext, columns: tuple[str, ...]
    ) -> tuple[SummaryResult, SummaryDetails | None]:
        """The result and its details. Raises ApiError when the API fails and nothing is cached."""
        parts = [await self._summarize(name, call) for name in self._filters]
        counted = [part.name for part in parts if part.result.count is not None]
        known = [part for part in parts if part.result.count is None]
        result = self._merge([part.result for part in parts], known, counted)
        return result, await self._details(known, columns) if known else None

    async def _summarize(self, name: str, call: CallContext) -> _Part:
        by = tuple(group for group in self._query.group_by if group != SUBACCOUNT)
        query = replace(
            self._query,
            session_filter=self._filters[name],
            group_by=by,
            is_end_pinned=True,  # the same window for each of them
            ranking=None,
        )
        result = await Summarizer(self._app, query, call).run()
        return _Part(name, result, DetailReader(self._app.mirror, query))

    def _merge(
        self, results: Sequence[SummaryResult], known: Sequence[_Part], counted: Sequence[str]
    ) -> SummaryResult:
        window = self._query.window
        missing = [span for part in known for span in part.result.missing]
        whys = [*dict.fromkeys(result.why for result in results if result.count is None)]
        if counted:
            missing = [window]
            whys.append(
                f"{', '.join(counted)}: too many sessions to fetch in this call, left out of the "
                "figures. One of them alone is counted."
            )
        return SummaryResult(
            "held" if all(result.basis == "held" for result in results) else "fetched",
            window,
            tallies_module.merge(*(self._keyed(part, part.result.tallies) for part in known)),
            min(result.as_of for result in results),
            tuple(sorted(set(missing), key=lambda span: span.start)),
            " ".join(filter(None, whys)),
            max((result.eta_s for result in results if result.eta_s is not None), default=None),
            skipped=sum(part.result.skipped for part in known),
        )

    def _keyed(self, part: _Part, tallies: Tallies) -> Tallies:
        return {self._key(part, key): tally for key, tally in tallies.items()}

    def _key(self, part: _Part, key: GroupKey) -> GroupKey:
        """A group's key with the subaccount where the query names it."""
        if SUBACCOUNT not in self._query.group_by:
            return key
        place = self._query.group_by.index(SUBACCOUNT)
        return (*key[:place], part.name, *key[place:])

    async def _details(
        self, parts: Sequence[_Part], columns: tuple[str, ...]
    ) -> SummaryDetails | None:
        details = [await part.reader.read(part.result, ()) for part in parts]
        if any(detail is None for detail in details):
            return None
        totals = await self._recipients(parts, is_grouped=False)
        alike: list[GapsByGroup] = [
            {(): detail.gaps} for detail in details if detail and detail.gaps
        ]
        gaps = merge_gaps(*alike)
        shown = set(columns) if self._query.group_by else set()
        return SummaryDetails(
            tallies_module.total(detail.tally for detail in details if detail),
            None if totals is None else totals.get((), 0),
            gaps.get((), Gaps()),
            (await self._recipients(parts, is_grouped=True) or {}) if "recipients" in shown else {},
            await self._gaps(parts) if shown & GAP_COLUMNS else {},
        )

    async def _recipients(
        self, parts: Sequence[_Part], *, is_grouped: bool
    ) -> Mapping[GroupKey, int] | None:
        """Distinct recipients: those of several subaccounts are one each."""
        found: dict[GroupKey, set[str]] = {}
        for part in parts:
            numbers = await part.reader.list_recipients(part.result, is_grouped=is_grouped)
            if numbers is None:
                return None
            for key, some in numbers.items():
                group = self._key(part, key) if is_grouped else ()
                found.setdefault(group, set()).update(some)
        return {key: len(numbers) for key, numbers in found.items()}

    async def _gaps(self, parts: Sequence[_Part]) -> GapsByGroup:
        found: list[GapsByGroup] = []
        for part in parts:
            gaps = await part.reader.count_gaps(part.result) or {}
            found.append({self._key(part, key): some for key, some in gaps.items()})
        return merge_gaps(*found)
