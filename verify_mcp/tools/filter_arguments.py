"""Arguments that filter by what sessions held here tell: the API documents no such filter."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from verify_mcp.domain import phones
from verify_mcp.domain.api_limits import CHANNELS
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.groups import UNKNOWN
from verify_mcp.domain.times import format_api_time
from verify_mcp.errors import InvalidArgument
from verify_mcp.tools.arguments import (
    Argument,
    ParseContext,
    parse_choice,
    parse_list,
    parse_recipient,
    parse_text,
)

BRIEF_DESCRIPTIONS = {
    "session_time__gte": "Start (24h)",
    "session_time__lt": "End (now)",
    "app_uuid": "Or start",
    "status": "As expired",
    "recipient": "Or +6281*",
    "country": "ISO codes",
    "channel": "sms,voice",
    "subaccount": "Auth ids",
    "brand_name": "Exact one",
    "app_hash": "Exact one",
    "max_requests": "1 to 200",
}
"""Descriptions of arguments that the summary's definition explains at length."""
RECIPIENT_FILTERS = frozenset({"recipient", "recipients", "recipient_prefix"})
"""The filters that the argument `recipient` sets."""
MAX_VALUES = 20
"""Countries, channels or recipients that one call may name."""
MIN_PREFIX_DIGITS = 4
"""The fewest digits before a star."""
_APP_START = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,28}", re.ASCII)
_APP_LABEL = re.compile(r"\(([0-9a-f]{8})\)\Z", re.ASCII)
_PREFIX = re.compile(r"\+?([0-9]+)\*+")


def parse_country(value: object, context: ParseContext) -> str:
    """An ISO 3166 code in capitals, or `?` for sessions of no known country."""
    code = parse_text(value, context).upper()
    code = {"UK": "GB", "EL": "GR"}.get(code, code)
    if code != UNKNOWN and not phones.is_country(code):
        raise InvalidArgument("is not made of ISO 3166 codes of countries, e.g. IN or IN,ID.")
    return code


def parse_countries(value: object, context: ParseContext) -> tuple[str, ...]:
    """One or several countries. Raises InvalidArgument."""
    return parse_list(parse_country, MAX_VALUES)(value, context)


def parse_channels(value: object, context: ParseContext) -> tuple[str, ...]:
    """One or several channels. Raises InvalidArgument."""
    choose = parse_choice(*sorted(CHANNELS), call="voice", text="sms")
    return parse_list(choose, MAX_VALUES)(value, context)


def parse_recipients(value: object, context: ParseContext) -> dict[str, object]:
    """The filters that one number, several, or a beginning with a star mean."""
    if isinstance(value, str) and "*" in value and "," not in value:
        return {"recipient_prefix": _parse_prefix(value, context)}
    if not isinstance(value, list) and "," not in str(value):
        return {"recipient": parse_recipient(value, context)}
    numbers = parse_list(parse_recipient, MAX_VALUES)(value, context)
    return {"recipient": numbers[0]} if len(numbers) == 1 else {"recipients": numbers}


def _parse_prefix(value: str, context: ParseContext) -> str:
    match = _PREFIX.fullmatch(re.sub(r"[\s().-]", "", value))
    if context.masks_recipients:
        raise InvalidArgument(
            "takes no star while recipients are masked: stars would find the digits one by one. "
            "Group by country or network."
        )
    if match is None or len(match[1]) < MIN_PREFIX_DIGITS:
        raise InvalidArgument(
            f"needs at least {MIN_PREFIX_DIGITS} digits before its star, e.g. +62813555*."
        )
    return match[1]


def parse_app(value: object, context: ParseContext) -> str:
    """The UUID of an app, or how it begins: as `Shop (ec66515e)` a summary shows it."""
    text = parse_text(value, context).lower()
    match = _APP_LABEL.search(text)
    start = match[1] if match else text
    if not _APP_START.fullmatch(start):
        raise InvalidArgument(
            "is not a UUID, such as ec66515e-86f6-4507-8620-31c039538d7a, nor the 8 or more "
            "characters that one begins with."
        )
    return start


def filter_of(values: dict[str, Any]) -> SessionFilter:
    """The filter of parsed arguments."""
    recipients = values.pop("recipient", {})
    return SessionFilter(**values, **recipients)


def written_recipient(arguments: Mapping[str, object] | None) -> str:
    """The recipient argument as the caller wrote it, "" when there is none."""
    value = (arguments or {}).get("recipient") or ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value).strip()


def echo_recipients(
    session_filter: SessionFilter, arguments: Mapping[str, object] | None, context: ParseContext
) -> str:
    """The recipients for `applied`: with masking as written, never as their pseudonyms.

    A pseudonym beside the number that the caller gave would reveal whose pseudonym it is.
    """
    numbers = session_filter.recipients or tuple(filter(None, [session_filter.recipient]))
    if context.masks_recipients or any(phones.normalize(number) is None for number in numbers):
        return written_recipient(arguments)
    if session_filter.recipient_prefix:
        return f"{phones.format_number(session_filter.recipient_prefix)}*"
    return ", ".join(map(phones.format_number, numbers))


def applied_filters(session_filter: SessionFilter, recipient_echo: str) -> dict[str, Any]:
    """The filters as an answer repeats them: times as the API writes them, in UTC."""
    forms = {
        name: format_api_time(value)
        if isinstance(value, datetime)
        else list(value)
        if isinstance(value, tuple)
        else value
        for name, value in session_filter.set_filters().items()
        if name not in RECIPIENT_FILTERS
    }
    return {**forms, **({"recipient": recipient_echo} if recipient_echo else {})}


def explain_local_filters(session_filter: SessionFilter, work: str = "are fetched") -> str:
    """The sentence about requests made for sessions that a filter then left out."""
    names = dict.fromkeys(
        "recipient" if name in RECIPIENT_FILTERS else name
        for name in session_filter.local_filters()
    )
    return f"The API cannot filter by {' and '.join(names)}: all sessions {work} for it."


COUNTRY = Argument("country", "ISO codes: IN or IN,ID.", parse_countries)
CHANNEL = Argument("channel", "Of the last attempt: sms,voice.", parse_channels)
RECIPIENT = Argument(
    "recipient",
    "With country code; several with commas; +62813555* by beginning.",
    parse_recipients,
)
