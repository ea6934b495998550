"""Documented facts of the Verify Session API, each with its source."""

from datetime import timedelta

REACH = timedelta(days=90)
"""How far back the list endpoint answers (documented)."""
DEFAULT_WINDOW = timedelta(hours=24)
"""What the list endpoint covers when no time is asked for (documented)."""
PAGE_SIZE = 20
"""Sessions on a page at most (documented)."""
STATUSES = ("in-progress", "verified", "expired")
"""The session statuses the list endpoint filters by (documented)."""


SESSION_STATUSES = {"in-progress", "verified", "expired"}
ATTEMPT_STATUSES = {
    "delivered", "undelivered", "failed", "queued", "sent", "read", "answer", "early media",
    "busy", "no answer", "cancel", "timeout", "in progress", "completed", "ringing",
}  # fmt: skip
CHANNELS = {"sms", "voice", "whatsapp", "rcs", "email"}
