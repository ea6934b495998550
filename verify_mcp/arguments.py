"""What a tool call may say: tolerant reading, precise refusal, portable schema.

One entry per argument: its name, what a model reads about it, and how its value is read. The JSON
Schema made of it keeps to what every client accepts: one `type` per node, no unions, references,
defaults, nulls, titles or formats. Null and "" count as absent.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from verify_mcp import phones
from verify_mcp.errors import InvalidArgument
from verify_mcp.filters import (
    DEFAULT_WINDOW,
    PAGE_SIZE,
    STATUSES,
    SessionFilter,
    is_relative_time,
    parse_time,
)
from verify_mcp.sessions import is_uuid
from verify_mcp.summary import GROUPS
from verify_mcp.text import clean

MAX_LENGTH = 200
"""Characters of an argument's text; nothing documented is longer."""
MAX_REQUESTS = 200
"""API requests that one call may ask to spend: ten minutes of quota."""


@dataclass(frozen=True, slots=True)
class ParseContext:
    """What reading an argument depends on besides its text."""

    now: datetime
    is_subaccount: bool = False
    """Whether the credentials are a subaccount's."""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    """The time zone of days and hours, unless the call names one."""
    masks_recipients: bool = False
    """Whether answers show pseudonyms instead of recipients' numbers."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a tool; `read` raises InvalidArgument with the end of a sentence."""

    name: str
    description: str
    parse: Callable[[object, ParseContext], object]
    type: str = "string"
    extra_schema: Mapping[str, object] = field(default_factory=dict)
    required: bool = False

    def schema(self) -> dict[str, object]:
        """The argument's JSON Schema."""
        return {"type": self.type, **self.extra_schema, "description": self.description}


def input_schema(arguments: Sequence[Argument]) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments, in the subset every client accepts."""
    required = [each.name for each in arguments if each.required]
    return {
        "type": "object",
        "properties": {each.name: each.schema() for each in arguments},
        **({"required": required} if required else {}),
    }


def parse(
    arguments: Sequence[Argument], said: Mapping[str, object] | None, reading: ParseContext
) -> dict[str, Any]:
    """The values of the arguments said, by name. Raises InvalidArgument, naming the argument."""
    known = {each.name: each for each in arguments}
    for name in said or {}:
        if name not in known:
            raise InvalidArgument(_unknown_argument(name, list(known)))
    values = {}
    for name, argument in known.items():
        value = (said or {}).get(name)
        if not _is_absent(value):
            values[name] = _value(argument, value, reading)
        elif argument.required:
            raise InvalidArgument(f"{name} is missing: {argument.description}")
    return values


def _is_absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _value(argument: Argument, value: object, reading: ParseContext) -> object:
    try:
        return argument.parse(value, reading)
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
}
_NOT_FILTERABLE = dict.fromkeys(
    ("country", "channel", "network", "cost"), " The API cannot filter by it; the rows show it."
)


def _text(value: object, _reading: ParseContext) -> str:
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


def _uuid(value: object, reading: ParseContext) -> str:
    text = _text(value, reading).lower()
    if not is_uuid(text):
        raise InvalidArgument("is not a UUID, such as ec66515e-86f6-4507-8620-31c039538d7a.")
    return text


def _session_id(value: object, reading: ParseContext) -> str:
    text = _text(value, reading).lower()
    if re.fullmatch(r"[0-9a-f]{32}", text, re.ASCII):  # written without its dashes
        text = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    if not re.fullmatch(r"[0-9a-f]{8}[0-9a-f-]{0,28}", text, re.ASCII) or (
        len(text) == len("60ea68db-b123-46d9-9eb2-1201d516dbbd") and not is_uuid(text)
    ):
        raise InvalidArgument(
            "is no session id: give the UUID, such as 60ea68db-b123-46d9-9eb2-1201d516dbbd, or "
            "its first 8 or more characters."
        )
    return text


def _normalize_choice(word: str) -> str:
    return re.sub(r"[\s_-]+", "_", word.strip().lower())


def _choice(*choices: str, **synonyms: str) -> Callable[[object, ParseContext], str]:
    canonical = {_normalize_choice(choice): choice for choice in choices}

    def choose(value: object, reading: ParseContext) -> str:
        word = _normalize_choice(_text(value, reading))
        chosen = canonical.get(_normalize_choice(synonyms.get(word, word)))
        if chosen is None:
            raise InvalidArgument(f"is none of {', '.join(choices)}.")
        return chosen

    return choose


def _recipient(value: object, reading: ParseContext) -> str:
    text = _text(value, reading)
    if phones.parse_pseudonym(text):
        return text
    number = phones.normalize(text)
    if number is None:
        raise InvalidArgument(
            "is not a phone number. Give the whole number with its country code, e.g. +12025553434."
        )
    return number


def _subaccount(value: object, reading: ParseContext) -> str:
    if reading.is_subaccount:
        raise InvalidArgument(
            "cannot be asked with a subaccount's own credentials: they see only that subaccount."
        )
    text = _text(value, reading).upper()
    if not re.fullmatch(r"SA[A-Z0-9]{18}", text, re.ASCII):
        raise InvalidArgument(
            "is not a subaccount's auth id: SA and 18 capitals or digits, "
            "e.g. SAXXXXXXXXXXXXXXXXXX. Never give its token."
        )
    return text


def _time(value: object, reading: ParseContext) -> datetime:
    return parse_time(_text(value, reading), now=reading.now)


def _integer(least: int, most: int, example: int) -> Callable[[object, ParseContext], int]:
    def number(value: object, _reading: ParseContext) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", value, re.ASCII):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise InvalidArgument(f"is not a whole number from {least} to {most}, e.g. {example}.")
        return value

    return number


def _choices(*choices: str, most: int) -> Callable[[object, ParseContext], tuple[str, ...]]:
    choose = _choice(*choices, **dict.fromkeys(("app_uuid", "application"), "app"))

    def chosen(value: object, reading: ParseContext) -> tuple[str, ...]:
        if isinstance(value, str):
            value = re.split(r"[\s,]+", value.strip(" []\"'").replace('"', "").replace("'", ""))
        if not isinstance(value, list):
            raise InvalidArgument(f"is not a list. Give at most {most} of {', '.join(choices)}.")
        words = tuple(
            dict.fromkeys(choose(each, reading) for each in value if not _is_absent(each))
        )
        if len(words) > most:
            raise InvalidArgument(f"names {len(words)} groups; at most {most} go together.")
        return words

    return chosen


def _time_zone(value: object, reading: ParseContext) -> ZoneInfo:
    text = _text(value, reading)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidArgument(
            "is not an IANA time zone, such as Asia/Kolkata, Europe/Paris or UTC."
        ) from None


_TIMES = (
    Argument("session_time", "Created exactly then.", _time),
    Argument("session_time__gt", "Created after.", _time),
    Argument(
        "session_time__gte",
        "Created at or after: 24h or 7d (so long ago), 2026-11-01, 2026-11-01 09:30 (UTC) "
        "or ISO 8601 with an offset.",
        _time,
    ),
    Argument("session_time__lt", "Created before; same forms.", _time),
    Argument("session_time__lte", "Created at or before; same forms.", _time),
)

LIST_ARGUMENTS = (
    Argument("app_uuid", "UUID of the Verify application.", _uuid),
    Argument(
        "status",
        "Current status.",
        _choice(*STATUSES, pending="in-progress", inprogress="in-progress", validated="verified"),
        extra_schema={"enum": list(STATUSES)},
    ),
    Argument("recipient", "Phone number with country code, e.g. +12025553434.", _recipient),
    Argument("subaccount", "Auth id (SA…) of a subaccount.", _subaccount),
    Argument(
        "limit",
        f"Rows, 1 to {PAGE_SIZE} (default {PAGE_SIZE}).",
        _integer(1, PAGE_SIZE, PAGE_SIZE),
        "integer",
        {"minimum": 1, "maximum": PAGE_SIZE},
    ),
    Argument(
        "offset",
        "Rows to skip (default 0).",
        _integer(0, 100_000_000, PAGE_SIZE),
        "integer",
        {"minimum": 0},
    ),
    *_TIMES,
    Argument("brand_name", "Brand given when the session was created.", _text),
    Argument("app_hash", "App hash given when the session was created.", _text),
    Argument(
        "detail",
        "concise (default): a table. full: whole objects with each attempt.",
        _choice("concise", "full"),
        extra_schema={"enum": ["concise", "full"]},
    ),
)

SUMMARIZE_ARGUMENTS = (
    Argument("session_time__gte", "Start of the window (default 24h): 7d, 2026-11-01, …", _time),
    Argument("session_time__lt", "End of the window (default now).", _time),
    *(each for each in LIST_ARGUMENTS if each.name in ("app_uuid", "recipient", "subaccount")),
    *(each for each in LIST_ARGUMENTS if each.name in ("brand_name", "app_hash")),
    Argument(
        "group_by",
        "Groups, at most two; channel is the last attempt's.",
        _choices(*GROUPS, most=2),
        "array",
        {"items": {"type": "string", "enum": list(GROUPS)}},
    ),
    Argument(
        "time_zone",
        "IANA zone of day and hour, e.g. Asia/Kolkata (default: the server's).",
        _time_zone,
    ),
    Argument(
        "max_requests",
        f"API requests to spend, 1 to {MAX_REQUESTS} (default {PAGE_SIZE}).",
        _integer(1, MAX_REQUESTS, PAGE_SIZE),
        "integer",
        {"minimum": 1, "maximum": MAX_REQUESTS},
    ),
)

STATUS_ARGUMENTS = (
    Argument(
        "about",
        "What to tell.",
        _choice("all", "quota", "mirror", "settings"),
        extra_schema={"enum": ["all", "quota", "mirror", "settings"]},
        # Required on paper only: some clients refuse a tool without properties, and strict ones
        # count every optional one. Left out, it means all.
        required=True,
    ),
)

GET_ARGUMENTS = (
    Argument(
        "session_uuid",
        "UUID, or its first 8 or more characters if an earlier answer showed the session.",
        _session_id,
        required=True,
    ),
)


@dataclass(frozen=True, slots=True)
class SummarizeRequest:
    """What `summarize_verify_sessions` was asked; `wanted` holds no times."""

    session_filter: SessionFilter
    start: datetime
    end: datetime | None
    group_by: tuple[str, ...]
    zone: ZoneInfo
    max_requests: int
    times_as_given: str = ""
    """The recipient as the caller wrote it."""
    recipient_echo: str = ""
    """The recipient as `applied` repeats it."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What `list_verify_sessions` was asked."""

    session_filter: SessionFilter
    limit: int = PAGE_SIZE
    offset: int = 0
    detailed: bool = False
    relative_times: tuple[str, ...] = ()
    """Times said as so long ago, which would mean another instant when the next page is asked."""
    times_as_given: str = ""
    """The recipient as the caller wrote it."""
    recipient_echo: str = ""
    """The recipient as `applied` repeats it."""


def parse_list(arguments: Mapping[str, object] | None, reading: ParseContext) -> ListRequest:
    """A call of `list_verify_sessions`, read. Raises InvalidArgument."""
    values = parse(LIST_ARGUMENTS, arguments, reading)
    full = values.pop("detail", "concise") == "full"
    limit, offset = values.pop("limit", PAGE_SIZE), values.pop("offset", 0)
    session_filter = SessionFilter(**values)
    session_filter.validate(now=reading.now)
    sliding = tuple(
        each.name for each in _TIMES if is_relative_time(str((arguments or {}).get(each.name, "")))
    )
    written = _times_as_given(arguments)
    echo = _recipient_echo(session_filter.recipient, written, reading)
    return ListRequest(session_filter, limit, offset, full, sliding, written, echo)


def parse_get(arguments: Mapping[str, object] | None, reading: ParseContext) -> str:
    """A call of `get_verify_session`: the UUID or its beginning. Raises InvalidArgument."""
    return str(parse(GET_ARGUMENTS, arguments, reading)["session_uuid"])


def parse_summarize(
    arguments: Mapping[str, object] | None, reading: ParseContext
) -> SummarizeRequest:
    """A call of `summarize_verify_sessions`, read. Raises InvalidArgument."""
    values = parse(SUMMARIZE_ARGUMENTS, arguments, reading)
    by = values.pop("group_by", ())
    zone = values.pop("time_zone", reading.zone)
    most = values.pop("max_requests", PAGE_SIZE)
    SessionFilter(**values).validate(now=reading.now)
    end = values.pop("session_time__lt", None)
    start = values.pop("session_time__gte", None) or (end or reading.now) - DEFAULT_WINDOW
    session_filter, written = SessionFilter(**values), _times_as_given(arguments)
    echo = _recipient_echo(session_filter.recipient, written, reading)
    return SummarizeRequest(session_filter, start, end, by, zone, most, written, echo)


def _times_as_given(arguments: Mapping[str, object] | None) -> str:
    return str((arguments or {}).get("recipient") or "").strip()


def _recipient_echo(recipient: str | None, written: str, reading: ParseContext) -> str:
    """The recipient for `applied`: with masking as it was written, never as its pseudonym.

    A pseudonym beside the number that the caller gave would tell whose it is.
    """
    if recipient is None:
        return ""
    is_number = not reading.masks_recipients and phones.normalize(recipient) is not None
    return phones.format_number(recipient) if is_number else written


def parse_status(arguments: Mapping[str, object] | None, reading: ParseContext) -> str:
    """A call of `get_verify_status`: what to tell. Raises InvalidArgument."""
    return str(
        parse(STATUS_ARGUMENTS, {"about": "all", **_status_topic(arguments)}, reading)["about"]
    )


def _status_topic(arguments: Mapping[str, object] | None) -> dict[str, object]:
    return {name: value for name, value in (arguments or {}).items() if not _is_absent(value)}
