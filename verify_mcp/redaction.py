"""The account's own credentials, removed from whatever repeats them."""

import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

from pydantic_core import from_json, to_json

from verify_mcp.settings import Credentials

REDACTED = "[hidden]"


def encoded_forms(account: Credentials) -> tuple[str, ...]:
    """The forms in which an account's token can turn up, the longest first."""
    token = account.auth_token
    encoded = [
        encode(text.encode()).decode()
        for encode in (b64encode, urlsafe_b64encode)
        for text in (f"{account.auth_id}:{token}", token)
    ]
    unpadded = [each.rstrip("=") for each in encoded]
    found = {token, quote(token, safe=""), *encoded, *unpadded} - {""}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


class Redactor:
    """Removes an account's credentials from the JSON that its API sends."""

    def __init__(self, account: Credentials) -> None:
        self._forms = encoded_forms(account)
        self._bytes = tuple(form.encode() for form in self._forms)

    def __call__(self, body: bytes) -> bytes:
        """A reply's body without the credentials; what is not JSON is returned unchanged.

        Only a body with an escape or in UTF-16 or UTF-32, in which a credential could be written in
        another way, is parsed for it; the usual body costs one search for each form.
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
                return [self._redact(each) for each in value]
            case dict():
                return {name: self._redact(each) for name, each in value.items()}
        return value
