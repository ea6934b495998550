"""What a result leaves open: the sentences of `why`, and the seconds until it can be exact."""

from collections.abc import Iterable, Sequence
from math import ceil, inf, log2

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.backfill import BackfillProgress
from verify_mcp.plivo.rate_limit_store import RateLimitStatus
from verify_mcp.settings import Rate
from verify_mcp.summaries.count_result import ANY_STATUS, CountResult

MAX_FETCH_SHARE, MAX_FETCH_SHARE_GENEROUS = 0.6, 3
"""The most pages to fetch rather than count, as a multiple of the requests left.

Who allows more requests than the default means to fetch, and the expected pages may be far out.
"""
REQUESTS_OF_COUNT = 16
"""Requests that the counts of all sessions and of each status take, about."""


def seconds_until_exact(pages: float, status: RateLimitStatus, rate: Rate) -> float | None:
    """Seconds until so many more requests have been made; None when that is not known."""
    if pages == inf:
        return None
    more = pages - status.left
    if more <= 0:
        return 0.0
    first = rate.window if status.left else status.eta_s
    return first + (ceil(more / rate.requests) - 1) * rate.window


def expected_pages(backfills: Sequence[BackfillProgress]) -> float:
    """How many pages the rest of some backfills may take, if sessions go on coming as they did.

    Infinite where none was fetched yet.
    """
    return expected_pages_of(
        [window for backfill in backfills for window in backfill.missing], backfills
    )


def expected_pages_of(windows: Iterable[Window], backfills: Sequence[BackfillProgress]) -> float:
    """How many pages some windows may take, if sessions come as in what the backfills brought."""
    seen = sum(
        window.length.total_seconds()
        for backfill in backfills
        for window in backfill.complete_windows
    )
    rest = sum(window.length.total_seconds() for window in windows)
    sessions = sum(len(backfill.sessions) for backfill in backfills)
    return max(1.0, sessions / PAGE_SIZE * rest / seen) if seen else inf


def is_affordable(
    progress: Sequence[BackfillProgress], requests_left: int, *, is_generous: bool
) -> bool:
    """Whether fetching all that is missing can be afforded, as far as one page tells."""
    share = MAX_FETCH_SHARE_GENEROUS if is_generous else MAX_FETCH_SHARE
    return expected_pages(progress) <= requests_left * share


def expected_counting(count: CountResult, spans: int = 0) -> int:
    """About how many requests it takes until all sessions, the statuses and `spans` are exact."""
    if count.inconsistent or count.failure is not None:
        return 0
    pages = count.pages / max(1, spans)
    statuses = REQUESTS_OF_COUNT if count.is_unfinished else 0
    open_spans = [figures for figures in count.spans.values() if not figures.is_exact]
    parts = sum(
        (not figures.sessions.exact) + (figures.verified is None or not figures.verified.exact)
        for figures in open_spans
    )
    parts += 2 * (spans if not count.spans else 0)
    return statuses + ceil(parts * _requests_of_span(pages))


def _requests_of_span(pages: float) -> float:
    """About how many requests the count of a day, week or hour of so many pages takes.

    Its end is searched for among them: 1.6 where they are 5, 2.2 where they are 30, as measured in
    benchmarks/days.py and benchmarks/questions.py.
    """
    return 1 + log2(1 + pages) / 4


def explain_missing(
    left: Sequence[Window], backfills: Sequence[BackfillProgress], restart: str
) -> str:
    """Why a result does not cover the whole window, in fixed words.

    `restart` is why the same call cannot go on from here, empty when it can.
    """
    if not left:
        return ""
    failure = next((backfill.failure for backfill in backfills if backfill.failure), None)
    if failure is not None:
        return f"{failure} The figures cover the part that was fetched before."
    if any(backfill.skipped for backfill in backfills):
        return "Some of the API's rows could not be read; the times around them are left out."
    if any(backfill.api_repeats for backfill in backfills):
        return "The API repeats its pages, so the missing part cannot be fetched."
    pages = expected_pages(backfills)
    busy = any(backfill.eta_s is not None for backfill in backfills)
    quota = "The quota of API requests is in use. " if busy else ""
    many = "more" if pages == inf else f"about {ceil(pages)} more"
    missing = f"{quota}The missing part takes {many} requests"
    if restart:
        return (
            f"{missing}. What was fetched is not remembered ({restart}), so the same call begins "
            "anew. Ask about less time."
        )
    return f"{missing}; the same call goes on from here."


def explain_count(count: CountResult) -> str:
    """What a count leaves open, in fixed words."""
    sentences: list[str] = []
    if count.failure is not None:
        sentences.append(str(count.failure))
    if count.expired_is_inferred and "expired" in count.counts:
        sentences.append(
            "The expired are what the others leave, with those of undocumented statuses, if any, "
            "among them; the same call goes on to count them."
        )
    elif count.is_unfinished:
        sentences.append("Not all is counted yet; the same call goes on counting.")
    if count.inconsistent:
        sentences.append("Sessions changed while they were counted, so no status is told.")
    sentences.append(_explain_figures(count))
    if count.moved_rows:
        sentences.append(
            f"Rows came late meanwhile, so a day or hour may be out by {count.moved_rows}."
        )
    if ANY_STATUS in count.counts and count.pages > count.sampled_pages:
        left = count.pages - count.sampled_pages
        sentences.append(f"Exact after about {left} more requests: the same call goes on.")
    return " ".join(filter(None, sentences))


def _explain_figures(count: CountResult) -> str:
    """What the figures come from that are not counts."""
    if count.unconfirmed:
        return (
            "Every page was read; the same call goes on with one request that tells whether rows "
            "came late."
        )
    if count.missing_count:
        return (
            "Every page was read, but rows moved between pages meanwhile or could not be read: up "
            f"to {count.missing_count} sessions are missing in the figures in `estimated`. Asked "
            "again, the same call counts anew."
        )
    if count.estimates:
        return f"Figures in `estimated` come from {count.sampled_pages} of {count.pages} pages."
    if count.is_unfinished:
        return ""
    unknown = "Cost is" if count.spans else "Cost and groups are"
    if count.is_restricted:
        unknown = "Figures are"
    return f"{unknown} not told yet; the same call goes on sampling."
