"""An unavailable database is reported once; answers go on at a quarter of the rate."""

from __future__ import annotations

import logging
import os
import resource
import secrets
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
from mcp import Client

from tests.support.client import SANDBOX, FakeClock, emulator_with, list_sessions, make_record
from tests.support.databases import (
    Place,
    Postgres,
    at_once,
    postgres_place,
    sqlite_place,
    sqlite_url,
    steered,
)
from verify_mcp.context import AppContext, open_context
from verify_mcp.database.migrations import MIGRATIONS, TABLES
from verify_mcp.database.resilient import open_database
from verify_mcp.plivo.rate_limit_store import RateLimitStatus
from verify_mcp.server.server import build_server

pytestmark = pytest.mark.anyio

NOBODY = 65534
WHOLE, QUARTER = 20, 5


@dataclass
class Running:
    """A server with its client, and what it has written to its log."""

    client: Client
    context: AppContext
    clock: FakeClock
    log: pytest.LogCaptureFixture

    async def ask(self, times: int = 1) -> int:
        """How many of so many calls, all at once in time, were let through to the API."""
        answers = [await list_sessions(self.client, limit=1, offset=n) for n in range(times)]
        await self.context.gateway.list_limiter._releases.wait_finished()  # noqa: SLF001 - they come after the answer
        return sum(answer["complete"] for answer in answers)

    async def read_status(self) -> RateLimitStatus:
        return await self.context.gateway.list_limiter.status()

    @property
    def problem(self) -> str:
        return self.context.database.problem

    @property
    def problem_of(self) -> list[str]:
        ours = (each for each in self.log.records if each.name.startswith("verify_mcp"))
        return [each.getMessage() for each in ours if each.levelno >= logging.WARNING]


@asynccontextmanager
async def run_until(
    url: str, log: pytest.LogCaptureFixture, clock: FakeClock | None = None
) -> AsyncIterator[Running]:
    clock = clock or FakeClock()
    settings = replace(SANDBOX, database_url=url, mirror=False, max_wait=0.0)
    opened: list[AppContext] = []
    api = emulator_with(*(make_record(n) for n in range(30)), clock=clock)

    @asynccontextmanager
    async def open_late() -> AsyncIterator[AppContext]:
        async with open_context(settings, clock=clock.clock(), app=api) as one:
            opened.append(one)
            yield one

    async with Client(build_server(open_late)) as client:
        yield Running(client, opened[0], clock, log)


async def goes_on_without(server: Running, reason: str) -> None:
    """It says so once, keeps to a quarter of the rate, and tries again every ten seconds."""
    assert await server.ask(8) == QUARTER
    assert reason in server.problem
    assert server.problem_of == [f"{server.problem} Going on without it."]
    server.clock.pass_by(60)
    assert await server.ask(8) == QUARTER
    assert len(server.problem_of) == 1
    server.clock.pass_by(60)


async def works(server: Running) -> None:
    assert await server.ask(WHOLE + 3) == WHOLE
    assert server.problem == ""
    server.clock.pass_by(60)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No database waits long for another program's lock."""
    for engine in ("sqlite", "postgres"):
        monkeypatch.setattr(f"verify_mcp.database.{engine}.BUSY_SECONDS", 0.2)


@pytest.mark.usefixtures("impatient")
async def test_r31_a_locked_ledger_is_said_once_and_used_again_when_it_is_free(
    place: Place, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_until(place.url, caplog, clock) as server:
        await works(server)
        with place.locked():
            await goes_on_without(server, "locked by another program")
        await works(server)


@pytest.mark.usefixtures("impatient")
async def test_r31_with_the_ledger_out_of_reach_requests_of_the_last_minute_still_count(
    place: Place, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_until(place.url, caplog, clock) as server:
        assert await server.ask(WHOLE) == WHOLE
        server.clock.pass_by(59)
        with place.locked():
            assert await server.ask() == 0
            server.clock.pass_by(1)
            assert await server.ask(8) == QUARTER
        server.clock.pass_by(10)
        assert await server.ask(WHOLE) == WHOLE - QUARTER


async def test_r31_a_full_disk_is_said_once_and_the_ledger_used_again_when_there_is_room(
    file: Place, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_until(file.url, caplog) as server:
        await works(server)
        with no_room():
            await goes_on_without(server, "cannot be used: the disk")
        await works(server)


@contextmanager
def no_room() -> Iterator[None]:
    """No file of this process can grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_r31_a_server_without_room_is_said_once(
    place: Place, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_until(place.url, caplog, clock) as server:
        await works(server)
        if place.server is None:
            with no_room():
                await goes_on_without(server, "disk")
        else:
            refuse = "BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END"
            place.run(f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ {refuse} $$")
            place.run("CREATE TRIGGER t BEFORE INSERT ON verify_slots EXECUTE FUNCTION f()")
            await goes_on_without(server, "it is full")
            place.run("DROP TRIGGER t ON verify_slots")
        await works(server)


async def test_r31_a_database_deleted_under_us_is_said_once_and_begun_anew(
    place: Place, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_until(place.url, caplog, clock) as server:
        assert await server.ask(WHOLE) == WHOLE
        if place.server is None:
            shutil.rmtree(place.path.parent)
        else:
            for table in ("verify_schema", *TABLES):
                place.run(f"DROP TABLE {table}")
        assert await server.ask(3) == 0
        assert len(server.problem_of) == 1
        server.clock.pass_by(10)
        assert await server.ask() == 0, "its own requests of the last minute are remembered"
        server.clock.pass_by(50)
        await works(server)
        assert len(server.problem_of) == 1


async def test_r31_a_damaged_ledger_is_set_aside_and_begun_anew(
    file: Place, caplog: pytest.LogCaptureFixture
) -> None:
    damage(file, "verify_slots")
    async with run_until(file.url, caplog) as server:
        assert await server.ask(8) == QUARTER
        assert server.problem_of == [f"{server.problem} Going on without it."]
        assert "it is damaged" in server.problem
        server.clock.pass_by(60)
        await works(server)
        (aside,) = asides(file, "damaged")
        assert server.problem_of[1:] == [
            f"The database was set aside as {aside} (damaged) and begun anew."
        ]


async def test_r31_a_file_that_another_process_set_aside_is_left_for_the_fresh_one(
    file: Place, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    both = run_until(file.url, caplog, clock), run_until(file.url, caplog, clock)
    async with both[0] as server, both[1] as other:
        await works(server)
        file.path.rename(file.path.with_suffix(".aside"))
        assert await other.ask(WHOLE) == WHOLE
        assert await server.ask() == 1
        assert await server.read_status() == RateLimitStatus(0, 60.0, processes=2)
        assert server.problem_of == [f"The database {file.path} was removed. Going on without it."]


def damage(place: Place, table: str) -> None:
    """An otherwise sound database whose one table is random bytes."""
    open_database(place.url, pytest.fail).close()
    pages = dict(place.run("SELECT name, rootpage FROM sqlite_master"))
    (size,) = place.run("PRAGMA page_size")[0]
    with place.path.open("r+b") as content:
        content.seek((pages[table] - 1) * size)
        content.write(secrets.token_bytes(size))


def asides(place: Place, reason: str) -> list[Path]:
    found = place.path.parent.glob(f"{place.path.name}.{reason}-*")
    return [each for each in found if not each.name.endswith(("-wal", "-shm"))]


@pytest.mark.slow(6)
async def test_r31_a_postgresql_server_that_stops_is_said_once_and_used_again(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    place = postgres_place(postgres)
    clock = steered(place)
    async with run_until(place.url, caplog, clock) as server:
        await works(server)
        postgres.control("-m", "immediate", "stop")
        try:
            assert await server.ask(8) == QUARTER
            assert server.problem_of == [f"{server.problem} Going on without it."]
            assert "postgres@" not in "".join(each.getMessage() for each in caplog.records)
        finally:
            postgres.control("start")
        server.clock.pass_by(60)
        await works(server)


@pytest.fixture
def unprivileged(file: Place) -> Iterator[Place]:
    """A database in a folder whose permissions count, even if these tests run as root."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if os.getuid() != 0:
            yield sqlite_place(Path(folder))
            return
        os.chown(folder, NOBODY, NOBODY)
        open_database(file.url, pytest.fail).close()  # what is imported late is readable now
        os.setresuid(NOBODY, NOBODY, 0)
        try:
            yield sqlite_place(Path(folder))
        finally:
            os.setresuid(0, 0, 0)


async def test_r31_a_read_only_file_is_said_once(
    unprivileged: Place, caplog: pytest.LogCaptureFixture
) -> None:
    open_database(unprivileged.url, pytest.fail).close()
    unprivileged.path.chmod(0o400)
    async with run_until(unprivileged.url, caplog) as server:
        await goes_on_without(server, "Permission denied")
        unprivileged.path.chmod(0o600)
        await works(server)


async def test_r35_a_read_only_folder_is_said_once(
    unprivileged: Place, caplog: pytest.LogCaptureFixture
) -> None:
    unprivileged.path.parent.mkdir(mode=0o500)
    async with run_until(unprivileged.url, caplog) as server:
        await goes_on_without(server, "Permission denied")
        unprivileged.path.parent.chmod(0o700)
        await works(server)


async def test_r35_without_a_home_folder_the_calls_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async with run_until("sqlite:///proc/no-home/data/verify.sqlite3", caplog) as server:
        await goes_on_without(server, "cannot be used (No such file or directory)")


async def test_r36_a_file_of_random_bytes_is_set_aside_and_begun_anew(
    file: Place, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.parent.mkdir(mode=0o700)
    file.path.write_bytes(noise := secrets.token_bytes(50_000))
    async with run_until(file.url, caplog) as server:
        await works(server)
        (aside,) = asides(file, "damaged")
        assert aside.read_bytes() == noise
        assert server.problem_of == [
            f"The database was set aside as {aside} (damaged) and begun anew."
        ]


async def test_r79_a_link_in_place_of_the_lock_is_said_once_and_the_calls_go_on(
    file: Place, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.parent.mkdir(mode=0o700)
    file.path.write_bytes(secrets.token_bytes(50_000))
    other = file.path.with_name("other")
    other.write_text("theirs")
    file.path.with_name(file.path.name + ".lock").symlink_to(other)
    async with run_until(file.url, caplog) as server:
        await goes_on_without(server, "cannot be used")
        assert other.read_text() == "theirs"


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("seed", range(5))
async def test_r36_damage_anywhere_never_becomes_an_error_of_a_call(
    file: Place, caplog: pytest.LogCaptureFixture, share: float, seed: int
) -> None:
    async with run_until(file.url, caplog) as server:
        await works(server)
    random = Random(seed)  # noqa: S311 - repeatable damage
    content = bytearray(file.path.read_bytes())
    for place in range(100, len(content)):
        if random.random() < share:
            content[place] = random.randrange(256)
    file.path.write_bytes(content)
    async with run_until(file.url, caplog) as server:
        for _ in range(3):
            assert await server.ask(QUARTER) == QUARTER
            server.clock.pass_by(160)


async def test_r36_a_newer_database_is_left_alone_and_another_one_begun(
    place: Place, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    open_database(place.url, pytest.fail).close()
    place.run("INSERT INTO verify_schema (step) SELECT max(step) + 1 FROM verify_schema")
    async with run_until(place.url, caplog, clock) as server:
        if place.server is None:
            await works(server)
            (aside,) = asides(place, "newer")
            assert server.problem_of == [
                f"The database was set aside as {aside} (newer) and begun anew."
            ]
        else:
            await goes_on_without(server, "made by a newer verify-mcp. Upgrade this one")


async def test_r36_a_half_migrated_database_is_not_used(
    place: Place, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    open_database(place.url, pytest.fail).close()
    place.run("DROP TABLE verify_tickets")
    async with run_until(place.url, caplog, clock) as server:
        if place.server is None:
            await works(server)
            assert len(asides(place, "unfinished")) == len(server.problem_of) == 1
        else:
            await goes_on_without(server, "its tables are not those of this version")


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000])
def test_r37_many_processes_may_set_a_damaged_file_aside_at_once(
    file: Place, content: bytes
) -> None:
    file.path.parent.mkdir(mode=0o700)
    file.path.write_bytes(content)
    problem_in: list[str] = []
    failed = at_once(8, lambda: open_database(file.url, problem_in.append).close())
    assert failed == []
    assert len(asides(file, "damaged")) == len(problem_in) == bool(content)
    assert file.run("SELECT count(*) FROM verify_schema") == [(len(MIGRATIONS),)]


def test_r37_a_file_set_aside_while_its_rights_are_looked_at_is_made_anew(
    file: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, aside = os.access, file.path.with_name("aside")

    def just_then(path: Path, mode: int) -> bool:
        if not aside.exists():
            file.path.rename(aside)
        return looked(path, mode)

    monkeypatch.setattr(os, "access", just_then)
    open_database(file.url, pytest.fail).close()
    assert aside.exists()
    assert file.path.exists()


@pytest.mark.parametrize("linked", ["file", "folder"])
async def test_r38_a_link_in_place_of_the_file_or_its_folder_is_refused(
    file: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture, linked: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    if linked == "file":
        file.path.parent.mkdir(mode=0o700)
        elsewhere.write_bytes(b"precious")
        file.path.symlink_to(elsewhere)
    else:
        elsewhere.mkdir()
        file.path.parent.symlink_to(elsewhere)
    async with run_until(file.url, caplog) as server:
        await goes_on_without(server, "is a link, of another kind or belongs to somebody else")
    assert elsewhere.read_bytes() == b"precious" if linked == "file" else not [*elsewhere.iterdir()]


async def test_r38_another_users_folder_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path("/usr/share")  # root's
    if os.getuid() == 0:
        folder = tmp_path / "theirs"
        folder.mkdir()
        os.chown(folder, NOBODY, NOBODY)
    async with run_until(sqlite_url(folder / "verify.sqlite3"), caplog) as server:
        await goes_on_without(server, "is a link, of another kind or belongs to somebody else")


async def test_r38_only_this_user_may_read_the_files_whatever_the_umask(
    file: Place, caplog: pytest.LogCaptureFixture
) -> None:
    before = os.umask(0)
    try:
        async with run_until(file.url, caplog) as server:
            await works(server)
            found = {each.name: mode(each) for each in file.path.parent.iterdir()}
    finally:
        os.umask(before)
    assert mode(file.path.parent) == 0o700
    assert set(found.values()) == {0o600}


async def test_r38_a_file_that_others_may_read_becomes_private(
    file: Place, caplog: pytest.LogCaptureFixture
) -> None:
    open_database(file.url, pytest.fail).close()
    file.path.chmod(0o666)
    async with run_until(file.url, caplog) as server:
        await works(server)
    assert mode(file.path) == 0o600


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
