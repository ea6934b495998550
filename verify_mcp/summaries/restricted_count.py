"""A count under a filter that the API does not know: what its pages tell of a part of them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo
from decimal import Decimal

from verify_mcp.domain.filters import IN_PROGRESS, SessionFilter
from verify_mcp.domain.matching import admit_locally
from verify_mcp.summaries.count_job import CountJob
from verify_mcp.summaries.count_result import ANY_STATUS, CountResult
from verify_mcp.summaries.estimate import Estimate


def restrict(
    job: CountJob, session_filter: SessionFilter, by: tuple[str, ...], zone: tzinfo
) -> CountResult:
    """The figures of a count's sessions that the filter admits: estimates from the pages read.

    The job counts what the API lists for the filter, which is more. `counts` stay about that.
    """
    count = job.result
    restricted = replace(
        count,
        is_restricted=True,
        counts={name: count.counts[name] for name in (ANY_STATUS,) if name in count.counts},
        at_least=len({each.uuid for each in admit_locally(session_filter, job.sessions_read())}),
        expired_is_inferred=False,
        inconsistent=False,
        estimates={},
        groups={},
        spans={},
        requests_left=0,
        other_statuses=0,
    )
    if ANY_STATUS not in count.counts:
        return restricted
    reading = job.reading(session_filter.local_conditions())
    numbers = reading.numbers()
    for status, counted in count.counts.items():
        name = {ANY_STATUS: "sessions", IN_PROGRESS: "in_progress"}.get(status, status)
        if name in numbers:  # no more than all sessions have that status
            capped = numbers[name].capped_at(Decimal(counted))
            numbers[name] = capped if counted else Estimate.certain(0)
    restricted.estimates = reading.totals() | numbers
    restricted.conversion = reading.conversion()
    restricted.unseen_group = reading.unseen_group()
    restricted.groups = reading.groups(by, zone)
    if session_filter.status and restricted.estimates:
        restricted.estimates |= _numbers_of_status(count, session_filter, restricted.estimates)
    return restricted


def _numbers_of_status(
    count: CountResult, session_filter: SessionFilter, estimates: Mapping[str, Estimate]
) -> dict[str, Estimate]:
    """The numbers of sessions where all have one status, which the API may have counted."""
    counted = None if session_filter.local_filters() else count.counts.get(IN_PROGRESS)
    sessions = estimates["sessions"] if counted is None else Estimate.certain(counted)
    none = Estimate.certain(0)
    own = "in_progress" if session_filter.status == IN_PROGRESS else session_filter.status
    return {"verified": none, "expired": none, "in_progress": none} | {
        "sessions": sessions,
        str(own): sessions,
    }
