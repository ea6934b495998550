"""Answers of summarize_verify_sessions against the truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from benchmarks.fuzz.calls import MINUTE, REACH, Call, Odds, Violation, shortage, without
from benchmarks.fuzz.truth import FIGURES, SECOND, Bounds, Claim, Span, Truth

_MONEY = ("cost", "expired_cost")
_LARGE = Decimal("0.05")
"""The share of all sessions from which on a group must stand in a table of estimates."""


def judged(call: Call, truth: Truth, odds: Odds) -> Iterator[Violation]:
    """What is not so in one answer; intervals are counted in `odds`."""
    answer = call.answer or {}
    applied = call.applied()
    if applied is None:
        yield Violation("no-window", "`applied` has no window", call)
        return
    yield from _window(call, applied)
    claim = claimed(call, applied)
    figures = [name for name in FIGURES if name in answer]
    if not claim.spans:
        if figures and call.asked_arguments().start < call.asked_arguments().end:
            yield Violation("zeros", f"figures of no time at all: {', '.join(figures)}", call)
        return
    bounds = truth.bounds(claim)
    wrong = list(_wrong(answer, bounds))
    if wrong:
        rounded = truth.bounds(replace(claim, slack=SECOND))
        kind = "wrong-figure" if list(_wrong(answer, rounded)) else "imprecise-window"
        yield Violation(kind, "; ".join(wrong), call)
    yield from _sums(call)
    _count_intervals(answer, bounds, odds)
    yield from _groups(call, truth, claim, bounds, odds)


def claimed(call: Call, applied: Span) -> Claim:
    """What an answer speaks of."""
    answer = call.answer or {}
    is_counted = answer.get("basis") == "counted"
    holes = () if is_counted else call.missing()
    # A clock that nothing can correct does not show where the reach ends.
    edge = call.replied - REACH
    unsure = (Span(applied.start, edge),) if call.skew and applied.start < edge else ()
    return Claim(
        without(applied, (*holes, *unsure)),
        call.since,
        call.replied,
        call.filters,
        may_skip=call.tells_skipped,
        slack=SECOND if holes else timedelta(0),
        maybe=(*unsure, *(holes if "joins" in str(answer.get("why", "")) else ())),
    )


def _window(call: Call, applied: Span) -> Iterator[Violation]:
    answer, arguments = call.answer or {}, call.asked_arguments()
    lost = shortage(call, applied)
    if answer.get("complete") and lost > MINUTE + SECOND:
        text = f"complete, but {lost} shorter than the window asked"
        yield Violation("short-window", text, call)
    if answer.get("complete") and applied.start < arguments.start - MINUTE - abs(call.skew):
        yield Violation("other-window", "complete, but starts before the window asked", call)
    if call.is_ahead:
        yield Violation("as-of", "`as_of` is later than the answer", call)
    yield from needless(call)


def needless(call: Call) -> Iterator[Violation]:
    """A window that is called incomplete for seconds that are lost to nothing but the clock."""
    answer = call.answer or {}
    spans = call.missing()
    lost = sum((each.end - each.start for each in spans), timedelta(0))
    excused = {"skipped", "eta_s"} & set(answer) or answer.get("basis") == "counted"
    if not answer.get("complete") and spans and lost <= MINUTE and not excused:
        yield Violation("needless", f"incomplete for {lost}", call)


def _amount(name: str, value: object) -> int:
    return int(Decimal(str(value)).scaleb(9)) if name in _MONEY else int(str(value))


def _is_exact(answer: Mapping[str, Any], name: str) -> bool:
    marks = (answer.get("estimated", {}), answer.get("unchecked", ()))
    return name in answer and not any(name in each for each in marks)


def _wrong(answer: Mapping[str, Any], bounds: Bounds) -> Iterator[str]:
    """The figures told as exact that lie out of bounds."""
    for name in FIGURES:
        if not _is_exact(answer, name):
            continue
        low, high = bounds.of(name)
        if not low <= _amount(name, answer[name]) <= high:
            yield f"{name} {answer[name]}, true {_format(name, low, high)}"
    if "sessions_at_least" in answer and answer["sessions_at_least"] > bounds.of("sessions")[1]:
        high = bounds.of("sessions")[1]
        yield f"sessions_at_least {answer['sessions_at_least']}, true {high}"


def _format(name: str, low: int, high: int) -> str:
    texts = [str(Decimal(each).scaleb(-9)) if name in _MONEY else str(each) for each in (low, high)]
    texts = [text.rstrip("0").rstrip(".") if "." in text else text for text in texts]
    return texts[0] if low == high else f"{texts[0]} to {texts[1]}"


def _sums(call: Call) -> Iterator[Violation]:
    """Figures of one answer that contradict each other."""
    answer = call.answer or {}
    parts = ("verified", "expired", "in_progress")
    if all(_is_exact(answer, name) for name in ("sessions", *parts)):
        figures = sum(answer[name] for name in parts)
        others = sum(value for value in answer.get("other_statuses", {}).values())
        if figures + others != answer["sessions"]:
            yield Violation("sums", "the statuses do not add up to the sessions", call)
    if all(_is_exact(answer, name) for name in ("verified", "expired", "conversion_pct")):
        ended = answer["verified"] + answer["expired"]
        share = Decimal(answer["verified"]) * 100 / ended if ended else Decimal(-1)
        if abs(share - Decimal(answer["conversion_pct"])) > Decimal("0.01"):
            yield Violation("sums", "conversion_pct is not verified of those that ended", call)
    if _costs(answer):
        yield Violation("sums", "cost_per_verified is not the cost of each verified one", call)


def _costs(answer: Mapping[str, Any]) -> bool:
    """Whether the cost per verified session is not what its parts make it."""
    names = ("verified", "cost", "cost_per_verified")
    if not all(_is_exact(answer, name) for name in names) or not answer["verified"]:
        return False
    share = Decimal(answer["cost"]) / answer["verified"]
    return bool(abs(share - Decimal(answer["cost_per_verified"])) > Decimal("0.000001"))


def _count_intervals(answer: Mapping[str, Any], bounds: Bounds, odds: Odds) -> None:
    for name, interval in answer.get("estimated", {}).items():
        if name in FIGURES and isinstance(interval, list):
            low, high = (None if each is None else _amount(name, each) for each in interval)
            odds.note(name, hit=_meets(low, high, bounds.of(name)))


def _meets(low: int | None, high: int | None, bounds: tuple[int, int]) -> bool:
    return (low is None or low <= bounds[1]) and (high is None or high >= bounds[0])


def _groups(
    call: Call, truth: Truth, claim: Claim, total_bounds: Bounds, odds: Odds
) -> Iterator[Violation]:
    answer, by = call.answer or {}, call.arguments.get("group_by") or ()
    if not by or "attempt_status" in by or "brand" in by or "rows" not in answer:
        return
    rows = {tuple(row[: len(by)]): row_of(answer, row) for row in answer["rows"]}
    groups = truth.groups(claim, by)
    if any("any" in key for key in rows):  # days whose statuses are not counted yet
        groups = _with_any_status(groups, rows, truth, claim, by)
    if answer.get("basis") == "counted":
        yield from _estimated_groups(call, rows, groups, total_bounds, odds)
        return
    loose = truth.groups(replace(claim, slack=SECOND), by)
    if others := [key for key in rows if key[0].startswith("other (")]:
        rest = [group for key, group in loose.items() if key not in rows]
        low, high = (sum(group.of("sessions")[end] for group in rest) for end in (0, 1))
        if not low <= int(rows.pop(others[0])["sessions"]) <= high:
            yield Violation("wrong-group", f"the other groups have {low} to {high} sessions", call)
    for key, bounds in groups.items() if not others else ():
        if bounds.of("sessions")[0] and key not in rows:
            yield Violation("lost-group", f"no row of {key}", call)
    for key, row in rows.items():
        wrong = list(_wrong(row, groups.get(key, Bounds())))
        if wrong and list(_wrong(row, loose.get(key, Bounds()))):
            yield Violation("wrong-group", f"{key}: {'; '.join(wrong)}", call)


def _with_any_status(
    groups: Mapping[tuple[str, ...], Bounds],
    rows: Iterable[tuple[str, ...]],
    truth: Truth,
    claim: Claim,
    by: Sequence[str],
) -> dict[tuple[str, ...], Bounds]:
    """The groups as the rows have them: some for all statuses together, the others for each."""
    place = list(by).index("status")
    rest = {key: key[:place] + key[place + 1 :] for key in (*groups, *rows)}
    summed = {rest[key] for key in rows if key[place] == "any"}
    each = {key: bounds for key, bounds in groups.items() if rest[key] not in summed}
    sums = truth.groups(claim, [name for name in by if name != "status"])
    return each | {(*key[:place], "any", *key[place:]): sums.get(key, Bounds()) for key in summed}


def row_of(answer: Mapping[str, Any], row: Sequence[str]) -> dict[str, Any]:
    """A row's figures by column, those that are told."""
    cells = zip(answer["columns"], row, strict=True)
    return {name: cell for name, cell in cells if cell not in ("", None)}


def _estimated_groups(
    call: Call,
    rows: Mapping[tuple[str, ...], Mapping[str, Any]],
    groups: Mapping[tuple[str, ...], Bounds],
    total_bounds: Bounds,
    odds: Odds,
) -> Iterator[Violation]:
    note = str((call.answer or {}).get("note", ""))
    are_left_out = "left out" in note or "Other groups have" in note
    for key, bounds in groups.items() if rows and not are_left_out else ():
        share = Decimal(bounds.of("sessions")[0]) / max(1, total_bounds.of("sessions")[1])
        if share >= _LARGE and key not in rows:
            text = f"no row of {key}, which has {bounds.of('sessions')[0]} sessions"
            yield Violation("lost-group", text, call)
    for key, row in rows.items():
        bounds = groups.get(key, Bounds())
        if "sessions_low" not in row and "sessions" in row:  # a day or hour that is exact
            low, high = bounds.of("sessions")
            if not low <= int(row["sessions"]) <= high:
                text = f"{key} has {row['sessions']} sessions, not {low} to {high}"
                yield Violation("wrong-group", text, call)
        _count_row(row, bounds, odds)


def _count_row(row: Mapping[str, Any], bounds: Bounds, odds: Odds) -> None:
    for name in ("sessions", "cost"):
        try:
            low, high = (_amount(name, row[f"{name}_{end}"]) for end in ("low", "high"))
        except (KeyError, ValueError, InvalidOperation):
            continue
        odds.note(f"group {name}", hit=_meets(low, high, bounds.of(name)))
