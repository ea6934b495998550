"""The table of settings: every environment variable, its default, its parser and its help."""

import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from verify_mcp.errors import InvalidSetting
from verify_mcp.settings_parsers import (
    API_URL,
    InvalidValue,
    parse_ahead,
    parse_algorithms,
    parse_api_url,
    parse_count,
    parse_database_url,
    parse_follow,
    parse_hosts,
    parse_path,
    parse_rate,
    parse_retention,
    parse_settle_time,
    parse_time_zone,
    parse_web_address,
    seconds_up_to,
)

_PLACEHOLDER = re.compile(r"\$\{.*\}|<.*>|your[-_ ].*|x{4,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable.

    `default` is the text that counts when the variable is not set, `help` a line of Markdown.
    `field` is the field of Settings that the variable sets; "" when it only adds to what another
    variable sets. A text out of `choices`, if there are any, is given to `parse` as it stands
    there. `example` is a text that `parse` accepts. `restricts` says that the setting restricts
    who may call, what they see, what is saved or how much is requested: its default allows more,
    so a placeholder that was never replaced is an error.
    """

    name: str
    default: str
    help: str
    _: KW_ONLY
    field: str = ""
    parse: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    example: str = ""
    restricts: bool = False

    def read(self, environ: Mapping[str, str]) -> Any:
        """The variable's value in this environment. Raises InvalidSetting."""
        text = self._text(environ)
        try:
            return self.parse(self._choice(text))
        except InvalidValue as error:
            problem = str(error)
        end = "" if problem.endswith(".") else f", e.g. {self.example}."
        raise InvalidSetting(f"{self.name} {problem}{end}")

    def _text(self, environ: Mapping[str, str]) -> str:
        """The variable's text; empty or still a placeholder (`${…}`) counts as not set."""
        text = environ.get(self.name, "").strip()
        if not _PLACEHOLDER.fullmatch(text):
            return text or self.default
        if self.restricts:
            raise InvalidSetting(
                f"{self.name} still holds a placeholder, and without its value less would be "
                f"restricted than was meant. Write the value, e.g. {self.example}, or unset "
                f"{self.name} for its default."
            )
        return self.default

    def _choice(self, text: str) -> str:
        if not self.choices:
            return text
        for choice in self.choices:
            if choice.lower() == text.lower():
                return choice
        raise InvalidValue(f"is none of {', '.join(self.choices)}.")


# fmt: off
SETTINGS = (
    Setting("PLIVO_AUTH_ID", "",
            "Auth id of the account (`MA…`) or, narrower, of a subaccount (`SA…`)"),
    Setting("PLIVO_AUTH_TOKEN", "", "Auth token that belongs to the auth id"),
    Setting("PLIVO_AUTH_TOKEN_FILE", "",
            "A file that holds the token, instead of `PLIVO_AUTH_TOKEN`"),
    Setting("PLIVO_AUTH_TOKEN_KEYRING", "",
            "The service under which the system's keyring holds the token, for the auth id (needs "
            "the `keyring` extra)"),
    Setting("VERIFY_MCP_API_URL", API_URL,
            "Address of the API: https, or http on this machine",
            field="api_url", parse=parse_api_url),
    Setting("VERIFY_MCP_RATE_LIMIT", "20/60", "List requests allowed in so many seconds",
            field="rate_limit", parse=parse_rate, example="20/60", restricts=True),
    Setting("VERIFY_MCP_RETRIEVE_RATE_LIMIT", "60/60", "The same for requests of one session",
            field="retrieve_rate_limit", parse=parse_rate, example="60/60", restricts=True),
    Setting("VERIFY_MCP_MAX_WAIT", "20", "Seconds a call may wait for its turn, 0 to 50",
            field="max_wait", parse=seconds_up_to(50), example="20"),
    Setting("VERIFY_MCP_DATABASE_URL", "",
            "Where data is kept: `sqlite:///path`, `sqlite://` (memory only) or `postgresql://…`; "
            "a file in the data directory unless set",
            field="database_url", parse=parse_database_url),
    Setting("VERIFY_MCP_DATABASE_PASSWORD_FILE", "",
            "A file with the password for a `postgresql://` address without one; read at the "
            "start"),
    Setting("VERIFY_MCP_MIRROR", "on", "`off` asks the API every time and keeps no session",
            field="mirror", parse=lambda text: text == "on", choices=("on", "off"), example="off",
            restricts=True),
    Setting("VERIFY_MCP_SETTLE", "1h",
            "How long after its last attempt a finished session is taken for final",
            field="settle", parse=parse_settle_time),
    Setting("VERIFY_MCP_RETENTION", "",
            "Sessions older than this are forgotten, e.g. `90d`; kept until `purge` unless set",
            field="retention", parse=parse_retention, example="90d", restricts=True),
    Setting("VERIFY_MCP_AHEAD", "on",
            "Whether what an answer leaves open is completed in the background: `on`, `off`, or "
            "at most so many requests for one question (`on`: 400)",
            field="ahead", parse=parse_ahead, example="400", restricts=True),
    Setting("VERIFY_MCP_FOLLOW", "",
            "How much of the past is kept in the mirror all the time, e.g. `7d`; nothing unless "
            "set",
            field="follow", parse=parse_follow, example="7d"),
    Setting("VERIFY_MCP_TIME_ZONE", "UTC",
            "Time zone of days and hours in summaries, e.g. `Asia/Kolkata`",
            field="time_zone", parse=parse_time_zone, example="Asia/Kolkata"),
    Setting("VERIFY_MCP_RECIPIENTS", "full",
            "`masked` shows pseudonyms such as `+91…3443~k7q2`, understood as filters too",
            field="masked", parse=lambda text: text == "masked", choices=("full", "masked"),
            example="masked", restricts=True),
    Setting("VERIFY_MCP_LOG_LEVEL", "WARNING",
            "How much goes to stderr: `DEBUG`, `INFO`, `WARNING` or `ERROR`",
            field="log_level", choices=("DEBUG", "INFO", "WARNING", "ERROR")),
    Setting("VERIFY_MCP_LOG_FORMAT", "text", "`json` writes one JSON object a line",
            field="log_format", choices=("text", "json")),
    Setting("VERIFY_MCP_AUDIT_FILE", "",
            "Over HTTP: a file for the audit lines, instead of stderr",
            field="audit_file", parse=parse_path, example="/var/log/verify-mcp/audit.log",
            restricts=True),
    Setting("VERIFY_MCP_PUBLIC_URL", "",
            "Over HTTP: the address that callers use, such as `https://verify.example.com/mcp`",
            field="public_url", parse=parse_web_address, example="https://verify.example.com/mcp",
            restricts=True),
    Setting("VERIFY_MCP_ALLOWED_HOSTS", "",
            "Over HTTP: further Host headers that are answered, exact, comma-separated",
            field="allowed_hosts", parse=parse_hosts),
    Setting("VERIFY_MCP_TOKENS_FILE", "",
            "Over HTTP: where `verify-mcp token` keeps tokens; a file in the data directory "
            "unless set",
            field="tokens_file", parse=parse_path, example="/etc/verify-mcp/tokens.json",
            restricts=True),
    Setting("VERIFY_MCP_CALLER_BUDGET", "120",
            "Over HTTP: calls a minute of a caller with an OAuth token",
            field="caller_budget", parse=parse_count, example="120", restricts=True),
    Setting("VERIFY_MCP_OAUTH_ISSUER", "",
            "Over HTTP: the authorization server whose tokens are taken",
            field="oauth", parse=parse_web_address, example="https://id.example.com",
            restricts=True),
    Setting("VERIFY_MCP_OAUTH_JWKS_URL", "", "Its published keys",
            parse=parse_web_address, example="https://id.example.com/.well-known/jwks.json",
            restricts=True),
    Setting("VERIFY_MCP_OAUTH_AUDIENCE", "",
            "The audience that its tokens name; `VERIFY_MCP_PUBLIC_URL` unless set",
            example="https://verify.example.com/mcp", restricts=True),
    Setting("VERIFY_MCP_OAUTH_ALGORITHMS", "RS256,ES256", "Signatures that are taken",
            parse=parse_algorithms, example="RS256,ES256", restricts=True),
    Setting("VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM", "",
            "The claim that confines a caller to a subaccount",
            example="subaccount", restricts=True),
)
# fmt: on
_BY_NAME = {setting.name: setting for setting in SETTINGS}


def setting_names() -> list[str]:
    """Every environment variable that is a setting, in the order of the table."""
    return list(_BY_NAME)


def read_setting(environ: Mapping[str, str], name: str) -> Any:
    """The value of the setting `name`. Raises InvalidSetting."""
    return _BY_NAME[name].read(environ)
