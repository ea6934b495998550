"""Logs on stderr without secrets and without complete phone numbers."""

import json
import logging
import re
import sys
from contextvars import ContextVar
from errno import ELOOP, EMLINK, ENXIO
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

from verify_mcp import private_files
from verify_mcp.domain import phones
from verify_mcp.domain.api_limits import UUID_PATTERN
from verify_mcp.errors import InvalidSetting
from verify_mcp.redaction import REDACTED, encoded_forms
from verify_mcp.settings import Settings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the HTTP request that is being answered."""

# The characters between two digits of a number: plain, escaped in a URL, or escaped by repr() or
# JSON.
_GAP = (
    r"(?:[^\S\r\n]|[().\-/+\u2010-\u2015\u2212\u200b-\u200f\u2060\ufeff]"
    r"|%(?:2[0789BDEF]|0[9AD]|C2|E2|EF|[89AB][0-9A-F])"
    r"|\\+(?:[nrtfv]|x[0-9a-f]{2}|u[0-9a-f]{4})){0,12}"
)
_DATE = (
    r"20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"(?:(?:[T ]|%20|\+)(?:[01]\d|2[0-3])(?:(?::|%3A)[0-5]\d){1,2}(?:[.,]\d{1,6})?)?(?!\d)"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_UUID = rf"(?<![0-9a-f]){UUID_PATTERN}(?![0-9a-f])"
_NEXT = rf"(?:{_GAP}(?!{_DATE})\d)"
# After the name of a recipient field and after a plus, seven digits are a number, with or without
# gaps; elsewhere seven digits without gaps or eight with gaps. UUIDs, times and IPv4 addresses stay
# as they are.
_NUMBER = re.compile(
    rf"(?P<lead>(?:recipient|phone)[a-z_]*(?:[\s\"'\\:=\[({{>]|%[0-9A-F]{{2}}){{1,12}})"
    rf"(?!{_UUID})\+?{_GAP}\d{_NEXT}{{6,}}"
    rf"|(?P<unmasked>{_UUID}|(?<!\d){_DATE}|(?<![\d.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\d.]))"
    rf"|(?:\+|(?<=%2B))\(?\d{_NEXT}{{6,}}"
    rf"|\+?\d{{7,}}"
    rf"|\d{_NEXT}{{7,}}",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"%[0-9A-F]{2}|\\+(?:x[0-9a-f]{2}|u[0-9a-f]{4})|\D", re.IGNORECASE)
_UNMASKED_FIELDS = ("time", "request_id", "caller", "issuer", "tool")


class RedactingFormatter(logging.Formatter):
    """Formats a record without secrets and complete phone numbers, in tracebacks too."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        """One record as text, with line breaks only in its traceback."""
        return self.redact(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        record.message = " ".join(record.message.splitlines())
        return super().formatMessage(record)

    def redact(self, text: str) -> str:
        """A text without secrets and with masked phone numbers."""
        return _NUMBER.sub(_mask_numbers, str(self.without_secrets(text)))

    def without_secrets(self, value: object) -> object:
        """A text without secrets; a value of another type stays as it is."""
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, REDACTED)
        return value


def _mask_numbers(match: re.Match[str]) -> str:
    if match["unmasked"]:
        return match["unmasked"]
    lead = match["lead"] or ""
    return lead + phones.mask_for_logs(_ESCAPE.sub("", match[0][len(lead) :]))


class JsonFormatter(RedactingFormatter):
    """Formats a record as one JSON object on one line, redacted in the same way."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        fields = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "request_id": request_id.get(),
            "message": self.redact(message),
        }
        present = {name: value for name, value in fields.items() if value is not None}
        return json.dumps(present, ensure_ascii=False)


def secret_values(settings: Settings) -> tuple[str, ...]:
    """The forms in which the account's token or the database's password can appear."""
    password = urlsplit(settings.database_url).password
    database = tuple({password, unquote(password)}) if password else ()
    account = settings.credentials
    if account is None:
        return database
    return (*encoded_forms(account), *database)


def configure(settings: Settings) -> None:
    """Send this process's logs to stderr, from the level of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    kind = JsonFormatter if settings.log_format == "json" else RedactingFormatter
    handler.setFormatter(kind(secret_values(settings)))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    # At DEBUG sse_starlette logs every answer with its recipients.
    logging.getLogger("sse_starlette").setLevel(logging.INFO)


def configure_audit(settings: Settings, name: str) -> None:
    """Send the JSON lines of the audit logger `name` to its file or to stderr."""
    audit = logging.getLogger(name)
    handler = (
        _open_for_append(settings.audit_file) if settings.audit_file else logging.StreamHandler()
    )
    handler.setFormatter(MessageFormatter(secret_values(settings)))
    audit.handlers = [handler]
    audit.propagate = False
    audit.setLevel(logging.INFO)


class MessageFormatter(RedactingFormatter):
    """Formats an audit line, which is JSON: values without secrets and with masked phone numbers.

    Fields that identify callers and requests are not masked, even if a value looks like a number.
    """

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        try:
            line = json.loads(message)
        except ValueError:
            return self.redact(message)
        if not isinstance(line, dict):
            return self.redact(message)
        fields = {
            name: self.without_secrets(value) if name in _UNMASKED_FIELDS else self._mask(value)
            for name, value in line.items()
        }
        return json.dumps(fields, ensure_ascii=False)

    def _mask(self, value: object) -> object:
        if isinstance(value, list):
            return [self._mask(item) for item in value]
        return self.redact(value) if isinstance(value, str) else value


class PrivateFileHandler(WatchedFileHandler):
    """Appends to a file that only this user can read, and reopens it after a rotation.

    A link, a pipe or a file with a second name is refused; its lines go to stderr.
    """

    _is_refused = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.reopenIfNeeded()
            if self.stream is None:
                self.stream = self._open()
                self._statstream()
        except OSError as error:
            self._refuse(error, record)
            return
        self._is_refused = False
        logging.FileHandler.emit(self, record)

    def _open(self) -> TextIOWrapper:
        return private_files.open_for_append(self.baseFilename)

    def _refuse(self, error: OSError, record: logging.LogRecord) -> None:
        if not self._is_refused:
            self._is_refused = True
            sys.stderr.write(
                f"VERIFY_MCP_AUDIT_FILE cannot be written ({_describe_error(error)}); "
                "until it can be, audit lines are written here.\n"
            )
        sys.stderr.write(f"{self.format(record)}\n")


def _describe_error(error: OSError) -> str:
    if error.errno in (ELOOP, EMLINK, ENXIO):
        return private_files.NO_PLAIN_FILE
    return error.strerror or "unknown"


def _open_for_append(path: Path) -> logging.Handler:
    """The handler of the audit file. Raises InvalidSetting when it cannot be written."""
    try:
        return PrivateFileHandler(path, encoding="utf-8")
    except OSError as error:
        raise InvalidSetting(
            f"VERIFY_MCP_AUDIT_FILE cannot be written ({_describe_error(error)})."
        ) from error
