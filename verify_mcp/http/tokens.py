"""The tokens file: SHA-256 digests of bearer tokens with their callers.

A token holds 256 random bits, so its plain SHA-256 cannot be reversed by guessing; slow hashes are
for passwords. The file is separate from the database on purpose: tokens can be checked while the
database is unavailable, and a user of the database cannot make a token.
"""

import hashlib
import json
import logging
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from verify_mcp import private_files
from verify_mcp.errors import InvalidSetting
from verify_mcp.http.callers import Caller, is_name, is_subaccount
from verify_mcp.settings import data_directory

PREFIX = "vmcp_"
"""The first characters of every token, by which scanners for leaked secrets find it."""
MAX_BUDGET = 99_999
"""Calls a minute."""
MAX_FILE_BYTES = 10_000_000
_MAX_TOKEN_LENGTH = 200

logger = logging.getLogger(__name__)


def default_path() -> Path:
    """The path of the tokens file when VERIFY_MCP_TOKENS_FILE is not set."""
    return data_directory() / "tokens.json"


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """One token in the file; `budget` is its calls a minute, `created` an ISO time in UTC."""

    name: str
    sha256: str
    budget: int
    subaccount: str
    created: str

    @property
    def caller(self) -> Caller:
        """The caller whose token this is."""
        return Caller(self.name, self.budget, self.subaccount)


def add(path: Path, name: str, budget: int, subaccount: str, now: datetime) -> str:
    """Make a token, save its digest and return the token, which is saved nowhere.

    Raises InvalidSetting.
    """
    if not is_name(name):
        raise InvalidSetting("A token's name has letters, digits, dots and dashes, e.g. support.")
    if subaccount and not is_subaccount(subaccount):
        raise InvalidSetting("--subaccount is not an auth id: SA and 18 capitals or digits.")
    if not 1 <= budget <= MAX_BUDGET:
        raise InvalidSetting(f"--budget is not a number of calls a minute from 1 to {MAX_BUDGET}.")
    token = PREFIX + secrets.token_urlsafe(32)
    with _lock_file(path):
        entries = list_tokens(path)
        if any(entry.name == name for entry in entries):
            raise InvalidSetting(f"There is a token named {name} already. Revoke it first.")
        created = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        _write(path, [*entries, TokenEntry(name, _digest(token), budget, subaccount, created)])
    return token


def revoke(path: Path, name: str) -> None:
    """Remove a token from the file. Raises InvalidSetting when there is none of this name."""
    with _lock_file(path):
        entries = list_tokens(path)
        rest = [entry for entry in entries if entry.name != name]
        if len(rest) == len(entries):
            raise InvalidSetting("There is no token of this name. See `verify-mcp token list`.")
        _write(path, rest)


def list_tokens(path: Path) -> list[TokenEntry]:
    """Every token's entry, none when there is no file. Raises InvalidSetting."""
    try:
        with path.open("rb") as file:
            _check_permissions(path, os.fstat(file.fileno()))
            data = json.loads(file.read(MAX_FILE_BYTES))
        entries = [TokenEntry(**fields) for fields in data["tokens"]]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InvalidSetting(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidSetting(f"{path} is not a file of tokens.") from error
    if not all(_is_valid(entry) for entry in entries):
        raise InvalidSetting(f"{path} is not a file of tokens.")
    return entries


class TokenFile:
    """Callers by their tokens; the file is read again whenever it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last_read: tuple[int, ...] = ()
        self._callers: Mapping[str, Caller] = {}

    def caller(self, token: str) -> Caller | None:
        """The caller whose token this is, None when it is unknown or revoked."""
        if not token.startswith(PREFIX) or len(token) > _MAX_TOKEN_LENGTH:
            return None
        self._refresh()
        return self._callers.get(_digest(token))

    def _refresh(self) -> None:
        """Read the file again if it changed; while it cannot be read, every token is refused."""
        try:
            status = self._path.stat()
            state: tuple[int, ...] = (
                status.st_mtime_ns,
                status.st_size,
                status.st_ino,
                status.st_mode,
            )
        except OSError:
            state = ()
        if state and state == self._last_read:
            return
        self._last_read = state
        try:
            self._callers = {entry.sha256: entry.caller for entry in list_tokens(self._path)}
        except InvalidSetting as error:
            self._callers = {}
            logger.error("%s Tokens are refused until it can be.", error)  # noqa: TRY400 - no traceback


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _is_valid(entry: TokenEntry) -> bool:
    # JSON's true is no budget, though bool is an int.
    budget_is_valid = type(entry.budget) is int and 1 <= entry.budget <= MAX_BUDGET
    subaccount_is_valid = entry.subaccount == "" or is_subaccount(entry.subaccount)
    return (
        budget_is_valid
        and subaccount_is_valid
        and is_name(entry.name)
        and len(str(entry.sha256)) == 64
    )


def _check_permissions(path: Path, status: os.stat_result) -> None:
    if os.name == "posix" and (status.st_mode & 0o027 or not stat.S_ISREG(status.st_mode)):
        raise InvalidSetting(
            f"{path} can be read by everybody or changed by its group. "
            "Run chmod 600 on it, then look at who could have changed it."
        )


@contextmanager
def _lock_file(path: Path) -> Iterator[None]:
    try:
        private_files.make_directory(path.parent)
    except OSError as error:
        raise InvalidSetting(f"{path.parent} cannot be made ({error.strerror}).") from error
    lock = FileLock(path.with_name(path.name + ".lock"), mode=0o600)
    try:
        lock.acquire()
    except OSError as error:
        raise InvalidSetting(
            f"The lock {lock.lock_file} cannot be used ({error.strerror}). Remove it if it is a "
            "link, and make its folder writable."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _write(path: Path, entries: list[TokenEntry]) -> None:
    """Replace the file whole, so that a server never reads half of it."""
    text = json.dumps({"version": 1, "tokens": [asdict(each) for each in entries]}, indent=1)
    try:
        private_files.replace(path, f"{text}\n".encode())
    except OSError as error:
        raise InvalidSetting(f"{path} cannot be written ({error.strerror}).") from error
