"""Text from outside, made harmless: one line, printable, bounded."""

import re
from functools import cache

MAX_LENGTH = 120
"""Characters of a foreign text that an answer shows."""

# Control and format characters (Cf), variation selectors, blank patterns, tags and surrogates.
_HIDDEN = (
    "\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff"
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u2800\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)


@cache
def _hidden() -> re.Pattern[str]:
    return re.compile(f"[{_HIDDEN}]+")


def clean(text: str, max_length: int = MAX_LENGTH) -> str:
    """`text` without hidden characters, white space folded, at most `max_length` characters."""
    if len(text) <= max_length and text.isascii() and text.isprintable():
        return " ".join(text.split())  # the usual text, which a pattern would cost more
    # Cut first: a megabyte of text must not cost a megabyte of work.
    bare = _hidden().sub(" ", text[: max_length * 8])
    folded = " ".join(bare.split())
    return folded if len(folded) <= max_length else folded[: max_length - 1] + "…"
