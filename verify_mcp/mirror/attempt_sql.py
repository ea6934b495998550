"""SQL over stored sessions that counts their attempts, in the text of outcomes and path."""

COUNTED_CHANNELS = ("sms", "voice", "whatsapp", "rcs")
"""The channels whose attempts are counted."""


def _occurrences(text: str, column: str = "outcomes") -> str:
    """How often a text occurs in a column, by default in a session's attempts."""
    return f"((length({column}) - length(replace({column}, '{text}', ''))) / {len(text)})"


def _of_one(condition: str, of_several: str) -> str:
    """A number of attempts: most sessions have one, of which a comparison is enough."""
    return (
        f"CASE WHEN attempts = 1 THEN CASE WHEN {condition} THEN 1 ELSE 0 END ELSE {of_several} END"
    )


def _if_any(condition: str, number: str) -> str:
    """A number that is 0 without the condition, which costs less than to count."""
    return f"CASE WHEN {condition} THEN {number} ELSE 0 END"


def _channel_failures(channel: str) -> str:
    failed, undelivered = f"{channel} failed", f"{channel} undelivered"
    several = _if_any(
        f"outcomes LIKE '%{failed}%' OR outcomes LIKE '%{undelivered}%'",
        f"{_occurrences(failed)} + {_occurrences(undelivered)}",
    )
    return _of_one(f"outcomes IN ('{failed}', '{undelivered}')", several)


def _channel_attempts(channel: str) -> str:
    several = _if_any(
        f"path LIKE '%{channel}%'",
        _occurrences(f">{channel}>", "('>' || replace(path, '>', '>>') || '>')"),
    )
    return _of_one(f"first_channel = '{channel}'", several)


FAILURES = f"({_occurrences('failed')} + {_occurrences('undelivered')})"
_IS_REACHED = (
    "(CASE WHEN attempts = 1 THEN outcomes NOT LIKE '%failed' AND outcomes NOT LIKE '%undelivered' "
    f"ELSE attempts > {FAILURES} END)"
)
"""Whether any attempt did not fail."""
_VERIFIED, _EXPIRED = (
    f"sum(CASE WHEN status = '{status}' AND {_IS_REACHED} THEN 1 ELSE 0 END)"
    for status in ("verified", "expired")
)
CONVERSION = f"{_VERIFIED}, {_VERIFIED} + {_EXPIRED}"
"""The reached sessions that were verified, and those that ended: each is examined once."""
DELIVERY = ", ".join(
    f"sum({_channel_failures(channel)}), sum({_channel_attempts(channel)})"
    for channel in COUNTED_CHANNELS
)


def of_channel(channel: str) -> str:
    """The condition that an attempt was on one of COUNTED_CHANNELS."""
    if channel not in COUNTED_CHANNELS:
        raise ValueError("the attempts of this channel are not counted")
    return f"{_channel_attempts(channel)} > 0"
