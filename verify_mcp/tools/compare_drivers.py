"""The tables of a comparison: what drives the difference of conversion, and that of cost."""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

from verify_mcp.analysis.drivers import Driver, cost_drivers, total_cost_effect
from verify_mcp.analysis.effects import Breakdown, CostEffect, ended
from verify_mcp.analysis.onset import Onset
from verify_mcp.domain.tallies import NANO, Tally, total
from verify_mcp.domain.times import format_time_short
from verify_mcp.summaries.comparison import ComparisonResult
from verify_mcp.tools.compare_request import CompareRequest
from verify_mcp.tools.compare_totals import format_chance, format_signed, points
from verify_mcp.tools.formatting import format_app, format_decimal

DRIVER_COLUMNS = ["by", "group", "pct_before", "pct_after", "rate", "mix", "chance"]
COST_COLUMNS = ["group", "volume", "mix", "price"]
DEFAULT_COST_DIMENSION = "country"
MAX_COST_GROUPS = 10
"""Groups whose cost changed most, where one dimension was asked for."""
MONEY_DIGITS = 3
"""Digits of a part of a difference of cost; what rounding leaves is in the last part."""


def driver_fields(request: CompareRequest, result: ComparisonResult) -> dict[str, Any]:
    """`drivers` in percentage points of conversion.

    With one dimension, the drivers and `rest` add up to the difference.
    """
    search = result.search
    if search is None:
        return {}
    has_onset = any(result.onsets)
    columns = [*DRIVER_COLUMNS, *(["since"] if has_onset else [])]
    rows = [
        [*_driver_row(request, driver), *([_since(onset)] if has_onset else [])]
        for driver, onset in zip(search.drivers, result.onsets, strict=True)
    ]
    return {
        "drivers": {
            **({"columns": columns, "rows": rows} if rows else {}),
            **(_rest(result, search.drivers) if request.by and rows else {}),
            "groups_looked_at": search.looked_at,
        }
    }


def _driver_row(request: CompareRequest, driver: Driver) -> list[str]:
    effect = driver.effect
    return [
        effect.dimension,
        _label(request, effect.dimension, effect.group),
        format_decimal(effect.before.conversion_pct) or "",
        format_decimal(effect.after.conversion_pct) or "",
        format_signed(points(effect.rate)),
        format_signed(points(effect.mix)),
        format_chance(driver.chance),
    ]


def _label(request: CompareRequest, dimension: str, group: str) -> str:
    return format_app(group, request.summary.app_names) if dimension == "app" else group


def _since(onset: Onset | None) -> str:
    """When a driver began, and the interval of that: `11-20 14:00 (13:00 to 11-21 02:00)`."""
    if onset is None:
        return ""
    at, earliest, latest = map(_minute, (onset.at, onset.earliest, onset.latest))
    if earliest[:5] == at[:5] == latest[:5]:  # all on one day
        earliest, latest = earliest[6:], latest[6:]
    return f"{at} ({earliest} to {latest})"


def _minute(moment: datetime) -> str:
    return format_time_short(moment)[: -len(":00")]


def _rest(result: ComparisonResult, drivers: tuple[Driver, ...]) -> dict[str, str]:
    """What the groups not shown add, so that the figures shown add up to the difference."""
    (breakdown,) = result.breakdowns
    before, after = (total(side.values()) for side in (breakdown.before, breakdown.after))
    difference = points(_conversion(after) - _conversion(before))
    parts = (part for driver in drivers for part in (driver.effect.rate, driver.effect.mix))
    return {"rest": format_signed(difference - sum(map(points, parts), Decimal(0)))}


def _conversion(tally: Tally) -> Fraction:
    return Fraction(tally.verified, ended(tally))


def cost_fields(request: CompareRequest, result: ComparisonResult) -> dict[str, Any]:
    """`cost_change` by volume, mix and price; with one dimension, of its groups as well."""
    breakdown = _cost_breakdown(request, result)
    if breakdown is None:
        return {}
    effect = total_cost_effect(breakdown)
    if effect is None or not effect.total:
        return {}
    parts = dict(zip(COST_COLUMNS[1:], _cost_parts(effect), strict=True))
    change: dict[str, Any] = {"by": breakdown.dimension, **parts}
    if request.by:
        drivers = cost_drivers(breakdown, MAX_COST_GROUPS)
        rows = [
            [_label(request, driver.dimension, driver.group), *_cost_parts(driver)]
            for driver in drivers
        ]
        change |= {"columns": COST_COLUMNS, "rows": rows}
    note = _uncosted_note(breakdown)
    return {"cost_change": {**change, **({"note": note} if note else {})}}


def _uncosted_note(breakdown: Breakdown) -> str:
    """How many sessions have no known cost and so no part in the change, empty when none."""
    before, after = (total(side.values()).uncosted for side in (breakdown.before, breakdown.after))
    if not before and not after:
        return ""
    return f"Without {before} sessions before and {after} after that have no known cost."


def _cost_breakdown(request: CompareRequest, result: ComparisonResult) -> Breakdown | None:
    dimension = request.by or DEFAULT_COST_DIMENSION
    found = {breakdown.dimension: breakdown for breakdown in result.breakdowns}
    return found.get(dimension)


def _cost_parts(effect: CostEffect) -> list[str]:
    """Volume, mix and price of one difference of cost, rounded so that they add up to it."""
    change = _money(effect.total)
    exponent = min(0, max(map(Decimal.adjusted, map(_money, _parts(effect)))) + 1 - MONEY_DIGITS)
    unit = Decimal(1).scaleb(exponent)
    volume, mix = (
        _money(part).quantize(unit, ROUND_HALF_EVEN) for part in (effect.volume, effect.mix)
    )
    return [format_signed(part) for part in (volume, mix, change - volume - mix)]


def _parts(effect: CostEffect) -> tuple[Fraction, ...]:
    return effect.volume, effect.mix, effect.price


def _money(nanos: Fraction) -> Decimal:
    return Decimal(nanos.numerator) / Decimal(nanos.denominator) * NANO
