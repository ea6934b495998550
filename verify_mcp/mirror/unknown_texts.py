"""Where the mirror does not know a text that payloads need not carry: brands and app hashes.

The API gives them only with attempts that have one, and its documents do not say whether its filter
distinguishes case and spaces.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from verify_mcp.database.base import Connection
from verify_mcp.domain.filters import TEXT_FILTERS, SessionFilter
from verify_mcp.domain.groups import UNKNOWN
from verify_mcp.domain.text import clean
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, overlap
from verify_mcp.mirror.daily_totals import day_window
from verify_mcp.mirror.group_sql import ROWS
from verify_mcp.mirror.scope import DAY, AccountScope


def windows_of_unknown_text(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    window: Window,
) -> list[Window]:
    """The parts of a window, a day each at most, with sessions that a filter may admit or not.

    They are those whose text is unknown, or differs from the filter's in its case only.
    """
    found = []
    for name, column in TEXT_FILTERS.items():
        text = getattr(session_filter, name)
        if text is not None:
            unset: dict[str, Any] = {name: None}
            others = replace(session_filter, **unset)
            doubtful = _days_with(connection, account_scope, others, window, column, text)
            days = (overlap(day_window(number), window) for number in doubtful)
            found += [day for day in days if day]
    return sorted(set(found), key=lambda part: part.start)


def count_unknown_texts(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    windows: Iterable[Window],
) -> dict[str, tuple[int, int]]:
    """For each text filter set the sessions that it may admit or not, and all that it looks at."""
    counts: dict[str, tuple[int, int]] = {}
    for name, column in TEXT_FILTERS.items():
        text = getattr(session_filter, name)
        if text is None:
            continue
        unset: dict[str, Any] = {name: None}
        sessions: Counter[str] = Counter()
        for window in windows:
            where, values = account_scope.where(replace(session_filter, **unset), window)
            rows = connection.fetch_all(
                f"SELECT {column}, count(*) FROM verify_sessions WHERE {where} GROUP BY {column}",  # noqa: S608 - fixed names
                values,
            )
            sessions.update({str(known): int(count) for known, count in rows})
        unknown = sum(count for known, count in sessions.items() if _may_be(known, text))
        counts[name] = (unknown, sessions.total())
    return counts


def _days_with(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    window: Window,
    column: str,
    text: str,
) -> set[int]:
    """The days of a window whose sessions have a text that may be the one in question."""
    where, values = account_scope.where(session_filter, window)
    texts = connection.fetch_all(
        f"SELECT DISTINCT {column} FROM {ROWS} WHERE {where}",  # noqa: S608 - fixed names
        values,
    )
    doubtful = [str(row[0]) for row in texts if _may_be(str(row[0]), text)]
    names = {f"doubtful_{place}": value for place, value in enumerate(doubtful)}
    if not names:
        return set()
    rows = connection.fetch_all(
        f"SELECT DISTINCT created / {DAY // MICROSECOND} FROM {ROWS} WHERE {where} "  # noqa: S608 - fixed names
        f"AND {column} IN ({', '.join(f':{name}' for name in names)})",
        {**values, **names},
    )
    return {int(row[0]) for row in rows}


def _may_be(known: str, text: str) -> bool:
    if known == text:
        return False  # it certainly is
    return known == UNKNOWN or known.casefold() == clean(text).casefold()
