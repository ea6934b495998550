"""The fuzzer's oracle: what is true passes, and each kind of untruth is found."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from benchmarks.fuzz import lists, summaries
from benchmarks.fuzz.calls import Call, Odds
from benchmarks.fuzz.scenarios import SCENARIOS
from benchmarks.fuzz.stage import Report, Stage
from benchmarks.fuzz.truth import FIGURES, Span, Truth
from benchmarks.fuzz.wander import Choice, wander
from benchmarks.fuzz.world import DAY, HOUR, NOON, Life, between, life, spread, written
from tests.support.client import SANDBOX
from verify_mcp.emulator.app import ReceivedRequest

pytestmark = pytest.mark.anyio

WINDOW = between(NOON - DAY, NOON - HOUR)


def world() -> list[Life]:
    """Three sessions that ended, two of them with the fees of a code that was right."""
    chance = Random(3)  # noqa: S311 - a made world
    start = NOON - 5 * HOUR
    return [life(start + number * HOUR, chance, country="US") for number in range(3)]


def true_answer(**changes: Any) -> dict[str, Any]:
    """What an honest server says of that world."""
    bounds = Truth(world()).bounds(summaries.claimed(call({}), Span(NOON - DAY, NOON - HOUR)))
    figures = dict(zip(FIGURES, bounds.least, strict=True))
    money = {name: str(figures[name] / 1e9) for name in ("cost", "expired_cost")}
    applied = {"applied": WINDOW, "as_of": f"{NOON.replace(tzinfo=None).isoformat()}Z"}
    return {"complete": True, "basis": "held", **applied, **figures, **money, **changes}


def call(answer: dict[str, Any], **arguments: Any) -> Call:
    asked = arguments or WINDOW
    return Call("summarize_verify_sessions", asked, NOON, NOON + timedelta(seconds=1), answer)


def found(answer: dict[str, Any], **arguments: Any) -> list[str]:
    """The kinds of violations found in an answer about that world."""
    judged = summaries.judged(call(answer, **arguments), Truth(world()), Odds())
    return [each.kind for each in judged]


def test_a_true_answer_passes() -> None:
    assert found(true_answer()) == []


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_that_is_not_so_is_found(name: str) -> None:
    figures = true_answer()[name]
    lie = figures + 1 if isinstance(figures, int) else str(float(figures) + 0.001)
    assert found(true_answer(**{name: lie}))[0] == "wrong-figure"


def test_an_estimate_is_not_held_against_a_single_answer_but_counted() -> None:
    odds = Odds()
    answer = true_answer(basis="counted", complete=False, estimated={"cost": ["90", "91"]})
    answer["cost"] = "90.5"
    assert not list(summaries.judged(call(answer), Truth(world()), odds))
    assert odds.misses == {"cost": 1}


def test_intervals_that_miss_too_often_are_found() -> None:
    odds = Odds()
    for number in range(200):
        odds.note("cost", hit=number % 5 != 0)
    assert [each.kind for each in odds.violations()] == ["interval"]


def test_a_window_shorter_than_asked_is_found() -> None:
    arguments = between(NOON - 3 * DAY, NOON - HOUR)
    assert found(true_answer(), **arguments) == ["short-window"]
    assert found(true_answer(complete=False), **arguments) == []


def test_figures_of_no_time_are_found() -> None:
    nothing = {"missing": [f"{written(NOON - DAY)} to {written(NOON - HOUR)}"], "complete": False}
    assert found(true_answer(**nothing)) == ["zeros"]


def test_a_window_called_incomplete_for_seconds_is_found() -> None:
    edge = f"{written(NOON - DAY)} to {written(NOON - DAY + timedelta(seconds=7))}"
    assert found(true_answer(missing=[edge], complete=False)) == ["needless"]


def test_an_answer_from_the_future_is_found() -> None:
    assert found(true_answer(as_of="2026-11-21T14:00:00Z")) == ["as-of"]


def page(rows: list[Life], **more: Any) -> Call:
    """A page of a list that shows these sessions as they are."""
    columns = ["session", "status", "cost"]
    states = [Truth([each]).tracks[0].states(NOON, NOON)[-1] for each in rows]
    table = [
        [each.uuid[:8], state.status, str(state.cost)]
        for each, state in zip(rows, states, strict=True)
    ]
    applied = {"session_time__gte": WINDOW["session_time__gte"]}
    answer = {"complete": True, "applied": applied, "columns": columns, "rows": table, **more}
    return Call("list_verify_sessions", applied, NOON, NOON, answer)


@pytest.fixture
def truth() -> Truth:
    return Truth(world())


def test_pages_with_each_row_once_pass(truth: Truth) -> None:
    third, second, first = world()
    chain = [page([first, second], next={"offset": 2}), page([third])]
    assert list(lists.paged(chain, truth)) == []


def test_a_row_that_comes_twice_or_never_is_found(truth: Truth) -> None:
    third, second, first = world()
    chain = [page([first, second], next={"offset": 2}), page([second, third])]
    assert [each.kind for each in lists.paged(chain, truth)] == ["repeated-rows"]
    chain = [page([first], next={"offset": 1}), page([third])]
    assert [each.kind for each in lists.paged(chain, truth)] == ["lost-rows"]


def test_a_row_that_is_not_so_is_found(truth: Truth) -> None:
    answer = page(world()[::-1])
    assert answer.answer is not None
    answer.answer["rows"][0][2] = "7"
    assert [each.kind for each in lists.paged([answer], truth)] == ["wrong-row"]


def test_a_number_of_sessions_that_is_not_so_is_found(truth: Truth) -> None:
    assert list(lists.paged([page(world()[::-1], total=3)], truth)) == []
    for total in (2, 4):
        answer = page(world()[::-1], total=total)
        assert [each.kind for each in lists.paged([answer], truth)] == ["wrong-total"]


async def test_a_simple_world_has_no_violation_and_a_seed_makes_the_same_world_again() -> None:
    report, chance = Report(), Random(5)  # noqa: S311 - a made world
    async with Stage(spread(50, NOON - 9 * HOUR, NOON - HOUR, chance), report) as stage:
        await stage.summarize(**between(NOON - 10 * HOUR, NOON - 2 * HOUR))
        await stage.page_through(**between(NOON - 10 * HOUR, NOON - 2 * HOUR))
    assert (report.kinds(), report.calls) == ({}, 4)
    again = [Report(), Report()]
    for each in again:
        await wander(3, each)
    assert again[0].calls == again[1].calls
    assert again[0].kinds() == again[1].kinds()


async def test_a_request_too_many_is_found() -> None:
    report = Report()
    async with Stage(world(), report) as stage:
        for number in range(20):
            stage.api.received.append(request_at(number))
        stage.judge.quota(stage.api, SANDBOX)
        assert report.kinds() == {}
        stage.api.received.append(request_at(59))
    assert report.kinds() == {"over-quota": 1}


def request_at(seconds: float) -> ReceivedRequest:
    return ReceivedRequest(seconds, "GET", "", [], {}, "list")


async def test_servers_work_while_time_passes_and_their_answers_are_looked_at() -> None:
    report, chance = Report(), Random(8)  # noqa: S311 - a made world
    lives = spread(1200, NOON - 9 * HOUR, NOON - 2 * HOUR, chance)
    async with Stage(lives, report, works=True, follow=DAY) as stage:
        await stage.summarize(session_time__gte="24h")
        sent = len(stage.api.received)
        await stage.pass_by(minutes=10)
        assert len(stage.api.received) > sent + 16
        answer = await stage.summarize(**between(NOON - 10 * HOUR, NOON - 2 * HOUR))
    assert (answer["basis"], answer["sessions"], report.kinds()) == ("held", 1200, {})


@pytest.mark.parametrize(("sessions", "verified"), [(3, 1), (2, 1), (3, 2)])
def test_a_table_with_some_days_by_status_and_others_not_is_understood(
    sessions: int, verified: int
) -> None:
    chance, day = Random(4), NOON - DAY  # noqa: S311 - a made world
    before = [life(day - HOUR, chance, outcome=outcome) for outcome in ("verified", "expired")]
    asked = {"group_by": ["status", "day"], **between(NOON - 2 * DAY, NOON - HOUR)}
    answer = {
        "complete": False,
        "basis": "counted",
        "applied": asked,
        "as_of": written(NOON),
        "columns": ["status", "day", "sessions"],
        "rows": [
            ["any", f"{NOON:%Y-%m-%d}", str(sessions)],
            ["verified", f"{day:%Y-%m-%d}", str(verified)],
            ["expired", f"{day:%Y-%m-%d}", "1"],
        ],
    }
    judged = summaries.judged(call(answer, **asked), Truth([*before, *world()]), Odds())
    wrong = (sessions != len(world())) + (verified != 1)
    assert [each.kind for each in judged] == ["wrong-group"] * wrong


def test_every_point_has_a_scenario() -> None:
    assert list(SCENARIOS) == [f"p{number:02}" for number in range(1, 12)]
    assert all(scenario.__doc__ for several in SCENARIOS.values() for scenario in several)


@pytest.mark.parametrize("seed", [3, 11])
async def test_r60_a_held_part_that_ends_before_now_does_not_make_a_question_go_in_circles(
    seed: int,
) -> None:
    report = Report()
    await wander(seed, report)
    assert "internal-error" not in report.kinds()


async def test_a_count_beside_the_background_ends_with_the_window_of_its_last_call() -> None:
    report = Report()
    await wander(226, report, Choice(background=True))
    assert report.kinds() == {}


async def test_r59_no_answer_is_of_a_time_that_the_apis_clock_has_not_reached() -> None:
    report, chance = Report(), Random(9)  # noqa: S311 - a made world
    lives = spread(300, NOON - 2 * HOUR, NOON, chance)
    async with Stage(lives, report, skews=(2 * HOUR,), latency=(0.1, 1.5)) as stage:
        await stage.summarize(session_time__gte="7d")
    assert "as-of" not in report.kinds()
