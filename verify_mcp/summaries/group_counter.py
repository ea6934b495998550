"""Groups that the API filters by, counted one by one where that takes far fewer requests."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from decimal import Decimal
from math import ceil, log2

from verify_mcp.domain import tallies
from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.groups import UNKNOWN, GroupKey
from verify_mcp.summaries.count_job import CountJob
from verify_mcp.summaries.count_result import ANY_STATUS, CountResult
from verify_mcp.summaries.estimate import Estimate
from verify_mcp.summaries.exact_count import Prior
from verify_mcp.summaries.figures import GroupEstimate
from verify_mcp.summaries.page_reader import RequestBudget

GROUP_FILTERS: dict[str, Callable[[SessionFilter, str], SessionFilter]] = {
    "app": lambda session_filter, value: replace(session_filter, app_uuid=value),
    "brand": lambda session_filter, value: replace(session_filter, brand_name=value),
}
"""The groups by which the API filters, and how."""
MAX_SHARE = 0.25
"""Groups are counted if that takes at most this part of the requests for every page."""
MAX_COUNTED_GROUPS = 8
"""Groups counted, the largest; an answer has room for no more."""


class GroupCounter:
    """Counts the groups of one count, by a count of its own for each."""

    def __init__(self, job: CountJob, by: str) -> None:
        self.job = job
        self._by = by
        self._jobs: dict[str, CountJob] = {}

    async def count(self, budget: RequestBudget, known: Collection[str]) -> None:
        """Go on as far as the budget goes; `known` are groups that are held."""
        total, seen = self.job.result.counts.get(ANY_STATUS), self._seen()
        if not total or not (self._jobs or self._pays(total, seen, known)):
            return
        for value in [*(name for name, _ in seen.most_common()), *sorted({*known} - {*seen})]:
            if len(self._jobs) < MAX_COUNTED_GROUPS and value not in self._jobs:
                prior = Prior.by_share(total, having=seen[value], seen=seen.total())
                group_filter = GROUP_FILTERS[self._by](self.job.session_filter, value)
                self._jobs[value] = self.job.of_part(group_filter, prior)
        for job in self._jobs.values():
            job.resume(budget)
            await job.count_all()
            await job.count_statuses()
            self.job.result.failure, self.job.result.eta_s = job.result.failure, job.result.eta_s
            if job.result.failure is not None or job.result.eta_s is not None:
                break

    def expected_requests(self) -> int:
        """About how many requests the counts that were begun still take."""
        usual = self.job.result.counts.get(ANY_STATUS, 0) / max(1, len(self._jobs))
        unfinished = [job.result for job in self._jobs.values() if job.result.is_unfinished]
        return ceil(sum(expected_requests(max(usual, group.at_least)) for group in unfinished))

    def publish(self, result: CountResult) -> None:
        """Replace what is estimated of the groups by what is counted."""
        counted = {
            value: job.result
            for value, job in self._jobs.items()
            if job.result.counts.get(ANY_STATUS, -1) >= self._seen()[value]
        }
        for value, group in counted.items():
            if group.counts[ANY_STATUS]:
                result.groups[value,] = _counted(group, result.groups.get((value,)))
        sizes = [group.counts[ANY_STATUS] for group in counted.values()]
        rest = result.counts[ANY_STATUS] - sum(sizes) if sizes else None
        if rest is None or rest < 0:
            return
        result.counted_groups = len(counted)
        result.unseen_group = min(result.unseen_group, rest) if result.estimates else rest
        for key, estimate in result.groups.items():
            if key[0] not in counted:
                result.groups[key] = _at_most(estimate, rest)

    def _seen(self) -> Counter[str]:
        keys = (
            key
            for session in self.job.sessions_read()
            for key in tallies.group_keys(session, (self._by,))
        )
        return Counter(value for (value,) in keys if value != UNKNOWN)

    def _pays(self, total: int, seen: Counter[str], known: Collection[str]) -> bool:
        """Whether counting takes far fewer requests than reading every page that is left."""
        pages_left = -(-total // PAGE_SIZE) - self.job.result.sampled_pages
        shares = [number / seen.total() for _, number in seen.most_common(MAX_COUNTED_GROUPS)]
        expected = sum(expected_requests(total * share) for share in shares)
        expected += 2 * min(len({*known} - {*seen}), MAX_COUNTED_GROUPS)
        return bool(shares) and expected <= MAX_SHARE * pages_left


def expected_requests(sessions: float) -> float:
    """About how many requests it takes to count so many sessions, and those of each status."""
    return 2 + 2 * log2(max(2.0, sessions / PAGE_SIZE))


def _counted(group: CountResult, estimate: GroupEstimate | None) -> GroupEstimate:
    """A group with its counts, and the estimate of its cost, None where there is none."""
    sessions, conversion, ended = group.counts[ANY_STATUS], None, None
    verified, expired = group.counts.get("verified"), group.counts.get("expired")
    if verified is not None and expired is not None and not group.expired_is_inferred:
        ended = verified + expired
        conversion = Estimate.certain(Decimal(verified) / ended) if ended else None
    elif estimate is not None:
        verified, conversion = None, estimate.conversion
    cost = None if estimate is None else estimate.cost
    return GroupEstimate(Estimate.certain(sessions), conversion, cost, verified, ended)


def _at_most(estimate: GroupEstimate, sessions: int) -> GroupEstimate:
    """The estimate of a group that has no more sessions than so many."""
    return GroupEstimate(
        estimate.sessions.capped_at(Decimal(sessions)), estimate.conversion, estimate.cost
    )


def group_names(keys: Collection[GroupKey]) -> set[str]:
    """The values of single groups that can be filtered by."""
    return {key[0] for key in keys if len(key) == 1 and key[0] != UNKNOWN}
