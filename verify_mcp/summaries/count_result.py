"""What a count of many sessions is about, and what it has brought so far."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from verify_mcp.domain.api_limits import PAGE_SIZE, STATUSES
from verify_mcp.domain.groups import GroupKey
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.tallies import Tally
from verify_mcp.domain.windows import Window
from verify_mcp.errors import ApiError
from verify_mcp.summaries.estimate import Estimate
from verify_mcp.summaries.figures import GroupEstimate
from verify_mcp.summaries.span_counts import SpanFigures

ANY_STATUS = ""
"""The count of every status together."""
MAX_READ_PAGES = 40
"""Pages of a window of a filtered comparison that are read without counts of the statuses before:
these are of no use to any other question."""


@dataclass(frozen=True, slots=True)
class CountScope:
    """The query that a count is for: its window, whether its end was named, and when it came.

    `tally_outside` has the sessions of the window around the part that is counted, true `as_of`
    then.
    """

    window: Window
    is_end_pinned: bool
    at: datetime
    as_of: datetime
    tally_outside: Tally
    cached_parts: tuple[Window, ...] = ()
    """The windows of it that the mirror holds."""
    sessions: tuple[Session, ...] = ()
    """The sessions of it that were fetched on the way."""


@dataclass(slots=True)
class CountResult:
    """Sessions of one filter in one window: `counts` by status and "" for all, where exact.

    `estimates` are of attempts, cost, expired_cost and rescued.
    """

    window: Window
    is_restricted: bool = False
    """Whether the figures are about a part of the sessions counted, which a filter that the API
    does not know chooses: `estimates` then have the numbers of sessions, too."""
    counts: dict[str, int] = field(default_factory=dict)
    at_least: int = 0
    inconsistent: bool = False
    """Whether the counts of the statuses did not add up to that of all sessions, twice."""
    expired_is_inferred: bool = False
    """Whether the expired are not counted yet; in `counts` they are what the others leave."""
    estimates: dict[str, Estimate] = field(default_factory=dict)
    conversion: Estimate | None = None
    """The share of verified sessions, from 0 to 1, where it is estimated."""
    groups: dict[GroupKey, GroupEstimate] = field(default_factory=dict)
    spans: dict[GroupKey, SpanFigures] = field(default_factory=dict)
    """The days or hours, where the query is grouped by them."""
    counted_groups: int = 0
    """Groups of which the sessions were counted one by one."""
    requests_left: int = 0
    """About how many requests the counts take that the query is about and are not done."""
    moved_rows: int = 0
    """The rows that came late while days or hours were counted: each may be so far out."""
    unseen_group: int = 0
    """The most sessions that a group may have of which no page drawn shows any."""
    other_statuses: int = 0
    """Sessions with a status that the API does not document."""
    missing_count: int = 0
    """Sessions counted that are on no page, though every page was read."""
    unconfirmed: bool = False
    """Whether every page was read, and one more request must tell that no row came meanwhile."""
    skipped: int = 0
    sampled_pages: int = 0
    eta_s: float | None = None
    failure: ApiError | None = None

    @property
    def pages(self) -> int:
        """Pages that fetching everything takes."""
        return -(-self.counts.get(ANY_STATUS, self.at_least) // PAGE_SIZE)

    def copy(self) -> "CountResult":
        """The same, which does not change while the job goes on."""
        return replace(
            self,
            counts=dict(self.counts),
            estimates=dict(self.estimates),
            groups=dict(self.groups),
            spans=dict(self.spans),
        )

    @property
    def is_unfinished(self) -> bool:
        """Whether counts are still to come when the same call is repeated."""
        done = len(self.counts) > 1 or self.inconsistent or self.is_restricted
        return ANY_STATUS not in self.counts or self.expired_is_inferred or not done

    @property
    def takes_few_pages(self) -> bool:
        """Whether reading every page is cheap enough that statuses need no counts before."""
        return ANY_STATUS in self.counts and self.pages <= MAX_READ_PAGES

    def use_exact_counts(self, by: tuple[str, ...]) -> None:
        """Replace the estimated sizes of groups by status by the counts that are exact."""
        if by != ("status",):
            return
        for status in STATUSES:
            if status == "expired" and self.expired_is_inferred:
                continue
            exact, known = self.counts.get(status), self.groups.get((status,))
            if exact is not None and known is not None:
                self.groups[status,] = replace(known, sessions=Estimate.certain(exact))
        if not self.expired_is_inferred and self.counts.keys() >= set(STATUSES):
            documented = sum(self.counts[status] for status in STATUSES)
            self._cap_other_statuses(max(0, self.counts[ANY_STATUS] - documented))

    def _cap_other_statuses(self, most: int) -> None:
        """No status that is not documented has more sessions than all of them together."""
        self.unseen_group = min(self.unseen_group, most)
        for key, group in self.groups.items():
            if key[0] not in STATUSES:
                self.groups[key] = replace(group, sessions=group.sessions.capped_at(Decimal(most)))
