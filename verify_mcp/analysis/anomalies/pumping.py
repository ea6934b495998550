"""SMS pumping: many numbers of one range ask for codes that nobody enters.

A cell is a prefix in an hour or in a day, with its sessions that ended and whose code arrived
somewhere: a fault of delivery is no pumping. Its number of verified sessions is compared with the
country's usual conversion, lowered as far as other countries' conversion is low at the same time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

from verify_mcp.analysis.anomalies.finding import Finding, Search
from verify_mcp.analysis.anomalies.rates import References
from verify_mcp.analysis.anomalies.timeline import HOUR, block_of_day
from verify_mcp.analysis.change_point import Cell
from verify_mcp.domain.windows import Window

MIN_SESSIONS = 8
"""The fewest sessions of a cell that is looked at, and the fewest different numbers of a finding.
"""
MAX_CONVERSION = 0.5
"""Conversion must be at most this part of what was usual."""
MIN_SURGE = 3.0
"""How many times as many sessions as usual the prefixes must have."""
MIN_DIFFERENT = 0.5
"""The least share of different numbers among the sessions: few numbers are a matter of `repeat`."""
FINE_DIGITS, COARSE_DIGITS = 4, 6
"""How many last digits of a number its two prefixes leave out."""
MAX_DISTANCE = 10
"""Numbers so close to another one of the finding are neighbours."""
MIN_SHARE = 0.8
"""Finer prefixes take the place of a coarse one when they hold so much of it."""


@dataclass(frozen=True, slots=True)
class PrefixCell:
    """The sessions of a prefix in a window; `cell` has those that ended and were reached."""

    prefix: str
    country: str
    window: Window
    sessions: int
    cell: Cell


@dataclass(frozen=True, slots=True)
class PrefixHistory:
    """What is known of some prefixes: in the finding's window, and before."""

    window: Window
    """From the first to the last session."""
    sessions: int
    recipients: int
    verified: int
    usual_sessions: float
    """The sessions that the prefixes usually have in so much time."""


ShareElsewhere = Callable[[str, Window], float]
"""How much of the usual conversion all other countries had in a window, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Prefixes of one country that stand out in a window, before their history is known."""

    country: str
    prefixes: tuple[str, ...]
    window: Window
    usual: float
    """The conversion that was expected."""
    chance: float


def find_candidates(
    cells: Sequence[PrefixCell], usual: References, elsewhere: ShareElsewhere
) -> tuple[tuple[Candidate, ...], int]:
    """The candidates, and how many cells were looked at."""
    tested = [cell for cell in cells if cell.cell.trials >= MIN_SESSIONS]
    flagged = [
        candidate
        for cell in tested
        if (candidate := _judge_cell(cell, usual, elsewhere)) is not None
    ]
    return tuple(_merge(_without_days(flagged))), max(1, len(tested))


def _without_days(flagged: Sequence[Candidate]) -> list[Candidate]:
    """The candidates of hours, and those of days whose prefix stands out in no hour."""
    hours = [one for one in flagged if one.window.length == HOUR]
    known = {prefix for one in hours for prefix in one.prefixes}
    days = [
        one
        for one in flagged
        if one.window.length > HOUR
        and not any(one.prefixes[0].startswith(prefix) for prefix in known)
    ]
    return [*hours, *days]


def _judge_cell(cell: PrefixCell, usual: References, elsewhere: ShareElsewhere) -> Candidate | None:
    place = usual.of((("country", cell.country),))
    middle = cell.window.start + cell.window.length / 2
    rate = place.rates[block_of_day(middle)]
    successes, trials = cell.cell.successes, cell.cell.trials
    if successes > MAX_CONVERSION * rate * trials:
        return None
    rate = max(0.0001, rate * elsewhere(cell.country, cell.window))
    if successes > MAX_CONVERSION * rate * trials:
        return None
    chance = place.chance(cell.cell, rate)
    if chance > 0.01:
        return None
    return Candidate(cell.country, (cell.prefix,), cell.window, rate, chance)


def _merge(flagged: Sequence[Candidate]) -> list[Candidate]:
    """Candidates of one country in adjacent times as one."""
    merged: list[Candidate] = []
    for one in sorted(flagged, key=lambda cell: (cell.country, cell.window)):
        last = merged[-1] if merged else None
        if last and last.country == one.country and one.window.start <= last.window.end:
            merged[-1] = _join(last, one)
        else:
            merged.append(one)
    return merged


def _join(a: Candidate, b: Candidate) -> Candidate:
    window = Window(min(a.window.start, b.window.start), max(a.window.end, b.window.end))
    clearer = min(a, b, key=lambda one: one.chance)
    return replace(clearer, window=window, prefixes=tuple(sorted({*a.prefixes, *b.prefixes})))


def with_prefixes(candidate: Candidate, prefixes: tuple[str, ...]) -> Candidate:
    """The same candidate, of these prefixes."""
    return replace(candidate, prefixes=prefixes)


def narrowest(prefixes: Sequence[str], sessions: Callable[[str], int]) -> tuple[str, ...]:
    """The prefixes without those inside of others.

    A coarse prefix gives way to the finer ones inside of it when they hold most of its sessions.
    """
    chosen: list[str] = []
    for prefix in sorted(prefixes, key=len):
        finer = [one for one in prefixes if one != prefix and one.startswith(prefix)]
        is_inside = any(prefix.startswith(one) for one in chosen)
        is_split = finer and sum(map(sessions, finer)) >= MIN_SHARE * sessions(prefix)
        if not is_inside and not is_split:
            chosen.append(prefix)
    return tuple(sorted(chosen))


def judge(candidate: Candidate, history: PrefixHistory) -> Finding | None:
    """The finding that a candidate is; None if the numbers are few or the prefixes no busier."""
    if history.recipients < max(MIN_SESSIONS, MIN_DIFFERENT * history.sessions):
        return None
    if history.sessions < MIN_SURGE * history.usual_sessions:
        return None
    return Finding(
        "pumping",
        {"country": candidate.country, "prefix": " ".join(f"+{p}" for p in candidate.prefixes)},
        history.window,
        "conversion",
        candidate.usual,
        history.verified / history.sessions,
        candidate.chance,
    )


def search(findings: Sequence[Finding], tests: int) -> Search:
    """What was looked at, with the findings."""
    return Search("pumping", tests, tuple(findings))


def neighbour_share(numbers: Sequence[str]) -> float:
    """The share of different numbers that have another one at most MAX_DISTANCE away."""
    values = sorted({int(number) for number in numbers if number.isdigit()})
    if len(values) < 2:
        return 0.0
    close = {
        value
        for lower, upper in pairwise(values)
        if upper - lower <= MAX_DISTANCE
        for value in (lower, upper)
    }
    return len(close) / len(values)


def usual_sessions(past: int, held: timedelta, length: timedelta) -> float:
    """How many sessions a stretch of `length` usually has, of `past` ones in the time held."""
    return past * max(length, HOUR) / held if held else 0.0
