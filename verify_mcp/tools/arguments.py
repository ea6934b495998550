"""The arguments of tools: tolerant parsing, precise refusals, a portable JSON Schema.

An `Argument` has a name, the description that a model reads, and the function that parses its
value. Its JSON Schema keeps to what every client accepts: one `type` per node, no unions,
references, defaults, nulls, titles or formats. Null and "" count as absent.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from verify_mcp.domain import phones
from verify_mcp.domain.api_limits import is_subaccount_id, is_uuid
from verify_mcp.domain.text import clean
from verify_mcp.domain.times import parse_time
from verify_mcp.errors import InvalidArgument
from verify_mcp.mirror import masking

MAX_LENGTH = 200
"""Characters of an argument's text; nothing documented is longer."""


@dataclass(frozen=True, slots=True)
class ParseContext:
    """What the parsing of an argument depends on besides its text."""

    now: datetime
    is_subaccount: bool = False
    """Whether the credentials are a subaccount's."""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    """The time zone of days and hours, unless the call names one."""
    masks_recipients: bool = False
    """Whether answers show pseudonyms instead of recipients' numbers."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a tool; `parse` raises InvalidArgument with the end of a sentence."""

    name: str
    description: str
    parse: Callable[[object, ParseContext], object]
    type: str = "string"
    extra_schema: Mapping[str, object] = field(default_factory=dict)
    required: bool = False

    def schema(self) -> dict[str, object]:
        """The argument's JSON Schema."""
        description = {"description": self.description} if self.description else {}
        return {"type": self.type, **self.extra_schema, **description}


def input_schema(arguments: Sequence[Argument]) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments, in the subset every client accepts."""
    required = [argument.name for argument in arguments if argument.required]
    return {
        "type": "object",
        "properties": {argument.name: argument.schema() for argument in arguments},
        **({"required": required} if required else {}),
    }


def parse(
    arguments: Sequence[Argument], raw: Mapping[str, object] | None, context: ParseContext
) -> dict[str, Any]:
    """The parsed values of the arguments that a call gives, by name.

    Raises InvalidArgument with a sentence that begins with the argument's name.
    """
    known = {argument.name: argument for argument in arguments}
    for name in raw or {}:
        if name not in known:
            raise InvalidArgument(_unknown_argument(name, list(known)))
    values = {}
    for name, argument in known.items():
        value = (raw or {}).get(name)
        if not is_absent(value):
            values[name] = _value(argument, value, context)
        elif argument.required:
            raise InvalidArgument(f"{name} is missing: {argument.description}")
    return values


def is_absent(value: object) -> bool:
    """Whether an argument's value counts as not given: null, or text without content."""
    return value is None or (isinstance(value, str) and not value.strip())


def _value(argument: Argument, value: object, context: ParseContext) -> object:
    try:
        return argument.parse(value, context)
    except InvalidArgument as error:
        raise InvalidArgument(f"{argument.name} {error}") from None


def _unknown_argument(name: str, known: list[str]) -> str:
    valid = f"Valid: {', '.join(known)}."
    if not re.fullmatch(r"[A-Za-z_]{1,40}", name, re.ASCII):  # it may be anything: not repeated
        return f"There is no such argument. {valid}"
    meant = _ALIASES.get(name.lower()) or next(iter(get_close_matches(name, known, 1)), None)
    hint = f" Did you mean {meant}?" if meant in known else _NOT_FILTERABLE.get(name.lower(), "")
    return f"There is no argument {name}.{hint} {valid}"


_ALIASES = {
    **dict.fromkeys(("phone", "phone_number", "number", "to", "msisdn", "dst"), "recipient"),
    **dict.fromkeys(("since", "from", "start", "start_time", "after"), "session_time__gte"),
    **dict.fromkeys(("until", "end", "end_time", "before"), "session_time__lt"),
    **dict.fromkeys(("app", "application", "app_id"), "app_uuid"),
    **dict.fromkeys(("session", "session_id", "id", "uuid"), "session_uuid"),
    **dict.fromkeys(("brand",), "brand_name"),
    **dict.fromkeys(("page_size", "count", "max"), "limit"),
    **dict.fromkeys(("state",), "status"),
    **dict.fromkeys(("country_code", "region"), "country"),
    **dict.fromkeys(("sort", "sort_by"), "order_by"),
    **dict.fromkeys(("columns", "fields"), "show"),
}
_NOT_FILTERABLE = dict.fromkeys(
    ("network", "cost", "prefix"), " It is no filter: group a summary by it, or see the rows."
)


def parse_text(value: object, _context: ParseContext) -> str:
    """Printable text of at most `MAX_LENGTH` characters. Raises InvalidArgument."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise InvalidArgument("is not text.")
    text = value.strip()
    if len(text) > MAX_LENGTH:
        raise InvalidArgument(f"is too long: at most {MAX_LENGTH} characters.")
    if clean(text, MAX_LENGTH) != re.sub("[ \u00a0]+", " ", text):
        raise InvalidArgument("holds characters that cannot be shown. Write plain text.")
    return text


def parse_uuid(value: object, context: ParseContext) -> str:
    """A UUID in lower case. Raises InvalidArgument."""
    text = parse_text(value, context).lower()
    if not is_uuid(text):
        raise InvalidArgument("is not a UUID, such as ec66515e-86f6-4507-8620-31c039538d7a.")
    return text


def _normalize_choice(word: str) -> str:
    return re.sub(r"[\s_-]+", "_", word.strip().lower())


def parse_choice(*choices: str, **synonyms: str) -> Callable[[object, ParseContext], str]:
    """A parser of one of some words; `synonyms` are other spellings of them."""
    canonical = {_normalize_choice(choice): choice for choice in choices}

    def choose(value: object, context: ParseContext) -> str:
        word = _normalize_choice(parse_text(value, context))
        chosen = canonical.get(_normalize_choice(synonyms.get(word, word)))
        if chosen is None:
            raise InvalidArgument(f"is none of {', '.join(choices)}.")
        return chosen

    return choose


def parse_recipient(value: object, context: ParseContext) -> str:
    """A phone number's digits, or a pseudonym as it was given. Raises InvalidArgument."""
    text = parse_text(value, context)
    if masking.parse_pseudonym(text):
        return text
    number = phones.normalize(text)
    if number is None:
        raise InvalidArgument(
            "is not a phone number. Give the whole number with its country code, e.g. +12025553434."
        )
    return number


def parse_subaccount(value: object, context: ParseContext) -> str:
    """A subaccount's auth id. Raises InvalidArgument."""
    if context.is_subaccount:
        raise InvalidArgument(
            "cannot be asked with a subaccount's own credentials: they see only that subaccount."
        )
    text = parse_text(value, context).upper()
    if not is_subaccount_id(text):
        raise InvalidArgument(
            "is not a subaccount's auth id: SA and 18 capitals or digits, "
            "e.g. SAXXXXXXXXXXXXXXXXXX. Never give its token."
        )
    return text


def parse_instant(value: object, context: ParseContext) -> datetime:
    """An instant, aware UTC. Raises InvalidArgument."""
    return parse_time(parse_text(value, context), now=context.now)


def parse_integer(least: int, most: int, example: int) -> Callable[[object, ParseContext], int]:
    """A parser of whole numbers from `least` to `most`."""

    def number(value: object, _context: ParseContext) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", value, re.ASCII):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise InvalidArgument(f"is not a whole number from {least} to {most}, e.g. {example}.")
        return value

    return number


def parse_boolean(value: object, _context: ParseContext) -> bool:
    """True or false, also written as a word or as 1 or 0. Raises InvalidArgument."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    found = words.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if found is None:
        raise InvalidArgument("is neither true nor false.")
    return found


def parse_list(
    parse_item: Callable[[object, ParseContext], str], most: int
) -> Callable[[object, ParseContext], tuple[str, ...]]:
    """A parser of at most `most` values, in a list or with commas, without repetitions."""

    def parse_items(value: object, context: ParseContext) -> tuple[str, ...]:
        if isinstance(value, str):
            value = re.split(r"\s*,\s*", value.strip(" []\"'").replace('"', "").replace("'", ""))
        items = value if isinstance(value, list) else [value]
        found = dict.fromkeys(parse_item(item, context) for item in items if not is_absent(item))
        if len(found) > most:
            raise InvalidArgument(f"has {len(found)} values; at most {most} go together.")
        return tuple(found)

    return parse_items


def parse_choices(*choices: str, most: int) -> Callable[[object, ParseContext], tuple[str, ...]]:
    """A parser of at most `most` words, in a list or with commas or spaces between them."""
    choose = parse_choice(*choices, **dict.fromkeys(("app_uuid", "application"), "app"))
    parse_words = parse_list(choose, most)

    def parse_all(value: object, context: ParseContext) -> tuple[str, ...]:
        if isinstance(value, str):
            value = re.sub(r"[\s,]+", ",", value.strip())
        elif not isinstance(value, list):
            raise InvalidArgument(f"is not a list. Give at most {most} of {', '.join(choices)}.")
        return parse_words(value, context)

    return parse_all


def parse_time_zone(value: object, context: ParseContext) -> ZoneInfo:
    """An IANA time zone. Raises InvalidArgument."""
    text = parse_text(value, context)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidArgument(
            "is not an IANA time zone, such as Asia/Kolkata, Europe/Paris or UTC."
        ) from None


TIME_ARGUMENTS = (
    Argument("session_time", "Exactly then.", parse_instant),
    Argument("session_time__gt", "After then.", parse_instant),
    Argument(
        "session_time__gte",
        "At or after: 24h, 7d, 2026-11-01 or 2026-11-01 09:30 (UTC).",
        parse_instant,
    ),
    Argument("session_time__lt", "Before then.", parse_instant),
    Argument("session_time__lte", "At or before.", parse_instant),
)
