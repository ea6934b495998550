"""Installing the server into a client's configuration, and taking it out again.

The change is shown first, asked about on a terminal, made on the text as it stands (`configs`),
backed up beside the file and written in one step. A file that cannot be understood is left alone.

Where the token goes, in this order:

1. VS Code asks for it and keeps it safe (`inputs`), so nothing of it is written here.
2. A file that PLIVO_AUTH_TOKEN_FILE names already is used as it is.
3. The system's keyring, on macOS and Windows with the `keyring` extra.
4. A file of its own, for its owner's eyes only (0600).

It never stands in the client's configuration: those files are shared, synchronised and shown on
screens. References such as `${env:PLIVO_AUTH_TOKEN}` are not written either: a client started from
a desktop knows nothing of a shell's variables, and each client spells them differently.
"""

import difflib
import json
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from verify_mcp import keychain, private_files
from verify_mcp.errors import ConfigUnusable, InvalidSetting, VerifyError
from verify_mcp.install import config_file
from verify_mcp.install.clients import Client, UserDirs
from verify_mcp.install.config_file import DesiredEntry
from verify_mcp.settings import read_settings

NAME, SANDBOX_NAME = "verify", "verify-sandbox"
_PLACEHOLDER_ID = "<your PLIVO_AUTH_ID>"
_CONTEXT_LINES = 2
_SECRET = re.compile(
    r"""((?:token|secret|password|passwd|api[_-]?key|_key|authorization)["']?\s*[:=]\s*)"""
    r"""(["'])(?!\$\{)(?:(?!\2)[^\\]|\\.)+\2""",
    re.IGNORECASE,
)
_TABLE = re.compile(r"[ +-]?\s*\[+[A-Za-z_][\w.-]*(?:\.\"[^\"]*\")?\]+\s*", re.ASCII)
_PLAIN_WORD = re.compile(
    r"""(?P<name>(?:"(?:[^"\\]|\\.)*+"|'[^']*+'|[\w.-]++)(?=\s*[:=]))"""
    r"""|(?P<value>"(?:[^"\\]|\\.)*+"|'[^']*+'|["'].*|(?:\#|//|/\*).*|[^\s{}\[\],:="'#/]++|[\#/])"""
)
_HIDDEN = "••••"
_INPUTS = (
    {"type": "promptString", "id": "plivo-id", "description": "Plivo auth id (MA… or SA…)"},
    {
        "type": "promptString",
        "id": "plivo-token",
        "description": "Plivo auth token",
        "password": True,
    },
)


@dataclass(frozen=True, slots=True)
class Terminal:
    """Who is told and asked; the two questions are None when nobody sits at a terminal."""

    write: Callable[[str], object]
    ask: Callable[[str], str] | None = None
    ask_secret: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class InstallOptions:
    """What the command line asked for."""

    client: Client
    name: str | None = None
    config: Path | None = None
    yes: bool = False
    sandbox: bool = False
    uvx: bool = False
    only_print: bool = False
    auth_id: str | None = None

    @property
    def entry_name(self) -> str:
        """The name our entry gets."""
        return self.name or (SANDBOX_NAME if self.sandbox else NAME)


OPTION_NAMES = tuple(each.name for each in fields(InstallOptions))


@dataclass(frozen=True, slots=True)
class Environment:
    """What an installation depends on beside the order."""

    environ: Mapping[str, str]
    platform: str
    now: datetime
    secrets: Path
    """The folder for a token's own file."""
    program: tuple[str, ...] = ()
    """The command that starts this installation, by absolute path."""
    ephemeral: bool = False
    """Whether that path may be gone tomorrow, as under uvx."""


@dataclass(frozen=True, slots=True)
class TokenPlacement:
    """The variables that an entry gets for an account, and where its token has to be put."""

    env: Mapping[str, str]
    auth_id: str = ""
    file: Path | None = None
    keyring: bool = False


def detect_environment(environ: Mapping[str, str], now: datetime) -> Environment:
    """The machine we run on, and how this installation is started on it."""
    from platformdirs import user_config_path

    python = Path(sys.executable)
    script = shutil.which("verify-mcp", path=str(python.parent))
    program = (str(Path(script).absolute()),) if script else (str(python), "-m", "verify_mcp")
    throwaway = any(part.startswith(("archive-v", "environments-v")) for part in python.parts)
    folder = user_config_path("verify-mcp", appauthor=False)
    return Environment(environ, sys.platform, now, folder, program, throwaway)


def run(order: InstallOptions, machine: Environment, person: Terminal) -> int:
    """Install; the exit code. Everything that stands in the way is told, and nothing is touched."""
    file = None if order.only_print else _config_path(order, machine)
    try:
        account = _token_placement(order, machine, person)
        desired = _desired_entry(order, machine, account)
        if file is None:
            person.write(config_file.snippet(desired))
            return 0
        return _install(order, machine, person, file, desired, account)
    except ConfigUnusable as error:
        person.write(f"{file} was left as it is: {error}.\n")
    except VerifyError as error:
        person.write(f"Nothing was changed. {error}\n")
    return 1


def uninstall(order: InstallOptions, machine: Environment, person: Terminal) -> int:
    """Take the entry out again; the exit code."""
    file = _config_path(order, machine)
    try:
        return _uninstall(order, machine, person, file)
    except ConfigUnusable as error:
        person.write(f"{file} was left as it is: {error}.\n")
    return 1


def _install(
    order: InstallOptions,
    machine: Environment,
    person: Terminal,
    file: Path,
    desired: DesiredEntry,
    account: TokenPlacement,
) -> int:
    before = _read_config(file)
    after = config_file.with_entry(desired, _text(before))
    if before is not None and after == _text(before):
        person.write(f"{file} already says so; nothing to change.\n")
        _store_token(machine, person, account)
        return 0
    if not _confirm(order, person, file, before, after.encode()):
        return 1
    _store_token(machine, person, account)
    backup = _write(file, before, after.encode(), machine.now)
    person.write(f"Done: {order.client.title} has `{desired.name}` now. {order.client.restart}\n")
    _tell_backup(person, backup, before)
    return 0


def _uninstall(order: InstallOptions, machine: Environment, person: Terminal, file: Path) -> int:
    before = _read_config(file)
    name = order.entry_name
    if before is None or config_file.entry(order.client, name, _text(before)) is None:
        person.write(f"{file} has no `{name}`; nothing to remove.\n")
        return 0
    after = _restored_text(order.client, name, file, before)
    if not _confirm(order, person, file, before, after):
        return 1
    backup = _write(file, before, after, machine.now)
    person.write(f"Done: {order.client.title} has `{name}` no more.\n")
    _tell_backup(person, backup, before)
    for place in _token_places(order.client, name, _text(before)):
        person.write(f"The token is still in {place}; remove it there if nothing else needs it.\n")
    return 0


def _tell_backup(person: Terminal, backup: Path | None, before: bytes | None) -> None:
    if backup is None:
        return
    person.write(f"The file as it was: {backup}\n")
    if re.search(r'PLIVO_AUTH_TOKEN"?\s*[:=]\s*"(?!\$\{)[^"]', _text(before)):
        person.write("That copy holds an auth token in clear. Delete it once all works.\n")


def _config_path(order: InstallOptions, machine: Environment) -> Path:
    if order.config:
        return order.config.expanduser().absolute()
    found = [
        Path(each)
        for each in order.client.config_paths(UserDirs(machine.environ, machine.platform))
    ]
    return next((each for each in found if each.parent.is_dir()), found[-1]).expanduser()


def _desired_entry(
    order: InstallOptions, machine: Environment, account: TokenPlacement
) -> DesiredEntry:
    command, *args = _program(order, machine, account)
    args += ["serve", *(["--sandbox"] if order.sandbox else [])]
    asks = order.client.prompts and not order.sandbox
    entry = order.client.entry(command, args, account.env)
    return DesiredEntry(order.client, order.entry_name, entry, _INPUTS if asks else ())


def _program(order: InstallOptions, machine: Environment, account: TokenPlacement) -> Sequence[str]:
    if not (order.uvx or machine.ephemeral):
        return machine.program
    # A client started from a desktop may not have uvx on its path.
    uvx = shutil.which("uvx", path=machine.environ.get("PATH", "")) or "uvx"
    extra = ["--from", "verify-mcp[keyring]"] if account.keyring else []
    return [uvx, *extra, "verify-mcp"]


def _token_placement(
    order: InstallOptions, machine: Environment, person: Terminal
) -> TokenPlacement:
    if order.sandbox:
        return TokenPlacement({})
    if order.client.prompts:
        named = {"PLIVO_AUTH_ID": "${input:plivo-id}", "PLIVO_AUTH_TOKEN": "${input:plivo-token}"}
        return TokenPlacement(named)
    auth_id = order.auth_id or machine.environ.get("PLIVO_AUTH_ID", "").strip()
    if not auth_id and order.only_print:
        auth_id = _PLACEHOLDER_ID
    if not auth_id and person.ask:
        auth_id = person.ask("Auth id (MA… or SA…, on the overview page of the console): ").strip()
    if auth_id != _PLACEHOLDER_ID:
        _check_credentials(auth_id, "0" * 40)
    return _token_place(auth_id, machine)


def _check_credentials(auth_id: str, token: str) -> None:
    """Raises InvalidSetting when these could not be an account's id and token."""
    read = read_settings({"PLIVO_AUTH_ID": auth_id, "PLIVO_AUTH_TOKEN": token})
    if read.credentials is None:
        problem = read.credentials_problem.partition(" Set ")[0]
        hint = "Give --auth-id, or set PLIVO_AUTH_ID, or try --sandbox: it needs no account."
        raise InvalidSetting(f"{problem} {hint}")


def _token_place(auth_id: str, machine: Environment) -> TokenPlacement:
    named = machine.environ.get("PLIVO_AUTH_TOKEN_FILE", "").strip()
    if not named and keychain.is_usable(machine.platform):
        env = {"PLIVO_AUTH_ID": auth_id, "PLIVO_AUTH_TOKEN_KEYRING": keychain.SERVICE}
        return TokenPlacement(env, auth_id, keyring=True)
    known = auth_id != _PLACEHOLDER_ID
    file = Path(named).expanduser().absolute() if named else machine.secrets / "token"
    if not named and known:
        file = machine.secrets / f"{auth_id}.token"
    env = {"PLIVO_AUTH_ID": auth_id, "PLIVO_AUTH_TOKEN_FILE": str(file)}
    return TokenPlacement(env, auth_id, file=file)


def _store_token(machine: Environment, person: Terminal, account: TokenPlacement) -> None:
    """Put the token where the entry looks for it, unless it is there. Raises InvalidSetting."""
    if not account.auth_id or _is_stored(account):
        return
    token = machine.environ.get("PLIVO_AUTH_TOKEN", "").strip()
    if not token and person.ask_secret:
        token = person.ask_secret("Auth token (not shown, not written into the client's file): ")
    place = "the system's keyring" if account.keyring else str(account.file)
    if not token.strip():
        person.write(
            f"The token is still missing. Run this again with PLIVO_AUTH_TOKEN set, or put it into "
            f"{place} yourself.\n"
        )
        return
    _check_credentials(account.auth_id, token.strip())
    if account.file:
        _store_in_file(account.file, token.strip())
    else:
        keychain.store_token(keychain.SERVICE, account.auth_id, token.strip())
    person.write(f"The token is in {place}.\n")


def _is_stored(account: TokenPlacement) -> bool:
    if account.file:
        return account.file.exists()
    return bool(keychain.get_token(keychain.SERVICE, account.auth_id))


def _store_in_file(file: Path, token: str) -> None:
    try:
        private_files.make_directory(file.parent)
        private_files.create(file, f"{token}\n".encode())
    except OSError as error:
        raise InvalidSetting(f"{file} could not be written ({error.strerror}).") from error


def _token_places(client: Client, name: str, text: str) -> list[str]:
    env = _variables(config_file.entry(client, name, text) or {})
    file, service = env.get("PLIVO_AUTH_TOKEN_FILE"), env.get("PLIVO_AUTH_TOKEN_KEYRING")
    keyring = f"the system's keyring ({service}, {env.get('PLIVO_AUTH_ID')})" if service else None
    return [place for place in (file, keyring) if place]


def _variables(entry: Mapping[str, Any]) -> dict[str, Any]:
    env = entry.get("env")
    return env if isinstance(env, dict) else {}


def _read_config(file: Path) -> bytes | None:
    """The file's bytes, None when there is none. Raises ConfigUnusable."""
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


def _text(content: bytes | None) -> str:
    return (content or b"").decode()


def _restored_text(client: Client, name: str, file: Path, now: bytes) -> bytes:
    """The bytes without our entry: those from before, where nothing but it has changed since.

    Installing into a backup again tells: if that gives today's file, the backup is the original.
    Empty when the installation made the file.
    """
    entry = config_file.entry(client, name, _text(now)) or {}
    asks = "${input:plivo-token}" in _variables(entry).values()
    desired = DesiredEntry(client, name, entry, _INPUTS if asks else ())
    for original in [*_backups(file), b""]:
        try:
            if config_file.entry(client, name, _text(original)) is None and (
                config_file.with_entry(desired, _text(original)).encode() == now
            ):
                return original
        except (ConfigUnusable, UnicodeDecodeError):
            continue
    return config_file.without_entry(client, name, _text(now)).encode()


def _backups(file: Path) -> list[bytes]:
    """What backups hold, newest first."""
    real = file.resolve()
    found = sorted(real.parent.glob(f"{real.name}.*.bak"), reverse=True)
    return [each.read_bytes() for each in found if not each.is_symlink()]


def _confirm(
    order: InstallOptions, person: Terminal, file: Path, before: bytes | None, after: bytes
) -> bool:
    texts = _text(before), _text(after)
    entries = (config_file.entry(order.client, order.entry_name, each) for each in texts)
    ours = frozenset(_scalars([*entries, _INPUTS, "inputs"]))
    person.write(change_text(file, *texts, ours=ours))
    if order.yes or person.ask is None:
        return True
    if person.ask("Make this change? [y/N] ").strip().lower() in ("y", "yes"):
        return True
    person.write("Nothing was changed.\n")
    return False


def _scalars(value: object) -> Iterator[str]:
    """The values in an entry, as `shown_change` compares them."""
    if isinstance(value, Mapping):
        yield from _scalars(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _scalars(each)
    else:
        yield value if isinstance(value, str) else json.dumps(value)


def change_text(file: Path, before: str, after: str, *, ours: frozenset[str] = frozenset()) -> str:
    """The change as a unified diff; of values, only those in `ours` are shown.

    A secret has no name that tells it for certain, so every other value is hidden.
    """
    head, lines = (
        [f"--- {file}", f"+++ {file}"],
        difflib.unified_diff(
            before.splitlines(), after.splitlines(), n=_CONTEXT_LINES, lineterm=""
        ),
    )
    preview = [_redact(line, ours) for line in list(lines)[2:]]
    return "".join(f"{line}\n" for line in [*head, *preview] if preview)


def _redact(line: str, ours: frozenset[str]) -> str:
    if line.startswith("@@") or _TABLE.fullmatch(line):
        return line
    bare = _PLAIN_WORD.sub(lambda word: _display_word(word, ours), line[1:])
    return line[:1] + _SECRET.sub(rf"\1\2{_HIDDEN}\2", bare)


def _display_word(word: re.Match[str], ours: frozenset[str]) -> str:
    value = word["value"]
    if not value or value in ("true", "false", "null") or _plain_text(value) in ours:
        return word[0]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{quote}{_HIDDEN}{quote}"


def _plain_text(value: str) -> str:
    try:
        return str(json.loads(value)) if value.startswith('"') else value.strip("'")
    except ValueError:
        return ""


def _write(file: Path, before: bytes | None, after: bytes, now: datetime) -> Path | None:
    """Replace the file in one step; the backup, None when there was no file before.

    An empty `after` removes the file when it was ours alone. Raises ConfigUnusable.
    """
    real = file.resolve()
    try:
        if before is not None and real.read_bytes() != before:
            raise ConfigUnusable("it changed meanwhile; run this again")
        backup = None if before is None else _back_up(real, before, now)
        if not after:
            _remove_empty(real)
            return backup
        real.parent.mkdir(parents=True, exist_ok=True)
        _replace(real, after)
    except OSError as error:
        raise ConfigUnusable(f"it cannot be written ({error.strerror})") from error
    return backup


def _remove_empty(real: Path) -> None:
    """Back to an empty file when it was one, else to none."""
    if b"" in _backups(real):
        _replace(real, b"")
    else:
        real.unlink()


def _back_up(real: Path, content: bytes, now: datetime) -> Path:
    # A client's file may hold secrets: the copy is for its owner, under a name nobody can prepare.
    backup = real.with_name(f"{real.name}.{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}.bak")
    private_files.create(backup, content)
    return backup


def _replace(real: Path, content: bytes) -> None:
    mode = stat.S_IMODE(real.stat().st_mode) if real.exists() else 0o600
    private_files.replace(real, content, mode)
