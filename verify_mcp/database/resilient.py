"""The product's database: opened at first use, and left alone for a while when it fails."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread

from verify_mcp.database import sqlite
from verify_mcp.database.base import Connection, Database, FileIdentity
from verify_mcp.database.migrations import migrate
from verify_mcp.errors import DatabaseUnavailable

Result = TypeVar("Result")

RETRY_SECONDS = 10.0
"""How long a database that failed is left alone."""


class ResilientDatabase:
    """The database as this process finds it; callers go on without it when it is unavailable.

    `clock` is monotonic seconds; `say` is told once of each new problem, in a sentence.
    """

    def __init__(self, url: str, *, clock: Callable[[], float], say: Callable[[str], None]) -> None:
        self._url = url
        self.clock = clock
        self._on_problem = say
        self._database: Database | None = None
        self._opening = anyio.Lock()
        self._retry_at = self._opened_at = clock()
        self._reported: set[str] = set()
        self._damaged_file: FileIdentity | None = None
        self.problem = ""
        """What is wrong now, in a sentence; empty when nothing is."""

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` in a transaction that may write. Raises DatabaseUnavailable."""
        database = await self._open()
        try:
            result = await database.write(work)
        except DatabaseUnavailable as error:
            raise await self._mark_unavailable(error, database) from error
        if database is self._database:
            self._mark_available()
        return result

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` in a transaction that only reads. Raises DatabaseUnavailable."""
        return await self._read_with(lambda database: database.read(work))

    async def read_batched(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` that reads a few rows, together with others'. Raises DatabaseUnavailable."""
        return await self._read_with(lambda database: database.read_batched(work))

    def close(self) -> None:
        """Close it; a later use opens it again."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    @property
    def location(self) -> str:
        """Where it is, without secrets."""
        return self._database.location if self._database else location(self._url)

    async def size(self) -> int | None:
        """Bytes it takes, None while it is unavailable."""
        if self._database is None:
            return None
        try:
            return await anyio.to_thread.run_sync(self._database.size)
        except DatabaseUnavailable:
            return None

    async def check(self) -> None:
        """Read from it. Raises DatabaseUnavailable."""
        await self.read(lambda connection: connection.fetch_all("SELECT 1"))

    async def _read_with(self, look: Callable[[Database], Awaitable[Result]]) -> Result:
        database = await self._open()
        try:
            return await look(database)
        except DatabaseUnavailable as error:
            raise await self._mark_unavailable(error, database) from error

    async def _open(self) -> Database:
        if self._database is not None:
            return self._database
        async with self._opening:
            if self._database is None:
                if self.clock() < self._retry_at:
                    raise DatabaseUnavailable(self.problem)
                try:
                    self._database = await anyio.to_thread.run_sync(
                        open_database, self._url, self._on_problem, self.clock, self._damaged_file
                    )
                except DatabaseUnavailable as error:
                    raise await self._mark_unavailable(error, None) from error
                self._opened_at = self.clock()
            return self._database

    def _mark_available(self) -> None:
        self.problem = ""
        if self.clock() >= self._opened_at + RETRY_SECONDS:
            self._reported.clear()  # it lasts: not just one write that went well

    async def _mark_unavailable(
        self, error: DatabaseUnavailable, database: Database | None
    ) -> DatabaseUnavailable:
        if database is not self._database:
            return error  # a straggler: the database it used is closed already
        self._database = None
        self.problem = str(error)
        self._retry_at = self.clock() + (0 if error.gone else RETRY_SECONDS)
        if self.problem not in self._reported:
            self._reported.add(self.problem)
            self._on_problem(f"{error} Going on without it.")
        if database is not None:
            # What is merely unfinished shows again when it is opened, and is then set aside.
            is_spoiled = error.damaged and error.reason == "damaged"
            self._damaged_file = database.identity if is_spoiled else None
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(database.close)
        return error


def open_database(
    url: str,
    say: Callable[[str], None],
    clock: Callable[[], float] = monotonic,
    spoiled: FileIdentity | None = None,
) -> Database:
    """The database at `url`, its schema brought up to date. Raises DatabaseUnavailable.

    A SQLite file that is damaged (or known to be: `spoiled`), or was made by a newer version, is
    set aside and begun anew.
    """
    if urlsplit(url).scheme.startswith("postgres"):
        from verify_mcp.database.postgres import PostgresDatabase  # an extra

        return _migrate(PostgresDatabase(url))
    path = sqlite_path(url)

    def fresh() -> Database:
        database = sqlite.SqliteDatabase(path, clock=clock)
        if spoiled is not None and database.identity == spoiled:
            raise DatabaseUnavailable(f"The database {database.location} is damaged.", damaged=True)
        return _migrate(database)

    try:
        return fresh()
    except DatabaseUnavailable as error:
        if path is None or not error.damaged:
            raise
    with sqlite.recovery_lock(path):
        try:
            return fresh()  # another process may have set it aside meanwhile
        except DatabaseUnavailable as error:
            if not error.damaged:
                raise
            aside = sqlite.quarantine(path, error.reason)
            say(f"The database was set aside as {aside} ({error.reason}) and begun anew.")
        return fresh()


def _migrate(database: Database) -> Database:
    try:
        with database.transaction(write=True) as connection:
            migrate(connection, blob=database.blob_type, clustered=database.table_options)
    except BaseException:
        database.close()
        raise
    return database


def sqlite_path(url: str) -> Path | None:
    """The file a `sqlite:///path` URL names; None for `sqlite://`, a database in memory."""
    named = unquote(url.removeprefix("sqlite://")).lstrip("/")
    if not named:
        return None
    on_a_drive = named[1:2] == ":" or named.startswith("~")
    return Path(named if on_a_drive else f"/{named}").expanduser()


def location(url: str) -> str:
    """A database URL without user and password, for people."""
    parts = urlsplit(url)
    if parts.scheme.startswith("postgres"):
        return f"{parts.scheme}://{parts.hostname or 'localhost'}{parts.path}"
    return str(sqlite_path(url) or "memory")
