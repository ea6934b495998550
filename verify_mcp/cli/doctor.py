"""Whether this machine is ready, in plain words: one line for each check, and what to do.

The checks are functions of an environment and of what was read; `run` reads it, asks the API once
at most and prints. The token is never printed.
"""

import json
import os
import platform
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import anyio
from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify_mcp import __version__
from verify_mcp.database.resilient import location, sqlite_path
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.errors import CredentialsRejected, InvalidSetting, VerifyError
from verify_mcp.plivo.client import open_client
from verify_mcp.settings import API_URL, Settings, read_settings
from verify_mcp.settings_table import setting_names

OK, WARNING, PROBLEM = "ok", "warning", "problem"
_STYLES = {OK: "green", WARNING: "yellow", PROBLEM: "bold red"}
_PACKAGES = ("mcp", "httpx", "pydantic", "anyio", "truststore", "phonenumbers")
_TOKEN = "PLIVO_AUTH_TOKEN"  # noqa: S105 - a variable's name
_TOKEN_FILE = "PLIVO_AUTH_TOKEN_FILE"  # noqa: S105 - a variable's name
_CHECKED_ELSEWHERE = ("VERIFY_MCP_API_URL", "VERIFY_MCP_DATABASE_URL")
_VARIABLE = re.compile(r"VERIFY_MCP_[A-Z_]+")
_SLOW_CLOCK, _WRONG_CLOCK = 30, 300

Environ = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found; `remedy` is what to do about it."""

    level: str
    subject: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ApiProbe:
    """How the one request went: its error if it failed, and the clock of the API if it told one."""

    error: VerifyError | None
    server_time: datetime | None


def run(
    environ: Environ,
    *,
    offline: bool = False,
    app: Callable[..., Any] | None = None,
) -> int:
    """Print every finding; 0 when all is well, 1 when something must be put right.

    `app` is an ASGI application asked in process instead of the API.
    """
    findings = [*this_package(), *account(environ), *settings(environ), *network(environ)]
    reply = None if offline else _ask_api(environ, app)
    findings += [connection(reply, offline=offline), clock(reply, datetime.now(UTC))]
    findings += database(environ)
    console = Console(highlight=False)
    _print_results(console, findings)
    console.print(client(_command()), soft_wrap=True)
    return int(any(each.level == PROBLEM for each in findings))


def this_package() -> Iterator[CheckResult]:
    """Versions, for a report as much as for a check: an install with an old one does not start."""
    yield CheckResult(
        OK, "Python", f"{platform.python_version()} on {platform.platform(terse=True)}"
    )
    message = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    yield CheckResult(OK, "Packages", f"verify-mcp {__version__}, {message}")


def account(environ: Environ) -> Iterator[CheckResult]:
    """The account's id and token: there, of the right form, not swapped, no placeholder."""
    try:
        found = read_settings(_only(environ, "PLIVO_"))
    except InvalidSetting as error:
        yield CheckResult(
            PROBLEM, "Credentials", str(error), "Correct the path or its permissions."
        )
        return
    if found.credentials is None:
        problem, _, remedy = found.credentials_problem.partition(" Set ")
        yield CheckResult(PROBLEM, "Credentials", problem, f"Set {remedy}" if remedy else "")
        return
    kind = "a subaccount" if found.credentials.is_subaccount else "an account"
    yield CheckResult(OK, "PLIVO_AUTH_ID", f"{found.credentials.masked_id} ({kind})")
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
    """Whether the token comes from this variable, the others left aside."""
    alone = {name: environ.get(name, "") for name in ("PLIVO_AUTH_ID", source)}
    return read_settings(alone).credentials is not None


def _plain_token(path: str) -> CheckResult:
    if not path:
        return CheckResult(OK, _TOKEN, "set (not shown)")
    message = f"set, and so is {_TOKEN_FILE}, which is not used then"
    return CheckResult(WARNING, _TOKEN, message, "Unset one of the two.")


def settings(environ: Environ) -> Iterator[CheckResult]:
    """The VERIFY_MCP_… variables: each readable, none misspelt."""
    known = setting_names()
    problems = _setting_problems(environ)
    for name in sorted(_only(environ, "VERIFY_MCP_")):
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
    """What is wrong, by the variable to correct; what only follows from that is left out.

    Some settings mean something together only, so all are read, again without each that is wrong;
    a message that names one left out follows from its absence.
    """
    problems: dict[str, str] = {}
    left_out: set[str] = set()
    rest = {name: text for name, text in _only(environ, "VERIFY_MCP_").items() if text.strip()}
    while message := _invalid_setting(rest):
        named = _VARIABLE.findall(message)
        first = next((name for name in named if name in rest), next(iter(rest)))
        if left_out.isdisjoint(named):
            problems[first] = message
        left_out.add(first)
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
    found = _readable(environ, "VERIFY_MCP_API_URL")
    if found is not None:
        usual = found.api_url == API_URL
        remedy = "" if usual else "Unset VERIFY_MCP_API_URL unless this is meant."
        yield CheckResult(OK if usual else WARNING, "API address", found.api_url, remedy)


def network(environ: Environ) -> Iterator[CheckResult]:
    """Proxies and certificates: what lies between this machine and the API."""
    found = _readable(environ, "VERIFY_MCP_API_URL")
    url = urlsplit(found.api_url if found else API_URL)
    if url.scheme == "http":
        yield CheckResult(OK, "Proxy", "none: the address is on this machine")
        return
    yield proxy(environ, url.hostname or "")
    yield certificates(environ)


def proxy(environ: Environ, host: str) -> CheckResult:
    """The proxy that requests to this host go through, its password left out."""
    name = next((each for each in ("HTTPS_PROXY", "ALL_PROXY") if _either(environ, each)), None)
    if name is None:
        return CheckResult(OK, "Proxy", "none in the environment")
    if _bypasses_proxy(host, _either(environ, "NO_PROXY")):
        return CheckResult(OK, "Proxy", f"{name} is set, but NO_PROXY leaves out {host}")
    written = _either(environ, name)
    there = urlsplit(written if "://" in written else f"http://{written}")
    if there.scheme not in ("http", "https"):
        return CheckResult(
            PROBLEM,
            "Proxy",
            f"{name} names a {there.scheme} proxy, which is not supported",
            "Name an http proxy, or add the API's host to NO_PROXY.",
        )
    message = f"{name}: requests to {host} go through {there.hostname or 'nowhere'}"
    return CheckResult(OK, "Proxy", message + (f", port {there.port}" if _port(there) else ""))


def _bypasses_proxy(host: str, no_proxy: str) -> bool:
    named = [each.strip().lstrip(".").lower() for each in no_proxy.split(",") if each.strip()]
    return "*" in named or any(f".{host}".endswith(f".{each}") for each in named)


def _port(there: SplitResult) -> int | None:
    try:
        port = there.port
    except ValueError:
        return None
    return port


def certificates(environ: Environ) -> CheckResult:
    """Whom this machine trusts to vouch for the API."""
    path = environ.get("SSL_CERT_FILE", "").strip()
    if not path:
        return CheckResult(OK, "Certificates", "the system's store (SSL_CERT_FILE is not set)")
    try:
        present = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        present = ""
    if "-----BEGIN" not in present:
        return CheckResult(
            PROBLEM,
            "Certificates",
            f"SSL_CERT_FILE names {path}, which cannot be read or holds no certificate",
            "Name a PEM file with your company's CA certificate, or unset it.",
        )
    return CheckResult(OK, "Certificates", f"SSL_CERT_FILE: {path}")


def connection(reply: ApiProbe | None, *, offline: bool) -> CheckResult:
    """How the one request went."""
    if reply is None:
        why = "--offline" if offline else "put the problems above right first"
        return CheckResult(OK, "API", f"not asked ({why})")
    if reply.error is None:
        return CheckResult(OK, "API", "answered, and the credentials are good (1 request)")
    remedy = ""
    if isinstance(reply.error, CredentialsRejected):
        remedy = "A token can be renewed in the Plivo console; the old one then stops working."
    return CheckResult(PROBLEM, "API", str(reply.error), remedy)


def clock(reply: ApiProbe | None, now: datetime) -> CheckResult:
    """The clock against the API's: times such as `24h` are counted from it."""
    if reply is None or reply.server_time is None:
        return CheckResult(OK, "Clock", f"{now:%Y-%m-%d %H:%M} UTC (not compared)")
    off = (now - reply.server_time).total_seconds()
    if abs(off) < _SLOW_CLOCK:
        return CheckResult(OK, "Clock", f"{now:%Y-%m-%d %H:%M} UTC, as the API's")
    message = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the API's"
    level = PROBLEM if abs(off) > _WRONG_CLOCK else WARNING
    return CheckResult(level, "Clock", message, "Let the system set its time from the network.")


def database(environ: Environ) -> Iterator[CheckResult]:
    """Where data is kept, the password left out."""
    found = _readable(environ, "VERIFY_MCP_DATABASE")
    if found is None:
        return
    url = found.database_url
    file = None if url.startswith("postgres") else sqlite_path(url)
    if file is not None:
        yield data_directory(file.parent)
    elif url.startswith("postgres"):
        yield CheckResult(OK, "Database", f"{location(url)} (not asked)")
    else:
        message = "in memory: forgotten at the end, and the quota is not shared with other copies"
        yield CheckResult(OK, "Database", message)


def data_directory(path: Path) -> CheckResult:
    """Where data would be kept: possible, and closed to other users. Nothing is created."""
    nearest = next(each for each in (path, *path.parents) if each.exists())
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


def client(command: Sequence[str]) -> str:
    """What to write in a client's configuration, and what belongs beside it."""
    first, *rest = command
    args = f', "args": {json.dumps(rest)}' if rest else ""
    return (
        f'For a client\'s configuration:\n  "command": {json.dumps(first)}{args}\n'
        "A client passes on its own environment, not this shell's: put the variables into its "
        "`env`."
    )


def _readable(environ: Environ, name: str) -> Settings | None:
    try:
        return read_settings(_only(environ, name))
    except InvalidSetting:
        return None


def _only(environ: Environ, start: str) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(start)}


def _either(environ: Environ, name: str) -> str:
    return (environ.get(name.lower()) or environ.get(name) or "").strip()


def _writable(directory: Path) -> bool:
    return os.access(directory, os.W_OK | os.X_OK)


def _command() -> list[str]:
    beside = shutil.which("verify-mcp", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("verify-mcp")
    return [str(Path(found).absolute())] if found else [sys.executable, "-m", "verify_mcp"]


def _ask_api(environ: Environ, app: Callable[..., Any] | None) -> ApiProbe | None:
    try:
        found = read_settings(environ)
    except InvalidSetting:
        return None
    return None if found.credentials is None else anyio.run(_ask, found, app)


async def _ask(found: Settings, app: Callable[..., Any] | None) -> ApiProbe:
    async with open_client(found, now=lambda: datetime.now(UTC), app=app) as api:
        try:
            await api.list_sessions(SessionFilter(), limit=1, offset=0)
        except VerifyError as error:
            return ApiProbe(error, api.server_time)
        return ApiProbe(None, api.server_time)


def _print_results(console: Console, findings: list[CheckResult]) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in findings:
        message = Text(each.message)
        if each.remedy:
            message.append(f"\n{each.remedy}", "dim" if each.level == OK else "bold")
        table.add_row(Text(each.level, _STYLES[each.level]), each.subject, message)
    console.print(table)
    console.print(Text(_verdict(findings), "bold"), end="\n\n")


def _verdict(findings: list[CheckResult]) -> str:
    problems, warnings = (
        sum(each.level == level for each in findings) for level in (PROBLEM, WARNING)
    )
    if problems:
        return f"\n{problems} to put right." if problems > 1 else "\nOne thing to put right."
    return "\nAll is well." if not warnings else "\nReady; the warnings are worth a look."
