"""Documented facts of the Plivo Verify Session API, each once and with its source.

Sources: "List all sessions" and "Retrieve a session" are pages of Plivo's Verify API reference;
the SDKs are Plivo's official ones, whose tests carry recorded payloads.
"""

import re
from datetime import timedelta

REACH = timedelta(days=90)
"""How far back the list endpoint answers. Source: List all sessions, first sentence."""
DEFAULT_WINDOW = timedelta(hours=24)
"""What the list endpoint covers without a time filter. Source: List all sessions, `session_time`.
"""
PAGE_SIZE = 20
"""Sessions on a page at most, and by default. Source: List all sessions, `limit`."""
STATUSES = ("in-progress", "verified", "expired")
"""The session statuses, by which the list endpoint filters. Source: List all sessions, `status`."""
ATTEMPT_STATUSES = {
    "delivered", "undelivered", "failed", "queued", "sent", "read", "answer", "early media",
    "busy", "no answer", "cancel", "timeout", "in progress", "completed", "ringing",
}  # fmt: skip
"""The statuses of attempts that are known, in lower case. Sources: the examples of both pages and
of the SDKs' tests, Verify's status callbacks; the others are Plivo's states of messages and calls.
"""
REACHED_STATUSES = frozenset({"delivered", "read", "answer", "completed"})
"""The statuses of attempts that came to the phone. Source: the meaning of Plivo's states."""
CHANNELS = {"sms", "voice", "whatsapp", "rcs", "email"}
"""The channels of attempts that are known. Sources: both pages (sms, voice), the help of Plivo's
command line (whatsapp); rcs and email are in no document yet."""

UUID_PATTERN = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""The form of `session_uuid`, `app_uuid` and `attempt_uuid`. Source: the examples of both pages."""
_UUID = re.compile(UUID_PATTERN, re.ASCII)
_AUTH_ID = re.compile(r"[MS]A[A-Z0-9]{18}", re.ASCII)


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in the canonical lower-case form that the API uses."""
    return _UUID.fullmatch(text) is not None


def is_auth_id(text: str) -> bool:
    """Whether `text` is an auth id: of an account (MA…) or a subaccount (SA…).

    Source: the validators of Plivo's SDKs.
    """
    return _AUTH_ID.fullmatch(text) is not None


def is_subaccount_id(text: str) -> bool:
    """Whether `text` is a subaccount's auth id, which the filter `subaccount` takes.

    Source: the validators of Plivo's SDKs; the reference speaks of its token by mistake.
    """
    return is_auth_id(text) and text.startswith("SA")
