"""Groups of sessions: what they can be grouped by, and the group that a session belongs to."""

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from verify_mcp.domain import phones
from verify_mcp.domain.sessions import Attempt, Session

TIME_GROUPS = ("day", "week", "hour", "weekday", "hour_of_day")
"""Groups by the local time of creation."""
GROUPS = (
    "status",
    "channel",
    "first_channel",
    "path",
    "tries",
    "attempt_status",
    "country",
    "network",
    "number_type",
    "prefix",
    "recipient",
    "app",
    "brand",
    *TIME_GROUPS,
)
"""What the sessions of one account or subaccount can be grouped by."""
PERSONAL_GROUPS = frozenset({"prefix"})
"""Groups that a masked number's last digits would complete to the number."""
MANY_GROUPS = frozenset({"recipient", "prefix"})
"""Groups of which there may be as many as sessions."""
SUBACCOUNT = "subaccount"
"""The group that names the subaccount: sessions do not carry it, a call does."""
UNKNOWN = "?"
"""The group of sessions whose payload does not have the field."""
NO_ATTEMPT = "none"
"""The first channel and the path of sessions without an attempt."""
MAX_TRIES = 4
"""Attempts from which on sessions are in one group, `4+`."""
PREFIX_TAIL = 4
"""The last digits of a number that its prefix leaves out."""
MIN_PREFIXED = 8
"""The fewest characters of a recipient that has a prefix."""
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
RANGE_MARK = " (range)"
"""Ends the network of a session whose payload has none: the holder of the number's range."""

GroupKey = tuple[str, ...]


def group_of(session: Session, by: str, zone: tzinfo) -> str:
    """The group of a session by one of GROUPS; for attempt_status the text of all its attempts."""
    if by == "attempt_status":
        return attempts_text(session)
    if by in TIME_GROUPS:
        return time_group(session.created, by, zone)
    return _GROUP_OF[by](session) or UNKNOWN


def time_group(moment: datetime, by: str, zone: tzinfo) -> str:
    """The local day (`2026-11-21`), hour (`2026-11-21 09:00`), weekday or hour of the day.

    A week goes by the day of its Monday.
    """
    local = moment.astimezone(zone)
    match by:
        case "day":
            return f"{local:%Y-%m-%d}"
        case "week":
            return f"{local.date() - timedelta(days=local.weekday()):%Y-%m-%d}"
        case "hour":
            return f"{local:%Y-%m-%d %H}:00"
        case "weekday":
            return WEEKDAYS[local.weekday()]
        case _:
            return f"{local:%H}:00"


def attempts_text(session: Session) -> str:
    """Every attempt's channel and result in order: `sms failed; voice answer`."""
    return "; ".join(map(attempt_text, session.attempts))


def attempt_text(attempt: Attempt) -> str:
    """One attempt's channel and result: `sms failed`."""
    return f"{attempt.channel} {attempt.status}".strip().replace(";", ",")


def network_of(session: Session) -> str:
    """The network: the API's, else the marked holder of the number's range, else unknown."""
    holder = session.network or phones.network_of(session.recipient)
    return holder if session.network else f"{holder}{RANGE_MARK}" if holder else UNKNOWN


def prefix_of(recipient: str) -> str:
    """A number without its last four digits; unknown for a short one."""
    return recipient[:-PREFIX_TAIL] if len(recipient) >= MIN_PREFIXED else UNKNOWN


def first_channel_of(session: Session) -> str:
    """The channel of the first attempt."""
    return (session.attempts[0].channel or UNKNOWN) if session.attempts else NO_ATTEMPT


def path_of(session: Session) -> str:
    """The channels of all attempts in order: `sms>voice`."""
    channels = (attempt.channel or UNKNOWN for attempt in session.attempts)
    return ">".join(channels) or NO_ATTEMPT


def tries_of(attempts: int) -> str:
    """How many attempts there were: `0` to `3`, or `4+`."""
    return str(attempts) if attempts < MAX_TRIES else f"{MAX_TRIES}+"


_GROUP_OF: dict[str, Callable[[Session], str | None]] = {
    "status": lambda session: session.status,
    "channel": lambda session: session.channel,
    "first_channel": first_channel_of,
    "path": path_of,
    "tries": lambda session: tries_of(len(session.attempts)),
    "country": lambda session: session.country,
    "network": network_of,
    "number_type": lambda session: phones.type_of(session.recipient),
    "prefix": lambda session: prefix_of(session.recipient),
    "recipient": lambda session: session.recipient,
    "app": lambda session: session.app_uuid,
    "brand": lambda session: session.brand_name,
}
