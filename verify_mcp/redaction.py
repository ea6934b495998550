"""Removes the account's credentials from text and from JSON that repeats them."""

import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

from pydantic_core import from_json, to_json

from verify_mcp.settings import Credentials

REDACTED = "[hidden]"


def encoded_forms(account: Credentials) -> tuple[str, ...]:
    """The forms in which an account's token can appear, the longest first."""
    token = account.auth_token
    encoded = [
        encode(text.encode()).decode()
        for encode in (b64encode, urlsafe_b64encode)
        for text in (f"{account.auth_id}:{token}", token)
    ]
    unpadded = [form.rstrip("=") for form in encoded]
    forms = {token, quote(token, safe=""), *encoded, *unpadded} - {""}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


class Redactor:
    """Removes an account's credentials from the replies of its API."""

    def __init__(self, account: Credentials) -> None:
        self._forms = encoded_forms(account)
        self._bytes = tuple(form.encode() for form in self._forms)

    def __call__(self, body: bytes) -> bytes:
        """A reply's body without the credentials; a body that is not JSON is returned unchanged.

        Only a body that contains a credential, an escape, or UTF-16 or UTF-32 is parsed: an escape
        or an encoding can hide a credential. The usual body costs one search for each form.
        """
        is_plain = b"\\" not in body and b"\0" not in body
        if is_plain and not any(form in body for form in self._bytes):
            return body
        try:
            value = from_json(body.decode(json.detect_encoding(body)), allow_inf_nan=True)
        except (ValueError, RecursionError):
            return body
        redacted = self._redact(value)
        return body if redacted == value else to_json(redacted, inf_nan_mode="constants")

    def redact_text(self, text: str) -> str:
        """A text without the credentials."""
        for form in self._forms:
            text = text.replace(form, REDACTED)
        return text

    def _redact(self, value: object) -> object:
        match value:
            case str():
                return self.redact_text(value)
            case list():
                return [self._redact(item) for item in value]
            case dict():
                return {name: self._redact(item) for name, item in value.items()}
        return value
