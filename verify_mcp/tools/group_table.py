"""The table of a summary's groups."""

from typing import Any

from verify_mcp.domain.groups import UNKNOWN, GroupKey
from verify_mcp.domain.tallies import Tally, total
from verify_mcp.summaries.query import SummaryResult
from verify_mcp.tools.estimated_groups import estimated_groups
from verify_mcp.tools.formatting import RecipientFormatter, group_labels
from verify_mcp.tools.span_table import span_table
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
        if result.groups_around is None:
            return {}
        if set(request.group_by) & {"day", "hour"}:
            return span_table(request, result.count, result.groups_around)
        if not result.count.groups:
            return {}  # before any page is drawn, the known part alone would pass for all
        return estimated_groups(request, result, result.count, format_recipient)
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
    labels = group_labels(request.group_by, key, format_recipient)
    return [*labels, *_format_figures(tally, columns)]


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
