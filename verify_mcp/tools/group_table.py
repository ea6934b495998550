"""The table of a summary's groups: exact, or with the intervals of estimates."""

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from verify_mcp.domain.groups import UNKNOWN, GroupKey
from verify_mcp.domain.tallies import Tally, from_nanos, percent, total
from verify_mcp.summaries.count_result import CountResult
from verify_mcp.summaries.estimate import Estimate
from verify_mcp.summaries.figures import GroupEstimate
from verify_mcp.summaries.query import SummaryResult
from verify_mcp.tools.formatting import RecipientFormatter, format_money
from verify_mcp.tools.summary_request import SummarizeRequest
from verify_mcp.tools.summary_totals import total_fields

GROUP_COLUMNS = ["sessions", "verified", "expired", "conversion_pct", "cost", "cost_per_verified"]
ATTEMPT_COLUMNS = ["attempts", "sessions", "verified", "expired", "conversion_pct"]
MAX_GROUPS = 50
"""Groups in a table; the smallest beyond them are added up as `other`."""
MAX_TIME_GROUPS = 100
"""The same of days or hours alone, so that 90 days are shown without gaps."""


def group_table(
    request: SummarizeRequest, result: SummaryResult, format_recipient: RecipientFormatter
) -> dict[str, Any]:
    """The table's fields in the answer: columns, rows and a note; empty without groups."""
    if not request.group_by:
        return {}
    if result.count is not None:
        if result.groups_around is None or not result.count.groups:
            return {}  # before any page is drawn, the known part alone would pass for all
        return _estimated_groups(request, result, result.count, format_recipient)
    columns = ATTEMPT_COLUMNS if "attempt_status" in request.group_by else GROUP_COLUMNS
    ranked = sorted(result.tallies.items(), key=lambda item: (-item[1].sessions, item[0]))
    most = MAX_TIME_GROUPS if set(request.group_by) <= {"day", "hour"} else MAX_GROUPS
    top, rest = ranked[:most], ranked[most:]
    if any(each in ("day", "hour") for each in request.group_by):
        top.sort(key=lambda item: item[0])
    rows = [_group_row(request, key, tally, columns, format_recipient) for key, tally in top]
    if rest:
        names = (f"other ({len(rest)})", *("" for _ in request.group_by[1:]))
        rows.append([*names, *_other_figures(request, [tally for _, tally in rest], columns)])
    return {"columns": [*request.group_by, *columns], "rows": rows, **_group_note(request, result)}


def _group_row(
    request: SummarizeRequest,
    key: GroupKey,
    tally: Tally,
    columns: list[str],
    format_recipient: RecipientFormatter,
) -> list[str]:
    return [*_group_labels(request, key, format_recipient), *_format_figures(tally, columns)]


def _group_labels(
    request: SummarizeRequest, key: GroupKey, format_recipient: RecipientFormatter
) -> list[str]:
    return [
        format_recipient(name) if by == "recipient" else name
        for by, name in zip(request.group_by, key, strict=True)
    ]


def _format_figures(tally: Tally, columns: list[str]) -> list[str]:
    fields = total_fields(tally)
    return [str(fields.get(column, "")) for column in columns]


def _other_figures(request: SummarizeRequest, rest: list[Tally], columns: list[str]) -> list[str]:
    """The smallest groups in one row; of overlapping ones only the attempts add up."""
    figures = _format_figures(total(rest), columns)
    if "attempt_status" not in request.group_by:
        return figures
    return [
        figure if column == "attempts" else ""
        for column, figure in zip(columns, figures, strict=True)
    ]


def _group_note(request: SummarizeRequest, result: SummaryResult) -> dict[str, str]:
    if "attempt_status" in request.group_by:
        return {"note": "A session counts in each group that an attempt of it belongs to."}
    if "brand" in request.group_by and any(UNKNOWN in key for key in result.tallies):
        return {"note": "? are sessions without a brand, both on the session and on its attempts."}
    return {}


ESTIMATE_COLUMNS = [
    "sessions", "sessions_low", "sessions_high", "conversion_pct", "conversion_low",
    "conversion_high", "cost", "cost_low", "cost_high",
]  # fmt: skip
MAX_ESTIMATED_GROUPS = 8
"""Estimated groups in a table; the smaller ones are hardly known."""


def _estimated_groups(
    request: SummarizeRequest,
    result: SummaryResult,
    count: CountResult,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """Groups of the whole window: what is known exactly, and the estimate of the rest."""
    if any(each in ("day", "hour") for each in request.group_by):
        return {"note": "A sample says nothing of single days or hours: raise max_requests."}
    around, inside = result.groups_around or {}, result.groups_inside
    groups = {
        key: _combine(
            _at_least(count.groups.get(key), inside.get(key, Tally()), count.unseen_group),
            around.get(key, Tally()),
            count.unseen_group,
        )
        for key in count.groups.keys() | around.keys() | inside.keys()
    }
    ranked = sorted(groups.items(), key=lambda item: (-item[1].sessions.value, item[0]))
    top = ranked[:MAX_ESTIMATED_GROUPS]
    # A session stands in several groups of attempt statuses: its cost belongs to none of them.
    overlapping = "attempt_status" in request.group_by
    rows = [
        [
            *_group_labels(request, key, format_recipient),
            *(format_money(each) or "" for each in group.sessions.bounds()),
            *_conversion(group.conversion),
            *("" if overlapping else format_money(each) or "" for each in group.cost.bounds()),
        ]
        for key, group in top
    ]
    note = "Groups cover the whole window, with 95 % intervals where they are estimated."
    if count.unseen_group:
        note += f" A group of up to {count.unseen_group} sessions may be missing."
    if len(ranked) > len(top):
        note += f" {len(ranked) - len(top)} smaller ones are left out."
    return {"columns": [*request.group_by, *ESTIMATE_COLUMNS], "rows": rows, "note": note}


def _at_least(estimate: GroupEstimate | None, known: Tally, unseen: int) -> GroupEstimate | None:
    """One group's estimate, raised to the sessions that are known of it."""
    if not known.sessions:
        return estimate
    if estimate is None:  # no page drawn shows the group
        return _combine(None, known, max(0, unseen - known.sessions))
    return replace(
        estimate,
        sessions=estimate.sessions.at_least(Decimal(known.sessions)),
        cost=estimate.cost.at_least(from_nanos(known.cost)),
    )


def _combine(estimate: GroupEstimate | None, known: Tally, unseen: int) -> GroupEstimate:
    """One group's figures over what is known exactly and what is estimated."""
    cost, sessions = from_nanos(known.cost), Decimal(known.sessions)
    if estimate is None:  # no page drawn shows the group
        dearest = cost / known.sessions if known.sessions else Decimal(0)
        return GroupEstimate(
            Estimate(sessions, sessions, sessions + unseen),
            _mix_conversion(
                known, (Decimal(0), Decimal(0), Decimal(1)), (Decimal(0), Decimal(unseen))
            ),
            Estimate(cost, cost, cost + 2 * dearest * unseen),
        )
    counted = estimate.sessions
    shares = estimate.conversion.bounds() if estimate.conversion else None
    conversion = _mix_conversion(known, shares, (counted.value, counted.low, counted.high))
    return GroupEstimate(counted.shifted_by(sessions), conversion, estimate.cost.shifted_by(cost))


def _mix_conversion(
    known: Tally, shares: tuple[Decimal, Decimal, Decimal] | None, sizes: tuple[Decimal, ...]
) -> Estimate | None:
    """The conversion of known sessions and of others whose share and number are estimated."""
    ended = Decimal(known.verified + known.expired)
    if shares is None:
        share = Decimal(known.verified) / ended if ended else None
        return None if share is None else Estimate.certain(share)
    mixed = [
        (known.verified + share * size) / (ended + size)
        for share in shares
        for size in sizes
        if ended + size
    ]
    return Estimate(mixed[0], min(mixed), max(mixed)) if mixed else None


def _conversion(share: Estimate | None) -> list[str]:
    if share is None:
        return ["", "", ""]
    return [
        f"{percent(share.value, 1)}",
        f"{percent(share.low, 1, ROUND_FLOOR)}",
        f"{percent(share.high, 1, ROUND_CEILING)}",
    ]
