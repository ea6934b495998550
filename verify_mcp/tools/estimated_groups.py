"""The table of groups of which not every session is known: figures with their intervals."""

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from verify_mcp.domain.tallies import Tally, from_nanos, percent
from verify_mcp.summaries.count_result import CountResult
from verify_mcp.summaries.estimate import Estimate
from verify_mcp.summaries.figures import GroupEstimate, mix_conversion
from verify_mcp.summaries.query import SummaryResult
from verify_mcp.tools.formatting import RecipientFormatter, format_money, group_labels
from verify_mcp.tools.summary_request import SummarizeRequest

ESTIMATE_COLUMNS = [
    "sessions", "sessions_low", "sessions_high", "conversion_pct", "conversion_low",
    "conversion_high", "cost", "cost_low", "cost_high",
]  # fmt: skip
MAX_ESTIMATED_GROUPS = 8
"""Estimated groups in a table; the smaller ones are hardly known."""


def estimated_groups(
    request: SummarizeRequest,
    result: SummaryResult,
    count: CountResult,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """Groups of the whole window: what is known exactly, and the estimate of the rest."""
    around, inside = result.groups_around or {}, result.groups_inside
    groups = {
        key: _combine(
            _at_least(count.groups.get(key), inside.get(key, Tally()), count.unseen_group),
            around.get(key, Tally()),
            count.unseen_group,
        )
        for key in count.groups.keys() | (around.keys() | inside.keys() if count.estimates else ())
    }
    ranked = sorted(groups.items(), key=lambda item: (-item[1].sessions.value, item[0]))
    top = ranked[:MAX_ESTIMATED_GROUPS]
    # A session stands in several groups of attempt statuses: its cost belongs to none of them.
    overlapping = "attempt_status" in request.group_by
    rows = [
        [
            *group_labels(request.group_by, key, format_recipient, request.app_names),
            *(format_money(each) or "" for each in group.sessions.bounds()),
            *_conversion(group.conversion),
            *_cost(None if overlapping else group.cost),
        ]
        for key, group in top
    ]
    note = _note(count, left_out=len(ranked) - len(top))
    return {"columns": [*request.group_by, *ESTIMATE_COLUMNS], "rows": rows, "note": note}


def _note(count: CountResult, *, left_out: int) -> str:
    sentences = ["Groups cover the whole window, with 95 % intervals where they are estimated."]
    if count.counted_groups:
        sentences.append(f"Sessions were counted group by group for {count.counted_groups}.")
    if count.unseen_group and not count.estimates:
        sentences.append(f"Other groups have up to {count.unseen_group} sessions together.")
    elif count.unseen_group:
        sentences.append(f"A group of up to {count.unseen_group} sessions may be missing.")
    if left_out:
        sentences.append(f"{left_out} smaller ones are left out.")
    return " ".join(sentences)


def _at_least(estimate: GroupEstimate | None, known: Tally, unseen: int) -> GroupEstimate | None:
    """One group's estimate, raised to the sessions that are known of it."""
    if not known.sessions:
        return estimate
    if estimate is None:  # no page drawn shows the group
        return _combine(None, known, max(0, unseen - known.sessions))
    return replace(
        estimate,
        sessions=estimate.sessions.at_least(Decimal(known.sessions)),
        cost=estimate.cost and estimate.cost.at_least(from_nanos(known.cost)),
    )


def _combine(estimate: GroupEstimate | None, known: Tally, unseen: int) -> GroupEstimate:
    """One group's figures over what is known exactly and what is estimated."""
    cost, sessions = from_nanos(known.cost), Decimal(known.sessions)
    if estimate is None:  # no page drawn shows the group
        dearest = cost / known.sessions if known.sessions else Decimal(0)
        return GroupEstimate(
            Estimate(sessions, sessions, sessions + unseen),
            mix_conversion(
                known, (Decimal(0), Decimal(0), Decimal(1)), (Decimal(0), Decimal(unseen))
            ),
            Estimate(cost, cost, cost + 2 * dearest * unseen),
        )
    total_cost = estimate.cost and estimate.cost.shifted_by(cost)
    counted = estimate.sessions.shifted_by(sessions)
    if estimate.verified is not None and estimate.ended is not None:
        ended = known.verified + known.expired + estimate.ended
        share = Decimal(known.verified + estimate.verified) / ended if ended else None
        conversion = None if share is None else Estimate.certain(share)
        return GroupEstimate(counted, conversion, total_cost)
    if estimate.conversion is None and estimate.cost is None:
        return GroupEstimate(counted, None, None)  # only the number of its sessions is known
    sizes = estimate.sessions.bounds()
    shares = estimate.conversion.bounds() if estimate.conversion else None
    return GroupEstimate(counted, mix_conversion(known, shares, sizes), total_cost)


def _cost(cost: Estimate | None) -> list[str]:
    return ["", "", ""] if cost is None else [format_money(each) or "" for each in cost.bounds()]


def _conversion(share: Estimate | None) -> list[str]:
    if share is None:
        return ["", "", ""]
    if share.exact:
        return [f"{percent(share.value, 1)}"] * 3
    return [
        f"{percent(share.value, 1)}",
        f"{percent(share.low, 1, ROUND_FLOOR)}",
        f"{percent(share.high, 1, ROUND_CEILING)}",
    ]
