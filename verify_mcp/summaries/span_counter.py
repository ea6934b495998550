"""Counting the sessions of each day or hour: which pages to read, and what they amount to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from verify_mcp.domain.groups import GroupKey
from verify_mcp.domain.sessions import Page
from verify_mcp.domain.tallies import Tally
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.boundary_ranks import BoundaryRanks, Pace
from verify_mcp.summaries.count_result import ANY_STATUS, CountResult
from verify_mcp.summaries.estimate import Estimate
from verify_mcp.summaries.page_reader import PageReader
from verify_mcp.summaries.span_counts import (
    SpanFigures,
    ended_estimate,
    narrowed,
    rank_boundaries,
    span_estimates,
)
from verify_mcp.summaries.status_pages import StatusPages
from verify_mcp.summaries.time_spans import TimeSpan

PagesByStatus = Mapping[str, StatusPages]


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
    """Narrows the ranks of the spans' ends down, one status at a time.

    Those of a status come as all sessions do, more or less: these guide the search.
    """

    def __init__(self, scope: SpanScope, window: Window) -> None:
        self._scope = scope
        self._window = window
        self._pace: Pace | None = None

    async def narrow(
        self, reader: PageReader, total: int, pages: StatusPages, reserve: int
    ) -> None:
        """Read pages of all sessions until each span is exact, or `reserve` requests are left."""
        ranks = await self._read_until_exact(reader, ANY_STATUS, total, pages, reserve)
        self._pace = ranks.as_pace()

    async def narrow_status(
        self, reader: PageReader, status: str, total: int, pages: StatusPages, *, settled: bool
    ) -> None:
        """The same of one status; `settled` says that no session's status changes any more."""
        if self._ranks(status, total, pages.pages).next_offset(pages.pages) is None:
            return
        if not await reader.may_narrow() or not await pages.look_for_joined(reader, total):
            return
        before, joined = dict(pages.pages), pages.joined
        await self._read_until_exact(reader, status, total, pages, 0 if settled else 1)
        if settled or len(before) == len(pages.pages):
            return
        if not await pages.look_for_joined(reader, total) or pages.joined != joined:
            pages.pages = before  # sessions joined while these were read: their places are unsure

    async def _read_until_exact(
        self, reader: PageReader, status: str, total: int, pages: StatusPages, reserve: int
    ) -> BoundaryRanks:
        ranks = self._ranks(status, total, pages.pages)
        while reader.requests_left() > reserve and await reader.may_narrow():
            offset = ranks.next_offset(pages.pages)
            if offset is None:
                break
            await pages.read(reader, offset)
            page = pages.pages.get(offset)
            if page is not None and not page.repeats:
                ranks = ranks.with_page(offset, page.times)
                ranks = ranks.with_known_spans(self._scope.known_sessions(status)).with_rhythm()
        return ranks

    def figures(
        self,
        result: CountResult,
        pages: PagesByStatus,
        earlier: Mapping[GroupKey, SpanFigures],
        *,
        moved: int,
    ) -> dict[GroupKey, SpanFigures]:
        """The figures of each span, as far as the pages read so far tell; no wider than earlier."""
        sessions = self._estimates(result, pages, ANY_STATUS)
        verified = self._estimates(result, pages, "verified")
        in_progress = self._estimates(result, pages, "in-progress")
        found: dict[GroupKey, SpanFigures] = {}
        for index, span in enumerate(self._scope.spans):
            figures = _figures(index, sessions, verified, in_progress, result.other_statuses)
            if not moved:
                figures = narrowed(figures, earlier.get((span.label,)))
            held = self._scope.tallies[index]
            found[span.label,] = _moved(figures, moved) if held is None else _exact(held)
        return found

    def _estimates(
        self, result: CountResult, pages: PagesByStatus, status: str
    ) -> list[Estimate] | None:
        total = result.counts.get(status)
        if total is None:
            return None
        read = pages[status].pages if status in pages else {}
        return span_estimates(self._ranks(status, total, read))

    def _ranks(self, status: str, total: int, pages: Mapping[int, Page]) -> BoundaryRanks:
        pace = None if status == ANY_STATUS else self._pace
        ranks = rank_boundaries(self._window, total, self._scope.spans, pages, pace)
        return ranks.with_known_spans(self._scope.known_sessions(status)).with_rhythm()


def figures_so_far(
    scope: SpanScope, window: Window, pages: Mapping[int, Page]
) -> dict[GroupKey, SpanFigures]:
    """The sessions of each span before their total is known, from the pages read so far.

    A span that no page shows the end of has no upper bound. None at all without a page to go by.
    """
    offset = max((offset for offset, page in pages.items() if page.times), default=None)
    times = [] if offset is None else [time for time in pages[offset].times if time]
    if offset is None or pages[offset].repeats or len(times) < pages[offset].received:
        return {}
    oldest, total = min(times), offset + len(times)
    edge = [span for span in scope.spans if span.window.start <= oldest < span.window.end]
    newer = [span for span in scope.spans if span.window.start > oldest]
    read = [TimeSpan(span.label, Window(oldest, span.window.end)) for span in edge] + newer
    ranks = rank_boundaries(Window(oldest, window.end), total, read, pages)
    known = scope.known_sessions(ANY_STATUS)[len(scope.spans) - len(newer) :]
    ranks = ranks.with_known_spans([*(None for _ in edge), *known]).with_rhythm()
    sessions = dict(zip([span.label for span in read], span_estimates(ranks), strict=True))
    for span in scope.spans[: len(scope.spans) - len(newer)]:
        least = sessions[span.label].low if span in edge else Decimal(0)
        sessions[span.label] = Estimate(least, least, Decimal("Infinity"))
    return {
        (span.label,): SpanFigures(sessions[span.label]) if held is None else _exact(held)
        for span, held in zip(scope.spans, scope.tallies, strict=True)
    }


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
