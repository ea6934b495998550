"""Where the auth token of an installation is stored, and storing it there.

In this order:

1. VS Code asks for the token and keeps it safe (`inputs`), so nothing of it is written here.
2. A file that PLIVO_AUTH_TOKEN_FILE names already is used as it is.
3. The system's keyring, on macOS and Windows with the `keyring` extra.
4. A file of its own, which only its owner can read (0600).

The token never stands in the client's configuration: those files are shared, synchronised and shown
on screens. References such as `${env:PLIVO_AUTH_TOKEN}` are not written either: a client started
from a desktop knows nothing of a shell's variables, and each client spells them differently.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from verify_mcp import keychain, private_files
from verify_mcp.errors import InvalidSetting
from verify_mcp.install.environment import Environment, InstallOptions, Terminal
from verify_mcp.settings import read_settings

_PLACEHOLDER_ID = "<your PLIVO_AUTH_ID>"
_SAMPLE_TOKEN = "0" * 40
_VSCODE_ENV = {"PLIVO_AUTH_ID": "${input:plivo-id}", "PLIVO_AUTH_TOKEN": "${input:plivo-token}"}


@dataclass(frozen=True, slots=True)
class TokenPlacement:
    """The variables that an entry gets for an account, and where its token has to be stored."""

    env: Mapping[str, str]
    auth_id: str = ""
    file: Path | None = None
    keyring: bool = False

    @property
    def is_stored(self) -> bool:
        """Whether there is a token already. Raises InvalidSetting when the keyring is locked."""
        if self.file:
            return self.file.exists()
        return bool(keychain.get_token(keychain.SERVICE, self.auth_id))


def choose_placement(
    options: InstallOptions, environment: Environment, terminal: Terminal
) -> TokenPlacement:
    """Decide where the token is stored; ask for a missing auth id. Raises InvalidSetting."""
    if options.sandbox or options.url:
        return TokenPlacement({})
    if options.client.prompts:
        return TokenPlacement(_VSCODE_ENV)
    auth_id = options.auth_id or environment.environ.get("PLIVO_AUTH_ID", "").strip()
    if not auth_id and options.only_print:
        auth_id = _PLACEHOLDER_ID
    if not auth_id and terminal.ask:
        question = "Auth id (MA… or SA…, on the overview page of the console): "
        auth_id = terminal.ask(question).strip()
    if auth_id != _PLACEHOLDER_ID:
        _check_credentials(auth_id, _SAMPLE_TOKEN)
    return _placement_of(auth_id, environment)


def store_token(environment: Environment, terminal: Terminal, placement: TokenPlacement) -> None:
    """Store the token where the entry looks for it, unless it is there. Raises InvalidSetting."""
    if not placement.auth_id or placement.is_stored:
        return
    token = environment.environ.get("PLIVO_AUTH_TOKEN", "").strip()
    if not token and terminal.ask_secret:
        token = terminal.ask_secret("Auth token (not shown, not written into the client's file): ")
    place = "the system's keyring" if placement.keyring else str(placement.file)
    if not token.strip():
        terminal.write(
            f"The token is still missing. Run this again with PLIVO_AUTH_TOKEN set, or put it into "
            f"{place} yourself.\n"
        )
        return
    _check_credentials(placement.auth_id, token.strip())
    if placement.file:
        _store_in_file(placement.file, token.strip())
    else:
        keychain.store_token(keychain.SERVICE, placement.auth_id, token.strip())
    terminal.write(f"The token is in {place}.\n")


def token_locations(env: Mapping[str, str]) -> list[str]:
    """Where the token of an entry with these variables is stored, in words for a person."""
    file, service = env.get("PLIVO_AUTH_TOKEN_FILE"), env.get("PLIVO_AUTH_TOKEN_KEYRING")
    keyring = f"the system's keyring ({service}, {env.get('PLIVO_AUTH_ID')})" if service else None
    return [location for location in (file, keyring) if location]


def _check_credentials(auth_id: str, token: str) -> None:
    """Raise InvalidSetting when these could not be an account's id and token."""
    settings = read_settings({"PLIVO_AUTH_ID": auth_id, "PLIVO_AUTH_TOKEN": token})
    if settings.credentials is None:
        problem = settings.credentials_problem.partition(" Set ")[0]
        hint = "Give --auth-id, or set PLIVO_AUTH_ID, or try --sandbox: it needs no account."
        raise InvalidSetting(f"{problem} {hint}")


def _placement_of(auth_id: str, environment: Environment) -> TokenPlacement:
    named = environment.environ.get("PLIVO_AUTH_TOKEN_FILE", "").strip()
    if not named and keychain.is_usable(environment.platform):
        env = {"PLIVO_AUTH_ID": auth_id, "PLIVO_AUTH_TOKEN_KEYRING": keychain.SERVICE}
        return TokenPlacement(env, auth_id, keyring=True)
    if named:
        file = Path(named).expanduser().absolute()
    elif auth_id == _PLACEHOLDER_ID:
        file = environment.secrets / "token"
    else:
        file = environment.secrets / f"{auth_id}.token"
    env = {"PLIVO_AUTH_ID": auth_id, "PLIVO_AUTH_TOKEN_FILE": str(file)}
    return TokenPlacement(env, auth_id, file=file)


def _store_in_file(file: Path, token: str) -> None:
    try:
        private_files.make_directory(file.parent)
        private_files.create(file, f"{token}\n".encode())
    except OSError as error:
        raise InvalidSetting(f"{file} could not be written ({error.strerror}).") from error
