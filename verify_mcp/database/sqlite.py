"""The SQLite engine: one private file that the processes of one machine share.

The file is a cache and the short-lived state of the rate limit, so a damaged file is renamed and an
empty one replaces it.
"""

import errno
import os
import queue
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from filelock import FileLock, Timeout

from verify_mcp import private_files
from verify_mcp.database.base import BUSY_SECONDS, Connection, Database, Row, Values
from verify_mcp.errors import DatabaseUnavailable

CHECKPOINT_EVERY = 200
"""Write transactions between two checkpoints of this process."""


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
        self._writes = 0
        if path is None:
            self._idle.put(self._connect())  # a second connection would open a second database
        else:
            self.identity = ensure_private_file(path)

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Connection]:
        with _translate_errors(self.location):
            self._check_location()
            raw = self._connection()
            try:
                raw.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                try:
                    yield SqliteConnection(raw, self._clock)
                    raw.execute("COMMIT")
                except BaseException:
                    if raw.in_transaction:
                        raw.execute("ROLLBACK")
                    raise
                self._writes += write
                if self._writes >= CHECKPOINT_EVERY:
                    self._checkpoint(raw)
            finally:
                self._idle.put(raw)
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
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _connection(self) -> sqlite3.Connection:
        try:
            return self._idle.get(block=self.path is None, timeout=BUSY_SECONDS)
        except queue.Empty:
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        raw = sqlite3.connect(
            self.path or ":memory:",
            timeout=BUSY_SECONDS,
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
        # Without the lock (a link in its place, for example) the log only grows.
        with (
            suppress(Timeout, sqlite3.Error, OSError),
            FileLock(f"{self.path}.lock", timeout=0, mode=0o600),
        ):
            raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def ensure_private_file(path: Path, tries: int = 10) -> tuple[int, int]:
    """Make sure that only this user can read the file. Returns its device and inode.

    Raises DatabaseUnavailable for a file or folder that is a link or belongs to another user.
    """
    try:
        if not path.parent.exists():
            private_files.make_directory(path.parent)
        _check_owner(os.lstat(path.parent), stat.S_ISDIR, str(path.parent))
        # An existing file is never opened here: closing it would release SQLite's locks on it.
        with suppress(FileExistsError):
            private_files.create_empty(path)
        status = os.lstat(path)
        _check_owner(status, stat.S_ISREG, str(path))
        private_mode = stat.S_IMODE(status.st_mode) & 0o700
        if os.name == "posix" and stat.S_IMODE(status.st_mode) != private_mode:
            path.chmod(private_mode)
        _check_access(path)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and tries:
            return ensure_private_file(path, tries - 1)  # another process renamed it meanwhile
        raise DatabaseUnavailable(
            f"The data file {path} cannot be used ({error.strerror}). Make its folder writable, or "
            "set VERIFY_MCP_DATABASE_URL."
        ) from error
    return status.st_dev, status.st_ino


def _check_access(path: Path) -> None:
    # A file that SQLite opens for reading only gets read-only files beside it.
    if not os.access(path, os.R_OK | os.W_OK):
        path.lstat()  # raises FileNotFoundError for a missing file
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def recovery_lock(path: Path) -> Iterator[None]:
    """Let no other process rename or replace this database for as long as the block.

    Raises DatabaseUnavailable when another process does so for longer than BUSY_SECONDS.
    """
    lock = FileLock(f"{path}.lock", timeout=BUSY_SECONDS, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise DatabaseUnavailable(f"The database {path} is being replaced.") from error
    except OSError as error:
        raise DatabaseUnavailable(
            f"The lock {lock.lock_file} cannot be used ({error.strerror}). Remove it if it is a "
            "link, and make its folder writable."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _check_owner(status: os.stat_result, kind: object, name: str) -> None:
    is_kind = kind(status.st_mode)  # type: ignore[operator]  # one of stat's S_IS functions
    is_foreign = os.name == "posix" and status.st_uid != os.getuid()
    has_links = stat.S_ISREG(status.st_mode) and status.st_nlink > 1
    if not is_kind or is_foreign or has_links:
        raise DatabaseUnavailable(
            f"{name} is a link, of another kind or belongs to somebody else, so it is not used. "
            "Remove it, or name another in VERIFY_MCP_DATABASE_URL."
        )


def quarantine(path: Path, reason: str, now: datetime | None = None) -> Path | None:
    """Rename a database that cannot be used, so that an empty one can replace it.

    Returns the new path, None when another process renamed it first.
    """
    timestamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.{reason}-{timestamp}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return None
    for end in ("-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    return aside


@contextmanager
def _translate_errors(location: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        is_undecodable = isinstance(error, sqlite3.OperationalError | UnicodeDecodeError)
        name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT" if is_undecodable else "")
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
