"""sync says that it holds a period only when it does."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.client import FakeClock, emulator_with, make_record
from tests.support.databases import sqlite_url
from tests.support.mirror import open_context_of
from verify_mcp.cli import main
from verify_mcp.cli.exit_codes import ExitCode
from verify_mcp.cli.mirror_commands import purge_command, status_command, sync_command
from verify_mcp.emulator import SANDBOX_AUTH_ID, Emulator, Fault
from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.settings import Credentials

UNSETTLED = (
    "  not settled yet: from 2026-11-21 08:30:00 UTC on, where sessions may still change. A "
    "session settles 60 minutes after its last attempt; a later sync or question reads these "
    "again.\n"
)


async def run_sync(emulator: Emulator, url: str, since: str = "24h") -> tuple[int, str]:
    async with open_context_of(emulator, FakeClock(), database_url=url) as context:
        with redirect_stderr(io.StringIO()) as err:
            code = await sync_command(since, None, "")(context)
    return code, err.getvalue()


def old() -> Emulator:
    return emulator_with(make_record(1, minutes=300), make_record(2, minutes=200), list_limit=None)


def spoil(place: Path) -> None:
    for each in place.parent.iterdir():
        each.unlink()
    place.mkdir()


@pytest.mark.anyio
async def test_a_period_fetched_whole_is_held(tmp_path: Path) -> None:
    code, said = await run_sync(old(), sqlite_url(tmp_path / "verify.sqlite3"))
    assert code == ExitCode.DONE
    assert said == (
        "Held: 2026-11-20 09:30:00 to 2026-11-21 09:30:00 UTC. Fetched 2 sessions.\n" + UNSETTLED
    )


@pytest.mark.anyio
async def test_what_could_not_be_read_is_not_held_and_another_run_may_help(tmp_path: Path) -> None:
    emulator = old()
    emulator.fail_next(Fault.ROW_WITHOUT_UUID)
    code, said = await run_sync(emulator, sqlite_url(tmp_path / "verify.sqlite3"))
    assert code == ExitCode.TRY_LATER
    assert said.startswith("Held in part: 2026-11-20 09:30:00 to 2026-11-21 09:30:00 UTC.")
    assert "  missing: 2026-11-20 09:30:00 to 2026-11-21 09:30:00 UTC" in said


@pytest.mark.anyio
async def test_r58_ninety_days_are_synced_to_the_second(tmp_path: Path) -> None:
    code, said = await run_sync(old(), sqlite_url(tmp_path / "verify.sqlite3"), since="90d")
    assert code == ExitCode.DONE
    assert said == (
        "Held: 2026-08-23 09:30:01 to 2026-11-21 09:30:00 UTC. Fetched 2 sessions.\n" + UNSETTLED
    )


@pytest.mark.anyio
async def test_nothing_is_said_to_be_held_that_the_database_did_not_take(tmp_path: Path) -> None:
    place = tmp_path / "verify.sqlite3"
    emulator = old()

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        spoil(place)  # as another program may, while the API is asked
        await emulator(scope, receive, send)

    async with open_context_of(serve, FakeClock(), database_url=sqlite_url(place)) as context:
        with pytest.raises(DatabaseUnavailable):
            await sync_command("24h", None, "")(context)


@pytest.mark.anyio
async def test_a_purge_reaches_every_account_in_the_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = sqlite_url(tmp_path / "verify.sqlite3")
    await run_sync(old(), url)
    another = Credentials("MAANOTHERACCOUNT0000", "another-token")
    async with open_context_of(
        old(), FakeClock(), database_url=url, credentials=another
    ) as context:
        assert await purge_command(None)(context) == ExitCode.DONE
    async with open_context_of(old(), FakeClock(), database_url=url) as context:
        assert context.mirror.store is not None
        assert await context.mirror.store.stats("") == (0, ())
    assert capsys.readouterr().err.startswith("Removed 2 sessions from ")


@pytest.mark.anyio
async def test_the_status_names_what_is_complete_and_what_may_still_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = sqlite_url(tmp_path / "verify.sqlite3")
    emulator = emulator_with(make_record(1, minutes=300), make_record(2, minutes=20))
    await run_sync(emulator, url)
    async with open_context_of(emulator, FakeClock(), database_url=url) as context:
        await status_command("")(context)
        text = capsys.readouterr().out
        await status_command("", as_json=True)(context)
        status = json.loads(capsys.readouterr().out)
    assert text.splitlines()[1:] == [
        "  complete: 2026-11-20 09:30:00 to 2026-11-21 08:30:00 UTC",
        "  1 of them may still change: a session settles 60 minutes after its last attempt.",
    ]
    assert (status["sessions"], status["unsettled"], status["settle_s"]) == (2, 1, 3600)
    assert status["complete"] == [
        {"start": "2026-11-20T09:30:00+00:00", "end": "2026-11-21T08:30:00+00:00"}
    ]


def run_main(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        main.main(line.split())
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


@pytest.fixture
def environ_without_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN", "PLIVO_AUTH_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    url = sqlite_url(tmp_path / "verify.sqlite3")
    monkeypatch.setenv("VERIFY_MCP_DATABASE_URL", url)
    return url


def test_the_status_needs_an_auth_id_and_no_token_and_a_purge_neither(
    environ_without_token: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    anyio.run(run_sync, old(), environ_without_token)
    code, out, err = run_main("sync --status", capsys)
    assert (code, out) == (ExitCode.CONFIGURE, "")
    assert err == (
        "verify-mcp: PLIVO_AUTH_ID not set. The mirror is kept by account, so the status needs its "
        "id; it needs no token.\n"
    )
    monkeypatch.setenv("PLIVO_AUTH_ID", SANDBOX_AUTH_ID)
    code, out, err = run_main("sync --status", capsys)
    assert (code, err) == (ExitCode.DONE, "")
    assert out.startswith("2 sessions in ")
    monkeypatch.delenv("PLIVO_AUTH_ID")
    code, _, err = run_main("purge --all", capsys)
    assert code == ExitCode.DONE
    assert err.startswith("Removed 2 sessions from ")


@pytest.mark.usefixtures("environ_without_token")
def test_a_sync_of_the_sandbox_needs_no_account_and_stores_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run_main("sync --sandbox --since 3h", capsys)
    assert code == ExitCode.DONE
    assert "Fetched " in err
    assert list(tmp_path.iterdir()) == []
