"""Real databases for the tests: SQLite files, and a PostgreSQL server of their own on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.support.client import NOW, FakeClock

Engine = Literal["sqlite", "postgresql"]

ABSENT = (
    "PostgreSQL is not installed, so the database tests ran on SQLite alone "
    "(Debian: apt-get install postgresql)."
)
SERVER = "/usr/lib/postgresql"


def postgres_programs() -> Path | None:
    """The folder of initdb and postgres, the newest of those installed."""
    found = sorted(Path(SERVER).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


def postgres_required() -> bool:
    """Whether these tests must not go without PostgreSQL."""
    wishes = (os.environ.get(name, "") for name in ("CI", "VERIFY_MCP_REQUIRE_POSTGRES"))
    return any(wish.lower() not in ("", "0", "false") for wish in wishes)


def engines() -> list[Engine]:
    """The engines to test on here."""
    with_postgres = postgres_programs() is not None or postgres_required()
    return ["sqlite", "postgresql"] if with_postgres else ["sqlite"]


@dataclass(frozen=True)
class Postgres:
    """A running server; `url` names its maintenance database."""

    programs: Path
    data: Path
    port: int

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def control(self, *words: str) -> None:
        """Start or stop it with pg_ctl."""
        log = self.data.parent / "log"
        arguments = ["-D", str(self.data), "-l", str(log), "-w", "-s", *words]
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        calm = "-c fsync=off -c full_page_writes=off -c max_connections=200"
        _as_postgres(str(self.programs / "pg_ctl"), *arguments, "-o", f"{options} {calm}")

    def run(self, sql: str, name: str = "postgres") -> list[Any]:
        """Run one statement on its own."""
        import psycopg

        with psycopg.connect(self.url(name), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []


def _as_postgres(*command: str) -> None:
    # initdb and postgres refuse to run as root.
    who = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
    subprocess.run([*(who if os.getuid() == 0 else []), *command], check=True, cwd="/",
                   stdout=subprocess.DEVNULL)  # fmt: skip


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server for as long as the block, its data in a folder that goes with it."""
    programs = postgres_programs()
    if programs is None:
        raise RuntimeError(ABSENT)
    with tempfile.TemporaryDirectory(prefix="verify-pg-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        if os.getuid() == 0:
            for path in (Path(folder), data):
                shutil.chown(path, "postgres", "postgres")
        options = ["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8"]
        _as_postgres(str(programs / "initdb"), "-D", str(data), *options)
        server = Postgres(programs, data, free_port())
        server.control("start")
        try:
            yield server
        finally:
            server.control("-m", "immediate", "stop")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The session's PostgreSQL server."""
    with postgres_server() as server:
        yield server


@dataclass(frozen=True)
class Place:
    """An empty database of one engine."""

    engine: Engine
    url: str
    path: Path
    """The file, on SQLite."""
    server: Postgres | None = None

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The ledger held by another program, which has emptied it by the time it lets go."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE" if self.server is None else "BEGIN")
            if self.server is not None:
                connection.execute("LOCK TABLE verify_slots")
            connection.execute("DELETE FROM verify_slots")
            yield
            connection.execute("COMMIT")

    def run(self, sql: str) -> list[Any]:
        """Run one statement from outside, as another program would."""
        with self._connection() as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        connection = self._connected()
        try:
            yield connection
        finally:
            connection.close()

    def _connected(self) -> Any:
        if self.server is not None:
            import psycopg

            return psycopg.connect(self.url, autocommit=True)
        import sqlite3

        return sqlite3.connect(self.path, isolation_level=None)


def sqlite_url(path: Path) -> str:
    return f"sqlite://{quote(str(path))}"


def sqlite_place(folder: Path) -> Place:
    path = folder / "data" / "verify.sqlite3"
    return Place("sqlite", sqlite_url(path), path)


def postgres_place(server: Postgres) -> Place:
    name = f"verify_{uuid4().hex[:12]}"
    server.run(f"CREATE DATABASE {name} STRATEGY file_copy")
    return Place("postgresql", server.url(name), Path(), server)


@pytest.fixture(params=engines())
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database, on each engine in turn."""
    if request.param == "sqlite":
        return sqlite_place(tmp_path)
    return postgres_place(request.getfixturevalue("postgres"))


class SharedClock(FakeClock):
    """A clock that a PostgreSQL server reads too: it is in a file."""

    def __init__(self, file: Path | None = None, now: datetime = NOW) -> None:
        super().__init__(now)
        self.file = file
        self.set(self.ticks)

    def set(self, ticks: float) -> None:
        if self.file is not None:  # first: a thread that reads both must not see it go back
            new = self.file.with_suffix(".new")
            new.write_text(repr(ticks))
            new.rename(self.file)
        self.ticks = ticks

    def pass_by(self, seconds: float) -> None:
        self.set(self.ticks + seconds)
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(place: Place) -> SharedClock:
    """Time, for the processes and for the database's server."""
    return steered(place)


def steered(place: Place) -> SharedClock:
    """A clock that the database tells the time by."""
    if place.server is None:
        return SharedClock()
    file = place.server.data.parent / f"{place.name}.clock"
    clock = SharedClock(file)
    # Listed first, `public` hides what the server itself calls by that name.
    place.run(f"ALTER DATABASE {place.name} SET search_path = public, pg_catalog")
    place.run(
        "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE "
        f"AS $$ SELECT to_timestamp(pg_catalog.pg_read_file('{file}')::float8) $$"
    )
    return clock


@pytest.fixture
def file(tmp_path: Path) -> Place:
    """An empty SQLite database."""
    return sqlite_place(tmp_path)


def at_once(many: int, work: Callable[[], object]) -> list[BaseException]:
    """What goes wrong when so many threads do it at the same moment."""
    together = threading.Barrier(many)
    failed: list[BaseException] = []

    def begin() -> None:
        together.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - compared by the test
            failed.append(error)

    threads = [threading.Thread(target=begin) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say it when the tests went without PostgreSQL."""
    if "postgresql" not in engines():
        terminalreporter.write_line(ABSENT)
