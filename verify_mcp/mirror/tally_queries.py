"""Figures about the stored sessions: tallies, distinct recipients and gaps between attempts.

Days that have totals are read from them where these have the columns that a question needs; all
other sessions are added up row by row.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from verify_mcp.database.base import Connection, Row, Value
from verify_mcp.domain import tallies
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.groups import TIME_GROUPS, GroupKey
from verify_mcp.domain.spread import Gaps, GapsByGroup, merge_gaps
from verify_mcp.domain.tallies import Tallies
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, gaps, merge
from verify_mcp.mirror import daily_totals, group_sql
from verify_mcp.mirror.group_sql import (
    CHARGE_SUMS,
    DAY_COLUMNS,
    QUARTER_COLUMNS,
    ROWS,
    SUMS,
)
from verify_mcp.mirror.scope import DAY, AccountScope, conditions, micros

MAX_WINDOWS = 200
"""Windows in one statement: a database bounds the depth of a condition."""


@dataclass(frozen=True, slots=True)
class StoredQuery:
    """The stored sessions of some windows that a filter admits, by groups of a zone's time."""

    account_scope: AccountScope
    session_filter: SessionFilter
    by: tuple[str, ...] = ()
    zone: tzinfo = UTC

    def columns(self) -> set[str]:
        """The columns that the filter and the groups need, but that of the time."""
        filtered = {condition.column for condition in self.session_filter.stored_conditions()}
        return filtered | group_sql.columns_of(self.by)

    def condition(self, windows: Sequence[Window]) -> tuple[str, dict[str, Value]]:
        """The condition on rows of some windows, oldest first, and its values."""
        hull = Window(windows[0].start, windows[-1].end)
        condition, values = self.account_scope.where(self.session_filter, hull)
        if len(windows) == 1:
            return condition, values
        parts = []
        for place, window in enumerate(windows):
            values |= {f"from_{place}": micros(window.start), f"to_{place}": micros(window.end)}
            parts.append(f"created >= :from_{place} AND created < :to_{place}")
        return f"{condition} AND ({' OR '.join(parts)})", values

    def groups(self, windows: Sequence[Window]) -> tuple[list[str], dict[str, Value]]:
        """The SQL of each group in some windows, and its values."""
        if not set(TIME_GROUPS) & set(self.by):
            return group_sql.expressions(self.by, "created"), {}
        local, values = group_sql.local_time(windows, self.zone)
        return group_sql.expressions(self.by, local), values


def tally(connection: Connection, query: StoredQuery, windows: Iterable[Window]) -> Tallies:
    """The tallies of the sessions of some windows.

    Raises ValueError for a filter that has no column.
    """
    found: list[Row] = []
    for chunk in chunk_windows(windows):
        days, rest = _split(connection, query, chunk)
        if days:
            found += _sum_totals(connection, query, days)
        # One by one: between two windows there may be months that have totals.
        for window in rest:
            found += _sum_rows(connection, query, [window])
    return tallies.merge(*(group_sql.read_tallies(row, query.by) for row in found))


def count_recipients(
    connection: Connection, query: StoredQuery, windows: Iterable[Window]
) -> dict[GroupKey, int]:
    """How many different recipients the sessions of some windows have, by group."""
    chunks = list(chunk_windows(windows))
    if len(chunks) != 1 or "attempt_status" in query.by:
        sets = list_recipients(connection, query, windows)
        return {key: len(recipients) for key, recipients in sets.items()}
    where, values = query.condition(chunks[0])
    selected, group_values = query.groups(chunks[0])
    names = [f"g{place}" for place in range(len(selected))]
    inner = ", ".join([*(f"{sql} AS {name}" for sql, name in zip(selected, names, strict=True)),
                       "recipient"])  # fmt: skip
    rows = connection.fetch_all(
        f"SELECT {', '.join([*names, 'count(*)'])} FROM "  # noqa: S608 - fixed names
        f"({_pairs(inner, selected, where)}) AS pairs{_group_by(names)}",
        {**values, **group_values},
    )
    return {group_sql.read_key(row, query.by): int(row[-1]) for row in rows if row[-1]}


def _pairs(columns: str, selected: Sequence[str], where: str) -> str:
    """The SQL of each pair of a group and a recipient.

    SQLite groups by sorting, which takes a third of the time of DISTINCT over several columns; of
    one column DISTINCT goes by the index.
    """
    if not selected:
        return f"SELECT DISTINCT {columns} FROM {ROWS} WHERE {where}"  # noqa: S608 - fixed names
    groups = ", ".join(["recipient", *selected])
    return f"SELECT {columns} FROM {ROWS} WHERE {where} GROUP BY {groups}"  # noqa: S608 - fixed names


def list_recipients(
    connection: Connection, query: StoredQuery, windows: Iterable[Window]
) -> dict[GroupKey, set[str]]:
    """The different recipients of the sessions of some windows, by group."""
    found: dict[GroupKey, set[str]] = {}
    for chunk in chunk_windows(windows):
        where, values = query.condition(chunk)
        selected, group_values = query.groups(chunk)
        rows = connection.fetch_all(
            _pairs(", ".join([*selected, "recipient"]), selected, where),
            {**values, **group_values},
        )
        for row in rows:
            key = group_sql.read_key(row, query.by)
            for group in tallies.expand_attempt_statuses(key, query.by, tallies.Tally()):
                found.setdefault(group, set()).add(str(row[-1]))
    return found


def count_gaps(
    connection: Connection, query: StoredQuery, windows: Iterable[Window]
) -> GapsByGroup:
    """How many sessions had each gap between the first two attempts, by group."""
    parts: list[GapsByGroup] = []
    for chunk in chunk_windows(windows):
        days, rest = _split(connection, query, chunk, for_gaps=True)
        if days:
            parts.append(_sum_gap_totals(connection, query, days))
        parts += [_count_gap_rows(connection, query, [window]) for window in rest]
    return merge_gaps(*parts)


def chunk_windows(windows: Iterable[Window]) -> Iterator[list[Window]]:
    """Windows without overlap, oldest first, in lists that a statement can take."""
    ordered = [window for window in merge(windows) if window.length]
    for start in range(0, len(ordered), MAX_WINDOWS):
        yield ordered[start : start + MAX_WINDOWS]


def _split(
    connection: Connection,
    query: StoredQuery,
    windows: Sequence[Window],
    *,
    for_gaps: bool = False,
) -> tuple[list[int], list[Window]]:
    """The days that can be read from totals, and what is left of the windows."""
    hull = Window(windows[0].start, windows[-1].end)
    is_possible = not (query.columns() or query.by) if for_gaps else _source(query, hull)
    if not is_possible:
        return [], list(windows)
    days = [
        number
        for window in windows
        if window.length >= DAY
        for number in daily_totals.days_with_totals(connection, query.account_scope, window)
    ]
    from_totals = merge(map(daily_totals.day_window, days))
    return days, [part for window in windows for part in gaps(window, from_totals)]


def _source(query: StoredQuery, window: Window) -> str:
    """The table of totals that has what a query needs, "" when there is none."""
    columns, times = query.columns(), set(TIME_GROUPS) & set(query.by)
    if columns <= set(DAY_COLUMNS) and not times:
        return "verify_day_totals"
    shifts = [shift for _, shift in group_sql.offsets(window, query.zone)]
    if columns <= set(DAY_COLUMNS) and times <= {"day", "week", "weekday"} and not any(shifts):
        return "verify_day_totals"
    is_even = all(not shift % group_sql.QUARTER for shift in shifts)
    return "verify_quarter_totals" if columns <= set(QUARTER_COLUMNS) and is_even else ""


def _sum_totals(connection: Connection, query: StoredQuery, days: Sequence[int]) -> list[Row]:
    windows = merge(map(daily_totals.day_window, days))
    table = _source(query, Window(windows[0].start, windows[-1].end))
    selected, values = query.groups(windows)
    condition, filtered = conditions(query.session_filter)
    source = table
    if table == "verify_day_totals":
        source = f"(SELECT *, day * {DAY // MICROSECOND} AS created FROM {table}) AS d"  # noqa: S608 - fixed names
    of_days, numbers = _of_days(days)
    return sum_groups(
        connection,
        query,
        selected,
        f"{source} WHERE account = :account AND scope = :scope AND {of_days}{condition}",
        {**query.account_scope.day_params(0), **values, **filtered, **numbers},
    )


def _of_days(days: Sequence[int]) -> tuple[str, dict[str, Value]]:
    """The condition on some days, as few spans, and its values."""
    spans = merge(map(daily_totals.day_window, days))
    values: dict[str, Value] = {}
    texts = []
    for place, span in enumerate(spans):
        values[f"first_{place}"] = daily_totals.day_number(span.start)
        values[f"last_{place}"] = daily_totals.day_number(span.end)
        texts.append(f"day >= :first_{place} AND day < :last_{place}")
    return f"({' OR '.join(texts)})", values


def _sum_rows(connection: Connection, query: StoredQuery, windows: Sequence[Window]) -> list[Row]:
    where, values = query.condition(windows)
    selected, group_values = query.groups(windows)
    return sum_groups(
        connection, query, selected, f"{ROWS} WHERE {where}", {**values, **group_values}
    )


def sum_groups(
    connection: Connection,
    query: StoredQuery,
    selected: Sequence[str],
    source: str,
    values: dict[str, Value],
) -> list[Row]:
    """Rows of each group and its sums; of attempt statuses also their charges."""
    columns, ending = list(selected), ""
    if "attempt_status" in query.by:
        columns, ending = [*selected, "more_charges"], f", {CHARGE_SUMS}, more_charges"
    sql = ", ".join([*selected, SUMS]) + ending
    rows = connection.fetch_all(f"SELECT {sql} FROM {source}{_group_by(columns)}", values)  # noqa: S608 - fixed names
    return [row for row in rows if row[len(selected)]]


def _group_by(columns: Sequence[str]) -> str:
    return f" GROUP BY {', '.join(columns)}" if columns else ""


def _sum_gap_totals(connection: Connection, query: StoredQuery, days: Sequence[int]) -> GapsByGroup:
    of_days, numbers = _of_days(days)
    rows = connection.fetch_all(
        "SELECT seconds, sum(sessions) FROM verify_gap_totals "  # noqa: S608 - fixed names
        f"WHERE account = :account AND scope = :scope AND {of_days} GROUP BY seconds",
        {**query.account_scope.day_params(0), **numbers},
    )
    return {(): Gaps({int(row[0]): int(row[1]) for row in rows})} if rows else {}


def _count_gap_rows(
    connection: Connection, query: StoredQuery, windows: Sequence[Window]
) -> GapsByGroup:
    where, values = query.condition(windows)
    selected, group_values = query.groups(windows)
    columns = [*selected, daily_totals.GAP_SECONDS]
    rows = connection.fetch_all(
        f"SELECT {', '.join([*columns, 'count(*)'])} FROM {ROWS} "  # noqa: S608 - fixed names
        f"WHERE {where} AND gap IS NOT NULL{_group_by(columns)}",
        {**values, **group_values},
    )
    parts = [
        {group: Gaps({int(row[-2]): int(row[-1])})}
        for row in rows
        for key in [group_sql.read_key(row, query.by)]
        for group in tallies.expand_attempt_statuses(key, query.by, tallies.Tally())
    ]
    return merge_gaps(*parts)
