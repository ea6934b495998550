"""The totals of two windows side by side, and the sentence about them."""

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

from verify_mcp.analysis.proportions import Proportion, chance_of_difference, newcombe_interval
from verify_mcp.domain.api_limits import CHANNELS
from verify_mcp.domain.tallies import Tally, from_nanos, percent, total
from verify_mcp.domain.times import format_time_short
from verify_mcp.summaries.comparison import ComparisonResult
from verify_mcp.summaries.count_result import ANY_STATUS, CountResult
from verify_mcp.summaries.query import SummaryResult
from verify_mcp.tools.formatting import format_money

MAX_CHANCE = 0.05
"""The largest chance of a difference that the summary calls one."""
_SAFE_DIMENSIONS = {"country", "channel", "first_channel", "tries", "hour_of_day"}
"""Dimensions whose groups are short words of ours; others may hold texts of the API."""
_COUNTS = ("sessions", "verified")
_FIGURES = (
    *_COUNTS,
    "in_progress",
    "conversion_pct",
    "cost",
    "cost_per_verified",
    "attempts_per_session",
    "uncosted",
)
_SAFE_WORD = re.compile(r"[A-Z]{2}|[0-9]{1,2}(:00|\+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class WindowTotals:
    """What is known exactly of one window; None is unknown."""

    sessions: int | None = None
    verified: int | None = None
    expired: int | None = None
    in_progress: int | None = None
    attempts: int | None = None
    cost: Decimal | None = None
    uncosted: int | None = None

    @property
    def conversion(self) -> Proportion | None:
        """Verified of those that ended; None when none did, or when that is not known."""
        if self.verified is None or self.expired is None or not self.verified + self.expired:
            return None
        return Proportion(self.verified, self.verified + self.expired)

    @property
    def conversion_pct(self) -> Decimal | None:
        """The conversion in per cent, to two places."""
        rate = self.conversion
        return percent(rate.successes, rate.trials) if rate else None

    @property
    def cost_per_verified(self) -> Decimal | None:
        """Cost for each verified session, to six places; None when none was verified."""
        if self.cost is None or not self.verified:
            return None
        return (self.cost / self.verified).quantize(Decimal("1e-6"), ROUND_HALF_EVEN)

    @property
    def attempts_per_session(self) -> Decimal | None:
        """Attempts for each session, to two places."""
        if self.attempts is None or not self.sessions:
            return None
        return percent(self.attempts, self.sessions * 100)


def window_totals(result: SummaryResult) -> WindowTotals:
    """What is known exactly of a window; nothing when a part of it was not fetched."""
    known = total(result.tallies.values())
    if result.count is not None:
        return _counted_totals(known, result.count)
    if not result.is_exact:
        return WindowTotals()
    return WindowTotals(
        known.sessions,
        known.verified,
        known.expired,
        known.in_progress,
        known.attempts,
        from_nanos(known.cost),
        known.uncosted,
    )


def _counted_totals(known: Tally, count: CountResult) -> WindowTotals:
    """The exact counts of a window; what only a sample knows is left out."""
    statuses = dict(count.counts)
    if count.expired_is_inferred:
        statuses.pop("expired", None)
    sessions, verified, expired = (
        None if (number := statuses.get(status)) is None else number + outside
        for status, outside in (
            (ANY_STATUS, known.sessions),
            ("verified", known.verified),
            ("expired", known.expired),
        )
    )
    return WindowTotals(sessions, verified, expired)


def total_rows(before: WindowTotals, after: WindowTotals) -> dict[str, Any]:
    """The table of both windows, a figure in a row."""
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in _FIGURES}
    rows = [
        [name, *(format_figure(name, side) for side in pair), _change(name, before, after)]
        for name, pair in pairs.items()
        if _is_shown(name, pair)
    ]
    if not rows:
        return {}
    return {"columns": ["figure", "before", "after", "change"], "rows": rows}


def _is_shown(name: str, pair: tuple[object, object]) -> bool:
    """Whether a figure is known, on both sides but for counts, and says something."""
    if name in ("in_progress", "uncosted"):
        return None not in pair and any(pair)
    return pair != (None, None) if name in _COUNTS else None not in pair


def _change(name: str, before: WindowTotals, after: WindowTotals) -> str:
    """The difference of a figure; empty when it is not known."""
    earlier, later = before.conversion, after.conversion
    if name == "conversion_pct" and earlier and later:
        return format_points(later.rate - earlier.rate)  # not that of the rounded figures
    values = getattr(before, name), getattr(after, name)
    return "" if None in values else format_signed(Decimal(values[1] - values[0]))


def format_figure(name: str, value: Decimal | int | None) -> str:
    """A figure as the table shows it, empty when it is not known."""
    if value is None:
        return ""
    if name.startswith("cost"):
        return format_money(Decimal(value)) or ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def format_signed(change: Decimal) -> str:
    """A change with its sign, without zeros at its end; `0` for none."""
    text = f"{change.normalize():f}"
    return f"+{text}" if change > 0 else text.replace("-0", "0") if not change else text


def conversion_fields(before: WindowTotals, after: WindowTotals) -> dict[str, Any]:
    """The difference of conversion in percentage points, with its interval and its chance."""
    earlier, later = before.conversion, after.conversion
    if earlier is None or later is None:
        return {}
    interval = newcombe_interval(earlier, later)
    return {
        "conversion_change": {
            "points": format_points(later.rate - earlier.rate),
            "low": _bound(interval.low, ROUND_FLOOR),
            "high": _bound(interval.high, ROUND_CEILING),
            "chance": format_chance(chance_of_difference(earlier, later)),
        }
    }


def _bound(share: float, rounding: str) -> str:
    bound = (Decimal(share) * 100).quantize(Decimal("0.01"), rounding)
    return format_signed(bound)


def points(share: Fraction) -> Decimal:
    """A share of 1 in percentage points, to two places."""
    exact = Decimal(share.numerator) * 100 / Decimal(share.denominator)
    return exact.quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def format_points(share: Fraction) -> str:
    """A share of 1 as signed percentage points."""
    return format_signed(points(share))


def format_chance(chance: float) -> str:
    """A chance to two digits, or how small it is at most."""
    return "<0.0001" if chance < 0.0001 else f"{Decimal(f'{chance:.2g}'):f}"


def summary_sentence(before: WindowTotals, after: WindowTotals, result: ComparisonResult) -> str:
    """What changed, in fixed words."""
    sentences = (_conversion_sentence(before, after), _driver_sentence(result))
    return " ".join(filter(None, sentences)) or "Not enough is known yet to compare."


def _conversion_sentence(before: WindowTotals, after: WindowTotals) -> str:
    earlier, later = before.conversion, after.conversion
    if earlier is None or later is None:
        is_known = None not in (before.verified, before.expired, after.verified, after.expired)
        which = "either window" if earlier is None and later is None else "one of the windows"
        return f"No session ended in {which}: no conversion to compare." * is_known
    difference = points(later.rate - earlier.rate)
    rates = f"from {before.conversion_pct} to {after.conversion_pct} %"
    if chance_of_difference(earlier, later) > MAX_CHANCE:
        return f"Conversion went {rates}: chance alone can make such a difference."
    verb = "rose" if difference > 0 else "fell"
    return f"Conversion {verb} by {abs(difference)} points, {rates}."


def _driver_sentence(result: ComparisonResult) -> str:
    search = result.search
    if search is None:
        return ""
    if not search.looked_at:
        return "No group has sessions enough to be a driver."
    if not search.drivers:
        return "No group changed otherwise than the rest, beyond chance."
    driver, begun = search.drivers[0], result.onsets[0]
    effect = driver.effect
    is_safe = _is_safe(effect.dimension, effect.group)
    name = f"{effect.dimension} {effect.group}" if is_safe else f"one {effect.dimension}"
    kind = "its conversion" if driver.is_rate else "its share of the sessions"
    since = f", since about {format_time_short(begun.at)[:-3]} UTC" if begun else ""
    return f"Largest driver: {name} ({format_points(effect.total)} points, by {kind}){since}."


def _is_safe(dimension: str, group: str) -> bool:
    """Whether a group's name is a word of ours: a text of the API never is in a sentence."""
    is_word = group in CHANNELS or _SAFE_WORD.fullmatch(group) is not None
    return dimension in _SAFE_DIMENSIONS and is_word
