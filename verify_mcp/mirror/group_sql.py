"""The SQL of groups and sums, over rows of sessions and over the totals of days and quarters.

Each source of rows has the same names of columns, so that the same sums add up all of them.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any

from verify_mcp.database.base import Row, Value
from verify_mcp.domain import groups
from verify_mcp.domain.api_limits import STATUSES
from verify_mcp.domain.groups import MAX_TRIES, MIN_PREFIXED, PREFIX_TAIL, TIME_GROUPS, UNKNOWN
from verify_mcp.domain.tallies import COUNTS, Tallies, Tally, expand_attempt_statuses
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.scope import DAY, EPOCH, instant, micros

HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)
DAY_COLUMNS = (
    "app", "status", "channel", "country", "brand", "app_hash", "outcomes", "first_channel",
    "path", "tries", "network", "number_type", "more_charges",
)  # fmt: skip
"""The columns by which the totals of a day are kept apart."""
QUARTER_COLUMNS = ("status", "tries")
"""The same of the totals of a quarter of an hour."""
CHARGES = ("charge_1", "charge_2", "charge_3", "charge_4")
QUARTER_SUMS = ("sessions", "attempts", "cost", "rescued", "uncosted", "reached")
DAY_SUMS = (*QUARTER_SUMS, "uncharged", *CHARGES)
TRIES = (
    f"CASE WHEN attempts >= {MAX_TRIES} THEN '{MAX_TRIES}+' ELSE CAST(attempts AS VARCHAR(4)) END"
)
ROWS = f"""(SELECT account, scope, created, session, app, status, recipient, channel, country,
    brand, app_hash, outcomes, first_channel, path, network, number_type, more_charges,
    {TRIES} AS tries, 1 AS sessions, attempts, coalesce(cost, 0) AS cost, rescued,
    CASE WHEN cost IS NULL THEN 1 ELSE 0 END AS uncosted, reached, uncharged,
    {", ".join(CHARGES)}, gap, created AS first_created, created AS last_created
    FROM verify_sessions) AS sessions_held"""  # noqa: S608 - fixed names
"""The stored sessions as a source."""
_DOCUMENTED = ", ".join(f"'{status}'" for status in STATUSES)
_VERIFIED = "status = 'verified'"
_EXPIRED = "status = 'expired'"


def _sum_where(condition: str, column: str = "sessions") -> str:
    return f"sum(CASE WHEN {condition} THEN {column} ELSE 0 END)"


_SUM_LIST = [
    "sum(sessions)",
    _sum_where(_VERIFIED),
    _sum_where(_EXPIRED),
    "sum(attempts)",
    "sum(cost)",
    _sum_where(_EXPIRED, "cost"),
    "sum(rescued)",
    "sum(uncosted)",
    _sum_where(f"status NOT IN ({_DOCUMENTED})"),
    _sum_where(f"{_VERIFIED} AND tries = '1'"),
    _sum_where("tries NOT IN ('0', '1')"),
    "sum(reached)",
    "min(first_created)",
    "max(last_created)",
]
SUMS = ", ".join(_SUM_LIST)
"""The fields of a tally, in their order."""
RANKED_SUMS = ", ".join(f"{_SUM_LIST[place]} AS s{place}" for place in (0, 1, 2, 4))
"""Those that groups are ranked by: s0 has the sessions, s1 verified, s2 expired, s4 the cost."""
ORDERS = {
    "sessions": "s0 DESC",
    "cost": "s4 DESC",
    "expired": "s2 DESC",
    "conversion_pct": "CASE WHEN s1 + s2 = 0 THEN 2 ELSE 1.0 * s1 / (s1 + s2) END",
    "cost_per_verified": (
        "CASE WHEN s1 = 0 AND s4 > 0 THEN 0 WHEN s1 = 0 THEN 2 ELSE 1 END, "
        "CASE WHEN s1 = 0 THEN 1.0 * s4 ELSE 1.0 * s4 / s1 END DESC"
    ),
}
"""The SQL of each order of groups."""
SUM_COUNT = len(COUNTS) + 2
CHARGE_SUMS = ", ".join(f"sum({column})" for column in ("uncharged", *CHARGES))
"""What an attempt status needs besides."""
_PREFIX = (
    f"CASE WHEN length(recipient) >= {MIN_PREFIXED} "
    f"THEN substr(recipient, 1, length(recipient) - {PREFIX_TAIL}) ELSE '{UNKNOWN}' END"
)
_COLUMN_OF = {
    **{group: group for group in groups.GROUPS if group not in TIME_GROUPS},
    "attempt_status": "outcomes",
    "prefix": _PREFIX,
}


def columns_of(by: Iterable[str]) -> set[str]:
    """The columns that groups need, but that of the time."""
    return {
        "recipient" if group == "prefix" else _COLUMN_OF[group]
        for group in by
        if group not in TIME_GROUPS
    } | ({"more_charges"} if "attempt_status" in by else set())


def expressions(by: Sequence[str], local: str) -> list[str]:
    """The SQL of each group; `local` is that of the local time in microseconds."""
    day, hour = DAY // MICROSECOND, HOUR // MICROSECOND
    of_time = {
        "day": f"({local}) / {day}",
        "hour": f"({local}) / {hour}",
        # The first day of 1970 was a Thursday.
        "week": f"(({local}) / {day} + 3) / 7",
        "weekday": f"(({local}) / {day} + 3) % 7",
        "hour_of_day": f"(({local}) / {hour}) % 24",
    }
    return [of_time[group] if group in of_time else _COLUMN_OF[group] for group in by]


def local_time(windows: Sequence[Window], zone: tzinfo) -> tuple[str, dict[str, Value]]:
    """The SQL of the local time of creation in microseconds, and its values."""
    shifts = offsets(Window(windows[0].start, windows[-1].end), zone)
    values: dict[str, Value] = {}
    cases = ""
    for place, (start, shift) in enumerate(reversed(shifts)):
        values[f"shift_{place}"] = shift // MICROSECOND
        if place < len(shifts) - 1:
            values[f"since_{place}"] = micros(start)
            cases += f"WHEN created >= :since_{place} THEN created + :shift_{place} "
    last = f"created + :shift_{len(shifts) - 1}"
    return (f"CASE {cases}ELSE {last} END" if cases else last), values


def offsets(window: Window, zone: tzinfo) -> list[tuple[datetime, timedelta]]:
    """A zone's offsets from UTC in a window, and since when each of them applies."""
    days = range((window.end - window.start) // DAY + 1)
    moments = [*(window.start + number * DAY for number in days), window.end]
    changes = [
        _next_offset_change(before, after, zone)
        for before, after in pairwise(moments)
        if _offset(before, zone) != _offset(after, zone)
    ]
    return [(moment, _offset(moment, zone)) for moment in (window.start, *changes)]


def _next_offset_change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The instant between two at which a zone's offset changes."""
    while after - before > MICROSECOND:
        middle = before + (after - before) // 2
        if _offset(middle, zone) == _offset(before, zone):
            before = middle
        else:
            after = middle
    return after


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def read_tallies(row: Row, by: tuple[str, ...]) -> Tallies:
    """The tallies in a row: its groups, its sums, and the charges of attempt statuses."""
    key = read_key(row, by)
    sums = [int(value) for value in row[len(by) : len(by) + SUM_COUNT]]
    counts: dict[str, Any] = dict(zip(COUNTS, sums, strict=False))
    tally = Tally(**counts, first=instant(sums[-2]), last=instant(sums[-1]))
    if "attempt_status" not in by:
        return {key: tally}
    uncharged, *charges = map(int, row[len(by) + SUM_COUNT : -1])
    further = [int(charge) * tally.sessions for charge in str(row[-1]).split(";") if charge]
    return expand_attempt_statuses(key, by, tally, [*charges, *further], uncharged)


def read_key(row: Row, by: tuple[str, ...]) -> tuple[str, ...]:
    """The group that a row begins with."""
    return tuple(_label(value, group) for group, value in zip(by, row, strict=False))


def _label(value: object, by: str) -> str:
    """A group's label: the database has times as their numbers."""
    if by not in TIME_GROUPS:
        return str(value)
    number = int(str(value))
    match by:
        case "weekday":
            return groups.WEEKDAYS[number]
        case "hour_of_day":
            return f"{number:02d}:00"
        case "week":
            return groups.time_group(EPOCH + number * 7 * DAY - 3 * DAY, by, UTC)
        case _:
            moment = EPOCH + number * (DAY if by == "day" else HOUR)
            return groups.time_group(moment, by, UTC)
