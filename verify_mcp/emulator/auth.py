"""The sandbox credentials, and a strict check of HTTP Basic."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING

from .responses import Response, json_reply
from .session_simulation import SUBACCOUNTS

if TYPE_CHECKING:
    from collections.abc import Mapping

SANDBOX_AUTH_ID = "MASANDBOXACCOUNT0000"
SANDBOX_AUTH_TOKEN = "sandbox-token-not-a-secret"  # noqa: S105 - opens nothing but the emulator
_AUTH_IDS: tuple[str, ...] = (SANDBOX_AUTH_ID, *SUBACCOUNTS)
SANDBOX_TOKENS: dict[str, str] = dict.fromkeys(_AUTH_IDS, SANDBOX_AUTH_TOKEN)

_AUTH_ID = re.compile(r"(?:MA|SA)[A-Z0-9]{18}", re.ASCII)


def auth_error(
    headers: Mapping[str, str], requested_account: str, tokens: Mapping[str, str]
) -> Response | None:
    """The 401 for a request to `requested_account` with these headers, None if they are valid."""
    user, token = _basic(headers.get("authorization", ""))
    if user is None:
        return json_reply(401, {"error": "authentication credentials were not provided"})
    if not _AUTH_ID.fullmatch(user) or user != requested_account or tokens.get(user) != token:
        return json_reply(401, {"error": "authentication credentials are not valid"})
    return None


def _basic(header: str) -> tuple[str | None, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None, ""
    try:
        user, _, token = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None, ""
    return user or None, token
