"""How an operator configures us: read once, from a mapping, into a value."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from verify_mcp import keychain
from verify_mcp.domain.api_limits import is_auth_id
from verify_mcp.errors import CredentialsMissing, InvalidSetting

API_URL = "https://api.plivo.com"
IN_MEMORY = "sqlite://"
"""A database that lives and dies with this process."""
_TOKEN = re.compile(r"[!-~]{8,200}", re.ASCII)
_PLACEHOLDER = re.compile(r"\$\{.*\}|<.*>|your[-_ ].*|x{4,}", re.IGNORECASE)
_RATE = re.compile(r"([0-9]{1,6})\s*/\s*([0-9]{1,6}(?:\.[0-9]{1,3})?)", re.ASCII)
# Only signatures that need a private key: a shared secret or none at all is never accepted.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
# Settings that restrict who may ask, what they see, what is kept or how much is requested, each
# with an example: their default allows more, so a value that was never filled in is an error.
_RESTRICTIONS = {
    "VERIFY_MCP_AUDIT_FILE": "/var/log/verify-mcp/audit.log",
    "VERIFY_MCP_CALLER_BUDGET": "120",
    "VERIFY_MCP_MIRROR": "off",
    "VERIFY_MCP_OAUTH_ALGORITHMS": "RS256,ES256",
    "VERIFY_MCP_OAUTH_AUDIENCE": "https://verify.example.com/mcp",
    "VERIFY_MCP_OAUTH_ISSUER": "https://id.example.com",
    "VERIFY_MCP_OAUTH_JWKS_URL": "https://id.example.com/.well-known/jwks.json",
    "VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM": "subaccount",
    "VERIFY_MCP_PUBLIC_URL": "https://verify.example.com/mcp",
    "VERIFY_MCP_RATE_LIMIT": "20/60",
    "VERIFY_MCP_RECIPIENTS": "masked",
    "VERIFY_MCP_RETENTION": "90d",
    "VERIFY_MCP_RETRIEVE_RATE_LIMIT": "60/60",
    "VERIFY_MCP_TOKENS_FILE": "/etc/verify-mcp/tokens.json",
}


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `requests` in any `window` seconds."""

    requests: int
    window: float

    def __str__(self) -> str:
        return f"{self.requests}/{self.window:g}"


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
    rate_limit: Rate = Rate(20, 60.0)
    retrieve_rate_limit: Rate = Rate(60, 60.0)
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
    log_level: str = "WARNING"
    log_format: str = "text"
    audit_file: Path | None = None
    public_url: str = ""
    allowed_hosts: tuple[str, ...] = ()
    tokens_file: Path | None = None
    caller_budget: int = 120
    oauth: OAuth | None = None
    sandbox: bool = False

    def account(self) -> Credentials:
        """The credentials. Raises CredentialsMissing, saying which variable to set."""
        if self.credentials is None:
            raise CredentialsMissing(self.credentials_problem)
        return self.credentials


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that a process's environment asks for. Raises InvalidSetting, by name."""
    credentials, problem = _credentials(environ)
    return Settings(
        credentials=credentials,
        credentials_problem=problem,
        api_url=_api_url(_get(environ, "VERIFY_MCP_API_URL", API_URL)),
        rate_limit=_rate(environ, "VERIFY_MCP_RATE_LIMIT", "20/60"),
        retrieve_rate_limit=_rate(environ, "VERIFY_MCP_RETRIEVE_RATE_LIMIT", "60/60"),
        max_wait=_seconds(environ, "VERIFY_MCP_MAX_WAIT", "20", most=50),
        database_url=_database_url(environ),
        mirror=_choice(environ, "VERIFY_MCP_MIRROR", "on", ("on", "off")) == "on",
        settle=_settle(environ),
        retention=_retention(environ),
        time_zone=_time_zone(environ),
        masked=_choice(environ, "VERIFY_MCP_RECIPIENTS", "full", ("full", "masked")) == "masked",
        log_level=_choice(environ, "VERIFY_MCP_LOG_LEVEL", "WARNING", _LOG_LEVELS),
        log_format=_choice(environ, "VERIFY_MCP_LOG_FORMAT", "text", ("text", "json")),
        audit_file=_path(environ, "VERIFY_MCP_AUDIT_FILE"),
        public_url=_address(environ, "VERIFY_MCP_PUBLIC_URL"),
        allowed_hosts=_hosts(environ),
        tokens_file=_path(environ, "VERIFY_MCP_TOKENS_FILE"),
        caller_budget=_count(environ, "VERIFY_MCP_CALLER_BUDGET", "120"),
        oauth=_oauth(environ),
    )


def _get(environ: Mapping[str, str], name: str, default: str = "") -> str:
    """A variable's text; empty or still a placeholder (`${…}`) counts as not set.

    Raises InvalidSetting for a placeholder in a setting that restricts.
    """
    text = environ.get(name, "").strip()
    if not _PLACEHOLDER.fullmatch(text):
        return text or default
    if name in _RESTRICTIONS:
        raise InvalidSetting(
            f"{name} still holds a placeholder, and without its value less would be restricted "
            f"than was meant. Write the value, e.g. {_RESTRICTIONS[name]}, or unset {name} for "
            "its default."
        )
    return default


def _credentials(environ: Mapping[str, str]) -> tuple[Credentials | None, str]:
    auth_id = _get(environ, "PLIVO_AUTH_ID")
    token = (
        _get(environ, "PLIVO_AUTH_TOKEN")
        or _from_file(environ, "PLIVO_AUTH_TOKEN_FILE")
        or _from_keyring(environ, "PLIVO_AUTH_TOKEN_KEYRING", auth_id)
    )
    file = _get(environ, "PLIVO_AUTH_TOKEN_FILE")
    if file and not token:
        return None, (
            f"PLIVO_AUTH_TOKEN_FILE names {file}, which cannot be read or is empty. Put the auth "
            "token into that file (only you should be able to read it), then restart this server."
        )
    missing = [
        name
        for name, value in (("PLIVO_AUTH_ID", auth_id), ("PLIVO_AUTH_TOKEN", token))
        if not value
    ]
    if missing:
        return None, _missing(environ, missing)
    if is_auth_id(token) and not is_auth_id(auth_id):
        return None, "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN look swapped: the id starts with MA or SA."
    if not is_auth_id(auth_id):
        return None, (
            "PLIVO_AUTH_ID is not an auth id: 20 characters, MA (account) or SA (subaccount) and "
            "18 capitals or digits, from the overview page of the Plivo console."
        )
    if not _TOKEN.fullmatch(token):
        return None, "PLIVO_AUTH_TOKEN is not a token: copy it again from the Plivo console."
    return Credentials(auth_id, token), ""


def _missing(environ: Mapping[str, str], names: list[str]) -> str:
    placeholders = [name for name in names if environ.get(name, "").strip()]
    verb = "holds" if len(placeholders) == 1 else "hold"
    value = (
        f"{' and '.join(placeholders)} still {verb} a placeholder. "
        if placeholders
        else f"{' and '.join(names)} not set. "
    )
    return (
        f"{value}Set PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN where this server is configured (both are "
        "on the overview page of the Plivo console), then restart it. To try it without an "
        "account: verify-mcp serve --sandbox."
    )


def _from_file(environ: Mapping[str, str], name: str) -> str:
    path = _get(environ, name)
    if not path:
        return ""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        return ""


def _from_keyring(environ: Mapping[str, str], name: str, auth_id: str) -> str:
    service = _get(environ, name)
    return keychain.get_token(service, auth_id) if service and auth_id else ""


def _api_url(text: str) -> str:
    """Scheme and host only: https, or http to this machine. Raises InvalidSetting."""
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise InvalidSetting(_url_problem("is not a URL")) from None
    if url.scheme not in ("https", "http") or not host:
        raise InvalidSetting(_url_problem("is not a URL"))
    if url.username is not None or url.password is not None:
        raise InvalidSetting(_url_problem("holds a user or password"))
    if url.path.strip("/") or url.query or url.fragment:
        raise InvalidSetting(_url_problem("has a path or query"))
    if url.scheme == "http" and not is_loopback(host):
        raise InvalidSetting(_url_problem("is plain http to another machine"))
    host_text = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{host_text}" + (f":{port}" if port else "")


def _url_problem(what: str) -> str:
    return f"VERIFY_MCP_API_URL {what}. Give https://host, e.g. {API_URL}, or leave it out."


def is_loopback(host: str) -> bool:
    """Whether a host name or address can mean this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def data_directory() -> Path:
    """Where this product keeps its files on this platform."""
    from platformdirs import user_data_path

    return user_data_path("verify-mcp", appauthor=False)


def _database_url(environ: Mapping[str, str]) -> str:
    return _with_password(_database_address(environ), environ)


def _database_address(environ: Mapping[str, str]) -> str:
    url = _get(environ, "VERIFY_MCP_DATABASE_URL")
    if not url:
        return f"{IN_MEMORY}{quote(str(data_directory() / 'verify-mcp.sqlite3'))}"
    scheme = url.partition(":")[0].lower()
    if scheme not in ("sqlite", "postgresql", "postgres") or "://" not in url:
        raise InvalidSetting(
            "VERIFY_MCP_DATABASE_URL is not a database URL. Give sqlite:///path/to/file, sqlite:// "
            "(memory) or postgresql://user@host/name."
        )
    return url


def _with_password(url: str, environ: Mapping[str, str]) -> str:
    """The URL with the password of VERIFY_MCP_DATABASE_PASSWORD_FILE, if one is named.

    Raises InvalidSetting.
    """
    name = "VERIFY_MCP_DATABASE_PASSWORD_FILE"
    path = _get(environ, name)
    if not path:
        return url
    scheme, _, rest = url.partition("://")
    place, slash, tail = rest.partition("/")
    user, _, host = place.rpartition("@")
    if scheme.lower() == "sqlite" or ":" in user:
        raise InvalidSetting(
            f"{name} belongs to a VERIFY_MCP_DATABASE_URL without a password, e.g. "
            "postgresql://verify_mcp@db.example.com/verify_mcp. Change one of the two."
        )
    password = _from_file(environ, name)
    if not password:
        raise InvalidSetting(
            f"{name} names {path}, which cannot be read or is empty. Put the role's password "
            "into that file, e.g. /run/secrets/database-password."
        )
    return f"{scheme}://{user}:{quote(password, safe='')}@{host}{slash}{tail}"


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    text = _get(environ, name)
    return Path(text).expanduser() if text else None


def _count(environ: Mapping[str, str], name: str, default: str) -> int:
    text = _get(environ, name, default)
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text, re.ASCII):
        raise InvalidSetting(f"{name} is not a whole number from 1 to 99999, e.g. {default}.")
    return int(text)


def _address(environ: Mapping[str, str], name: str) -> str:
    """A web address, as it was written: https, or http to this machine."""
    text = _get(environ, name)
    try:
        url = urlsplit(text)
        host, _ = url.hostname or "", url.port
    except ValueError:
        host, url = "", urlsplit("")
    safe = url.scheme == "https" or (url.scheme == "http" and is_loopback(host))
    if text and (not host or not safe or "@" in url.netloc or url.fragment):
        raise InvalidSetting(
            f"{name} is not a web address. Give https://host/path, without user or fragment."
        )
    return text


def _hosts(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Exact values of the Host header, with their port where it is not the scheme's own."""
    hosts = tuple(filter(None, re.split(r"[\s,]+", _get(environ, "VERIFY_MCP_ALLOWED_HOSTS"))))
    if any(not _HOST.fullmatch(host) for host in hosts):
        raise InvalidSetting(
            "VERIFY_MCP_ALLOWED_HOSTS is not a list of hosts. Give exact names with their port, "
            "e.g. verify.example.com,10.0.0.5:8000. There are no wildcards."
        )
    return hosts


def _oauth(environ: Mapping[str, str]) -> OAuth | None:
    issuer = _address(environ, "VERIFY_MCP_OAUTH_ISSUER")
    jwks_url = _address(environ, "VERIFY_MCP_OAUTH_JWKS_URL")
    public_url = _get(environ, "VERIFY_MCP_PUBLIC_URL")
    audience = _get(environ, "VERIFY_MCP_OAUTH_AUDIENCE", public_url)
    names = _get(environ, "VERIFY_MCP_OAUTH_ALGORITHMS", "RS256,ES256").split(",")
    algorithms = tuple(each.strip() for each in names)
    if any(each not in _ALGORITHMS for each in algorithms):
        raise InvalidSetting(
            f"VERIFY_MCP_OAUTH_ALGORITHMS is not a list of {', '.join(_ALGORITHMS)}."
        )
    claim = _get(environ, "VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM")
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


def _rate(environ: Mapping[str, str], name: str, default: str) -> Rate:
    match = _RATE.fullmatch(_get(environ, name, default))
    rate = Rate(int(match[1]), float(match[2])) if match else Rate(0, 0)
    if rate.requests < 1 or rate.window <= 0:
        raise InvalidSetting(f"{name} is not a rate. Give requests/seconds, e.g. {default}.")
    return rate


def _seconds(environ: Mapping[str, str], name: str, default: str, *, most: float) -> float:
    text = _get(environ, name, default)
    seconds = float(text) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text, re.ASCII) else -1.0
    if not 0 <= seconds <= most:
        raise InvalidSetting(
            f"{name} is not a number of seconds from 0 to {most:g}, e.g. {default}."
        )
    return seconds


def _duration(environ: Mapping[str, str], name: str, default: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,5})([smhd])", _get(environ, name, default), re.ASCII)
    if match is None:
        raise InvalidSetting(f"{name} is not a length of time. Give e.g. 30m, 1h or 90d.")
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def _settle(environ: Mapping[str, str]) -> timedelta:
    settle = _duration(environ, "VERIFY_MCP_SETTLE", "1h")
    if settle < timedelta(minutes=1):
        raise InvalidSetting("VERIFY_MCP_SETTLE is shorter than a minute. Give e.g. 1h.")
    return settle


def _retention(environ: Mapping[str, str]) -> timedelta | None:
    text = _get(environ, "VERIFY_MCP_RETENTION")
    return _duration(environ, "VERIFY_MCP_RETENTION", "90d") if text else None


def _time_zone(environ: Mapping[str, str]) -> str:
    name = _get(environ, "VERIFY_MCP_TIME_ZONE", "UTC")
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidSetting(
            "VERIFY_MCP_TIME_ZONE is not an IANA time zone, e.g. Asia/Kolkata."
        ) from None


def _choice(environ: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    text = _get(environ, name, default)
    found = next((choice for choice in choices if choice.lower() == text.lower()), None)
    if found is None:
        raise InvalidSetting(f"{name} is none of {', '.join(choices)}.")
    return found
