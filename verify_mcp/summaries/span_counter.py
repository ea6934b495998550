"""Counting the sessions of each day or hour: which pages to read, and what they amount to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.groups import GroupKey
from verify_mcp.domain.sessions import Page
from verify_mcp.domain.tallies import Tally
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.boundary_ranks import BoundaryRanks
from verify_mcp.summaries.count_result import ANY_STATUS, CountResult
from verify_mcp.summaries.estimate import Estimate
from verify_mcp.summaries.page_reader import PageReader
from verify_mcp.summaries.span_counts import (
    SpanFigures,
    ended_estimate,
    rank_boundaries,
    span_estimates,
)
from verify_mcp.summaries.time_spans import TimeSpan

PagesByStatus = Mapping[str, dict[int, Page]]


@dataclass(frozen=True, slots=True)
class SpanScope:
    """The spans to count, and the tally of each that the mirror holds, None where it does not."""

    spans: tuple[TimeSpan, ...]
    tallies: tuple[Tally | None, ...]

    def known_sessions(self, status: str) -> tuple[int | None, ...]:
        """The sessions of each span with one status, where they are known."""
        return tuple(
            None if tally is None else _sessions_of(tally, status) for tally in self.tallies
        )


class SpanCounter:
    """Narrows the ranks of the spans' ends down, one status at a time."""

    def __init__(self, scope: SpanScope, session_filter: SessionFilter, window: Window) -> None:
        self._scope = scope
        self._filter = session_filter
        self._window = window

    async def narrow(
        self, reader: PageReader, status: str, total: int, pages: dict[int, Page], *, reserve: int
    ) -> None:
        """Read pages until each span is exact, or only `reserve` requests are left."""
        session_filter = replace(self._filter, status=status or self._filter.status)
        ranks = self._ranks(status, total, pages)
        while reader.requests_left() > reserve and await reader.may_narrow():
            offset = ranks.next_offset(pages)
            if offset is None:
                break
            await reader.read((offset,), session_filter, pages)
            page = pages.get(offset)
            if page is not None and not page.repeats:
                ranks = ranks.with_page(offset, page.times)
                ranks = ranks.with_known_spans(self._scope.known_sessions(status))

    def figures(
        self, result: CountResult, pages: PagesByStatus, *, moved: int
    ) -> dict[GroupKey, SpanFigures]:
        """The figures of each span, as far as the pages read so far tell."""
        sessions = self._estimates(result, pages, ANY_STATUS)
        verified = self._estimates(result, pages, "verified")
        in_progress = self._estimates(result, pages, "in-progress")
        found: dict[GroupKey, SpanFigures] = {}
        for index, span in enumerate(self._scope.spans):
            figures = _figures(index, sessions, verified, in_progress, result.other_statuses)
            held = self._scope.tallies[index]
            found[span.label,] = _moved(figures, moved) if held is None else _exact(held)
        return found

    def _estimates(
        self, result: CountResult, pages: PagesByStatus, status: str
    ) -> list[Estimate] | None:
        total = result.counts.get(status)
        if total is None:
            return None
        return span_estimates(self._ranks(status, total, pages.get(status, {})))

    def _ranks(self, status: str, total: int, pages: Mapping[int, Page]) -> BoundaryRanks:
        ranks = rank_boundaries(self._window, total, self._scope.spans, pages)
        return ranks.with_known_spans(self._scope.known_sessions(status))


def _figures(
    index: int,
    sessions: Sequence[Estimate] | None,
    verified: Sequence[Estimate] | None,
    in_progress: Sequence[Estimate] | None,
    others: int,
) -> SpanFigures:
    everything = sessions[index] if sessions else Estimate.certain(0)
    if verified is None or in_progress is None:
        return SpanFigures(everything)
    of_verified = verified[index].capped_at(everything.high)
    ended = ended_estimate(everything, of_verified, in_progress[index], others)
    return SpanFigures(everything, of_verified, ended)


def _exact(tally: Tally) -> SpanFigures:
    return SpanFigures(
        Estimate.certain(tally.sessions),
        Estimate.certain(tally.verified),
        Estimate.certain(tally.verified + tally.expired),
    )


def _moved(figures: SpanFigures, rows: int) -> SpanFigures:
    """The figures where so many rows came late: each may be out by as many."""
    if not rows:
        return figures
    return SpanFigures(
        figures.sessions.loosened_by(rows),
        figures.verified and figures.verified.loosened_by(rows),
        figures.ended and figures.ended.loosened_by(rows),
    )


def _sessions_of(tally: Tally, status: str) -> int:
    match status:
        case "verified":
            return tally.verified
        case "in-progress":
            return tally.in_progress
        case "expired":
            return tally.expired
        case _:
            return tally.sessions
