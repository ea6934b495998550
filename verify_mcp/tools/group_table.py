"""The table of a summary's groups."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from verify_mcp.domain.groups import (
    RANGE_MARK,
    TIME_GROUPS,
    UNKNOWN,
    WEEKDAYS,
    GroupKey,
    time_group,
)
from verify_mcp.domain.ranking import RankedGroups, Ranking
from verify_mcp.domain.spread import MEDIAN, NINETIETH
from verify_mcp.domain.tallies import Tally, from_nanos, percent
from verify_mcp.domain.times import MICROSECOND, format_time_short
from verify_mcp.summaries.details import SummaryDetails
from verify_mcp.summaries.query import SummaryResult
from verify_mcp.summaries.time_spans import UNITS
from verify_mcp.tools.estimated_groups import estimated_groups
from verify_mcp.tools.formatting import (
    RecipientFormatter,
    format_decimal,
    format_money,
    group_labels,
)
from verify_mcp.tools.span_table import span_table
from verify_mcp.tools.summary_request import SummarizeRequest
from verify_mcp.tools.summary_totals import total_fields

GROUP_COLUMNS = ("sessions", "verified", "expired", "conversion_pct", "cost", "cost_per_verified")
ATTEMPT_COLUMNS = ("attempts", "sessions", "verified", "expired", "conversion_pct", "charge")
TALLY_COLUMNS = frozenset({"first_try_pct", "resent_pct", "reached_pct", "rescued", "expired_cost"})
"""Columns that an attempt status does not have: they are of whole sessions."""
_YEAR = re.compile(r"^\d{4}-(?=\d\d-\d\d )")


def group_table(
    request: SummarizeRequest,
    result: SummaryResult,
    details: SummaryDetails | None,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """The table's fields in the answer: columns, rows and a note; empty without groups.

    Hours are named without their year, as other times in rows are.
    """
    if not request.group_by:
        return {}
    if result.count is not None:
        table = _counted_table(request, result, format_recipient)
    else:
        table = _exact_table(request, result, details, format_recipient)
    if "hour" in request.group_by and "rows" in table:
        place = table["columns"].index("hour")
        for row in table["rows"]:
            row[place] = _YEAR.sub("", row[place])
    return table


def _exact_table(
    request: SummarizeRequest,
    result: SummaryResult,
    details: SummaryDetails | None,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    ranked = _ranked(request.ranking, result)
    shown = dict(sorted(ranked.tallies.items(), key=lambda item: _time_order(request, item[0])))
    columns = _columns(request, ranked)
    rows = [
        [
            *group_labels(request.group_by, key, format_recipient, request.app_names),
            *(_cell(column, tally, _of_group(details, key)) for column in columns),
        ]
        for key, tally in shown.items()
    ]
    if ranked.others:
        rows.append(_other_row(request, ranked, columns))
    notes = [*_notes(request, ranked), *_explain_weeks(request, result)]
    return {
        "columns": [*request.group_by, *columns],
        "rows": rows,
        **({"note": " ".join(notes)} if notes else {}),
    }


def _counted_table(
    request: SummarizeRequest, result: SummaryResult, format_recipient: RecipientFormatter
) -> dict[str, Any]:
    if result.count is None or result.groups_around is None:
        return {}
    if set(request.group_by) & set(UNITS):
        table = span_table(request, result.count, result.groups_around)
        notes = [table.get("note"), *(_explain_weeks(request, result) if "rows" in table else ())]
        note = " ".join(filter(None, notes))
        return {**table, "note": note} if note else table
    if not result.count.groups:
        return {}  # before any page is drawn, the known part alone would pass for all
    return estimated_groups(request, result, result.count, format_recipient)


def _explain_weeks(request: SummarizeRequest, result: SummaryResult) -> list[str]:
    """What the name of a week is, and which weeks the window has only a part of."""
    if "week" not in request.group_by:
        return []
    window, zone = result.window, request.zone
    last, first = window.end - MICROSECOND, window.start - MICROSECOND
    is_cut = {
        "first": time_group(first, "week", zone) == time_group(window.start, "week", zone),
        "last": time_group(last, "week", zone) == time_group(window.end, "week", zone),
    }
    cut = " and the ".join(name for name, is_so in is_cut.items() if is_so)
    cut_by = f"; the window has only a part of the {cut} one" if cut else ""
    return [f"week is the date of its Monday{cut_by}."]


def _ranked(ranking: Ranking, result: SummaryResult) -> RankedGroups:
    if result.other_groups:  # the database ranked them
        return RankedGroups(result.tallies, result.other_groups, result.rest)
    return ranking.apply(result.tallies)


def _time_order(request: SummarizeRequest, key: GroupKey) -> tuple[object, ...]:
    """Where a group's row stands: by time where it has one, otherwise as ranked."""
    return tuple(
        WEEKDAYS.index(name) if by == "weekday" else name
        for by, name in zip(request.group_by, key, strict=True)
        if by in TIME_GROUPS
    )


def _columns(request: SummarizeRequest, ranked: RankedGroups) -> tuple[str, ...]:
    if "attempt_status" in request.group_by:
        more = [column for column in request.show if column not in TALLY_COLUMNS]
        return tuple(dict.fromkeys((*ATTEMPT_COLUMNS, *more)))
    usual = list(GROUP_COLUMNS)
    if any(tally.in_progress for tally in [*ranked.tallies.values(), ranked.rest]):
        usual.insert(3, "in_progress")
    return tuple(dict.fromkeys((*usual, *request.show)))


def _of_group(details: SummaryDetails | None, key: GroupKey) -> Mapping[str, str]:
    """A group's figures that do not add up: its recipients and its gaps."""
    if details is None:
        return {}
    gaps = details.gaps_by_group.get(key)
    found = {
        "recipients": details.recipients_by_group.get(key),
        "gap_s": gaps.quantile(MEDIAN) if gaps else None,
        "gap_p90_s": gaps.quantile(NINETIETH) if gaps else None,
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def _cell(column: str, tally: Tally, figures: Mapping[str, str]) -> str:
    if column in figures:
        return figures[column]
    if column in _CELLS:
        return _CELLS[column](tally) or ""
    return str(total_fields(tally).get(column, ""))


def _share(part: int, tally: Tally) -> str | None:
    return format_decimal(percent(part, tally.sessions)) if tally.sessions else None


_CELLS: dict[str, Callable[[Tally], str | None]] = {
    "resent_pct": lambda tally: _share(tally.resent, tally),
    "reached_pct": lambda tally: _share(tally.reached, tally),
    "first_try_pct": lambda tally: format_decimal(tally.first_try_pct),
    "charge": lambda tally: format_money(from_nanos(tally.cost)),
    "first": lambda tally: format_time_short(tally.first) if tally.first else None,
    "last": lambda tally: format_time_short(tally.last) if tally.last else None,
}


def _other_row(
    request: SummarizeRequest, ranked: RankedGroups, columns: tuple[str, ...]
) -> list[str]:
    """The other groups in one row; of overlapping ones only attempts and charge add up."""
    overlapping = "attempt_status" in request.group_by
    blank = ("sessions", "verified", "expired", "conversion_pct") if overlapping else ()
    cells = ["" if column in blank else _cell(column, ranked.rest, {}) for column in columns]
    return [f"other ({ranked.others})", *("" for _ in request.group_by[1:]), *cells]


def _notes(request: SummarizeRequest, ranked: RankedGroups) -> list[str]:
    """What the rows alone would not say."""
    notes, by = [], request.group_by
    if "attempt_status" in by:
        notes.append("A session counts in each group that an attempt of it belongs to.")
        uncharged = sum(tally.uncosted for tally in [*ranked.tallies.values(), ranked.rest])
        if uncharged:
            notes.append(f"{uncharged} attempts have no charge listed and are left out of it.")
    if "brand" in by and any(key[by.index("brand")] == UNKNOWN for key in ranked.tallies):
        notes.append("? are sessions without a brand, both on the session and on its attempts.")
    networks = [key[by.index("network")] for key in ranked.tallies] if "network" in by else []
    if any(network.endswith(RANGE_MARK) for network in networks):
        notes.append("(range) is the holder of the number's range: ported numbers left it.")
    return notes
