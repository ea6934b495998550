"""Settings: read once from the environment, by the table of settings, into a value."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from verify_mcp import keychain
from verify_mcp.domain.api_limits import is_auth_id
from verify_mcp.errors import CredentialsMissing, InvalidSetting
from verify_mcp.settings_parsers import API_URL, DEFAULT_AHEAD, Rate
from verify_mcp.settings_table import SETTINGS, read_setting

__all__ = [
    "API_URL",
    "IN_MEMORY",
    "PUT_INTO_FILE",
    "SET_VARIABLES",
    "Credentials",
    "OAuth",
    "Rate",
    "Settings",
    "data_directory",
    "read_settings",
]  # fmt: skip

IN_MEMORY = "sqlite://"
"""A database that lives and dies with this process."""
SET_VARIABLES = (
    "Set PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN where this server is configured (both are on the "
    "overview page of the Plivo console), then restart it. To try it without an account: "
    "verify-mcp serve --sandbox."
)
PUT_INTO_FILE = (
    "Put the auth token into that file (only you should be able to read it), then restart this "
    "server."
)
"""What helps a server whose credentials are missing."""
_TOKEN = re.compile(r"[!-~]{8,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account's (`MA…`) or subaccount's (`SA…`) id and token; the token shows in no repr."""

    auth_id: str
    auth_token: str = field(repr=False)

    @property
    def is_subaccount(self) -> bool:
        """Whether these are a subaccount's, to which the API confines every answer."""
        return self.auth_id.startswith("SA")

    @property
    def masked_id(self) -> str:
        """The id with its middle hidden, for people and logs."""
        return f"{self.auth_id[:4]}…{self.auth_id[-4:]}"


@dataclass(frozen=True, slots=True)
class OAuth:
    """Whose access tokens (JWT) are accepted over HTTP, and for what."""

    issuer: str
    jwks_url: str
    audience: str
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    subaccount_claim: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default; one field each, named like its variable.

    `credentials` is None when they are missing, and `credentials_problem` then says what to set:
    the server starts all the same, so that a client can list its tools.
    """

    credentials: Credentials | None = None
    credentials_problem: str = ""
    api_url: str = API_URL
    rate_limit: Rate = field(default=Rate(20, 60.0))
    retrieve_rate_limit: Rate = field(default=Rate(60, 60.0))
    max_wait: float = 20.0
    request_timeout: float = 15.0
    connect_timeout: float = 5.0
    database_url: str = field(default=IN_MEMORY, repr=False)
    """May hold a password, so it is in no repr."""
    mirror: bool = True
    settle: timedelta = timedelta(hours=1)
    masked: bool = False
    time_zone: str = "UTC"
    retention: timedelta | None = None
    ahead: int = DEFAULT_AHEAD
    """Requests that are made in the background for one question."""
    follow: timedelta | None = None
    log_level: str = "WARNING"
    log_format: str = "text"
    audit_file: Path | None = None
    public_url: str = ""
    allowed_hosts: tuple[str, ...] = ()
    tokens_file: Path | None = None
    caller_budget: int = 120
    oauth: OAuth | None = None
    default_max_requests: int | None = None
    """Requests that a summary may take where its caller does not say; None: by the rate limit."""
    sandbox: bool = False

    def account(self) -> Credentials:
        """The credentials. Raises CredentialsMissing, saying which variable to set."""
        if self.credentials is None:
            raise CredentialsMissing(self.credentials_problem)
        return self.credentials


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that a process's environment gives. Raises InvalidSetting, by name."""
    credentials, problem = _credentials(environ)
    values = {
        setting.field: _COMBINED.get(setting.field, setting.read)(environ)
        for setting in SETTINGS
        if setting.field
    }
    return Settings(credentials=credentials, credentials_problem=problem, **values)


def data_directory() -> Path:
    """Where this product keeps its files on this platform."""
    from platformdirs import user_data_path

    return user_data_path("verify-mcp", appauthor=False)


def _credentials(environ: Mapping[str, str]) -> tuple[Credentials | None, str]:
    """The credentials, and what is wrong with them: one of the two is None or empty."""
    auth_id: str = read_setting(environ, "PLIVO_AUTH_ID")
    token = _auth_token(environ, auth_id)
    problem = _missing_credentials(environ, auth_id, token) or _credentials_problem(auth_id, token)
    return (None, problem) if problem else (Credentials(auth_id, token), "")


def _auth_token(environ: Mapping[str, str], auth_id: str) -> str:
    token: str = read_setting(environ, "PLIVO_AUTH_TOKEN")
    return (
        token
        or _text_of_file(read_setting(environ, "PLIVO_AUTH_TOKEN_FILE"))
        or _token_of_keyring(read_setting(environ, "PLIVO_AUTH_TOKEN_KEYRING"), auth_id)
    )


def _text_of_file(path: str) -> str:
    """The file's text, "" when no file is named or it cannot be read."""
    if not path:
        return ""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        return ""


def _token_of_keyring(service: str, auth_id: str) -> str:
    return keychain.get_token(service, auth_id) if service and auth_id else ""


def _missing_credentials(environ: Mapping[str, str], auth_id: str, token: str) -> str:
    """Which variables to set, "" when none is missing."""
    file = read_setting(environ, "PLIVO_AUTH_TOKEN_FILE")
    if file and not token:
        return (
            f"PLIVO_AUTH_TOKEN_FILE names {file}, which cannot be read or is empty. {PUT_INTO_FILE}"
        )
    values = {"PLIVO_AUTH_ID": auth_id, "PLIVO_AUTH_TOKEN": token}
    names = [name for name, value in values.items() if not value]
    if not names:
        return ""
    placeholders = [name for name in names if environ.get(name, "").strip()]
    verb = "holds" if len(placeholders) == 1 else "hold"
    problem = (
        f"{' and '.join(placeholders)} still {verb} a placeholder. "
        if placeholders
        else f"{' and '.join(names)} not set. "
    )
    return f"{problem}{SET_VARIABLES}"


def _credentials_problem(auth_id: str, token: str) -> str:
    """What is wrong with the form of the id or the token, "" when nothing is."""
    if is_auth_id(token) and not is_auth_id(auth_id):
        return "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN look swapped: the id starts with MA or SA."
    if not is_auth_id(auth_id):
        return (
            "PLIVO_AUTH_ID is not an auth id: 20 characters, MA (account) or SA (subaccount) and "
            "18 capitals or digits, from the overview page of the Plivo console."
        )
    if not _TOKEN.fullmatch(token):
        return "PLIVO_AUTH_TOKEN is not a token: copy it again from the Plivo console."
    return ""


def _database_url(environ: Mapping[str, str]) -> str:
    """The database's URL, with the password of VERIFY_MCP_DATABASE_PASSWORD_FILE if that is set.

    Raises InvalidSetting.
    """
    url: str = read_setting(environ, "VERIFY_MCP_DATABASE_URL")
    if not url:
        url = f"{IN_MEMORY}{quote(str(data_directory() / 'verify-mcp.sqlite3'))}"
    name = "VERIFY_MCP_DATABASE_PASSWORD_FILE"
    path: str = read_setting(environ, name)
    if not path:
        return url
    scheme, _, rest = url.partition("://")
    authority, slash, tail = rest.partition("/")
    user, _, host = authority.rpartition("@")
    if scheme.lower() == "sqlite" or ":" in user:
        raise InvalidSetting(
            f"{name} belongs to a VERIFY_MCP_DATABASE_URL without a password, e.g. "
            "postgresql://verify_mcp@db.example.com/verify_mcp. Change one of the two."
        )
    password = _text_of_file(path)
    if not password:
        raise InvalidSetting(
            f"{name} names {path}, which cannot be read or is empty. Put the role's password "
            "into that file, e.g. /run/secrets/database-password."
        )
    return f"{scheme}://{user}:{quote(password, safe='')}@{host}{slash}{tail}"


def _oauth(environ: Mapping[str, str]) -> OAuth | None:
    """What the settings of OAuth mean together, None without one. Raises InvalidSetting."""
    issuer: str = read_setting(environ, "VERIFY_MCP_OAUTH_ISSUER")
    jwks_url: str = read_setting(environ, "VERIFY_MCP_OAUTH_JWKS_URL")
    public_url: str = read_setting(environ, "VERIFY_MCP_PUBLIC_URL")
    audience = read_setting(environ, "VERIFY_MCP_OAUTH_AUDIENCE") or public_url
    algorithms = read_setting(environ, "VERIFY_MCP_OAUTH_ALGORITHMS")
    claim: str = read_setting(environ, "VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM")
    if claim and not (issuer or jwks_url):
        raise InvalidSetting(
            "VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM confines nobody without an authorization server. "
            "Set VERIFY_MCP_OAUTH_ISSUER, e.g. https://id.example.com, or unset the claim."
        )
    if not issuer and not jwks_url:
        return None
    if not (issuer and jwks_url and public_url):
        raise InvalidSetting(
            "VERIFY_MCP_OAUTH_ISSUER, VERIFY_MCP_OAUTH_JWKS_URL and VERIFY_MCP_PUBLIC_URL belong "
            "together: set all three."
        )
    return OAuth(issuer, jwks_url, audience, algorithms, claim)


_COMBINED: dict[str, Callable[[Mapping[str, str]], Any]] = {
    "database_url": _database_url,
    "oauth": _oauth,
}
"""The fields whose value comes from several variables."""
