"""Files that only this user can read: created closed, written whole, never through a link.

Every function raises OSError when the file system refuses.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ELOOP
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600
NO_PLAIN_FILE = "it is a link or not a plain file"
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such links
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # a pipe without a reader is refused at once


def make_directory(path: Path) -> None:
    """Create a directory and the parents that are missing, each closed to other users.

    Raises FileExistsError when `path` is something else.
    """
    missing = [parent for parent in path.parents if not parent.exists()]
    for directory in (*reversed(missing), path):
        directory.mkdir(exist_ok=True, mode=0o700)


def create_empty(path: Path) -> None:
    """Create an empty file. Raises FileExistsError when the name is taken, by a link too."""
    os.close(_open_new(path))


def create(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Create a file with this content on disk, or leave none.

    Raises FileExistsError when the name is taken, by a link too. The file gets its mode at the end,
    so that other users cannot read it while it is written.
    """
    descriptor = _open_new(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode != PRIVATE:
            path.chmod(mode)
    except BaseException:
        path.unlink()
        raise


def create_at_once(path: Path, content: bytes) -> None:
    """Create a file that readers never see unfinished.

    Raises FileExistsError when the name is taken; the file that has it stays.
    """
    with _draft(path, content, PRIVATE) as draft:
        path.hardlink_to(draft)


def replace(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Put a new file in the place of the old one, if there is one, in one step."""
    with _draft(path, content, mode) as draft:
        draft.replace(path)


@contextmanager
def open_at_once(path: Path, *, replaces: bool) -> Iterator[BinaryIO]:
    """Open a new file that readers see under its name only once the block ended well.

    Raises FileExistsError when the name is taken and `replaces` is false.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = _open_new(draft)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        if replaces:
            draft.replace(path)
        else:
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)


def open_for_append(path: str) -> TextIOWrapper:
    """Open a file that grows, created when missing, and close it to other users.

    Raises OSError (ELOOP) for a link, for what is no plain file, and for a file with a second name.
    """
    flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | _NOFOLLOW | _NONBLOCK
    descriptor = os.open(path, flags, PRIVATE)
    try:
        _check_plain(descriptor)
        if _NOFOLLOW:  # where modes are POSIX's
            os.fchmod(descriptor, PRIVATE)
    except OSError:
        os.close(descriptor)
        raise
    return open(descriptor, "a", encoding="utf-8")  # noqa: PTH123 - a descriptor


def _open_new(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE)


@contextmanager
def _draft(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    """A finished file beside `path`, under a name that nobody can prepare; removed afterwards."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    create(draft, content, mode)
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _check_plain(descriptor: int) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise OSError(ELOOP, NO_PLAIN_FILE)
