"""What stands out in a window, or why that cannot be said."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from verify_mcp.domain.api_limits import REACH
from verify_mcp.domain.reach import explain_reach, reach_edge
from verify_mcp.domain.windows import Window
from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.plivo.call import CallContext
from verify_mcp.summaries.anomaly_coverage import CoverageReader, Known, is_enough, is_reachable
from verify_mcp.summaries.anomaly_query import AnomalyQuery, AnomalyResult, LookedAt
from verify_mcp.summaries.anomaly_reader import AnomalyReader
from verify_mcp.summaries.anomaly_search import AnomalySearch
from verify_mcp.summaries.summary_context import SummaryContext

NO_MIRROR = (
    "VERIFY_MCP_MIRROR is off, so there is nothing to compare with. Set it to on, or group "
    "summaries by day."
)
NO_DATABASE = "The database cannot be used, so there is nothing to compare with."
MAX_UNKNOWN = 0.1
"""The largest share of sessions of unknown brand, or app hash, that a filter by it leaves out."""


async def find_anomalies(
    app: SummaryContext, query: AnomalyQuery, call: CallContext
) -> AnomalyResult:
    """The findings of a query. Raises ApiError when it fails and nothing is known."""
    now = app.mirror.now()
    store = app.mirror.store
    if store is None:
        return _nothing(query, now, NO_MIRROR)
    known = await CoverageReader(app, query, call).read()
    if app.database.problem:
        return _nothing(query, now, NO_DATABASE)
    problem = _explain_unknown(known, reach_edge(now))
    if problem:
        return _result(query, known, problem)
    reader = AnomalyReader(store, query, known)
    try:
        await reader.prepare()
        unknown = await reader.count_unknown_texts()
        problem = _explain_unknown_texts(unknown)
        if problem:
            return _result(query, known, f"{known.why} {problem}".strip())
        findings = await AnomalySearch(reader).run()
        sessions = await reader.count_sessions()
    except DatabaseUnavailable:
        return _nothing(query, now, NO_DATABASE)
    left_out = tuple((name, count) for name, (count, _) in unknown.items() if count)
    result = _result(query, known, known.why)
    return replace(result, findings=findings, sessions=sessions, left_out=left_out)


def out_of_reach_anomalies(window: Window, baseline: timedelta, now: datetime) -> AnomalyResult:
    """The result for a window that lies before the API's reach: nothing is known."""
    past = Window(window.start - baseline, window.start)
    why = explain_reach(now - REACH)
    return AnomalyResult(LookedAt(window, ()), LookedAt(past, ()), None, now, (), why=why)


def _explain_unknown(known: Known, edge: datetime) -> str:
    """Why nothing can be compared, empty when it can; the API's reach begins at `edge`."""
    if not known.now.parts:
        return known.why or "Nothing of the window is known yet; the same call goes on."
    if is_enough(known.past, known.now.length):
        return ""
    hours = known.past.length / timedelta(hours=1)
    needed = known.now.window.length / timedelta(hours=1)
    held = f"Only {hours:.3g} h before the window are" if hours else "No hour before the window is"
    short = f"{held} held, and {needed:.0f} h are needed to compare with."
    if not is_reachable(known.now.window, edge):
        return f"{short} {explain_reach(edge)} Ask about a later or a shorter window."
    more = "The same call goes on fetching; `verify-mcp sync --since 29d` holds all."
    return f"{known.why} {short} {more}".strip()


def _explain_unknown_texts(unknown: Mapping[str, tuple[int, int]]) -> str:
    """Why sessions cannot be chosen by a brand or an app hash, empty when they can."""
    for name, (count, sessions) in unknown.items():
        if count > MAX_UNKNOWN * sessions:
            return (
                f"{count} of {sessions} sessions held do not tell their {name}, so nothing can be "
                f"compared. Leave {name} out, or filter by app_uuid."
            )
    return ""


def _result(query: AnomalyQuery, known: Known, why: str) -> AnomalyResult:
    """What was looked at, without findings."""
    return AnomalyResult(
        known.now,
        known.past,
        None,
        known.as_of,
        query.kinds,
        why=why,
        eta_s=known.eta_s,
        pages_left=known.pages_left,
        skipped=known.skipped,
    )


def _nothing(query: AnomalyQuery, now: datetime, why: str) -> AnomalyResult:
    unknown, past = LookedAt(query.window, ()), LookedAt(query.past(), ())
    return AnomalyResult(unknown, past, None, now, query.kinds, why=why)
