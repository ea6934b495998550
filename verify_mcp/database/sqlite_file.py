"""The file of a SQLite database: private to its user, and set aside when it cannot be used."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from verify_mcp import private_files
from verify_mcp.database.base import BUSY_SECONDS
from verify_mcp.errors import DatabaseUnavailable


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
    from filelock import FileLock, Timeout  # deferred: not needed to start

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
