"""The replies of the pretend API as values, before they are sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Delivery(Enum):
    """How a reply is sent."""

    COMPLETE = auto()
    SHORT = auto()
    DRIP = auto()
    HANG = auto()
    RESET = auto()


@dataclass(frozen=True)
class Response:
    """Status, headers and body; `stream` replaces a body that is too long for memory."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    delivery: Delivery = Delivery.COMPLETE
    stream: Callable[[], Iterable[bytes]] | None = None

    def with_headers(self, name: str, value: str) -> Response:
        """The same reply with one more header."""
        return replace(self, headers=(*self.headers, (name, value)))


def dump(value: object) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def json_reply(status: int, value: object) -> Response:
    """A reply whose body is this value."""
    return Response(status, dump(value))


def error(status: int, text: str, api_id: str) -> Response:
    """An error in the API's form."""
    return json_reply(status, {"api_id": api_id, "error": text})


def plain(status: int, text: str) -> Response:
    """A reply in plain text, as gateways send it."""
    return Response(status, text.encode(), (("content-type", "text/plain; charset=utf-8"),))


def html(status: int, title: str) -> Response:
    """A reply in HTML, as gateways send it."""
    text = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Response(status, text.encode(), (("content-type", "text/html"),))


def redirect(status: int, location: str) -> Response:
    """A redirect to `location`."""
    return Response(status, b"", (("location", location),))
