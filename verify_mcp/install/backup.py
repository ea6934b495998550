"""A client's configuration file: read, replaced in one step, with a backup beside it."""

import secrets
import stat
from datetime import datetime
from pathlib import Path

from verify_mcp import private_files
from verify_mcp.errors import ConfigUnusable


def read_config(file: Path) -> bytes | None:
    """The file's bytes, None when there is no file. Raises ConfigUnusable."""
    try:
        content = file.read_bytes()
        if not stat.S_IMODE(file.stat().st_mode) & 0o222:
            raise ConfigUnusable("it is read-only")
        content.decode()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigUnusable(f"it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError:
        raise ConfigUnusable("it is not UTF-8 text") from None
    return content


def write_config(file: Path, before: bytes | None, after: bytes, now: datetime) -> Path | None:
    """Replace the file in one step; the backup's path, None when there was no file before.

    An empty `after` removes the file, or makes it empty again when it was an empty one before the
    installation. Raises ConfigUnusable.
    """
    real = file.resolve()
    try:
        if before is not None and real.read_bytes() != before:
            raise ConfigUnusable("it changed meanwhile; run this again")
        backup = None if before is None else _back_up(real, before, now)
        if not after:
            _remove_or_empty(real)
            return backup
        real.parent.mkdir(parents=True, exist_ok=True)
        _replace(real, after)
    except OSError as error:
        raise ConfigUnusable(f"it cannot be written ({error.strerror})") from error
    return backup


def backups(file: Path) -> list[bytes]:
    """The contents of the file's backups, newest first."""
    real = file.resolve()
    found = sorted(real.parent.glob(f"{real.name}.*.bak"), reverse=True)
    return [path.read_bytes() for path in found if not path.is_symlink()]


def _remove_or_empty(real: Path) -> None:
    if b"" in backups(real):
        _replace(real, b"")
    else:
        real.unlink()


def _back_up(real: Path, content: bytes, now: datetime) -> Path:
    # A client's file may hold secrets: the copy is for its owner, under a name nobody can prepare.
    backup = real.with_name(f"{real.name}.{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}.bak")
    private_files.create(backup, content)
    return backup


def _replace(real: Path, content: bytes) -> None:
    mode = stat.S_IMODE(real.stat().st_mode) if real.exists() else private_files.PRIVATE
    private_files.replace(real, content, mode)
