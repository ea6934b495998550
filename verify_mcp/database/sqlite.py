"""The SQLite engine: one private file that the processes of one machine share.

The file is a cache and the short-lived state of the rate limit, so a damaged file is renamed and an
empty one replaces it.
"""

import queue
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import anyio
import anyio.lowlevel

from verify_mcp.database.base import BUSY_SECONDS, Connection, Database, Result, Row, Values
from verify_mcp.database.sqlite_file import ensure_private_file
from verify_mcp.errors import DatabaseUnavailable

CHECKPOINT_EVERY = 200
"""Write transactions between two checkpoints of this process."""
SHORT_TRIES, SHORT_PAUSE = 20, 0.001
"""How often a short transaction is tried in the event loop's thread, and the seconds between the
later tries: most locks are of another short one. SQLite's wait in a worker thread is coarser.
"""


class SqliteConnection(Connection):
    """A transaction on one SQLite connection."""

    def __init__(self, raw: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._raw = raw
        self._clock = clock

    def fetch_all(self, sql: str, values: Values | None = None) -> list[Row]:
        return self._raw.execute(sql, values or {}).fetchall()

    def execute(self, sql: str, values: Values | None = None) -> int:
        return self._raw.execute(sql, values or {}).rowcount

    def execute_many(self, sql: str, values: Iterable[Values]) -> int:
        return max(self._raw.executemany(sql, values).rowcount, 0)

    def lock(self, name: str) -> None:
        """Nothing to do: a writing transaction (BEGIN IMMEDIATE) is alone in the whole file."""

    def read_clock(self) -> float:
        return self._clock()


class SqliteDatabase(Database):
    """One file, or with `path` None a database in this process's memory.

    `clock` must be the same for every process that shares the file: time.monotonic is system-wide
    on one machine, and changes of the wall clock do not affect it.
    """

    blob_type = "BLOB"
    table_options = "WITHOUT ROWID"
    writers = (
        1  # SQLite has one writer at a time; threads queue in order, SQLite's own waiters do not
    )

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._closed = False
        self.path = path
        self.location = "memory" if path is None else str(path)
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._impatient = self._idle if path is None else queue.LifoQueue()
        """The connection of the event loop's thread, which does not wait for a lock."""
        self._writes = 0
        if path is None:
            # A second connection would open a second database.
            self._idle.put(self._connect(BUSY_SECONDS))
        else:
            self.identity = ensure_private_file(path)

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Connection]:
        with self._transaction(self._idle, write=write, wait=BUSY_SECONDS) as (raw, connection):
            yield connection
            raw.execute("COMMIT")
            if self._writes >= CHECKPOINT_EVERY:
                self._checkpoint(raw)

    async def write_short(self, work: Callable[[Connection], Result]) -> Result:
        # A checkpoint takes longer than a transaction, so a thread does it.
        if self._writes < CHECKPOINT_EVERY:
            await anyio.lowlevel.checkpoint_if_cancelled()
            for tries in range(SHORT_TRIES):
                with suppress(_Locked):
                    return self._run_at_once(work, write=True)
                await anyio.sleep(0 if tries < SHORT_TRIES // 2 else SHORT_PAUSE)
        return await self.write(work)

    async def read_batched(self, work: Callable[[Connection], Result]) -> Result:
        await anyio.lowlevel.checkpoint_if_cancelled()
        with suppress(_Locked):
            return self._run_at_once(work, write=False)
        return await super().read_batched(work)

    def _run_at_once(self, work: Callable[[Connection], Result], *, write: bool) -> Result:
        """Run `work` in the event loop's thread. Raises _Locked rather than wait for a lock.

        A few rows take some microseconds, a worker thread a hundred and more.
        """
        with self._transaction(self._impatient, write=write, wait=0) as (raw, connection):
            result = work(connection)
            raw.execute("COMMIT")
            return result

    @contextmanager
    def _transaction(
        self, idle: queue.LifoQueue[sqlite3.Connection], *, write: bool, wait: float
    ) -> Iterator[tuple[sqlite3.Connection, Connection]]:
        with _translate_errors(self.location, can_wait=wait > 0):
            self._check_location()
            raw = self._connection(idle, wait)
            try:
                raw.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                try:
                    self._writes += write
                    yield raw, SqliteConnection(raw, self._clock)
                finally:
                    if raw.in_transaction:
                        raw.execute("ROLLBACK")
            finally:
                idle.put(raw)
                if self._closed:
                    self.close()

    def size(self) -> int:
        if self.path is None:
            return 0
        paths = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(path.stat().st_size for path in paths if path.exists())

    def close(self) -> None:
        # The thread that uses a connection closes it at the end of its transaction.
        self._closed = True
        for idle in (self._idle, self._impatient):
            with suppress(queue.Empty):
                while True:
                    idle.get_nowait().close()

    def _connection(
        self, idle: queue.LifoQueue[sqlite3.Connection], wait: float
    ) -> sqlite3.Connection:
        try:
            return idle.get(block=self.path is None and wait > 0, timeout=wait)
        except queue.Empty:
            if self.path is None:
                raise _Locked from None
            return self._connect(wait)

    def _connect(self, wait: float) -> sqlite3.Connection:
        raw = sqlite3.connect(
            self.path or ":memory:",
            timeout=wait,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            # Checkpoints run under a lock: in SQLite before 3.51.3 two at once can lose a WAL.
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "wal_autocheckpoint=0"):
                raw.execute(f"PRAGMA {pragma}").fetchall()
        except BaseException:
            raw.close()
            raise
        return raw

    def _check_location(self) -> None:
        """Raise DatabaseUnavailable when the path no longer names the file that is open."""
        if self.path is None:
            return
        try:
            status = self.path.stat()
        except OSError:
            status = None
        if status is None or (status.st_dev, status.st_ino) != self.identity:
            raise DatabaseUnavailable(f"The database {self.path} was removed.", gone=True)

    def _checkpoint(self, raw: sqlite3.Connection) -> None:
        self._writes = 0
        if self.path is None:
            return
        from filelock import FileLock, Timeout  # deferred: not needed to start

        # Without the lock (a link in its place, for example) the log only grows.
        with (
            suppress(Timeout, sqlite3.Error, OSError),
            FileLock(f"{self.path}.lock", timeout=0, mode=0o600),
        ):
            raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


class _Locked(Exception):
    """Another transaction is under way."""


@contextmanager
def _translate_errors(location: str, *, can_wait: bool) -> Iterator[None]:
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        is_undecodable = isinstance(error, sqlite3.OperationalError | UnicodeDecodeError)
        name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT" if is_undecodable else "")
        if not can_wait and name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise _Locked from error
        if not name or isinstance(error, sqlite3.IntegrityError):
            raise  # a programming error, not a state of the file
        raise DatabaseUnavailable(
            f"The database in {location} cannot be used: {_describe_error(name)}.",
            damaged=name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")),
            reason="unfinished" if name == "SQLITE_ERROR" else "damaged",
        ) from error


def _describe_error(name: str) -> str:
    reasons = {
        "SQLITE_BUSY": "it is locked by another program",
        "SQLITE_READONLY": "it cannot be written",
        "SQLITE_FULL": "the disk is full",
        "SQLITE_CANTOPEN": "it cannot be opened",
        "SQLITE_IOERR": "the disk failed",
        "SQLITE_CORRUPT": "it is damaged",
        "SQLITE_NOTADB": "it is damaged",
        "SQLITE_ERROR": "its tables are not those of this version",
    }
    return next((text for code, text in reasons.items() if name.startswith(code)), "SQL failed")
