"""The product's database: opened at first use, and left alone for a while when it fails."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread

from verify_mcp import sqlite
from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.schema import migrate
from verify_mcp.sql import Connection, Database

Result = TypeVar("Result")

RETRY_SECONDS = 10.0
"""How long a database that failed is left alone."""


class Access:
    """The database as this process finds it; callers go on without it when it is unavailable.

    `clock` is monotonic seconds; `say` is told once of each new problem, in a sentence.
    """

    def __init__(self, url: str, *, clock: Callable[[], float], say: Callable[[str], None]) -> None:
        self._url = url
        self._clock = clock
        self._say = say
        self._database: Database | None = None
        self._opening = anyio.Lock()
        self._retry_at = clock()
        self.problem = ""
        """What is wrong now, in a sentence; empty when nothing is."""

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` in a transaction that may write. Raises DatabaseUnavailable."""
        database = await self._opened()
        try:
            return await database.write(work)
        except DatabaseUnavailable as error:
            raise self._given_up(error) from error

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` in a transaction that only reads. Raises DatabaseUnavailable."""
        database = await self._opened()
        try:
            return await database.read(work)
        except DatabaseUnavailable as error:
            raise self._given_up(error) from error

    def close(self) -> None:
        """Close it; a later use opens it again."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    @property
    def place(self) -> str:
        """Where it is, without secrets."""
        return self._database.place if self._database else place(self._url)

    def size(self) -> int | None:
        """Bytes it takes, None while it is unavailable."""
        try:
            return self._database.size() if self._database else None
        except DatabaseUnavailable:
            return None

    async def _opened(self) -> Database:
        async with self._opening:
            if self._database is None:
                if self._clock() < self._retry_at:
                    raise DatabaseUnavailable(self.problem)
                try:
                    self._database = await anyio.to_thread.run_sync(
                        open_database, self._url, self._say
                    )
                except DatabaseUnavailable as error:
                    raise self._given_up(error) from error
                self.problem = ""
            return self._database

    def _given_up(self, error: DatabaseUnavailable) -> DatabaseUnavailable:
        if str(error) != self.problem:
            self._say(str(error))
        self.problem = str(error)
        self._retry_at = self._clock() + (0 if error.gone else RETRY_SECONDS)
        self.close()
        return error


def open_database(url: str, say: Callable[[str], None]) -> Database:
    """The database at `url`, its schema brought up to date. Raises DatabaseUnavailable.

    A SQLite file that is damaged, or was made by a newer version, is set aside and begun anew.
    """
    if urlsplit(url).scheme.startswith("postgres"):
        from verify_mcp.postgres import Postgres  # an extra

        return _migrated(Postgres(url))
    path = sqlite_path(url)
    try:
        return _migrated(sqlite.Sqlite(path))
    except DatabaseUnavailable as error:
        if path is None or not error.damaged:
            raise
        return _begun_anew(path, say)


def _begun_anew(path: Path, say: Callable[[str], None]) -> Database:
    with sqlite.exclusive(path):
        try:  # another process may have done it meanwhile
            return _migrated(sqlite.Sqlite(path))
        except DatabaseUnavailable as error:
            if not error.damaged:
                raise
            aside = sqlite.set_aside(path, error.reason)
            say(f"The database could not be used ({error.reason}); it was set aside as {aside}.")
            return _migrated(sqlite.Sqlite(path))


def _migrated(database: Database) -> Database:
    try:
        with database.transaction(write=True) as connection:
            migrate(connection, database.blob)
    except BaseException:
        database.close()
        raise
    return database


def sqlite_path(url: str) -> Path | None:
    """The file a `sqlite:///path` URL names; None for `sqlite://`, a database in memory."""
    path = unquote(url.removeprefix("sqlite://"))
    return Path(path.removeprefix("/") if path[2:3] == ":" else path).expanduser() if path else None


def place(url: str) -> str:
    """A database URL without user and password, for people."""
    parts = urlsplit(url)
    if parts.scheme.startswith("postgres"):
        return f"{parts.scheme}://{parts.hostname or 'localhost'}{parts.path}"
    return str(sqlite_path(url) or "memory")
