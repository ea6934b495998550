"""The types of a session's fields: tolerant of what the API sends, strict in what they hold."""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
)

from verify_mcp.domain import phones
from verify_mcp.domain.api_limits import ATTEMPT_STATUSES, CHANNELS, STATUSES, is_uuid
from verify_mcp.domain.text import clean

_YEARS = (2000, 2200)
_NEVER = "0001-01-01"  # the API writes Go's zero time for "never"
_MAX_WORD = 40
"""Characters of a word that is remembered."""
_MONEY = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)


def _clean_text(value: object) -> object:
    if value is None:
        return ""
    return clean(value) if isinstance(value, str) else value


def _uuid(value: object) -> object:
    if isinstance(value, str) and is_uuid(value.strip().lower()):
        return value.strip().lower()
    raise ValueError("not a UUID")


def _parse_time(value: object) -> datetime:
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("not a timestamp")
    read = datetime.fromisoformat(value.strip())
    if read.tzinfo is UTC:
        return read
    aware = read if read.tzinfo else read.replace(tzinfo=UTC)
    try:
        return aware.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("not a timestamp") from error


def parse_created(value: object) -> datetime:
    """When a session was created, aware UTC. Raises ValueError."""
    moment = _parse_time(value)
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        raise ValueError("not a time a session was created at")
    return moment


def _parse_updated(value: object) -> datetime | None:
    if value is None or (isinstance(value, str) and _is_never(value.strip())):
        return None
    return parse_created(value)


def _is_never(text: str) -> bool:
    return not text or text.startswith(_NEVER)


def _parse_money(value: object) -> Decimal | None:
    if value is None or value == "":
        return None
    text = value.strip() if isinstance(value, str) else _digits_of(value)
    if not _MONEY.fullmatch(text):
        raise ValueError("not an amount of money")
    return Decimal(text)


def _digits_of(value: object) -> str:
    """The digits of a JSON number as sent: a float's repr is exact, but may have an exponent."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return f"{Decimal(repr(value)):f}"


def _known_value(
    words: Collection[str], separator: str, *, folded: bool = False
) -> BeforeValidator:
    """Read one of `words` in any case; another one as it is, in lower case when `folded`."""

    def canonical(text: str) -> str:
        word = re.sub(r"[\s_-]+", separator, text.lower())
        return word if word in words else text.lower() if folded else text

    remembered = lru_cache(maxsize=256)(canonical)

    def parse_word(value: object) -> object:
        text = _clean_text(value)
        if not isinstance(text, str):
            return text
        return remembered(text) if len(text) <= _MAX_WORD else canonical(text)

    return BeforeValidator(parse_word)


def _parse_recipient(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, str):
        return phones.normalize(value) or clean(value, 24)
    raise ValueError("not a number")


def _parse_country(value: object) -> str | None:
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if len(code) == 2 and code.isascii() and code.isalpha() else None


def _parse_list(value: object) -> object:
    return () if value is None else value


Text = Annotated[str, BeforeValidator(_clean_text)]
Uuid = Annotated[str, BeforeValidator(_uuid)]
Moment = Annotated[datetime, BeforeValidator(parse_created)]
OptionalMoment = Annotated[datetime | None, BeforeValidator(_parse_updated)]
Money = Annotated[Decimal | None, BeforeValidator(_parse_money)]
Recipient = Annotated[str, BeforeValidator(_parse_recipient)]
Country = Annotated[str | None, BeforeValidator(_parse_country)]
NULL_IS_EMPTY = BeforeValidator(_parse_list)
"""Reads a list that may be null, which is how the API writes an empty one."""
Channel = Annotated[str, _known_value(CHANNELS, " ")]
AttemptStatus = Annotated[str, _known_value(ATTEMPT_STATUSES, " ")]
SessionStatus = Annotated[str, _known_value(STATUSES, "-", folded=True), Field(min_length=1)]

MODEL_CONFIG = ConfigDict(frozen=True, extra="ignore", validate_by_name=True)
"""Unknown fields are ignored; stored bodies are read by the names of attributes."""
