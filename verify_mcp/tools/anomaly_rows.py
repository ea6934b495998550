"""Findings as rows of a table, each with a sentence that says what else it could be."""

from datetime import datetime, timedelta
from decimal import Decimal

from verify_mcp.analysis.anomalies.finding import Finding
from verify_mcp.domain.tallies import from_nanos
from verify_mcp.domain.times import format_time_short
from verify_mcp.summaries.anomaly_query import ReportedFinding
from verify_mcp.tools.formatting import RecipientFormatter, format_money

COLUMNS = [
    "kind", "where", "from", "to", "sessions", "recipients", "verified", "expected", "seen", "cost",
    "at_stake", "chance", "examples", "summary",
]  # fmt: skip
PLACES = ("country", "network", "channel", "app", "brand")
"""The dimensions that `where` names, in this order; a prefix or recipient comes last."""
_MINUTE = timedelta(minutes=1)
_UNITS = {
    "conversion": "% verified",
    "delivered_share": "% failed",
    "cost": " cost",
    "sessions": " sessions",
    "in_progress": " in progress",
}
_ALIKE = {
    "pumping": "tests or a promotion to one range",
    "delivery": "late reports, or a list of dead numbers",
    "conversion": "a changed form, bots, or other visitors",
    "spend": "a campaign, or dearer destinations",
    "volume": "a campaign, a holiday, or an outage of your own",
    "repeat": "a tester, or a number that many share",
    "stuck": "late updates of the API",
}


def finding_row(
    reported: ReportedFinding, format_recipient: RecipientFormatter | None
) -> list[str]:
    """A finding's cells in the order of COLUMNS; without a formatter no number is in them."""
    finding, evidence = reported.finding, reported.evidence
    return [
        finding.kind,
        _place(reported, format_recipient),
        format_minute(finding.window.start),
        format_minute(finding.window.end, up=True),
        str(evidence.sessions),
        str(evidence.recipients),
        str(evidence.verified),
        f"{_format_figure(finding, finding.expected)}{_UNITS[finding.measure]}",
        _format_figure(finding, finding.seen) + ("%" if _is_share(finding) else ""),
        format_money(from_nanos(evidence.cost)) or "",
        _at_stake(reported),
        f"{finding.chance:.0e}",
        " ".join(example[:8] for example in evidence.examples),
        _sentence(reported),
    ]


def _place(reported: ReportedFinding, format_recipient: RecipientFormatter | None) -> str:
    where = dict(reported.finding.where)
    if reported.finding.kind == "pumping" and reported.evidence.network:
        where.setdefault("network", reported.evidence.network)
    names = [where[name] for name in PLACES if name in where]
    if format_recipient is not None:
        names += [f"{prefix}*" for prefix in where.get("prefix", "").split()]
        names += [format_recipient(where["recipient"])] if "recipient" in where else []
    return " ".join(names) or "all"


def _is_share(finding: Finding) -> bool:
    return finding.measure in ("conversion", "delivered_share")


def _format_figure(finding: Finding, figure: float) -> str:
    if finding.measure == "delivered_share":
        figure = 1 - figure
    if _is_share(finding):
        return f"{100 * figure:.3g}"
    return f"{Decimal(f'{figure:.3g}').normalize():f}"


def _at_stake(reported: ReportedFinding) -> str:
    """What the event cost for nothing; empty where that is not known."""
    finding, evidence = reported.finding, reported.evidence
    match finding.kind:
        case "spend":
            return f"{Decimal(f'{finding.seen - finding.expected:.3g}').normalize():f}"
        case "volume":
            return ""
        case "stuck":
            return format_money(from_nanos(evidence.cost)) or ""
        case _:
            return format_money(from_nanos(evidence.expired_cost)) or ""


def _sentence(reported: ReportedFinding) -> str:
    """One sentence in fixed words, made of the figures only."""
    finding, evidence = reported.finding, reported.evidence
    match finding.kind:
        case "pumping":
            words = f"{evidence.recipients} numbers of one range asked"
            if reported.neighbours:
                words += f", {100 * reported.neighbours:.0f}% of them neighbours"
            words += ", and codes arrived but were not entered"
        case "delivery":
            words = f"Messages failed more than usual{_begin(finding)}"
        case "conversion":
            words = f"Codes arrived but were entered less often than usual{_begin(finding)}"
        case "spend" | "volume":
            words = _level_words(finding)
        case "repeat":
            words = "One recipient asked far more often than others"
        case _:
            words = "These sessions did not end an hour after they began"
    also = f", {len(finding.also)} more places too" if finding.also else ""
    return f"{words}{also}; it could also be {_ALIKE[finding.kind]}."


def _level_words(finding: Finding) -> str:
    what = "spend" if finding.kind == "spend" else "sessions"
    if finding.seen < finding.expected:
        return f"Far fewer {what} than at these hours of other days"
    return f"Far more {what} than at these hours of other days"


def _begin(finding: Finding) -> str:
    begin = finding.begin
    if begin is None or begin.start == begin.end:
        return ""
    ends = format_minute(begin.start), format_minute(begin.end)
    is_one_day = begin.start.date() == begin.end.date()
    return f", beginning between {ends[0]} and {ends[1][-5:] if is_one_day else ends[1]}"


def format_minute(moment: datetime, *, up: bool = False) -> str:
    """A time to the minute without its year, `11-21 09:30`, UTC."""
    whole = moment + _MINUTE - timedelta(microseconds=1) if up else moment
    return format_time_short(whole)[:-3]
