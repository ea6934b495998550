"""A backfill killed before any statement, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow(20)
def test_r34_a_walk_killed_before_any_statement_loses_nothing_and_claims_nothing_false(
    tmp_path: Path,
) -> None:
    killed = subprocess.run(
        [sys.executable, "-m", "tests.support.kill_backfill", str(tmp_path), "100"],
        check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert (killed.returncode, killed.stderr) == (0, "")
    assert killed.stdout.startswith("100 walks killed")
