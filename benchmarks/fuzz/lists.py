"""Answers of list_verify_sessions, chained by `next`, and of get_verify_session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from benchmarks.fuzz.calls import MINUTE, REACH, Call, Violation
from benchmarks.fuzz.summaries import needless, row_of
from benchmarks.fuzz.truth import SECOND, Claim, Span, State, Track, Truth


def paged(chain: Sequence[Call], truth: Truth) -> Iterator[Violation]:
    """What is not so in the pages of one question, each asked by the `next` of the one before."""
    chain = [each for each in chain if each.answer is not None]
    if not chain:
        return
    for call in chain:
        yield from _rows(call, truth)
        yield from _total(call, truth)
        yield from needless(call)
    yield from _window(chain[0])
    yield from _once(chain, truth)


def _window(call: Call) -> Iterator[Violation]:
    applied, answer = call.applied(), call.answer or {}
    if applied is None or not answer.get("complete"):
        return
    lost = applied.start - call.asked_arguments().start
    if lost > MINUTE + SECOND + abs(call.skew):
        yield Violation("short-window", f"complete, but starts {lost} late", call)


def _rows(call: Call, truth: Truth) -> Iterator[Violation]:
    answer = call.answer or {}
    for row in (row_of(answer, each) for each in answer.get("rows", ())):
        track = truth.by_short.get(row["session"])
        if track is None:
            yield Violation("wrong-row", f"no such session: {row}", call)
        elif not _is_true(row, track, call):
            yield Violation("wrong-row", f"{row}, true {_story(track, call)}", call)


def _total(call: Call, truth: Truth) -> Iterator[Violation]:
    """A number of sessions that is not that of the window in `applied`."""
    total, applied = (call.answer or {}).get("total"), call.applied()
    if total is None or applied is None:
        return
    slack = SECOND + call.latency + abs(call.skew)
    inner = Span(applied.start + slack, min(applied.end, call.called) - slack)
    outer = Span(applied.start - slack, applied.end + slack)
    spans = [inner] if inner.start < inner.end else []
    claim = Claim(spans, call.since, call.replied, call.filters, maybe=[outer])
    least = most = 0
    for track, optional in truth.chosen(claim):
        states = track.states(call.since, call.replied)
        are_in = [_is_counted(state, call.arguments.get("status")) for state in states]
        least += all(are_in) and not optional
        most += any(are_in)
    if not least <= total <= most:
        yield Violation("wrong-total", f"{total} in all, true {least} to {most}", call)


def _is_counted(state: State, status: object) -> bool:
    return bool(state.figures[0]) and status in (None, state.status)


def _is_true(row: Mapping[str, Any], track: Track, call: Call) -> bool:
    status = call.arguments.get("status")
    return any(
        _is_of(row, each) and status in (None, each.status)
        for each in track.states(call.since, call.replied)
    )


def _is_of(row: Mapping[str, Any], state: State) -> bool:
    return bool(state.figures[0]) and (
        row["status"] == state.status and Decimal(row.get("cost", "0")) == state.cost
    )


def _story(track: Track, call: Call) -> str:
    states = track.states(call.since, call.replied)
    return ", then ".join(f"{each.status} {each.cost.normalize():f}" for each in states)


def _once(chain: Sequence[Call], truth: Truth) -> Iterator[Violation]:
    """Rows that come twice, or not at all."""
    counts = Counter(row[0] for call in chain for row in (call.answer or {}).get("rows", ()))
    repeated = [short for short, times in counts.items() if times > 1]
    if repeated:
        text = f"{len(repeated)} rows come twice over {len(chain)} pages"
        yield Violation("repeated-rows", text, chain[-1])
    lost = [each for each in _expected(chain, counts, truth) if each.life.uuid[:8] not in counts]
    if lost:
        text = f"{len(lost)} rows never come, such as {lost[0].life.uuid}"
        text += f" of {lost[0].life.created_at}, over {len(chain)} pages"
        yield Violation("lost-rows", text, chain[-1])


def _expected(chain: Sequence[Call], counts: Mapping[str, int], truth: Truth) -> Iterator[Track]:
    """The sessions that must have come."""
    first, last = chain[0], chain[-1]
    if any(each.arguments.get("offset") for each in chain[:1]):
        return
    arguments, is_over = first.asked_arguments(), "next" not in (last.answer or {})
    if not all((call.answer or {}).get("complete") for call in chain):
        is_over = is_over and not any("eta_s" in (call.answer or {}) for call in chain)
        if not is_over:
            return
    start = _start(chain)
    oldest = start if is_over else max(start, _oldest(counts, truth) + timedelta(microseconds=1))
    end = min(arguments.end, first.called - first.latency - SECOND) - abs(first.skew)
    may_skip = any(call.tells_skipped for call in chain)
    if oldest >= end:
        return
    claim = Claim([Span(oldest, end)], _since(chain), last.replied, first.filters, may_skip)
    for track, optional in truth.chosen(claim):
        states = track.states(claim.since, claim.until)
        status = first.arguments.get("status")
        if not optional and all(
            each.figures[0] and status in (None, each.status) for each in states
        ):
            yield track


def _start(chain: Sequence[Call]) -> datetime:
    """From when on every session must have come: while a chain goes on, the reach moves."""
    first, last = chain[0], chain[-1]
    applied = first.applied()
    if len(chain) == 1 and applied is not None and (first.answer or {}).get("complete"):
        return applied.start + first.latency
    return max(first.asked_arguments().start + abs(first.skew) + MINUTE, last.replied - REACH)


def _since(chain: Sequence[Call]) -> datetime:
    return min(min(each.since, each.called) for each in chain)


def _oldest(counts: Mapping[str, int], truth: Truth) -> datetime:
    times = [truth.by_short[short].life.created_at for short in counts if short in truth.by_short]
    return min(times, default=datetime.max.replace(tzinfo=UTC))


def got(call: Call, truth: Truth) -> Iterator[Violation]:
    """What is not so in the answer about one session."""
    answer = call.answer or {}
    track = truth.by_uuid.get(str(call.arguments["session_uuid"]))
    if track is None:
        return
    states = track.states(call.called - SECOND, call.replied)
    is_there = all(each.figures[0] for each in states)
    is_there &= track.life.created_at > call.replied - REACH
    if is_there and "No Verify session" in call.error:
        yield Violation("lost-session", call.error, call)
    if not answer.get("complete"):
        return
    if not _is_true(answer, track, call):
        text = f"{answer.get('status')} {answer.get('cost')}, true {_story(track, call)}"
        yield Violation("wrong-session", text, call)
