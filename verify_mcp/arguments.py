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
from verify_mcp.filters import DEFAULT_WINDOW, PAGE, STATUSES, SessionFilter, moment, slides
from verify_mcp.sessions import is_uuid
from verify_mcp.summary import GROUPS
from verify_mcp.text import clean

LONGEST = 200
"""Characters of an argument's text; nothing documented is longer."""
MOST_REQUESTS = 200
"""API requests that one call may ask to spend: ten minutes of quota."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading an argument depends on besides its text."""

    now: datetime
    confined: bool = False
    """Whether the credentials are a subaccount's."""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    """The time zone of days and hours, unless the call names one."""
    masked: bool = False
    """Whether answers show pseudonyms instead of recipients' numbers."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a tool; `read` raises InvalidArgument with the end of a sentence."""

    name: str
    description: str
    read: Callable[[object, Reading], object]
    type: str = "string"
    more: Mapping[str, object] = field(default_factory=dict)
    required: bool = False

    def schema(self) -> dict[str, object]:
        """The argument's JSON Schema."""
        return {"type": self.type, **self.more, "description": self.description}


def input_schema(arguments: Sequence[Argument]) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments, in the subset every client accepts."""
    required = [each.name for each in arguments if each.required]
    return {
        "type": "object",
        "properties": {each.name: each.schema() for each in arguments},
        **({"required": required} if required else {}),
    }


def read(
    arguments: Sequence[Argument], said: Mapping[str, object] | None, reading: Reading
) -> dict[str, Any]:
    """The values of the arguments said, by name. Raises InvalidArgument, naming the argument."""
    known = {each.name: each for each in arguments}
    for name in said or {}:
        if name not in known:
            raise InvalidArgument(_unknown(name, list(known)))
    values = {}
    for name, argument in known.items():
        value = (said or {}).get(name)
        if not _absent(value):
            values[name] = _value(argument, value, reading)
        elif argument.required:
            raise InvalidArgument(f"{name} is missing: {argument.description}")
    return values


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _value(argument: Argument, value: object, reading: Reading) -> object:
    try:
        return argument.read(value, reading)
    except InvalidArgument as error:
        raise InvalidArgument(f"{argument.name} {error}") from None


def _unknown(name: str, known: list[str]) -> str:
    valid = f"Valid: {', '.join(known)}."
    if not re.fullmatch(r"[A-Za-z_]{1,40}", name, re.ASCII):  # it may be anything: not repeated
        return f"There is no such argument. {valid}"
    meant = _MEANT.get(name.lower()) or next(iter(get_close_matches(name, known, 1)), None)
    hint = f" Did you mean {meant}?" if meant in known else _NO_SUCH.get(name.lower(), "")
    return f"There is no argument {name}.{hint} {valid}"


_MEANT = {
    **dict.fromkeys(("phone", "phone_number", "number", "to", "msisdn", "dst"), "recipient"),
    **dict.fromkeys(("since", "from", "start", "start_time", "after"), "session_time__gte"),
    **dict.fromkeys(("until", "end", "end_time", "before"), "session_time__lt"),
    **dict.fromkeys(("app", "application", "app_id"), "app_uuid"),
    **dict.fromkeys(("session", "session_id", "id", "uuid"), "session_uuid"),
    **dict.fromkeys(("brand",), "brand_name"),
    **dict.fromkeys(("page_size", "count", "max"), "limit"),
    **dict.fromkeys(("state",), "status"),
}
_NO_SUCH = dict.fromkeys(
    ("country", "channel", "network", "cost"), " The API cannot filter by it; the rows show it."
)


def _text(value: object, _reading: Reading) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise InvalidArgument("is not text.")
    text = value.strip()
    if len(text) > LONGEST:
        raise InvalidArgument(f"is too long: at most {LONGEST} characters.")
    if clean(text, LONGEST) != re.sub("[ \u00a0]+", " ", text):
        raise InvalidArgument("holds characters that cannot be shown. Write plain text.")
    return text


def _uuid(value: object, reading: Reading) -> str:
    text = _text(value, reading).lower()
    if not is_uuid(text):
        raise InvalidArgument("is not a UUID, such as ec66515e-86f6-4507-8620-31c039538d7a.")
    return text


def _session_id(value: object, reading: Reading) -> str:
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


def _folded(word: str) -> str:
    return re.sub(r"[\s_-]+", "_", word.strip().lower())


def _word(*choices: str, **synonyms: str) -> Callable[[object, Reading], str]:
    canonical = {_folded(choice): choice for choice in choices}

    def choose(value: object, reading: Reading) -> str:
        word = _folded(_text(value, reading))
        chosen = canonical.get(_folded(synonyms.get(word, word)))
        if chosen is None:
            raise InvalidArgument(f"is none of {', '.join(choices)}.")
        return chosen

    return choose


def _recipient(value: object, reading: Reading) -> str:
    text = _text(value, reading)
    if phones.mask_parts(text):
        return text
    number = phones.digits(text)
    if number is None:
        raise InvalidArgument(
            "is not a phone number. Give the whole number with its country code, e.g. +12025553434."
        )
    return number


def _subaccount(value: object, reading: Reading) -> str:
    if reading.confined:
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


def _time(value: object, reading: Reading) -> datetime:
    return moment(_text(value, reading), now=reading.now)


def _whole(least: int, most: int, example: int) -> Callable[[object, Reading], int]:
    def number(value: object, _reading: Reading) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", value, re.ASCII):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise InvalidArgument(f"is not a whole number from {least} to {most}, e.g. {example}.")
        return value

    return number


def _words(*choices: str, most: int) -> Callable[[object, Reading], tuple[str, ...]]:
    choose = _word(*choices, **dict.fromkeys(("app_uuid", "application"), "app"))

    def chosen(value: object, reading: Reading) -> tuple[str, ...]:
        if isinstance(value, str):
            value = re.split(r"[\s,]+", value.strip(" []\"'").replace('"', "").replace("'", ""))
        if not isinstance(value, list):
            raise InvalidArgument(f"is not a list. Give at most {most} of {', '.join(choices)}.")
        words = tuple(dict.fromkeys(choose(each, reading) for each in value if not _absent(each)))
        if len(words) > most:
            raise InvalidArgument(f"names {len(words)} groups; at most {most} go together.")
        return words

    return chosen


def _time_zone(value: object, reading: Reading) -> ZoneInfo:
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
        _word(*STATUSES, pending="in-progress", inprogress="in-progress", validated="verified"),
        more={"enum": list(STATUSES)},
    ),
    Argument("recipient", "Phone number with country code, e.g. +12025553434.", _recipient),
    Argument("subaccount", "Auth id (SA…) of a subaccount.", _subaccount),
    Argument(
        "limit",
        f"Rows, 1 to {PAGE} (default {PAGE}).",
        _whole(1, PAGE, PAGE),
        "integer",
        {"minimum": 1, "maximum": PAGE},
    ),
    Argument(
        "offset",
        "Rows to skip (default 0).",
        _whole(0, 100_000_000, PAGE),
        "integer",
        {"minimum": 0},
    ),
    *_TIMES,
    Argument("brand_name", "Brand given when the session was created.", _text),
    Argument("app_hash", "App hash given when the session was created.", _text),
    Argument(
        "detail",
        "concise (default): a table. full: whole objects with each attempt.",
        _word("concise", "full"),
        more={"enum": ["concise", "full"]},
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
        _words(*GROUPS, most=2),
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
        f"API requests to spend, 1 to {MOST_REQUESTS} (default {PAGE}).",
        _whole(1, MOST_REQUESTS, PAGE),
        "integer",
        {"minimum": 1, "maximum": MOST_REQUESTS},
    ),
)

STATUS_ARGUMENTS = (
    Argument(
        "about",
        "What to tell.",
        _word("all", "quota", "mirror", "settings"),
        more={"enum": ["all", "quota", "mirror", "settings"]},
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
class SummarizeCall:
    """What `summarize_verify_sessions` was asked; `wanted` holds no times."""

    wanted: SessionFilter
    start: datetime
    end: datetime | None
    by: tuple[str, ...]
    zone: ZoneInfo
    max_requests: int
    written: str = ""
    """The recipient as the caller wrote it."""
    echo: str = ""
    """The recipient as `applied` repeats it."""


@dataclass(frozen=True, slots=True)
class ListCall:
    """What `list_verify_sessions` was asked."""

    wanted: SessionFilter
    limit: int = PAGE
    offset: int = 0
    full: bool = False
    sliding: tuple[str, ...] = ()
    """Times said as so long ago, which would mean another instant when the next page is asked."""
    written: str = ""
    """The recipient as the caller wrote it."""
    echo: str = ""
    """The recipient as `applied` repeats it."""


def read_list(said: Mapping[str, object] | None, reading: Reading) -> ListCall:
    """A call of `list_verify_sessions`, read. Raises InvalidArgument."""
    values = read(LIST_ARGUMENTS, said, reading)
    full = values.pop("detail", "concise") == "full"
    limit, offset = values.pop("limit", PAGE), values.pop("offset", 0)
    wanted = SessionFilter(**values)
    wanted.check(now=reading.now)
    sliding = tuple(each.name for each in _TIMES if slides(str((said or {}).get(each.name, ""))))
    written = _written(said)
    echo = _echo(wanted.recipient, written, reading)
    return ListCall(wanted, limit, offset, full, sliding, written, echo)


def read_get(said: Mapping[str, object] | None, reading: Reading) -> str:
    """A call of `get_verify_session`: the UUID or its beginning. Raises InvalidArgument."""
    return str(read(GET_ARGUMENTS, said, reading)["session_uuid"])


def read_summarize(said: Mapping[str, object] | None, reading: Reading) -> SummarizeCall:
    """A call of `summarize_verify_sessions`, read. Raises InvalidArgument."""
    values = read(SUMMARIZE_ARGUMENTS, said, reading)
    by = values.pop("group_by", ())
    zone = values.pop("time_zone", reading.zone)
    most = values.pop("max_requests", PAGE)
    SessionFilter(**values).check(now=reading.now)
    end = values.pop("session_time__lt", None)
    start = values.pop("session_time__gte", None) or (end or reading.now) - DEFAULT_WINDOW
    wanted, written = SessionFilter(**values), _written(said)
    echo = _echo(wanted.recipient, written, reading)
    return SummarizeCall(wanted, start, end, by, zone, most, written, echo)


def _written(said: Mapping[str, object] | None) -> str:
    return str((said or {}).get("recipient") or "").strip()


def _echo(recipient: str | None, written: str, reading: Reading) -> str:
    """The recipient for `applied`: with masking as it was written, never as its pseudonym.

    A pseudonym beside the number that the caller gave would tell whose it is.
    """
    if recipient is None:
        return ""
    is_number = not reading.masked and phones.digits(recipient) is not None
    return phones.shown(recipient) if is_number else written


def read_status(said: Mapping[str, object] | None, reading: Reading) -> str:
    """A call of `get_verify_status`: what to tell. Raises InvalidArgument."""
    return str(read(STATUS_ARGUMENTS, {"about": "all", **_given(said)}, reading)["about"])


def _given(said: Mapping[str, object] | None) -> dict[str, object]:
    return {name: value for name, value in (said or {}).items() if not _absent(value)}
