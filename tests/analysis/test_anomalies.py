"""The detectors of anomalies: their probabilities, and what they find in made series."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from scipy import stats

from verify_mcp.analysis.anomalies import detect, levels, pumping, rates, reference
from verify_mcp.analysis.anomalies.finding import KINDS, SHARES, Finding, Search, corrected
from verify_mcp.analysis.anomalies.pumping import PrefixCell, PrefixHistory
from verify_mcp.analysis.anomalies.rates import Place, RateSeries
from verify_mcp.analysis.anomalies.stuck import OldSessions
from verify_mcp.analysis.anomalies.timeline import BLOCKS_OF_DAY, DAY, HOUR, timeline
from verify_mcp.analysis.change_point import Cell
from verify_mcp.domain.windows import Window

START = datetime(2026, 11, 20, tzinfo=UTC)
WINDOW = Window(START, START + DAY)
STEPS = timeline(WINDOW)
BLOCKS = 28 * BLOCKS_OF_DAY


Fall = tuple[int, int, float]
"""A first step, the step after the last, and the rate between them."""


def series(
    place: Place,
    trials: int,
    rate: float,
    *,
    parent: Place | None = None,
    fall: Fall = (0, 0, 0.0),
) -> RateSeries:
    """So many trials in each quarter of an hour at one rate, but for a fall."""
    random = Random(str(place))  # noqa: S311 - made-up data

    def cell(number: int, chance: float) -> Cell:
        noise = random.gauss(0, (number * chance * (1 - chance)) ** 0.5)
        return Cell(min(number, max(0, round(number * chance + noise))), number)

    cells = [
        cell(trials, fall[2] if fall[0] <= step < fall[1] else rate) for step in range(STEPS.steps)
    ]
    past = [(block % BLOCKS_OF_DAY, cell(24 * trials, rate)) for block in range(BLOCKS)]
    return RateSeries(place, tuple(cells), tuple(past), parent)


SMS: Place = (("channel", "sms"),)
INDONESIA: Place = (*SMS, ("country", "ID"))
TELKOMSEL: Place = (*INDONESIA, ("network", "Telkomsel"))


@pytest.mark.parametrize(("hits", "trials", "alpha", "beta"), [
    (0, 10, 1.0, 1.0), (3, 10, 2.0, 30.0), (40, 60, 5.5, 80.0), (200, 4000, 30.0, 4000.0),
    (60, 60, 20.0, 900.0),
])  # fmt: skip
def test_a_beta_binomial_tail_is_scipys(hits: int, trials: int, alpha: float, beta: float) -> None:
    expected = stats.betabinom.sf(hits - 1, trials, alpha, beta)
    found = reference.beta_binomial_upper_tail(hits, trials, alpha, beta)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("t", [0.0, 0.5, 2.0, 6.0, 15.0, 80.0])
def test_the_tail_of_students_t_is_scipys(t: float) -> None:
    assert levels.t_upper_tail(t) == pytest.approx(stats.t.sf(t, 10), rel=1e-9)


def test_chances_are_corrected_for_all_that_was_looked_at() -> None:
    one = Finding("stuck", {}, WINDOW, "in_progress", 0, 9, 1e-6)
    search = Search("stuck", 50, (one,))
    assert sum(SHARES.values()) == pytest.approx(1)
    assert corrected(search, ("stuck",))[0].chance == pytest.approx(5e-5)
    assert corrected(search, KINDS)[0].chance == pytest.approx(1e-3)
    assert corrected(Search("stuck", 100_000, (one,)), KINDS) == ()


def observed(*delivery: RateSeries, conversion: tuple[RateSeries, ...] = ()) -> detect.Rates:
    return detect.Rates(STEPS, delivery, conversion)


def test_a_fault_of_one_network_is_found_there_and_not_in_its_country() -> None:
    fall = (40, 56, 0.6)
    found = detect.find_delivery(
        observed(
            series(SMS, 60, 0.92),
            series(INDONESIA, 20, 0.9, parent=SMS),
            series(TELKOMSEL, 10, 0.9, parent=INDONESIA, fall=fall),
            series((*INDONESIA, ("network", "XL")), 10, 0.9, parent=INDONESIA),
        ),
        KINDS,
    )
    (fault,) = found
    assert fault.where == dict(TELKOMSEL)
    assert abs(fault.window.start - STEPS.moment(40)) <= timedelta(minutes=30)
    assert abs(fault.window.end - STEPS.moment(56)) <= timedelta(minutes=30)
    assert fault.begin
    assert fault.begin.start <= STEPS.moment(40) <= fault.begin.end
    assert fault.expected == pytest.approx(0.9, abs=0.01)
    assert fault.seen == pytest.approx(0.6, abs=0.1)
    assert fault.chance < 1e-6


def test_a_network_whose_days_differ_much_has_no_fault_on_a_bad_day() -> None:
    """The same fall, which a steady network would have by no chance, is usual here."""
    random = Random(5)  # noqa: S311 - made-up data
    unsteady = series(TELKOMSEL, 10, 0.9, parent=SMS, fall=(40, 60, 0.75))
    blocks = tuple(
        (index, Cell(round(240 * min(1, random.gauss(0.88, 0.08))), 240))
        for index, _ in unsteady.blocks
    )
    steady = detect.find_delivery(observed(unsteady), KINDS)
    rough = RateSeries(TELKOMSEL, unsteady.cells, blocks, None)
    assert (len(steady), detect.find_delivery(observed(rough), KINDS)) == (1, ())


def test_a_fall_of_conversion_is_told_once_and_not_where_delivery_failed() -> None:
    app: Place = (("app", "a"),)
    fall = (30, 50, 0.3)
    falls = (
        series((), 40, 0.7, fall=(30, 50, 0.55)),
        series(app, 20, 0.7, parent=(), fall=fall),
        series((("country", "ID"),), 10, 0.7, parent=(), fall=(30, 50, 0.4)),
    )
    found = detect.find_conversion(observed(conversion=falls), (), KINDS)
    assert [one.where for one in found] == [{"app": "a"}]
    assert {"country": "ID"} in found[0].also
    fault = Finding(
        "delivery", dict(INDONESIA), STEPS.window(28, 52), "delivered_share", 0.9, 0.5, 0
    )
    assert rates.unexplained([Finding(
        "conversion", {"country": "ID"}, STEPS.window(30, 50), "conversion", 0.7, 0.4, 0
    )], [fault]) == ()  # fmt: skip


def cells_of(prefix: str, verified: int, sessions: int, hour: int = 9) -> PrefixCell:
    window = Window(START + hour * HOUR, START + (hour + 1) * HOUR)
    return PrefixCell(prefix, "AZ", window, sessions, Cell(verified, sessions))


def suspects(*cells: PrefixCell, elsewhere: float = 0.7) -> detect.Suspects:
    countries = (
        series((), 40, 0.7),
        series((("country", "AZ"),), 2, 0.66, parent=()),
        series((("country", "GB"),), 40, 0.7, parent=(), fall=(36, 40, elsewhere)),
    )
    return detect.find_suspects(cells, observed(conversion=countries))


def test_pumping_is_found_across_hours_and_prefixes() -> None:
    found = suspects(
        cells_of("99450271", 1, 30), cells_of("99450271", 0, 28, 10), cells_of("99450333", 0, 9),
        cells_of("99455111", 6, 10),
    )  # fmt: skip
    (one,) = found.candidates
    assert (one.prefixes, found.tests) == (("99450271", "99450333"), 4)
    assert one.window == Window(START + 9 * HOUR, START + 11 * HOUR)
    history = PrefixHistory(one.window, 67, 66, 1, usual_sessions=0.5)
    ((_, pumped),) = detect.find_pumping(found, [history], KINDS)
    assert pumped.where == {"country": "AZ", "prefix": "+99450271 +99450333"}
    assert pumped.chance < 1e-9


@pytest.mark.parametrize(
    ("recipients", "usual"), [(7, 0.5), (66, 40.0)], ids=["few numbers", "as busy as ever"]
)
def test_unverified_sessions_alone_are_no_pumping(recipients: int, usual: float) -> None:
    found = suspects(cells_of("99450271", 1, 60))
    history = PrefixHistory(found.candidates[0].window, 60, recipients, 1, usual)
    assert detect.find_pumping(found, [history], KINDS) == ()


def test_a_collapse_that_other_countries_share_is_no_pumping() -> None:
    assert suspects(cells_of("99450271", 2, 20), elsewhere=0.05).candidates == ()


def test_finer_prefixes_take_the_place_of_a_coarse_one_that_they_make_up() -> None:
    sessions = {"994502": 60, "99450271": 30, "99450272": 28, "99455": 9, "9945511": 2}
    assert pumping.narrowest(list(sessions), sessions.__getitem__) == (
        "99450271", "99450272", "99455"
    )  # fmt: skip


def test_neighbours_are_numbers_that_follow_each_other() -> None:
    assert pumping.neighbour_share(["99450271000", "99450271003", "99450279999", "+1"]) == 2 / 3


def amounts(days: int, of: float, start: datetime = START) -> dict[datetime, float]:
    random = Random(days)  # noqa: S311 - made-up data
    return {
        start + number * HOUR: of * (1 + 0.5 * (number % 24 > 11)) * random.uniform(0.8, 1.2)
        for number in range(24 * days)
    }


def test_hours_of_unusual_spend_are_joined_and_usual_ones_left_alone() -> None:
    past, now = amounts(28, 5, START - 28 * DAY), amounts(1, 5)
    assert detect.find_levels("spend", WINDOW, now, past, 0.05, KINDS) == ()
    dear = {**now, START + 9 * HOUR: 30.0, START + 10 * HOUR: 25.0}
    (found,) = detect.find_levels("spend", WINDOW, dear, past, 0.05, KINDS)
    assert found.window == Window(START + 9 * HOUR, START + 11 * HOUR)
    assert (found.seen, round(found.expected)) == (55.0, 10)


def test_hours_without_sessions_are_a_fall_of_volume() -> None:
    past, now = amounts(28, 60, START - 28 * DAY), amounts(1, 60)
    now |= {START + number * HOUR: 0.0 for number in (20, 21, 22)}
    (found,) = detect.find_levels("volume", WINDOW, now, past, 1.0, KINDS)
    assert (found.window, found.seen) == (Window(START + 20 * HOUR, START + 23 * HOUR), 0)


def test_without_a_week_of_the_past_no_level_is_judged() -> None:
    past, now = amounts(6, 60, START - 6 * DAY), {START + 9 * HOUR: 900.0}
    assert detect.find_levels("volume", WINDOW, now, past, 1.0, KINDS) == ()


def test_a_recipient_who_asks_far_more_often_than_others_is_found() -> None:
    usual = {1: 900, 2: 60, 3: 8, 4: 1}
    top = [("994501234567", "AZ", 25), ("4477001", "GB", 4)]
    (found,) = detect.find_repeats(WINDOW, {**usual, 25: 1}, top, KINDS)
    assert (found.where["recipient"], found.seen) == ("994501234567", 25)
    heavy = dict.fromkeys(range(1, 30), 40)
    assert detect.find_repeats(WINDOW, heavy, [("1", "US", 29)], KINDS) == ()


def test_a_recipient_without_others_is_no_repeat() -> None:
    alone, pair = {25: 1}, {25: 2}
    assert detect.find_repeats(WINDOW, alone, [("1", "US", 25)], KINDS) == ()
    assert detect.find_repeats(WINDOW, pair, [("1", "US", 25), ("2", "US", 25)], KINDS) == ()


def test_sessions_that_do_not_end_are_found_where_sessions_used_to_end() -> None:
    never = OldSessions(10_000, 0)
    assert detect.find_stuck(WINDOW, OldSessions(500, 4), never, KINDS)
    assert detect.find_stuck(WINDOW, OldSessions(500, 1), never, KINDS) == ()
    assert detect.find_stuck(WINDOW, OldSessions(500, 4), OldSessions(10_000, 90), KINDS) == ()


@pytest.mark.parametrize(("hours", "step"), [(1, 15), (24, 15), (36, 30), (168, 120), (672, 360)])
def test_steps_are_as_short_as_their_number_allows(hours: int, step: int) -> None:
    made = timeline(Window(START + timedelta(minutes=7), START + timedelta(minutes=7, hours=hours)))
    assert (made.step, made.steps <= 130) == (timedelta(minutes=step), True)
    assert made.start <= START + timedelta(minutes=7)
