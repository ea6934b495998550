"""The totals of a summary: exact, or with the intervals of estimates."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from verify_mcp.domain.spread import MEDIAN
from verify_mcp.domain.tallies import Tally, from_nanos, percent
from verify_mcp.summaries.count_result import CountResult
from verify_mcp.summaries.details import SummaryDetails
from verify_mcp.summaries.estimate import Estimate
from verify_mcp.summaries.figures import mix_conversion
from verify_mcp.tools.formatting import format_decimal, format_money


def total_fields(total_tally: Tally) -> dict[str, Any]:
    """A tally as an answer's own fields; what is not known is left out."""
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


def detail_fields(details: SummaryDetails | None) -> dict[str, Any]:
    """What the totals of an exact answer tell besides; what is not known is left out."""
    if details is None:
        return {}
    fields = {
        "recipients": details.recipients,
        "first_try_pct": format_decimal(details.tally.first_try_pct),
        "gap_s": details.gaps.quantile(MEDIAN) if details.gaps else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def totals_with_estimates(total_tally: Tally | None, count: CountResult | None) -> dict[str, Any]:
    """The totals: exact where they were counted, with intervals where they are estimated."""
    if count is None:
        return total_fields(total_tally) if total_tally else {}
    known = total_tally or Tally()
    if count.is_restricted:
        return _restricted_totals(known, count)
    counts = {status: count.counts.get(status) for status in ("", "verified", "expired")}
    sessions, verified, expired = (
        None if counted is None else counted + tally
        for counted, tally in zip(
            counts.values(), (known.sessions, known.verified, known.expired), strict=True
        )
    )
    fields: dict[str, Any] = {
        "sessions": sessions,
        "sessions_at_least": known.sessions + count.at_least if sessions is None else None,
        "verified": verified,
        "expired": expired,
    }
    if sessions is not None and verified is not None and expired is not None:
        others = count.other_statuses + known.other
        fields["in_progress"] = sessions - verified - expired - others
        fields["other_statuses"] = others or None
        if verified + expired:
            fields["conversion_pct"] = format_decimal(percent(verified, verified + expired))
        if count.expired_is_inferred:
            fields["unchecked"] = ["expired", "conversion_pct"]
    fields |= _with_intervals(_estimates_of_window(known, count))
    return {name: value for name, value in fields.items() if value not in (None, {})}


def _restricted_totals(known: Tally, count: CountResult) -> dict[str, Any]:
    """The totals of a part of the sessions counted, which a filter decided here chooses."""
    if not count.estimates:
        return {"sessions_at_least": known.sessions + count.at_least}
    numbers: tuple[tuple[str, int], ...] = (
        ("sessions", known.sessions),
        ("verified", known.verified),
        ("expired", known.expired),
        ("in_progress", known.in_progress),
    )
    estimates = {
        name: count.estimates[name].shifted_by(Decimal(number)) for name, number in numbers
    }
    conversion = _restricted_conversion(known, count)
    if conversion is not None:
        estimates["conversion_pct"] = conversion
    return _with_intervals(estimates | _estimates_of_window(known, count))


def _restricted_conversion(known: Tally, count: CountResult) -> Estimate | None:
    """The conversion of the window: of sessions that are known, and of those estimated."""
    verified, expired = count.estimates["verified"], count.estimates["expired"]
    ended = [sum(pair) for pair in zip(verified.bounds(), expired.bounds(), strict=True)]
    shares = count.conversion.bounds() if count.conversion else None
    known_ended = known.verified + known.expired
    if shares is None and known_ended and any(ended):  # none of the rest was seen
        shares = (Decimal(known.verified) / known_ended, Decimal(0), Decimal(1))
    return mix_conversion(known, shares, tuple(map(Decimal, ended)))


def _with_intervals(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    """Estimates as fields, and `estimated` with the interval of each that is not exact."""
    fields: dict[str, Any] = {
        name: _format_figure(name, each.value) for name, each in estimates.items()
    }
    intervals = {
        name: [
            _format_figure(name, estimate.low, ROUND_FLOOR),
            _format_figure(name, estimate.high, ROUND_CEILING),
        ]
        for name, estimate in estimates.items()
        if not estimate.exact
    }
    return {**fields, **({"estimated": intervals} if intervals else {})}


def _format_figure(name: str, value: Decimal, rounding: str = ROUND_HALF_EVEN) -> int | str | None:
    if name == "conversion_pct":
        return format_decimal(percent(value, 1, rounding))
    return format_money(value) if "cost" in name else int(value)


def _estimates_of_window(known: Tally, count: CountResult) -> dict[str, Estimate]:
    """Estimates of the window: the counted part, and the sessions in the mirror around it."""
    tally = {
        "attempts": Decimal(known.attempts),
        "cost": from_nanos(known.cost),
        "expired_cost": from_nanos(known.expired_cost),
        "rescued": Decimal(known.rescued),
    }
    found = {
        name: estimate.shifted_by(tally[name])
        for name, estimate in count.estimates.items()
        if name in tally
    }
    if "cost" in found:
        found["expired_cost"] = found["expired_cost"].capped_at(found["cost"].high)
    verified = count.counts.get("verified", 0) + known.verified
    if "verified" in count.counts and "rescued" in found:
        found["rescued"] = found["rescued"].capped_at(Decimal(verified))
    if verified and "verified" in count.counts and "cost" in found:
        found["cost_per_verified"] = found["cost"].divided_by(verified)
    return found
