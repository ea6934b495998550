"""Installing the server into a client's configuration, and taking it out again.

A change is shown first (`preview`), confirmed on a terminal or by `--yes`, made on the text as it
stands (`config_file`), backed up beside the file and written in one step (`backup`). A file that
cannot be understood stays as it is.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verify_mcp import keychain
from verify_mcp.errors import ConfigUnusable, VerifyError
from verify_mcp.install import config_file
from verify_mcp.install.backup import backups, read_config, write_config
from verify_mcp.install.client import Client
from verify_mcp.install.clients import VSCODE_INPUTS
from verify_mcp.install.config_file import DesiredEntry
from verify_mcp.install.environment import Environment, InstallOptions, Terminal, config_path
from verify_mcp.install.plan import check_options, desired_entry, next_steps, uvx_note
from verify_mcp.install.preview import change_text, scalars
from verify_mcp.install.token_placement import (
    TokenPlacement,
    choose_placement,
    store_token,
    token_locations,
)

_CLEAR_TOKEN = re.compile(r'PLIVO_AUTH_TOKEN"?\s*[:=]\s*"(?!\$\{)[^"]')

_NOBODY_TO_ASK = (
    "Nothing was changed: without a terminal nobody can be asked. Give --yes to make this change; "
    "`verify-mcp install CLIENT --print` writes nothing.\n"
)


def run(options: InstallOptions, environment: Environment, terminal: Terminal) -> int:
    """Install; the exit code. A problem is written to the terminal, and then nothing is changed."""
    file = config_path(options, environment)
    try:
        check_options(options)
        placement = choose_placement(options, environment, terminal)
        desired = desired_entry(options, environment, placement)
        if options.only_print:
            _print_steps(options, environment, terminal, file, desired, placement)
            return 0
        return _install(options, environment, terminal, file, desired, placement)
    except ConfigUnusable as error:
        terminal.write(f"{file} was left as it is: {error}.\n")
    except VerifyError as error:
        terminal.write(f"Nothing was changed. {error}\n")
    return 1


def _print_steps(
    options: InstallOptions,
    environment: Environment,
    terminal: Terminal,
    file: Path,
    desired: DesiredEntry,
    placement: TokenPlacement,
) -> None:
    """Print the snippet on stdout, and on stderr each step that a person has to take."""
    verb = "Open" if file.exists() else "Create"
    terminal.write_err(f"1. {verb} {file}, and put this into it, beside what is there:\n\n")
    terminal.write(config_file.snippet(desired))
    steps = []
    if placement.file:
        steps.append(f"Write the auth token into {placement.file}, readable only by you.")
    elif placement.keyring:
        name = f"{keychain.SERVICE} {placement.auth_id}"
        steps.append(f"Put the auth token into the system's keyring: keyring set {name}")
    steps += [*filter(None, [uvx_note(options, environment)]), *next_steps(options, file)]
    lines = (f"{number}. {step}\n" for number, step in enumerate(steps, 2))
    terminal.write_err("\n" + "".join(lines))


def uninstall(options: InstallOptions, environment: Environment, terminal: Terminal) -> int:
    """Take the entry out again; the exit code."""
    file = config_path(options, environment)
    try:
        return _uninstall(options, environment, terminal, file)
    except ConfigUnusable as error:
        terminal.write(f"{file} was left as it is: {error}.\n")
    return 1


def _install(
    options: InstallOptions,
    environment: Environment,
    terminal: Terminal,
    file: Path,
    desired: DesiredEntry,
    placement: TokenPlacement,
) -> int:
    before = read_config(file)
    after = config_file.with_entry(desired, _text(before))
    if before is not None and after == _text(before):
        terminal.write(f"{file} already says so; nothing to change.\n")
        store_token(environment, terminal, placement)
        return 0
    if not _confirm(options, terminal, file, before, after.encode()):
        return 1
    store_token(environment, terminal, placement)
    backup = write_config(file, before, after.encode(), environment.now)
    client = options.client
    steps = [*filter(None, [uvx_note(options, environment)]), *next_steps(options, file)]
    terminal.write(f"Done: {client.title} has `{desired.name}` now. {' '.join(steps)}\n")
    _report_backup(terminal, backup, before)
    return 0


def _uninstall(
    options: InstallOptions, environment: Environment, terminal: Terminal, file: Path
) -> int:
    before, client, name = read_config(file), options.client, options.entry_name
    if before is None or config_file.entry(client, name, _text(before)) is None:
        terminal.write(f"{file} has no `{name}`; nothing to remove.\n")
        return 0
    after = _restored_text(client, name, file, before)
    if not _confirm(options, terminal, file, before, after):
        return 1
    backup = write_config(file, before, after, environment.now)
    terminal.write(f"Done: {client.title} has `{name}` no more.\n")
    _report_backup(terminal, backup, before)
    env = _variables(client, config_file.entry(client, name, _text(before)) or {})
    for location in token_locations(env):
        terminal.write(
            f"The token is still in {location}; remove it there if nothing else needs it.\n"
        )
    return 0


def _report_backup(terminal: Terminal, backup: Path | None, before: bytes | None) -> None:
    if backup is None:
        return
    terminal.write(f"The file as it was: {backup}\n")
    if _CLEAR_TOKEN.search(_text(before)):
        terminal.write("That copy holds an auth token in clear. Delete it once all works.\n")


def _variables(client: Client, entry: Mapping[str, Any]) -> dict[str, Any]:
    env = entry.get(client.env_key)
    return env if isinstance(env, dict) else {}


def _text(content: bytes | None) -> str:
    return (content or b"").decode()


def _restored_text(client: Client, name: str, file: Path, now: bytes) -> bytes:
    """The bytes without our entry: those from before, where nothing but it has changed since.

    A backup is the original if installing into it again gives today's file. The result is empty
    when the installation made the file.
    """
    entry = config_file.entry(client, name, _text(now)) or {}
    prompts = "${input:plivo-token}" in _variables(client, entry).values()
    desired = DesiredEntry(client, name, entry, VSCODE_INPUTS if prompts else ())
    for original in [*backups(file), b""]:
        try:
            if config_file.entry(client, name, _text(original)) is None and (
                config_file.with_entry(desired, _text(original)).encode() == now
            ):
                return original
        except (ConfigUnusable, UnicodeDecodeError):
            continue
    return config_file.without_entry(client, name, _text(now)).encode()


def _confirm(
    options: InstallOptions, terminal: Terminal, file: Path, before: bytes | None, after: bytes
) -> bool:
    texts = _text(before), _text(after)
    entries = (config_file.entry(options.client, options.entry_name, text) for text in texts)
    visible = frozenset(scalars([*entries, VSCODE_INPUTS, config_file.INPUTS]))
    terminal.write(change_text(file, *texts, visible=visible))
    if options.yes:
        return True
    if terminal.ask is None:
        terminal.write(_NOBODY_TO_ASK)
        return False
    if terminal.ask("Make this change? [y/N] ").strip().lower() in ("y", "yes"):
        return True
    terminal.write("Nothing was changed.\n")
    return False
