"""What an installation will do: the entry it makes, and what remains for a person to do."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from verify_mcp.errors import InvalidSetting
from verify_mcp.install.clients import VSCODE_INPUTS
from verify_mcp.install.config_file import DesiredEntry
from verify_mcp.install.environment import Environment, InstallOptions
from verify_mcp.install.token_placement import TokenPlacement
from verify_mcp.settings_parsers import is_loopback

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_PACKAGE = "verify-mcp"


def check_options(options: InstallOptions) -> None:
    """Raise InvalidSetting for options that do not go together or cannot be meant."""
    if options.url is None:
        if options.token_env:
            raise InvalidSetting("--token-env belongs to --url, the address of a team's server.")
        return
    others = {"--sandbox": options.sandbox, "--auth-id": options.auth_id}
    others |= {"--uvx": options.uvx, "--from": options.source}
    if wrong := [name for name, value in others.items() if value]:
        raise InvalidSetting(
            f"{wrong[0]} does not go with --url: the server at that address has its own settings."
        )
    if not _is_address(options.url):
        raise InvalidSetting(
            "--url is not an https address with a path, such as https://verify.example.com/mcp "
            "(http only to this machine)."
        )
    _check_token_env(options)


def _is_address(text: str) -> bool:
    try:
        url = urlsplit(text)
        host = url.hostname or ""
    except ValueError:
        return False
    is_safe = url.scheme == "https" or (url.scheme == "http" and is_loopback(host))
    return bool(is_safe and host and url.path.strip("/") and not url.username and '"' not in text)


def _check_token_env(options: InstallOptions) -> None:
    client = options.client
    if client.remote is None:
        raise InvalidSetting(
            f"{client.title} reads no address from its file. Add it in its own settings: "
            "Settings, Connectors, Add custom connector."
        )
    if options.token_env is None:
        return
    if not _VARIABLE.fullmatch(options.token_env) or options.token_env.startswith("vmcp_"):
        raise InvalidSetting(
            "--token-env takes the name of a variable, e.g. VERIFY_TOKEN, never the token itself."
        )
    if client.variable_form is None:
        raise InvalidSetting(
            f"{client.title} takes no token from a variable. Install without --token-env, then "
            "add the Authorization header in its own settings."
        )


def desired_entry(
    options: InstallOptions, environment: Environment, placement: TokenPlacement
) -> DesiredEntry:
    """The entry that the client's configuration shall have."""
    client, name = options.client, options.entry_name
    if options.url and client.remote:
        token = (client.variable_form or "").replace("NAME", options.token_env or "")
        entry = client.remote(name, options.url, token if options.token_env else "")
        return DesiredEntry(client, name, entry)
    command, *args = _program(options, environment, placement)
    args += ["serve", *(["--sandbox"] if options.sandbox else [])]
    prompts = client.prompts and not options.sandbox
    entry = client.entry(name, command, args, placement.env)
    return DesiredEntry(client, name, entry, VSCODE_INPUTS if prompts else ())


def _program(
    options: InstallOptions, environment: Environment, placement: TokenPlacement
) -> Sequence[str]:
    if not uses_uvx(options, environment):
        return environment.program
    # A client started from a desktop may not have uvx on its path.
    uvx = shutil.which("uvx", path=environment.environ.get("PATH", "")) or "uvx"
    source = _source(options, environment)
    extra = ["--with", "keyring>=25,<26"] if placement.keyring else []
    return [uvx, *extra, *(["--from", source] if source else []), _PACKAGE]


def uses_uvx(options: InstallOptions, environment: Environment) -> bool:
    """Whether the client starts the server with uvx."""
    return bool(options.uvx or options.source or environment.ephemeral)


def _source(options: InstallOptions, environment: Environment) -> str:
    """What uvx installs the package from, "" for the index that it is set to."""
    source = options.source or environment.source
    path = Path(source).expanduser()
    return str(path.absolute()) if source and path.exists() else source


def uvx_note(options: InstallOptions, environment: Environment) -> str:
    """What uvx fetches and from where, "" when it is not used."""
    if options.url or not uses_uvx(options, environment):
        return ""
    source = _source(options, environment)
    where = (
        f"builds {source} and fetches the packages it needs"
        if source
        else f"fetches the package `{_PACKAGE}`, with those it needs,"
    )
    warning = (
        "" if source else " If it is not published there, name a clone or a wheel: --from PATH."
    )
    return (
        f"At its first start uvx {where} from the package index that it is set to "
        f"(PyPI unless you changed that).{warning}"
    )


def next_steps(options: InstallOptions, file: Path) -> list[str]:
    """What remains for a person to do once the file is written."""
    client, steps = options.client, []
    if options.token_env:
        steps.append(
            f"Set {options.token_env} to your token in the environment that starts {client.title}."
        )
    if client.name == "claude-code" and file.name == ".mcp.json":
        steps.append(
            "Start `claude` in that project and approve the server: one from a project's file "
            "waits for that."
        )
    else:
        steps.append(client.next_step)
    if client.prompts and not (options.sandbox or options.url):
        steps.append(f"{client.title} asks for the auth id and token, once.")
    return steps
