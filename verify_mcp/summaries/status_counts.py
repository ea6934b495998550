"""The counts of all sessions and of each status, and what they amount to together."""

from collections.abc import Iterable
from typing import Literal

from verify_mcp.domain.api_limits import STATUSES
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.count_result import ANY_STATUS
from verify_mcp.summaries.exact_count import CountSearch, Prior, reconcile

COUNT_ORDER = ("in-progress", "verified", "expired")
"""The statuses in the order in which they tell most for the fewest requests."""


class StatusCounts:
    """The searches for the numbers of one window, by status; `ANY_STATUS` for all sessions."""

    def __init__(self, window: Window, first: CountSearch | None = None) -> None:
        self._window = window
        self._searches = {ANY_STATUS: first or CountSearch(window)}
        self._is_restarted = False
        self._earlier_excess: int | None = None
        """How many sessions more than the statuses' had been counted before all were again."""

    def search(self, status: str) -> CountSearch:
        """The search of a status that was begun."""
        return self._searches[status]

    def store(self, status: str, search: CountSearch) -> None:
        """Take over how far the search of a status has come."""
        self._searches[status] = search

    def begin(self, status: str, total: int, pages: Iterable[Page]) -> None:
        """Begin the search of a status, if it is not begun: `total` and the pages let one guess."""
        if status not in self._searches:
            seen = [session for page in pages for session in page.sessions]
            prior = self._prior(status, total, seen)
            self._searches[status] = CountSearch(
                self._window, reference=self._searches[ANY_STATUS], prior=prior
            )

    def restart(self) -> None:
        """Count all of them once more: sessions changed meanwhile."""
        self._is_restarted, self._earlier_excess = True, self._excess()
        self._searches = {status: search.restarted() for status, search in self._searches.items()}

    def reconcile(self) -> Literal["exact", "again", "differs", "unknown"]:
        """Whether the statuses add up to all sessions, as `exact_count.reconcile` says."""
        parts = [self._searches[status] for status in COUNT_ORDER]
        return reconcile(self._searches[ANY_STATUS], parts, again=self._is_restarted)

    def count_others(self, pages: Iterable[Page]) -> int:
        """How many sessions have a status that the API does not document, 0 when not known.

        A page may show some. Where none does, two counts agree: what changes while it is counted
        does not leave the same number twice.
        """
        excess = self._excess() or 0
        is_known = _shows_others(pages) or excess == self._earlier_excess
        return max(0, excess) if is_known else 0

    def known_counts(self, total: int, pages: Iterable[Page]) -> tuple[dict[str, int], bool]:
        """The counts of the statuses, none before they are known; whether the expired are inferred.

        Inferred, they are what the other statuses leave of `total`, unless pages show others.
        """
        totals = {status: self._total(status) for status in COUNT_ORDER}
        known = {status: count for status, count in totals.items() if count is not None}
        is_inferred = len(known) == len(totals) - 1 and "expired" not in known
        rest = total - sum(known.values())
        is_known = len(known) == len(totals) or (is_inferred and rest >= 0)
        has_others = _shows_others(pages) or (self._earlier_excess or 0) > 0
        if is_inferred and rest >= 0 and not has_others:
            known["expired"] = rest
        return (known if is_known else {}), is_inferred

    def _total(self, status: str) -> int | None:
        search = self._searches.get(status)
        return search.total if search else None

    def _prior(self, status: str, total: int, seen: list[Session]) -> Prior | None:
        """What the counts finished and the sessions seen let one guess."""
        totals = [self._total(each) for each in COUNT_ORDER]
        counted = [count for count in totals if count is not None]
        if status == COUNT_ORDER[-1] and len(counted) == len(COUNT_ORDER) - 1:
            return Prior(max(0, total - sum(counted)))
        if status == "verified" and seen:
            having = sum(session.status == status for session in seen)
            return Prior.by_share(total, having=having, seen=len(seen))
        return None

    def _excess(self) -> int | None:
        """How many sessions more than those of each status there are; None while not counted."""
        totals = [self._total(status) for status in (ANY_STATUS, *COUNT_ORDER)]
        known = [total for total in totals if total is not None]
        return known[0] - sum(known[1:]) if len(known) == len(totals) else None


def _shows_others(pages: Iterable[Page]) -> bool:
    """Whether a page read holds a status that the API does not document."""
    return any(each.status not in STATUSES for page in pages for each in page.sessions)
