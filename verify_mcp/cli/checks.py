"""The doctor's checks of this machine: package, credentials, settings and database.

Each check is a function of an environment; none asks the API. No result holds the token.
"""

import os
import platform
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from verify_mcp import __version__
from verify_mcp.cli.wording import COMMAND_REMEDIES
from verify_mcp.database.resilient import location, sqlite_path
from verify_mcp.errors import InvalidSetting
from verify_mcp.settings import API_URL, Settings, read_settings
from verify_mcp.settings_table import setting_names

OK, WARNING, PROBLEM, UNCHECKED = "ok", "warning", "problem", "unchecked"
_PACKAGES = ("mcp", "httpx", "pydantic", "anyio", "truststore", "phonenumberslite")
_TOKEN = "PLIVO_AUTH_TOKEN"  # noqa: S105 - a variable's name
_TOKEN_FILE = "PLIVO_AUTH_TOKEN_FILE"  # noqa: S105 - a variable's name
_CHECKED_ELSEWHERE = ("VERIFY_MCP_API_URL", "VERIFY_MCP_DATABASE_URL")
_VARIABLE = re.compile(r"VERIFY_MCP_[A-Z_]+")

Environ = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check; `remedy` is what to do about a problem, empty when there is none."""

    level: str
    subject: str
    message: str
    remedy: str = ""


def this_package() -> Iterator[CheckResult]:
    """The versions of Python, this package and the packages that it needs, for a bug report."""
    yield CheckResult(
        OK, "Python", f"{platform.python_version()} on {platform.platform(terse=True)}"
    )
    message = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    yield CheckResult(OK, "Packages", f"verify-mcp {__version__}, {message}")


def account(environ: Environ) -> Iterator[CheckResult]:
    """The account's id and token: set, of the right form, not swapped, no placeholder."""
    try:
        settings = read_settings(_with_prefix(environ, "PLIVO_"))
    except InvalidSetting as error:
        yield CheckResult(
            PROBLEM, "Credentials", str(error), "Correct the path or its permissions."
        )
        return
    if settings.credentials is None:
        problem, remedy = settings.credentials_problem, ""
        for server_remedy in COMMAND_REMEDIES:
            if problem.endswith(server_remedy):
                problem, remedy = problem.removesuffix(f" {server_remedy}"), server_remedy
        yield CheckResult(PROBLEM, "Credentials", problem, COMMAND_REMEDIES.get(remedy, ""))
        return
    kind = "a subaccount" if settings.credentials.is_subaccount else "an account"
    yield CheckResult(OK, "PLIVO_AUTH_ID", f"{settings.credentials.masked_id} ({kind})")
    yield _token_place(environ)


def _token_place(environ: Environ) -> CheckResult:
    path = environ.get(_TOKEN_FILE, "").strip()
    if _is_sufficient(environ, _TOKEN):
        return _plain_token(path)
    if not _is_sufficient(environ, _TOKEN_FILE):
        return CheckResult(OK, _TOKEN, "in the system's keyring (not shown)")
    if sys.platform != "win32" and Path(path).expanduser().stat().st_mode & 0o077:
        message = "in a file that other users of this machine can read"
        return CheckResult(WARNING, _TOKEN, message, f"chmod 600 {path}")
    return CheckResult(OK, _TOKEN, f"in {path} (not shown)")


def _is_sufficient(environ: Environ, source: str) -> bool:
    """Whether this variable alone gives a usable token."""
    alone = {name: environ.get(name, "") for name in ("PLIVO_AUTH_ID", source)}
    return read_settings(alone).credentials is not None


def _plain_token(path: str) -> CheckResult:
    if not path:
        return CheckResult(OK, _TOKEN, "set (not shown)")
    message = f"set, and so is {_TOKEN_FILE}, which is not used then"
    return CheckResult(WARNING, _TOKEN, message, "Unset one of the two.")


def settings_variables(environ: Environ) -> Iterator[CheckResult]:
    """The VERIFY_MCP_… variables: each readable, none misspelt."""
    known = setting_names()
    problems = _setting_problems(environ)
    for name in sorted(_with_prefix(environ, "VERIFY_MCP_")):
        if name not in known:
            message = "not a setting of verify-mcp, so it changes nothing"
            yield CheckResult(WARNING, name, message, f"There are: {', '.join(known)}.")
        elif name in problems:
            yield CheckResult(
                PROBLEM, name, problems[name], "Correct it, or unset it for the default."
            )
        elif name not in _CHECKED_ELSEWHERE:
            yield CheckResult(OK, name, environ[name].strip() or "empty: the default applies")
    yield from _address(environ)


def _setting_problems(environ: Environ) -> dict[str, str]:
    """The problems by the variable to correct, without those that only follow from another one.

    Some settings mean something only together. So all are read at once, and again after each wrong
    one was removed; a message that names a removed one follows from its absence.
    """
    problems: dict[str, str] = {}
    removed: set[str] = set()
    rest = {
        name: text for name, text in _with_prefix(environ, "VERIFY_MCP_").items() if text.strip()
    }
    while message := _invalid_setting(rest):
        named = _VARIABLE.findall(message)
        first = next((name for name in named if name in rest), next(iter(rest)))
        if removed.isdisjoint(named):
            problems[first] = message
        removed.add(first)
        del rest[first]
    return problems


def _invalid_setting(environ: Environ) -> str:
    """The first problem with these settings, "" when there is none."""
    try:
        read_settings(environ)
    except InvalidSetting as error:
        return str(error)
    return ""


def _address(environ: Environ) -> Iterator[CheckResult]:
    settings = readable_settings(environ, "VERIFY_MCP_API_URL")
    if settings is not None:
        usual = settings.api_url == API_URL
        remedy = "" if usual else "Unset VERIFY_MCP_API_URL unless this is meant."
        yield CheckResult(OK if usual else WARNING, "API address", settings.api_url, remedy)


def database(environ: Environ) -> Iterator[CheckResult]:
    """Where the database is, without its password."""
    settings = readable_settings(environ, "VERIFY_MCP_DATABASE")
    if settings is None:
        return
    url = settings.database_url
    file = None if url.startswith("postgres") else sqlite_path(url)
    if file is not None:
        yield data_directory(file.parent)
    elif url.startswith("postgres"):
        yield CheckResult(UNCHECKED, "Database", f"{location(url)} (not opened)")
    else:
        message = "in memory: forgotten at the end, and the quota is not shared with other copies"
        yield CheckResult(OK, "Database", message)


def data_directory(path: Path) -> CheckResult:
    """Whether data can be stored there, closed to other users. Nothing is created."""
    nearest = next(parent for parent in (path, *path.parents) if parent.exists())
    subject = "Data directory"
    if nearest == path and not path.is_dir():
        return CheckResult(PROBLEM, subject, f"{path} is a file", "Move it away.")
    if not _writable(nearest):
        return CheckResult(
            WARNING,
            subject,
            f"{path} cannot be {'written to' if nearest == path else 'created'}",
            "Nothing is kept then, and requests go out at a quarter of the rate.",
        )
    if nearest != path:
        return CheckResult(OK, subject, f"{path} (not there yet; made when needed)")
    if sys.platform != "win32" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        return CheckResult(WARNING, subject, f"{path} is open to other users", f"chmod 700 {path}")
    return CheckResult(OK, subject, str(path))


def readable_settings(environ: Environ, name: str) -> Settings | None:
    """The settings from the variables whose names start so, None when one is invalid."""
    try:
        return read_settings(_with_prefix(environ, name))
    except InvalidSetting:
        return None


def _with_prefix(environ: Environ, prefix: str) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(prefix)}


def _writable(directory: Path) -> bool:
    return os.access(directory, os.W_OK | os.X_OK)
