"""What `summarize_verify_sessions` returns: totals and groups, exact or with their intervals."""

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from verify_mcp.arguments import SummarizeCall
from verify_mcp.census import Census
from verify_mcp.estimates import Estimate
from verify_mcp.figures import GroupEstimate
from verify_mcp.filters import REACH_TOLERANCE, written
from verify_mcp.results import Footing, recipient_note
from verify_mcp.summary import UNKNOWN, Key, Tally, amount, percent, total
from verify_mcp.survey import Finding
from verify_mcp.windows import Window, joined
from verify_mcp.wording import Shown, instant, money, plain, whole_seconds

MOST_SPANS = 5
"""Spans of time in `missing`; the closest ones are joined until so many remain."""


def summarized(
    call: SummarizeCall, finding: Finding, footing: Footing, shown: Shown
) -> dict[str, Any]:
    """The answer of `summarize_verify_sessions`."""
    # Groups of attempt statuses overlap; around what was counted nothing is in groups.
    overlapping = "attempt_status" in call.by and finding.census is None
    whole = None if overlapping else total(finding.tallies.values())
    beyond = _beyond_reach(call, finding)
    spans = joined(finding.missing, MOST_SPANS - len(beyond))
    whys = (finding.why, _joined_why(finding, spans), *(gap["why"] for gap in beyond))
    why = " ".join(filter(None, whys))
    missing = [*map(_written_span, spans), *(gap["missing"] for gap in beyond)]
    return {
        "complete": not missing and not finding.skipped and finding.census is None,
        **({"basis": finding.basis} if finding.basis else {}),
        **({"why": why} if why else {}),
        **({"missing": missing} if missing else {}),
        **_etas(finding),
        **({"skipped": finding.skipped} if finding.skipped else {}),
        "applied": _summary_applied(call, finding),
        **(_told(whole, finding.census) if _is_anything_known(finding) else {}),
        **_groups(call, finding, shown),
        **_no_match(call, finding),
        **replace(footing, now=min(finding.as_of, footing.now)).said(),
    }


def _no_match(call: SummarizeCall, finding: Finding) -> dict[str, str]:
    """Why no session may match a recipient, where none does."""
    if not call.wanted.recipient or finding.census is not None or finding.tallies:
        return {}
    return {"note": recipient_note(call.wanted.recipient)}


def _etas(finding: Finding) -> dict[str, int]:
    """Seconds until the same call can go on, and until its answer can be exact."""
    etas = {"eta_s": finding.eta_s, "eta_exact_s": finding.eta_exact_s}
    return {name: whole_seconds(eta) for name, eta in etas.items() if eta is not None}


def _written_span(span: Window) -> str:
    return f"{written(span.start)} to {written(span.end)}"


def _joined_why(finding: Finding, spans: tuple[Window, ...]) -> str:
    """What the spans in `missing` hold besides what is missing, if they do."""
    gaps = len(finding.missing)
    if len(spans) == gaps:
        return ""
    return (
        f"`missing` joins {gaps} gaps into {len(spans)} spans, so it takes in times that the "
        "figures cover."
    )


def _is_anything_known(finding: Finding) -> bool:
    """Whether the figures are about a part of the window at least: zeros would be a lie."""
    return finding.census is not None or finding.missing != (finding.window,)


def _totals(whole: Tally) -> dict[str, Any]:
    """A tally as an answer's own fields; what cannot be told is left out."""
    told = {
        "sessions": whole.sessions,
        "verified": whole.verified,
        "expired": whole.expired,
        "in_progress": whole.unfinished,
        "other_statuses": whole.other or None,
        "conversion_pct": plain(whole.conversion_pct),
        "attempts": whole.attempts,
        "cost": money(amount(whole.cost)),
        "cost_per_verified": money(whole.cost_per_verified),
        "expired_cost": money(amount(whole.expired_cost)),
        "rescued": whole.rescued,
        "uncosted": whole.uncosted or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _told(whole: Tally | None, census: Census | None) -> dict[str, Any]:
    """The totals: exact where they were counted, with intervals where they are estimated."""
    if census is None:
        return _totals(whole) if whole else {}
    held = whole or Tally()
    counts = {status: census.counts.get(status) for status in ("", "verified", "expired")}
    sessions, verified, expired = (
        None if count is None else count + own
        for count, own in zip(
            counts.values(), (held.sessions, held.verified, held.expired), strict=True
        )
    )
    told: dict[str, Any] = {
        "sessions": sessions,
        "sessions_at_least": held.sessions + census.at_least if sessions is None else None,
        "verified": verified,
        "expired": expired,
    }
    if sessions is not None and verified is not None and expired is not None:
        others = census.others + held.other
        told["in_progress"] = sessions - verified - expired - others
        told["other_statuses"] = others or None
        if verified + expired:
            told["conversion_pct"] = plain(percent(verified, verified + expired))
        if census.unchecked:
            told["unchecked"] = ["expired", "conversion_pct"]
    estimates = _estimated(held, census)
    told |= {name: _figure(name, each.value) for name, each in estimates.items()}
    told["estimated"] = {
        name: [_figure(name, each.low), _figure(name, each.high)]
        for name, each in estimates.items()
        if not each.exact
    }
    return {name: value for name, value in told.items() if value not in (None, {})}


def _figure(name: str, value: Decimal) -> int | str | None:
    return int(value) if name in ("attempts", "rescued") else money(value)


def _estimated(held: Tally, census: Census) -> dict[str, Estimate]:
    """Estimates of the whole: of what was counted, and what is held around it."""
    own = {
        "attempts": Decimal(held.attempts),
        "cost": amount(held.cost),
        "expired_cost": amount(held.expired_cost),
        "rescued": Decimal(held.rescued),
    }
    found = {name: each.plus(own[name]) for name, each in census.estimates.items() if name in own}
    if "cost" in found:
        found["expired_cost"] = found["expired_cost"].at_most(found["cost"].high)
    verified = census.counts.get("verified", 0) + held.verified
    if "verified" in census.counts and "rescued" in found:
        found["rescued"] = found["rescued"].at_most(Decimal(verified))
    if verified and "verified" in census.counts and "cost" in found:
        found["cost_per_verified"] = found["cost"].per(verified)
    return found


ESTIMATE_COLUMNS = [
    "sessions", "sessions_low", "sessions_high", "conversion_pct", "conversion_low",
    "conversion_high", "cost", "cost_low", "cost_high",
]  # fmt: skip
MOST_ESTIMATED = 8
"""Estimated groups in a table; the smaller ones are hardly known."""


def _estimated_groups(
    call: SummarizeCall, finding: Finding, census: Census, shown: Shown
) -> dict[str, Any]:
    """Groups of the whole window: what is known exactly, and the estimate of the rest."""
    if any(each in ("day", "hour") for each in call.by):
        return {"note": "A sample says nothing of single days or hours: raise max_requests."}
    around, inside = finding.groups_around or {}, finding.groups_inside
    groups = {
        key: _combined(
            _at_least(census.groups.get(key), inside.get(key, Tally()), census.unseen_group),
            around.get(key, Tally()),
            census.unseen_group,
        )
        for key in census.groups.keys() | around.keys() | inside.keys()
    }
    ranked = sorted(groups.items(), key=lambda item: (-item[1].sessions.value, item[0]))
    kept = ranked[:MOST_ESTIMATED]
    # A session stands in several groups of attempt statuses: its cost belongs to none of them.
    overlapping = "attempt_status" in call.by
    rows = [
        [
            *_names(call, key, shown),
            *(money(each) or "" for each in group.sessions.bounds()),
            *_conversion(group.conversion),
            *("" if overlapping else money(each) or "" for each in group.cost.bounds()),
        ]
        for key, group in kept
    ]
    note = "Groups cover the whole window, with 95 % intervals where they are estimated."
    if census.unseen_group:
        note += f" A group of up to {census.unseen_group} sessions may be missing."
    if len(ranked) > len(kept):
        note += f" {len(ranked) - len(kept)} smaller ones are left out."
    return {"columns": [*call.by, *ESTIMATE_COLUMNS], "rows": rows, "note": note}


def _at_least(estimate: GroupEstimate | None, held: Tally, unseen: int) -> GroupEstimate | None:
    """One group's estimate, which has the sessions held of it at least."""
    if not held.sessions:
        return estimate
    if estimate is None:  # no page drawn shows the group
        return _combined(None, held, max(0, unseen - held.sessions))
    return replace(
        estimate,
        sessions=estimate.sessions.at_least(Decimal(held.sessions)),
        cost=estimate.cost.at_least(amount(held.cost)),
    )


def _combined(estimate: GroupEstimate | None, known: Tally, unseen: int) -> GroupEstimate:
    """One group's figures over what is known exactly and what is estimated."""
    cost, sessions = amount(known.cost), Decimal(known.sessions)
    if estimate is None:  # no page drawn shows the group
        dearest = cost / known.sessions if known.sessions else Decimal(0)
        return GroupEstimate(
            Estimate(sessions, sessions, sessions + unseen),
            _mixed(known, (Decimal(0), Decimal(0), Decimal(1)), (Decimal(0), Decimal(unseen))),
            Estimate(cost, cost, cost + 2 * dearest * unseen),
        )
    counted = estimate.sessions
    shares = estimate.conversion.bounds() if estimate.conversion else None
    conversion = _mixed(known, shares, (counted.value, counted.low, counted.high))
    return GroupEstimate(counted.plus(sessions), conversion, estimate.cost.plus(cost))


def _mixed(
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
MOST_GROUPS = 50
"""Groups in a table; the smallest beyond them are added up as `other`."""
MOST_TIMES = 100
"""The same of days or hours alone: a course over 90 days has no holes."""


def _groups(call: SummarizeCall, finding: Finding, shown: Shown) -> dict[str, Any]:
    if not call.by:
        return {}
    if finding.census is not None:
        if finding.groups_around is None or not finding.census.groups:
            return {}  # before any page is drawn, the known part alone would pass for all
        return _estimated_groups(call, finding, finding.census, shown)
    columns = ATTEMPT_COLUMNS if "attempt_status" in call.by else GROUP_COLUMNS
    ranked = sorted(finding.tallies.items(), key=lambda item: (-item[1].sessions, item[0]))
    most = MOST_TIMES if set(call.by) <= {"day", "hour"} else MOST_GROUPS
    kept, rest = ranked[:most], ranked[most:]
    if any(each in ("day", "hour") for each in call.by):
        kept.sort(key=lambda item: item[0])
    rows = [_group_row(call, key, own, columns, shown) for key, own in kept]
    if rest:
        names = (f"other ({len(rest)})", *("" for _ in call.by[1:]))
        rows.append([*names, *_other_figures(call, [own for _, own in rest], columns)])
    return {"columns": [*call.by, *columns], "rows": rows, **_group_note(call, finding)}


def _group_row(
    call: SummarizeCall, key: Key, own: Tally, columns: list[str], shown: Shown
) -> list[str]:
    return [*_names(call, key, shown), *_figures(own, columns)]


def _names(call: SummarizeCall, key: Key, shown: Shown) -> list[str]:
    return [
        shown(name) if by == "recipient" else name for by, name in zip(call.by, key, strict=True)
    ]


def _figures(own: Tally, columns: list[str]) -> list[str]:
    told = _totals(own)
    return [str(told.get(column, "")) for column in columns]


def _other_figures(call: SummarizeCall, rest: list[Tally], columns: list[str]) -> list[str]:
    """The smallest groups in one row; of overlapping ones only the attempts add up."""
    figures = _figures(total(rest), columns)
    if "attempt_status" not in call.by:
        return figures
    return [
        figure if column == "attempts" else ""
        for column, figure in zip(columns, figures, strict=True)
    ]


def _group_note(call: SummarizeCall, finding: Finding) -> dict[str, str]:
    if "attempt_status" in call.by:
        return {"note": "A session counts in each group that an attempt of it belongs to."}
    if "brand" in call.by and any(UNKNOWN in key for key in finding.tallies):
        return {"note": "? are sessions without a brand, both on the session and on its attempts."}
    return {}


def _summary_applied(call: SummarizeCall, finding: Finding) -> dict[str, Any]:
    said: dict[str, Any] = dict(call.wanted.asked())
    if call.wanted.recipient:
        said["recipient"] = call.echo
    said |= {
        "session_time__gte": written(finding.window.start),
        "session_time__lt": written(finding.window.end),
    }
    if call.by:
        said["group_by"] = list(call.by)
    if any(each in ("day", "hour") for each in call.by):
        said["time_zone"] = str(call.zone)
    return said


def _beyond_reach(call: SummarizeCall, finding: Finding) -> list[dict[str, str]]:
    """What lies before the API's reach; `applied` tells seconds that slid out of it."""
    start = finding.window.start
    if start - call.start <= REACH_TOLERANCE:
        return []
    return [
        {
            "why": f"The API reaches back 90 days, to {instant(start)} UTC.",
            "missing": f"{instant(call.start)} to {instant(start)}",
        }
    ]
