"""Pseudonyms of recipients, and the local key behind them, which only this user can read."""

import hashlib
import hmac
import os
import re
import secrets
import stat
from base64 import b32encode
from pathlib import Path

from verify_mcp import private_files
from verify_mcp.database.resilient import sqlite_path
from verify_mcp.domain.phones import MIN_HIDDEN
from verify_mcp.errors import InvalidSetting
from verify_mcp.settings import IN_MEMORY, Settings, data_directory

_MASK = re.compile(r"\+?([0-9]{1,3})(?:…|\.{2,3})([0-9]{0,4})~([a-z2-7]{4})", re.ASCII)


def pseudonym(number: str, key: bytes) -> str:
    """A recipient that can be distinguished but not called: `+91…3443~k7q2`.

    The same number gets the same pseudonym under the same key, and without the key nothing leads
    back. At least four digits are left out: a short number shows fewer at its end.
    """
    code = b32encode(hmac.digest(key, b"v1|" + number.encode(), hashlib.sha256))[:4]
    start = _calling_code(number)
    ending = max(0, min(4, len(number) - len(start) - MIN_HIDDEN))
    return f"+{start}…{number[len(number) - ending :]}~{code.decode().lower()}"


def parse_pseudonym(text: str) -> tuple[str, str] | None:
    """The first and last digits that a pseudonym shows; None when the text is none."""
    match = _MASK.fullmatch(text.strip().lower())
    return (match[1], match[2]) if match else None


def match_pseudonym(mask: str, numbers: list[str], key: bytes) -> list[str]:
    """The numbers, of those given, that have this pseudonym."""
    ends_and_code = mask.strip().lower().replace("...", "…").replace("..", "…").removeprefix("+")
    return [
        number for number in numbers if pseudonym(number, key).removeprefix("+") == ends_and_code
    ]


def _calling_code(number: str) -> str:
    import phonenumbers

    try:
        return str(phonenumbers.parse("+" + number).country_code)
    except phonenumbers.NumberParseException:
        return number[:1]


KEY_BYTES = 32


def load_or_create_key(settings: Settings) -> bytes:
    """The key, made at first use; for a database in memory it lives as long as the process.

    Raises InvalidSetting when the file cannot be used: masking must not silently change.
    """
    if settings.database_url == IN_MEMORY:
        return secrets.token_bytes(KEY_BYTES)
    path = _key_path(settings)
    try:
        try:
            return _read_key(path)
        except FileNotFoundError:
            private_files.make_directory(path.parent)
            return _create_key(path) or _read_key(path)
    except OSError as error:
        raise InvalidSetting(
            f"VERIFY_MCP_RECIPIENTS=masked needs the key in {path}, which cannot be used "
            f"({error.strerror})."
        ) from error


def _key_path(settings: Settings) -> Path:
    is_file = settings.database_url.startswith(IN_MEMORY)
    database = sqlite_path(settings.database_url) if is_file else None
    return (database.parent if database else data_directory()) / "recipients.key"


def _create_key(path: Path) -> bytes | None:
    """A new key, None when there is one already."""
    key = secrets.token_bytes(KEY_BYTES)
    try:
        private_files.create_at_once(path, key)
    except FileExistsError:
        return None
    return key


def _read_key(path: Path) -> bytes:
    found = path.lstat()
    private = os.name != "posix" or (found.st_uid == os.getuid() and not found.st_mode & 0o077)
    key = path.read_bytes() if stat.S_ISREG(found.st_mode) and private else b""
    if len(key) != KEY_BYTES:
        raise InvalidSetting(
            f"The key in {path} is not a private file of {KEY_BYTES} bytes. Remove it to begin "
            "with new pseudonyms."
        )
    return key
