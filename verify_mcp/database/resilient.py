"""A database that may be unavailable: opened at first use, left unused after a failure."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread

from verify_mcp.database import sqlite, sqlite_file
from verify_mcp.database.base import Connection, Database, FileIdentity
from verify_mcp.database.migrations import migrate
from verify_mcp.deferred import DeferredWork
from verify_mcp.errors import DatabaseUnavailable

Result = TypeVar("Result")

RETRY_SECONDS = 10.0
"""Seconds for which a database is not used after a failure."""


class ResilientDatabase:
    """The database of this process. Callers go on without it while it is unavailable.

    `clock` is monotonic seconds. `on_problem` is called once for each new problem, with a sentence.
    """

    def __init__(
        self, url: str, *, clock: Callable[[], float], on_problem: Callable[[str], None]
    ) -> None:
        self.saves = DeferredWork()
        """Transactions that were put off. `read` and `read_batched` wait for them."""
        self._url = url
        self.clock = clock
        self._on_problem = on_problem
        self._database: Database | None = None
        self._opening = anyio.Lock()
        self._openings = 0
        self._retry_at = self._opened_at = clock()
        self._reported: set[str] = set()
        self._damaged_file: FileIdentity | None = None
        self.problem = ""
        """The present problem in a sentence, empty while there is none."""

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction that may write. Raises DatabaseUnavailable."""
        return await self._write_with(lambda database: database.write(work))

    async def write_short(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work`, which writes a few rows, in a transaction. Raises DatabaseUnavailable.

        `work` may be run a second time.
        """
        return await self._write_with(lambda database: database.write_short(work))

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction that only reads. Raises DatabaseUnavailable."""
        await self.saves.wait_finished()
        return await self._read_with(lambda database: database.read(work))

    async def read_batched(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work`, which reads a few rows, in a batch of reads. Raises DatabaseUnavailable."""
        await self.saves.wait_finished()
        return await self.read_short(work)

    async def read_short(self, work: Callable[[Connection], Result]) -> Result:
        """As `read_batched`, for rows that no transaction in `saves` writes."""
        return await self._read_with(lambda database: database.read_batched(work))

    async def open(self) -> int:
        """Open the database, unless it is open; how often it was opened.

        It may be another one each time. Raises DatabaseUnavailable.
        """
        await self._open()
        return self._openings

    def close(self) -> None:
        """Close the database; a later use opens it again."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    @property
    def location(self) -> str:
        """The file or the address, without user and password."""
        return self._database.location if self._database else location(self._url)

    async def size(self) -> int | None:
        """The bytes that the database takes, None while it is unavailable."""
        if self._database is None:
            return None
        try:
            return await anyio.to_thread.run_sync(self._database.size)
        except DatabaseUnavailable:
            return None

    async def check(self) -> None:
        """Read from the database. Raises DatabaseUnavailable."""
        await self.read(lambda connection: connection.fetch_all("SELECT 1"))

    async def _write_with(self, write: Callable[[Database], Awaitable[Result]]) -> Result:
        database = await self._open()
        try:
            result = await write(database)
        except DatabaseUnavailable as error:
            raise await self._mark_unavailable(error, database) from error
        if database is self._database:
            self._mark_available()
        return result

    async def _read_with(self, read: Callable[[Database], Awaitable[Result]]) -> Result:
        database = await self._open()
        try:
            return await read(database)
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
                self._openings += 1
            return self._database

    def _mark_available(self) -> None:
        self.problem = ""
        if self.clock() >= self._opened_at + RETRY_SECONDS:
            self._reported.clear()  # more than one write succeeded since it was opened

    async def _mark_unavailable(
        self, error: DatabaseUnavailable, database: Database | None
    ) -> DatabaseUnavailable:
        if database is not self._database:
            return error  # a late caller: the database that it used is closed already
        self._database = None
        self.problem = str(error)
        self._retry_at = self.clock() + (0 if error.gone else RETRY_SECONDS)
        if self.problem not in self._reported:
            self._reported.add(self.problem)
            self._on_problem(f"{error} Going on without it.")
        if database is not None:
            # An incomplete file fails again when it is opened, and is then set aside.
            is_damaged = error.damaged and error.reason == "damaged"
            self._damaged_file = database.identity if is_damaged else None
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(database.close)
        return error


def open_database(
    url: str,
    on_problem: Callable[[str], None],
    clock: Callable[[], float] = monotonic,
    damaged_file: FileIdentity | None = None,
) -> Database:
    """The database at `url` with every migration applied. Raises DatabaseUnavailable.

    A SQLite file that is damaged, that is the `damaged_file`, or that a newer version made is
    renamed, and an empty one replaces it.
    """
    if urlsplit(url).scheme.startswith("postgres"):
        from verify_mcp.database.postgres import PostgresDatabase  # needs the extra `postgres`

        return _migrate(PostgresDatabase(url))
    path = sqlite_path(url)

    def open_file() -> Database:
        database = sqlite.SqliteDatabase(path, clock=clock)
        if damaged_file is not None and database.identity == damaged_file:
            raise DatabaseUnavailable(f"The database {database.location} is damaged.", damaged=True)
        return _migrate(database)

    try:
        return open_file()
    except DatabaseUnavailable as error:
        if path is None or not (error.damaged or _may_be_replaced(error)):
            raise
    with sqlite_file.recovery_lock(path):
        try:
            return open_file()  # under the lock no other process renames it
        except DatabaseUnavailable as error:
            if not error.damaged:
                raise
            aside = sqlite_file.quarantine(path, error.reason)
            on_problem(f"The database was set aside as {aside} ({error.reason}) and begun anew.")
        return open_file()


def _may_be_replaced(error: DatabaseUnavailable) -> bool:
    """Whether another process may have renamed the SQLite file, or a file beside it, meanwhile."""
    name = str(getattr(error.__cause__, "sqlite_errorname", ""))
    return error.gone or name.startswith("SQLITE_IOERR")


def _migrate(database: Database) -> Database:
    try:
        with database.transaction(write=True) as connection:
            migrate(
                connection,
                blob_type=database.blob_type,
                table_options=database.table_options,
            )
    except BaseException:
        database.close()
        raise
    return database


def sqlite_path(url: str) -> Path | None:
    """The file that a `sqlite:///path` URL names; None for `sqlite://`, a database in memory."""
    path = unquote(url.removeprefix("sqlite://")).lstrip("/")
    if not path:
        return None
    is_complete = path[1:2] == ":" or path.startswith("~")  # a drive's, or the user's
    return Path(path if is_complete else f"/{path}").expanduser()


def location(url: str) -> str:
    """A database URL without user and password, for messages."""
    parts = urlsplit(url)
    if parts.scheme.startswith("postgres"):
        return f"{parts.scheme}://{parts.hostname or 'localhost'}{parts.path}"
    return str(sqlite_path(url) or "memory")
