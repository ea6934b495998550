"""The report command: whole before it is written, closed to others, and never over another file."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import SANDBOX, App, CannedApi, FakeClock, emulator_with, make_record
from verify_mcp.cli import main, report_file
from verify_mcp.cli.exit_codes import ExitCode
from verify_mcp.cli.report_file import ReportOptions
from verify_mcp.emulator.app import Emulator

WINDOW = {"session_time__gte": "2026-11-14 09:30:00", "session_time__lt": "2026-11-21 09:30:00"}
FIGURES = ("sessions", "verified", "expired", "cost", "attempts", "rescued", "estimated")


@pytest.fixture
def order(tmp_path: Path) -> ReportOptions:
    return ReportOptions("7d", None, (), tmp_path / "report.html")


def made(order: ReportOptions, app: App, clock: FakeClock | None = None, **settings: Any) -> int:
    world = (clock or FakeClock()).clock()
    return report_file.run(order, replace(SANDBOX, **settings), app=app, clock=world)


def data(order: ReportOptions) -> dict[str, Any]:
    html = order.path.read_text(encoding="utf-8")
    (found,) = re.findall(r'<script type="application/json" id="report">(.*?)</script>', html)
    read: dict[str, Any] = json.loads(found)
    return read


def many(clock: FakeClock, number: int) -> Emulator:
    """An account with so many sessions, spread evenly over the last six days."""
    every = 6 * 24 * 60 / number
    return emulator_with(*(make_record(n, 60 + n * every) for n in range(number)), clock=clock)


def test_the_answers_in_a_report_are_of_one_window_and_exact(order: ReportOptions) -> None:
    app = emulator_with(make_record(1), make_record(2, 3000.0, outcome="verified"))
    assert made(order, app) == ExitCode.DONE
    found = data(order)
    answers = found["answers"]
    assert [each["applied"].get("group_by") for each in answers] == [
        None,
        ["day"],
        ["country"],
        ["attempt_status"],
    ]
    assert all(WINDOW.items() <= each["applied"].items() for each in answers)
    assert {each["complete"] for each in answers} == {True}
    assert (answers[0]["sessions"], answers[0]["cost"]) == (2, "0.16")
    assert (found["made"], found["sandbox"]) == ("2026-11-21 09:30:00Z", False)


def test_a_report_waits_for_the_quota_until_it_is_whole(order: ReportOptions) -> None:
    clock = FakeClock()
    begun = clock.ticks
    assert made(order, many(clock, 700), clock) == ExitCode.DONE
    assert data(order)["answers"][0]["sessions"] == 700
    assert 60 <= clock.ticks - begun <= 600


def test_a_report_compares_with_the_period_before_and_says_what_stands_out(
    order: ReportOptions,
) -> None:
    clock = FakeClock()
    day = 24 * 60
    before = [make_record(n, 7 * day + 60 + n * 40, outcome="verified") for n in range(200)]
    after = [make_record(1000 + n, 60 + n * 40) for n in range(200)]
    assert made(order, emulator_with(*before, *after, clock=clock), clock) == ExitCode.DONE
    found = data(order)
    comparison, findings = found["comparison"], found["findings"]
    assert comparison["applied"]["against"] == "2026-11-07 09:30:00"
    assert comparison["complete"] is True
    assert comparison["conversion_change"]["points"] == "-100"
    assert comparison["rows"][0] == ["sessions", "200", "200", "0"]
    assert all(WINDOW.items() <= each["applied"].items() for each in (comparison, findings))
    assert (findings["sessions"], findings["baseline"]) == (200, "7 of 28 days")
    assert "conversion" in [row[0] for row in findings["rows"]]


def test_a_report_asks_nothing_more_to_compare_when_both_periods_are_held(
    order: ReportOptions, tmp_path: Path
) -> None:
    clock = FakeClock()
    api = many(clock, 300)
    database = f"sqlite:///{tmp_path / 'mirror.db'}"
    made(order, api, clock, database_url=database)
    sent = len(api.received)
    again = replace(order, until="2026-11-20", since="2026-11-17", force=True)
    assert made(again, api, clock, database_url=database) == ExitCode.DONE
    assert "against" in data(order)["comparison"]["applied"]
    assert len(api.received) == sent


def test_a_report_with_no_time_left_for_the_period_before_says_so_and_is_exact(
    order: ReportOptions,
) -> None:
    clock = FakeClock()
    api = many(clock, 700)
    assert made(replace(order, within=240.0), api, clock) == ExitCode.DONE
    found = data(order)
    assert found["answers"][0]["sessions"] == 700
    assert found["comparison"] == found["findings"]
    assert found["comparison"]["why"].startswith(
        "The period before, 2026-11-07 09:30:00 to 2026-11-14 09:30:00 UTC, is not held in full"
    )
    command = "Run `verify-mcp sync --since 2026-11-07 --until 2026-11-15`"
    assert command in found["comparison"]["why"]


def test_a_report_that_is_not_exact_is_not_compared(order: ReportOptions) -> None:
    clock = FakeClock()
    made(replace(order, within=1.0), many(clock, 700), clock)
    assert data(order)["comparison"]["why"].startswith("The figures of this period are not exact")


def test_ninety_days_have_nothing_to_compare_with_but_are_searched_in_their_last_part(
    order: ReportOptions,
) -> None:
    assert made(replace(order, since="90d"), emulator_with(make_record(1))) == ExitCode.DONE
    found = data(order)
    assert "The API keeps 90 days" in found["comparison"]["why"]
    assert found["findings"]["applied"]["session_time__gte"] == "2026-10-21 09:30:00"


@pytest.mark.parametrize(
    ("charts", "settings", "place"),
    [
        ((), {}, "IN one recipient"),
        ((("recipient",),), {}, "IN +919380010001"),
        ((), {"masked": True}, "IN"),
    ],
)
def test_a_finding_names_a_recipient_only_where_the_report_may(
    order: ReportOptions, charts: Any, settings: dict[str, Any], place: str
) -> None:
    clock = FakeClock()
    others = [make_record(n, 100 + n * 30) for n in range(2, 600)]
    same = [make_record(5000 + n, 300 + n, recipient="919380010001") for n in range(40)]
    api = emulator_with(*others, *same, clock=clock)
    assert made(replace(order, charts=charts), api, clock, **settings) == ExitCode.DONE
    rows = data(order)["findings"]["rows"]
    assert place in [row[1] for row in rows if row[0] == "repeat"]


def test_a_report_that_comes_too_late_says_what_is_missing(
    order: ReportOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = FakeClock()
    assert made(replace(order, within=1.0), many(clock, 700), clock) == ExitCode.INCOMPLETE
    answers = data(order)["answers"]
    assert (answers[0]["complete"], bool(answers[0]["missing"])) == (False, True)
    assert "not exact." in capsys.readouterr().err


def test_ninety_days_of_a_busy_account_are_exact_within_the_time_it_takes(
    order: ReportOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = FakeClock()
    begun, api = clock.ticks, many(clock, 1500)
    assert made(replace(order, since="90d"), api, clock) == ExitCode.DONE
    assert {answer["complete"] for answer in data(order)["answers"]} == {True}
    assert clock.ticks - begun <= 480
    assert capsys.readouterr().err.endswith("report.html: 1500 sessions, exact.\n")


def test_a_report_that_cannot_be_exact_in_time_has_one_set_of_figures_and_names_what_helps(
    order: ReportOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = FakeClock()
    api = many(clock, 3000)
    assert made(replace(order, within=120.0), api, clock) == ExitCode.INCOMPLETE
    answers = data(order)["answers"]
    figures = [{name: answer[name] for name in FIGURES} for answer in answers]
    assert figures == [figures[0]] * 4
    assert figures[0]["sessions"] == 3000
    assert "cost" in figures[0]["estimated"]
    told = capsys.readouterr().err
    advice = r"Run `verify-mcp sync --since 7d` \(about \d+ minutes\), then the report again"
    for text in (told, *(answer["why"] for answer in answers)):
        assert re.search(advice, text), text
        assert "call" not in text
        assert "quota" not in text
        assert not re.search(r"[a-z]\.[A-Z]", text), text


def test_a_report_goes_to_stdout_when_asked(
    order: ReportOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    to_stdout = replace(order, path=Path("-"))
    assert made(to_stdout, emulator_with(make_record(1))) == ExitCode.DONE
    printed = capsys.readouterr()
    assert printed.out.startswith("<!doctype html>")
    assert '"complete":true' in printed.out
    assert printed.err == "The report on stdout: 1 sessions, exact.\n"


def test_only_its_owner_may_read_a_report(order: ReportOptions) -> None:
    made(order, emulator_with(make_record(1)))
    assert order.path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in order.path.parent.iterdir()] == ["report.html"]


def test_another_file_is_never_overwritten(
    order: ReportOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    order.path.write_text("mine", encoding="utf-8")
    api = emulator_with(make_record(1))
    assert made(order, api) == ExitCode.CANNOT_WRITE
    assert (order.path.read_text(encoding="utf-8"), api.received) == ("mine", [])
    assert "--force" in capsys.readouterr().err


def test_a_file_that_appears_meanwhile_is_not_overwritten_either(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError):
        report_file.save(path, "theirs", force=False)
    assert [each.read_text(encoding="utf-8") for each in tmp_path.iterdir()] == ["mine"]


def test_with_force_the_file_is_replaced(order: ReportOptions) -> None:
    order.path.write_text("old", encoding="utf-8")
    assert made(replace(order, force=True), emulator_with(make_record(1))) == ExitCode.DONE
    assert data(order)["answers"][0]["sessions"] == 1
    assert order.path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_not_there_is_named(
    order: ReportOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = replace(order, path=order.path.parent / "none" / "report.html")
    assert made(nowhere, emulator_with()) == ExitCode.CANNOT_WRITE
    assert "No such file or directory" in capsys.readouterr().err


def test_nothing_is_written_when_the_api_is_away(
    order: ReportOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made(order, CannedApi({"error": "away"}, status=503)) == ExitCode.TRY_LATER
    assert not order.path.exists()
    assert "Run the same command again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"since": "last week"}, "--since "),
        ({"until": "then"}, "--until "),
        ({"since": "1h", "until": "2h"}, "--since is not before --until"),
        ({"charts": (("planet",),)}, "--group-by "),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(
    order: ReportOptions, said: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made(replace(order, **said), emulator_with(make_record(1))) == ExitCode.CONFIGURE
    assert capsys.readouterr().err.startswith(told)
    assert not order.path.exists()


def test_a_report_needs_the_mirror_and_says_how_to_have_one_in_memory(
    order: ReportOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made(order, emulator_with(), mirror=False) == ExitCode.CONFIGURE
    assert "VERIFY_MCP_DATABASE_URL=sqlite://" in capsys.readouterr().err


def test_a_report_names_no_recipient_unless_asked(order: ReportOptions) -> None:
    made(order, emulator_with(make_record(1)))
    assert "9193800" not in order.path.read_text(encoding="utf-8")
    by_recipient = replace(order, charts=(("recipient",),), force=True)
    made(by_recipient, emulator_with(make_record(1)))
    assert data(order)["answers"][1]["rows"][0][0] == "+919380010001"


def test_the_command_writes_a_report_of_made_up_sessions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.html"
    said = [
        "report",
        "--sandbox",
        "--since",
        "3h",
        "--group-by",
        "country,channel",
        "-o",
        str(path),
    ]
    with pytest.raises(SystemExit) as ended:
        main.main(said)
    assert ended.value.code == ExitCode.DONE
    found = data(ReportOptions("", None, (), path))
    assert found["sandbox"] is True
    assert [each["applied"].get("group_by") for each in found["answers"]] == [
        None,
        ["country", "channel"],
    ]
    assert "sessions, exact." in capsys.readouterr().err


def test_ninety_days_are_told_day_by_day(order: ReportOptions) -> None:
    clock = FakeClock()
    app = emulator_with(*(make_record(n, 60 + n * 24 * 60) for n in range(89)), clock=clock)
    assert made(replace(order, since="90d", charts=(("day",),)), app, clock) == ExitCode.DONE
    rows = data(order)["answers"][1]["rows"]
    assert [row[1] for row in rows] == ["1"] * 89
