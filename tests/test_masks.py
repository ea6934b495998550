"""The key behind pseudonyms: made once, and never in the way of a start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.conftest import SANDBOX
from tests.databases import sqlite_url
from verify_mcp.masks import KEY_BYTES, open_key


def test_what_a_process_that_was_killed_left_keeps_none_from_starting(tmp_path: Path) -> None:
    settings = replace(SANDBOX, masked=True, database_url=sqlite_url(tmp_path / "data" / "db"))
    key = open_key(settings)
    for number in range(1, 40_000):
        (tmp_path / "data" / f"recipients.key.{number}").touch()
    (tmp_path / "data" / "recipients.key").unlink()
    another = open_key(settings)
    assert len(key) == len(another) == KEY_BYTES
    assert key != another


def test_a_key_that_is_there_needs_no_right_to_write(tmp_path: Path) -> None:
    settings = replace(SANDBOX, masked=True, database_url=sqlite_url(tmp_path / "data" / "db"))
    key = open_key(settings)
    before = sorted(each.name for each in (tmp_path / "data").iterdir())
    changed = (tmp_path / "data").stat().st_mtime_ns
    assert open_key(settings) == key
    assert sorted(each.name for each in (tmp_path / "data").iterdir()) == before
    assert (tmp_path / "data").stat().st_mtime_ns == changed
