"""One session, an amount, an instant: as answers word them.

Times are UTC without fractions, money is the exact decimal. A text that came from the API appears
only where it is data, never in a sentence.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from verify_mcp.sessions import ATTEMPT_STATUSES, CHANNELS, Attempt, Session

Shown = Callable[[str], str]
"""How a recipient's digits are written."""

_SPOKEN_CHANNELS = {"sms": "SMS", "whatsapp": "WhatsApp", "rcs": "RCS"}
_SPOKEN_STATUSES = {"answer": "answered", "no answer": "not answered", "cancel": "cancelled"}
_MOST_SPOKEN = 4


def story(session: Session, shown: Shown) -> dict[str, Any]:
    """One session whole; what the API does not tell is left out."""
    doubts = session.doubts()
    told = {
        "session": session.uuid,
        "app": session.app_uuid,
        "app_name": session.alias,
        "brand": session.brand_name,
        "recipient": shown(session.recipient),
        "country": session.country,
        "network": session.network,
        "status": session.status,
        "channel": session.channel,
        "attempts": [_attempt(session, each) for each in session.attempts],
        "cost": money(session.cost),
        "validation_cost": money(session.validation_cost),
        "created": instant(session.created),
        "updated": instant(session.updated) if session.updated else None,
        "note": _sentence("; ".join(doubts)) if doubts else None,
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def _attempt(session: Session, attempt: Attempt) -> dict[str, Any]:
    told = {
        "channel": attempt.channel,
        "status": attempt.status,
        "time": short(attempt.time) if attempt.time else None,
        "charge": money(session.charge(attempt)),
    }
    return {name: value for name, value in told.items() if value is not None}


def sentence(session: Session) -> str:
    """One session in plain words, from its fields only."""
    parts = [_counted(session.attempts)]
    parts += [_spoken(each) for each in session.attempts[:_MOST_SPOKEN]]
    if len(session.attempts) > _MOST_SPOKEN:
        parts.append(f"and {len(session.attempts) - _MOST_SPOKEN} more")
    charged = ("charge not told" if session.cost is None else f"{money(session.cost)} charged") + (
        "" if session.settled else " so far"
    )
    return f"{_spoken_status(session.status)}: {', '.join(parts)}; {charged}."


def _counted(attempts: tuple[Attempt, ...]) -> str:
    if not attempts:
        return "no attempt yet"
    times = [each.time for each in attempts if each.time]
    if len(attempts) == 1 or not times:
        return "1 attempt" if len(attempts) == 1 else f"{len(attempts)} attempts"
    return f"{len(attempts)} attempts in {(max(times) - min(times)).total_seconds():.0f} s"


def _spoken(attempt: Attempt) -> str:
    # Only words we know become prose: an unknown one is the API's text.
    channel = attempt.channel if attempt.channel in CHANNELS else "another channel"
    status = attempt.status if attempt.status in ATTEMPT_STATUSES else "in an unknown state"
    return f"{_SPOKEN_CHANNELS.get(channel, channel)} {_SPOKEN_STATUSES.get(status, status)}"


def _spoken_status(status: str) -> str:
    known = {"in-progress": "In progress", "verified": "Verified", "expired": "Expired"}
    return known.get(status, "Unknown status")


def plain(number: Decimal | None) -> str | None:
    """A number without an exponent, None for None."""
    return None if number is None else f"{number:f}"


def money(value: Decimal | None) -> str | None:
    """An amount to its last digit, without zeros that say nothing."""
    return None if value is None else f"{value.normalize():f}"


def instant(moment: datetime) -> str:
    """An instant to the second, `2026-11-21 09:30:00`, UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat(sep=" ")


def short(moment: datetime) -> str:
    """An instant without its year, which `applied` or `created` tells."""
    return instant(moment)[len("2026-") :]


def whole_seconds(seconds: float) -> int:
    """Seconds to wait, rounded up, at least one."""
    return max(1, -int(-seconds // 1))
