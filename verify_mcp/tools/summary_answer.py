"""What `summarize_verify_sessions` returns: totals and groups, exact or with their intervals."""

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from verify_mcp.domain.reach import REACH_TOLERANCE, OutOfReach, out_of_reach
from verify_mcp.domain.tallies import UNKNOWN, GroupKey, Tally, from_nanos, percent, total
from verify_mcp.domain.times import format_api_time
from verify_mcp.domain.windows import Window, join_closest
from verify_mcp.summaries.count_job import CountResult
from verify_mcp.summaries.figures import GroupEstimate
from verify_mcp.summaries.sampling import Estimate
from verify_mcp.summaries.summarizer import SummaryResult
from verify_mcp.tools.envelope import AnswerMeta
from verify_mcp.tools.formatting import (
    RecipientFormatter,
    ceil_seconds,
    format_decimal,
    format_money,
)
from verify_mcp.tools.list_sessions import recipient_note
from verify_mcp.tools.summary_request import SummarizeRequest

MAX_SPANS = 5
"""Spans of time in `missing`; the closest ones are joined until so many remain."""


def summary_answer(
    call: SummarizeRequest,
    finding: SummaryResult,
    footing: AnswerMeta,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """The answer of `summarize_verify_sessions`."""
    # Groups of attempt statuses overlap; around what was counted nothing is in groups.
    overlapping = "attempt_status" in call.group_by and finding.count is None
    total_tally = None if overlapping else total(finding.tallies.values())
    beyond = _out_of_reach_part(call, finding)
    spans = join_closest(finding.missing, MAX_SPANS - (1 if beyond else 0))
    whys = (finding.why, _explain_joined_spans(finding, spans), beyond.why if beyond else "")
    why = " ".join(filter(None, whys))
    missing = [*map(_format_span, spans), *([beyond.missing] if beyond else [])]
    return {
        "complete": not missing and not finding.skipped and finding.count is None,
        **({"basis": finding.basis} if finding.basis else {}),
        **({"why": why} if why else {}),
        **({"missing": missing} if missing else {}),
        **_eta_fields(finding),
        **({"skipped": finding.skipped} if finding.skipped else {}),
        "applied": _applied(call, finding),
        **(_totals_with_estimates(total_tally, finding.count) if _has_figures(finding) else {}),
        **_group_table(call, finding, format_recipient),
        **_no_match(call, finding),
        **replace(footing, now=min(finding.as_of, footing.now)).fields(),
    }


def _no_match(call: SummarizeRequest, finding: SummaryResult) -> dict[str, str]:
    """Why no session may match a recipient, where none does."""
    if not call.session_filter.recipient or finding.count is not None or finding.tallies:
        return {}
    return {"note": recipient_note(call.session_filter.recipient)}


def _eta_fields(finding: SummaryResult) -> dict[str, int]:
    """Seconds until the same call can go on, and until its answer can be exact."""
    etas = {"eta_s": finding.eta_s, "eta_exact_s": finding.eta_exact_s}
    return {name: ceil_seconds(eta) for name, eta in etas.items() if eta is not None}


def _format_span(span: Window) -> str:
    return f"{format_api_time(span.start)} to {format_api_time(span.end)}"


def _explain_joined_spans(finding: SummaryResult, spans: tuple[Window, ...]) -> str:
    """What the spans in `missing` hold besides what is missing, if they do."""
    gaps = len(finding.missing)
    if len(spans) == gaps:
        return ""
    return (
        f"`missing` joins {gaps} gaps into {len(spans)} spans, so it takes in times that the "
        "figures cover."
    )


def _has_figures(finding: SummaryResult) -> bool:
    """Whether the figures are about a part of the window at least: zeros would be a lie."""
    return finding.count is not None or finding.missing != (finding.window,)


def _total_fields(total_tally: Tally) -> dict[str, Any]:
    """A tally as an answer's own fields; what cannot be told is left out."""
    fields = {
        "sessions": total_tally.sessions,
        "verified": total_tally.verified,
        "expired": total_tally.expired,
        "in_progress": total_tally.in_progress,
        "other_statuses": total_tally.other or None,
        "conversion_pct": format_decimal(total_tally.conversion_pct),
        "attempts": total_tally.attempts,
        "cost": format_money(from_nanos(total_tally.cost)),
        "cost_per_verified": format_money(total_tally.cost_per_verified),
        "expired_cost": format_money(from_nanos(total_tally.expired_cost)),
        "rescued": total_tally.rescued,
        "uncosted": total_tally.uncosted or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _totals_with_estimates(total_tally: Tally | None, census: CountResult | None) -> dict[str, Any]:
    """The totals: exact where they were counted, with intervals where they are estimated."""
    if census is None:
        return _total_fields(total_tally) if total_tally else {}
    known = total_tally or Tally()
    counts = {status: census.counts.get(status) for status in ("", "verified", "expired")}
    sessions, verified, expired = (
        None if count is None else count + tally
        for count, tally in zip(
            counts.values(), (known.sessions, known.verified, known.expired), strict=True
        )
    )
    fields: dict[str, Any] = {
        "sessions": sessions,
        "sessions_at_least": known.sessions + census.at_least if sessions is None else None,
        "verified": verified,
        "expired": expired,
    }
    if sessions is not None and verified is not None and expired is not None:
        others = census.other_statuses + known.other
        fields["in_progress"] = sessions - verified - expired - others
        fields["other_statuses"] = others or None
        if verified + expired:
            fields["conversion_pct"] = format_decimal(percent(verified, verified + expired))
        if census.expired_is_inferred:
            fields["unchecked"] = ["expired", "conversion_pct"]
    estimates = _estimates_of_window(known, census)
    fields |= {name: _format_figure(name, each.value) for name, each in estimates.items()}
    fields["estimated"] = {
        name: [_format_figure(name, each.low), _format_figure(name, each.high)]
        for name, each in estimates.items()
        if not each.exact
    }
    return {name: value for name, value in fields.items() if value not in (None, {})}


def _format_figure(name: str, value: Decimal) -> int | str | None:
    return int(value) if name in ("attempts", "rescued") else format_money(value)


def _estimates_of_window(known: Tally, census: CountResult) -> dict[str, Estimate]:
    """Estimates of the whole: of what was counted, and what is held around it."""
    tally = {
        "attempts": Decimal(known.attempts),
        "cost": from_nanos(known.cost),
        "expired_cost": from_nanos(known.expired_cost),
        "rescued": Decimal(known.rescued),
    }
    found = {
        name: each.shifted_by(tally[name])
        for name, each in census.estimates.items()
        if name in tally
    }
    if "cost" in found:
        found["expired_cost"] = found["expired_cost"].capped_at(found["cost"].high)
    verified = census.counts.get("verified", 0) + known.verified
    if "verified" in census.counts and "rescued" in found:
        found["rescued"] = found["rescued"].capped_at(Decimal(verified))
    if verified and "verified" in census.counts and "cost" in found:
        found["cost_per_verified"] = found["cost"].divided_by(verified)
    return found


ESTIMATE_COLUMNS = [
    "sessions", "sessions_low", "sessions_high", "conversion_pct", "conversion_low",
    "conversion_high", "cost", "cost_low", "cost_high",
]  # fmt: skip
MAX_ESTIMATED_GROUPS = 8
"""Estimated groups in a table; the smaller ones are hardly known."""


def _estimated_groups(
    call: SummarizeRequest,
    finding: SummaryResult,
    census: CountResult,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """Groups of the whole window: what is known exactly, and the estimate of the rest."""
    if any(each in ("day", "hour") for each in call.group_by):
        return {"note": "A sample says nothing of single days or hours: raise max_requests."}
    around, inside = finding.groups_around or {}, finding.groups_inside
    groups = {
        key: _combine(
            _at_least(census.groups.get(key), inside.get(key, Tally()), census.unseen_group),
            around.get(key, Tally()),
            census.unseen_group,
        )
        for key in census.groups.keys() | around.keys() | inside.keys()
    }
    ranked = sorted(groups.items(), key=lambda item: (-item[1].sessions.value, item[0]))
    top = ranked[:MAX_ESTIMATED_GROUPS]
    # A session stands in several groups of attempt statuses: its cost belongs to none of them.
    overlapping = "attempt_status" in call.group_by
    rows = [
        [
            *_group_labels(call, key, format_recipient),
            *(format_money(each) or "" for each in group.sessions.bounds()),
            *_conversion(group.conversion),
            *("" if overlapping else format_money(each) or "" for each in group.cost.bounds()),
        ]
        for key, group in top
    ]
    note = "Groups cover the whole window, with 95 % intervals where they are estimated."
    if census.unseen_group:
        note += f" A group of up to {census.unseen_group} sessions may be missing."
    if len(ranked) > len(top):
        note += f" {len(ranked) - len(top)} smaller ones are left out."
    return {"columns": [*call.group_by, *ESTIMATE_COLUMNS], "rows": rows, "note": note}


def _at_least(estimate: GroupEstimate | None, known: Tally, unseen: int) -> GroupEstimate | None:
    """One group's estimate, which has the sessions held of it at least."""
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


GROUP_COLUMNS = ["sessions", "verified", "expired", "conversion_pct", "cost", "cost_per_verified"]
ATTEMPT_COLUMNS = ["attempts", "sessions", "verified", "expired", "conversion_pct"]
MAX_GROUPS = 50
"""Groups in a table; the smallest beyond them are added up as `other`."""
MAX_TIME_GROUPS = 100
"""The same of days or hours alone: a course over 90 days has no holes."""


def _group_table(
    call: SummarizeRequest, finding: SummaryResult, format_recipient: RecipientFormatter
) -> dict[str, Any]:
    if not call.group_by:
        return {}
    if finding.count is not None:
        if finding.groups_around is None or not finding.count.groups:
            return {}  # before any page is drawn, the known part alone would pass for all
        return _estimated_groups(call, finding, finding.count, format_recipient)
    columns = ATTEMPT_COLUMNS if "attempt_status" in call.group_by else GROUP_COLUMNS
    ranked = sorted(finding.tallies.items(), key=lambda item: (-item[1].sessions, item[0]))
    most = MAX_TIME_GROUPS if set(call.group_by) <= {"day", "hour"} else MAX_GROUPS
    top, rest = ranked[:most], ranked[most:]
    if any(each in ("day", "hour") for each in call.group_by):
        top.sort(key=lambda item: item[0])
    rows = [_group_row(call, key, tally, columns, format_recipient) for key, tally in top]
    if rest:
        names = (f"other ({len(rest)})", *("" for _ in call.group_by[1:]))
        rows.append([*names, *_other_figures(call, [tally for _, tally in rest], columns)])
    return {"columns": [*call.group_by, *columns], "rows": rows, **_group_note(call, finding)}


def _group_row(
    call: SummarizeRequest,
    key: GroupKey,
    tally: Tally,
    columns: list[str],
    format_recipient: RecipientFormatter,
) -> list[str]:
    return [*_group_labels(call, key, format_recipient), *_format_figures(tally, columns)]


def _group_labels(
    call: SummarizeRequest, key: GroupKey, format_recipient: RecipientFormatter
) -> list[str]:
    return [
        format_recipient(name) if by == "recipient" else name
        for by, name in zip(call.group_by, key, strict=True)
    ]


def _format_figures(tally: Tally, columns: list[str]) -> list[str]:
    fields = _total_fields(tally)
    return [str(fields.get(column, "")) for column in columns]


def _other_figures(call: SummarizeRequest, rest: list[Tally], columns: list[str]) -> list[str]:
    """The smallest groups in one row; of overlapping ones only the attempts add up."""
    figures = _format_figures(total(rest), columns)
    if "attempt_status" not in call.group_by:
        return figures
    return [
        figure if column == "attempts" else ""
        for column, figure in zip(columns, figures, strict=True)
    ]


def _group_note(call: SummarizeRequest, finding: SummaryResult) -> dict[str, str]:
    if "attempt_status" in call.group_by:
        return {"note": "A session counts in each group that an attempt of it belongs to."}
    if "brand" in call.group_by and any(UNKNOWN in key for key in finding.tallies):
        return {"note": "? are sessions without a brand, both on the session and on its attempts."}
    return {}


def _applied(call: SummarizeRequest, finding: SummaryResult) -> dict[str, Any]:
    applied: dict[str, Any] = dict(call.session_filter.set_filters())
    if call.session_filter.recipient:
        applied["recipient"] = call.recipient_echo
    applied |= {
        "session_time__gte": format_api_time(finding.window.start),
        "session_time__lt": format_api_time(finding.window.end),
    }
    if call.group_by:
        applied["group_by"] = list(call.group_by)
    if any(each in ("day", "hour") for each in call.group_by):
        applied["time_zone"] = str(call.zone)
    return applied


def _out_of_reach_part(call: SummarizeRequest, finding: SummaryResult) -> OutOfReach | None:
    """What lies before the API's reach, None for seconds: `applied` shows those."""
    start = finding.window.start
    if start - call.start <= REACH_TOLERANCE:
        return None
    return out_of_reach(call.start, start, edge=start)
