"""Sessions and amounts as answers show them.

Times are UTC without fractions, money is the exact decimal. A text that came from the API appears
only where it is data, never in a sentence.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from verify_mcp.domain import phones
from verify_mcp.domain.api_limits import ATTEMPT_STATUSES, CHANNELS
from verify_mcp.domain.groups import GroupKey
from verify_mcp.domain.sessions import Attempt, Session
from verify_mcp.domain.times import format_time, format_time_short

RecipientFormatter = Callable[[str], str]
"""Turns a recipient's digits into the text that answers show."""

_CHANNEL_PHRASES = {"sms": "SMS", "whatsapp": "WhatsApp", "rcs": "RCS"}
_STATUS_PHRASES = {"answer": "answered", "no answer": "not answered", "cancel": "cancelled"}
_MAX_PHRASES = 4


def session_fields(session: Session, format_recipient: RecipientFormatter) -> dict[str, Any]:
    """All fields of one session; what the API does not say is left out."""
    doubts = session.inconsistencies()
    fields = {
        "session": session.uuid,
        "app": session.app_uuid,
        "app_name": session.alias,
        "brand": session.brand_name,
        "recipient": format_recipient(session.recipient),
        "country": session.country,
        "network": session.network,
        "status": session.status,
        "channel": session.channel,
        "attempts": [_attempt_fields(session, attempt) for attempt in session.attempts],
        "cost": format_money(session.cost),
        "validation_cost": format_money(session.validation_cost),
        "created": format_time(session.created),
        "updated": format_time(session.updated) if session.updated else None,
        "note": _outcome_sentence("; ".join(doubts)) if doubts else None,
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _outcome_sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def _attempt_fields(session: Session, attempt: Attempt) -> dict[str, Any]:
    fields = {
        "attempt_uuid": attempt.uuid or None,
        "channel": attempt.channel,
        "status": attempt.status,
        "time": format_time_short(attempt.time) if attempt.time else None,
        "charge": format_money(session.charge(attempt)),
    }
    return {name: value for name, value in fields.items() if value is not None}


def attempts_with_offsets(session: Session) -> str:
    """Every attempt in order, with its seconds after the session began: `sms failed +0s`."""
    return "; ".join(
        f"{attempt.channel} {attempt.status}{_offset(session, attempt)}".strip()
        for attempt in session.attempts
    )


def _offset(session: Session, attempt: Attempt) -> str:
    """The seconds from the session's creation to an attempt, "" when its time is unknown."""
    if attempt.time is None:
        return ""
    return f" {round((attempt.time - session.created).total_seconds()):+d}s"


def group_labels(
    by: Sequence[str],
    key: GroupKey,
    format_recipient: RecipientFormatter,
    app_names: Mapping[str, str],
) -> list[str]:
    """A group's key as the first cells of its row."""
    forms: dict[str, Callable[[str], str]] = {
        "recipient": format_recipient,
        "prefix": phones.format_number,
        "app": partial(format_app, app_names=app_names),
    }
    return [
        forms[group](name) if group in forms else name for group, name in zip(by, key, strict=True)
    ]


def format_app(app: str, app_names: Mapping[str, str]) -> str:
    """An app's alias with the first characters of its UUID; the UUID where it has no alias."""
    return f"{app_names[app]} ({app[:8]})" if app_names.get(app) else app


def session_sentence(session: Session) -> str:
    """One session in plain words, from its fields only."""
    parts = [_count_attempts(session.attempts, is_over=session.ended)]
    parts += [_phrase(each) for each in session.attempts[:_MAX_PHRASES]]
    if len(session.attempts) > _MAX_PHRASES:
        parts.append(f"and {len(session.attempts) - _MAX_PHRASES} more")
    charged = (
        "charge not told" if session.cost is None else f"{format_money(session.cost)} charged"
    ) + ("" if session.ended else " so far")
    return f"{_phrase_status(session.status)}: {', '.join(parts)}; {charged}."


def _count_attempts(attempts: tuple[Attempt, ...], *, is_over: bool) -> str:
    if not attempts:
        return "no attempt" if is_over else "no attempt yet"
    times = [each.time for each in attempts if each.time]
    if len(attempts) == 1 or not times:
        return "1 attempt" if len(attempts) == 1 else f"{len(attempts)} attempts"
    return f"{len(attempts)} attempts in {(max(times) - min(times)).total_seconds():.0f} s"


def _phrase(attempt: Attempt) -> str:
    # Only words we know become prose: an unknown one is the API's text.
    channel = attempt.channel if attempt.channel in CHANNELS else "another channel"
    status = attempt.status if attempt.status in ATTEMPT_STATUSES else "in an unknown state"
    return f"{_CHANNEL_PHRASES.get(channel, channel)} {_STATUS_PHRASES.get(status, status)}"


def _phrase_status(status: str) -> str:
    known = {"in-progress": "In progress", "verified": "Verified", "expired": "Expired"}
    return known.get(status, "Unknown status")


def format_decimal(number: Decimal | None) -> str | None:
    """A number without an exponent, None for None."""
    return None if number is None else f"{number:f}"


def format_money(value: Decimal | None) -> str | None:
    """An amount to its last digit, without trailing zeros; None for None."""
    return None if value is None else f"{value.normalize():f}"


def format_days(length: timedelta) -> str:
    """A length of time in days, to three digits, and to the day from 100 on."""
    days = length / timedelta(days=1)
    return f"{days:.3g}" if days < 100 else f"{days:.0f}"


def ceil_seconds(seconds: float) -> int:
    """Seconds to wait, rounded up, at least one."""
    return max(1, -int(-seconds // 1))
