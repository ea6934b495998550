"""Logs on stderr, without secrets and without whole phone numbers."""

import base64
import logging
import re
import sys
from urllib.parse import quote

from verify_mcp import phones
from verify_mcp.settings import Settings

# Seven digits and more, alone or written as a number with its country code; not parts of a UUID.
_NUMBER = re.compile(r"(?<![0-9a-f-])\+?[0-9]{7,15}(?![0-9a-f-])|\+[0-9][0-9 ().-]{6,20}[0-9]")
_HIDDEN = "[hidden]"


class Discreet(logging.Formatter):
    """A formatter through which no secret and no whole phone number passes, tracebacks included."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        """One record as text, its line breaks kept only in a traceback."""
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return _NUMBER.sub(lambda found: phones.masked(re.sub(r"\D", "", found[0])), text)


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """The forms in which the account's token could turn up."""
    account = settings.credentials
    if account is None:
        return ()
    pair = f"{account.auth_id}:{account.auth_token}".encode()
    basic = base64.b64encode(pair).decode()
    return (basic, account.auth_token, quote(account.auth_token, safe=""))


def configure(settings: Settings) -> None:
    """Send this process's logs to stderr, from the level that the settings ask for."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Discreet(secrets_of(settings)))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
