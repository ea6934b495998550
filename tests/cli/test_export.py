"""The export command: every session once, exact, defused, and told what it lacks."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from datetime import UTC, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import (
    NOW,
    SANDBOX,
    App,
    CannedApi,
    FakeClock,
    emulator_with,
    make_record,
    uuid,
)
from tests.support.databases import sqlite_url
from verify_mcp.cli import export_file, export_source, main
from verify_mcp.cli.exit_codes import ExitCode
from verify_mcp.cli.export_file import ExportOptions
from verify_mcp.emulator import AttemptRecord, SessionRecord

DANGEROUS = ("=HYPERLINK(1)", "+1+1", "-2", "@SUM(A1)")


@pytest.fixture
def options(tmp_path: Path) -> ExportOptions:
    return ExportOptions("sessions", "7d", None, tmp_path / "export.csv")


def run_export(
    options: ExportOptions, app: App, clock: FakeClock | None = None, **settings: Any
) -> int:
    surroundings = (clock or FakeClock()).clock()
    return export_file.run(options, replace(SANDBOX, **settings), app=app, clock=surroundings)


def read_csv(options: ExportOptions) -> list[dict[str, str]]:
    assert options.path is not None
    with options.path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def make_fallback() -> SessionRecord:
    """A verified session with a failed message and an answered call, and an odd brand."""
    at = NOW - timedelta(minutes=120)
    attempts = tuple(
        AttemptRecord(
            uuid=uuid(0xD000 + place),
            channel=channel,
            status=status,
            time=at + timedelta(seconds=after),
            charge=Decimal(charge),
        )
        for place, (channel, status, after, charge) in enumerate(
            [("sms", "failed", 0, "0"), ("voice", "answer", 41, "0.01100")]
        )
    )
    return make_record(
        7, 120, attempts=attempts, outcome="verified", channel="voice", validation_charge=Decimal(1)
    )


def test_sessions_are_written_oldest_first_with_every_digit(options: ExportOptions) -> None:
    assert run_export(options, emulator_with(make_record(1), make_fallback())) == 0
    first, second = read_csv(options)
    assert first == {
        "session": uuid(7),
        "created": "2026-11-21T07:30:00Z",
        "updated": "2026-11-21T07:30:41Z",
        "recipient": "+919380010007",
        "country": "IN",
        "network": "",
        "app": "59728519-d145-45d6-8d46-60c06f7e8bbb",
        "app_name": "",
        "brand": "",
        "status": "verified",
        "channel": "voice",
        "attempts": "2",
        "attempt_statuses": "sms failed; voice answer",
        "cost": "1.011",
        "validation_cost": "1",
    }
    assert second["session"] == uuid(1)


def test_attempts_are_rows_of_their_own(options: ExportOptions) -> None:
    attempts = replace(options, content="attempts")
    assert run_export(attempts, emulator_with(make_fallback())) == 0
    assert [
        [
            row[name]
            for name in ("session", "attempt_uuid", "number", "status", "offset_s", "charge")
        ]
        for row in read_csv(attempts)
    ] == [
        [uuid(7), uuid(0xD000), "1", "failed", "0.0", "0"],
        [uuid(7), uuid(0xD001), "2", "answer", "41.0", "0.011"],
    ]


def test_groups_have_the_figures_of_a_summary(options: ExportOptions) -> None:
    groups = replace(options, content="groups", by="channel, status")
    assert run_export(groups, emulator_with(make_record(1), make_fallback())) == 0
    rows = [tuple(row.values()) for row in read_csv(groups)]
    assert rows == [
        ("sms", "expired", "1", "0", "1", "0", "0", "1", "0.08", "", "0.08", "0", "0"),
        ("voice", "verified", "1", "1", "0", "0", "100", "2", "1.011", "1.011", "0", "1", "0"),
    ]


def test_json_lines_keep_what_csv_has_to_change(options: ExportOptions, tmp_path: Path) -> None:
    lines = replace(options, path=tmp_path / "x.jsonl", format="jsonl")
    odd = make_record(1, brand_name=DANGEROUS[0])
    assert run_export(lines, emulator_with(odd, shape="rich")) == 0
    assert lines.path is not None
    (row,) = map(json.loads, lines.path.read_text(encoding="utf-8").splitlines())
    assert (row["brand"], row["cost"], row["attempts"], row["network"]) == (
        DANGEROUS[0],
        "0.08",
        1,
        None,
    )


def test_parquet_has_exact_amounts_and_times(options: ExportOptions, tmp_path: Path) -> None:
    file = replace(options, path=tmp_path / "x.parquet", format="parquet", content="attempts")
    assert run_export(file, emulator_with(make_fallback())) == 0
    table = import_module("pyarrow.parquet").read_table(file.path)
    assert table.column("charge").to_pylist() == [Decimal(0), Decimal("0.011")]
    assert table.column("time").to_pylist()[0].astimezone(UTC) == NOW - timedelta(minutes=120)
    assert table.column("number").to_pylist() == [1, 2]


@pytest.mark.parametrize("brand", DANGEROUS)
def test_a_cell_that_a_spreadsheet_would_run_is_defused(options: ExportOptions, brand: str) -> None:
    run_export(options, emulator_with(make_record(1, brand_name=brand), shape="rich"))
    (row,) = read_csv(options)
    assert (row["brand"], row["recipient"]) == (f"'{brand}", "+919380010001")


def test_recipients_are_masked_where_answers_mask_them(options: ExportOptions) -> None:
    attempts = replace(options, content="attempts")
    groups = replace(options, content="groups", by="recipient", force=True)
    for export in (attempts, groups):
        run_export(export, emulator_with(make_record(1)), masked=True)
        assert options.path is not None
        assert "9380010001" not in options.path.read_text(encoding="utf-8")
        assert read_csv(export)[0]["recipient"].startswith("+91…0001~")


def test_sessions_of_one_instant_at_the_edge_of_a_batch_come_once(
    options: ExportOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_source, "SESSIONS_AT_ONCE", 3)
    api = emulator_with(*(make_record(n, minutes=60 + n // 4) for n in range(1, 24)))
    assert run_export(options, api) == 0
    found = [row["session"] for row in read_csv(options)]
    assert sorted(found) == [uuid(n) for n in range(1, 24)]


def test_filters_choose_among_what_is_kept(options: ExportOptions) -> None:
    chosen = replace(options, filters=(("status", "verified"), ("recipient", "")))
    assert run_export(chosen, emulator_with(make_record(1), make_fallback())) == 0
    assert [row["session"] for row in read_csv(options)] == [uuid(7)]


def test_countries_channels_and_charges_are_those_of_what_is_kept(options: ExportOptions) -> None:
    chosen = (("country", "IN,US"), ("channel", "voice"))
    groups = replace(options, content="groups", by="attempt_status", filters=chosen)
    assert run_export(groups, emulator_with(make_record(1), make_fallback())) == 0
    rows = [(row["attempt_status"], row["attempts"], row["cost"]) for row in read_csv(groups)]
    assert rows == [("sms failed", "1", "0"), ("voice answer", "1", "0.011")]


def test_what_is_kept_is_exported_without_a_request(
    options: ExportOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = sqlite_url(tmp_path / "verify.sqlite3")
    api = emulator_with(make_record(1), make_record(2, minutes=4000))
    recent = replace(options, since="24h")
    assert run_export(recent, api, database_url=url) == 0
    asked = len(api.received)
    kept = replace(options, within=0.0, force=True)
    assert run_export(kept, api, database_url=url) == ExitCode.INCOMPLETE
    assert len(api.received) == asked
    assert [row["session"] for row in read_csv(options)] == [uuid(1)]
    assert capsys.readouterr().err.endswith(
        "export.csv: 1 rows of 2026-11-14 09:30:00 to 2026-11-21 09:30:00 UTC, not complete.\n"
        "  missing: 2026-11-14 09:30:00 to 2026-11-20 09:30:00 UTC\n"
        "  Of the missing spans the file has only what is kept here.\n"
    )


def test_an_api_that_is_away_leaves_what_is_kept_and_says_why(
    options: ExportOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    away = CannedApi({"error": "away"}, status=503)
    assert run_export(options, away) == ExitCode.INCOMPLETE
    assert read_csv(options) == []
    assert "  The Verify API is unavailable (503)." in capsys.readouterr().err


def test_fetching_ends_when_its_time_is_over(options: ExportOptions) -> None:
    clock = FakeClock()
    begun = clock.ticks
    many = emulator_with(*(make_record(n, minutes=60 + n) for n in range(900)), clock=clock)
    brief = replace(options, within=90.0)
    assert run_export(brief, many, clock) == ExitCode.INCOMPLETE
    assert clock.ticks - begun <= 100
    assert 400 <= len(read_csv(options)) < 900


def test_a_file_is_private_and_never_written_over(
    options: ExportOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    api = emulator_with(make_record(1))
    run_export(options, api)
    assert options.path is not None
    assert options.path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in options.path.parent.iterdir()] == ["export.csv"]
    asked = len(api.received)
    assert run_export(options, api) == ExitCode.CANNOT_WRITE
    assert "--force" in capsys.readouterr().err
    assert len(api.received) == asked


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"since": "last week"}, "--since "),
        ({"content": "groups", "by": "planet"}, "--by "),
        ({"filters": (("status", "lost"),)}, "status "),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    options: ExportOptions, changes: dict[str, Any], start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api = emulator_with(make_record(1))
    assert run_export(replace(options, **changes), api) == ExitCode.CONFIGURE
    assert capsys.readouterr().err.startswith(start)
    assert api.received == []


def test_parquet_without_its_package_says_what_to_install(
    options: ExportOptions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    parquet = replace(options, format="parquet")
    assert run_export(parquet, emulator_with()) == ExitCode.CONFIGURE
    assert "pip install pyarrow" in capsys.readouterr().err


def test_the_command_streams_to_standard_output(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["export", "--sandbox", "--since", "3h", "-o", "-"])
    output = capsysbinary.readouterr()
    assert ended.value.code == ExitCode.DONE
    rows = list(csv.DictReader(io.StringIO(output.out.decode())))
    assert len(rows) > 10
    assert f"Standard output: {len(rows)} rows of ".encode() in output.err
