"""The first groups by a ranking, where the stored sessions may have as many groups as rows."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from verify_mcp.database.base import Connection
from verify_mcp.domain import tallies
from verify_mcp.domain.groups import MANY_GROUPS, GroupKey
from verify_mcp.domain.ranking import RankedGroups, Ranking
from verify_mcp.domain.tallies import Tallies
from verify_mcp.domain.windows import Window
from verify_mcp.mirror import group_sql
from verify_mcp.mirror.group_sql import ORDERS, RANKED_SUMS, ROWS
from verify_mcp.mirror.tally_queries import StoredQuery, chunk_windows, sum_groups, tally


def rank_groups(
    connection: Connection, query: StoredQuery, windows: Iterable[Window], ranking: Ranking
) -> RankedGroups:
    """The first groups of a ranking: only these leave the database, which may have millions."""
    chunks = list(chunk_windows(windows))
    if len(chunks) != 1 or "attempt_status" in query.by:
        return ranking.apply(tally(connection, query, windows))
    ranked, count = _first_keys(connection, query, chunks[0], ranking)
    if not ranked:  # no group has sessions enough
        return ranking.apply(tally(connection, query, chunks[0]))
    found = _tally_of_keys(connection, query, chunks[0], ranked)
    shown = {key: found[key] for key in ranked}
    everything = tallies.total(tally(connection, replace(query, by=()), chunks[0]).values())
    rest = tallies.subtract(everything, tallies.total(shown.values()))
    return RankedGroups(shown, count - len(shown), rest)


def _first_keys(
    connection: Connection, query: StoredQuery, windows: Sequence[Window], ranking: Ranking
) -> tuple[list[GroupKey], int]:
    """The keys of the first groups, in order, and how many groups there are."""
    where, values = query.condition(windows)
    selected, group_values = query.groups(windows)
    names = [f"g{place}" for place in range(len(selected))]
    named = ", ".join(f"{sql} AS {name}" for sql, name in zip(selected, names, strict=True))
    rows = connection.fetch_all(
        f"WITH sums AS (SELECT {named}, {RANKED_SUMS} FROM {ROWS} WHERE {where} "  # noqa: S608 - fixed names
        f"GROUP BY {', '.join(selected)}) SELECT {', '.join(names)}, (SELECT count(*) FROM sums) "
        "FROM sums WHERE s0 >= :min_sessions "
        f"ORDER BY {ORDERS[ranking.order_by]}, {', '.join(names)} LIMIT :top",
        {**values, **group_values, "min_sessions": ranking.min_sessions, "top": ranking.top},
    )
    return [group_sql.read_key(row, query.by) for row in rows], int(rows[0][-1]) if rows else 0


def _tally_of_keys(
    connection: Connection, query: StoredQuery, windows: Sequence[Window], keys: Sequence[GroupKey]
) -> Tallies:
    """The tallies of some groups, which have a recipient or a prefix."""
    where, values = query.condition(windows)
    selected, group_values = query.groups(windows)
    place = next(place for place, group in enumerate(query.by) if group in MANY_GROUPS)
    names = {f"key_{number}": key for number, key in enumerate({key[place] for key in keys})}
    several = ", ".join(f":{name}" for name in names)
    source = f"{ROWS} WHERE {where} AND {selected[place]} IN ({several})"
    rows = sum_groups(connection, query, selected, source, {**values, **group_values, **names})
    return tallies.merge(*(group_sql.read_tallies(row, query.by) for row in rows))
