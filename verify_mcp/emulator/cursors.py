"""Opaque cursors: the position of a row in the list, encoded so that clients cannot compute it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode


def cursor(created: int, uuid: str) -> str:
    """The cursor that continues after this row."""
    return urlsafe_b64encode(f"{created}|{uuid}".encode()).decode().rstrip("=")


def position(text: str) -> tuple[int, str] | None:
    """The row that a cursor continues after, None for a text that is no cursor."""
    try:
        plain = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        created, bar, uuid = plain.partition("|")
        return (int(created), uuid) if bar else None
    except ValueError:
        return None
