"""E.164 numbers: digits, country and a masked form."""

import hashlib
import hmac
import re
from base64 import b32encode
from functools import lru_cache

_FORMATTING = re.compile(r"[\s().\-/\u2010-\u2015\u00a0]+")
_DIGITS = re.compile(r"[0-9]{5,15}", re.ASCII)
MIN_HIDDEN = 4
"""Digits that a masked number leaves out at least."""


def normalize(text: str) -> str | None:
    """The digits of a number written by a person (`+91 93800-13443`), None if it is no number."""
    bare = _FORMATTING.sub("", text).removeprefix("+").removeprefix("00")
    return bare if _DIGITS.fullmatch(bare) else None


@lru_cache(maxsize=4096)
def country_of(number: str) -> str | None:
    """The ISO 3166 country of E.164 digits, None when they begin with no country's code.

    A number in no assigned range has the main country of its calling code.
    """
    import phonenumbers  # deferred: its metadata is not needed to start

    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse("+" + number))
    except phonenumbers.NumberParseException:
        region = None  # of impossible length, or in no country
    region = region or _main_region(number)
    return region if region and region.isalpha() else None  # 001 is no country


def _main_region(number: str) -> str | None:
    """The main region of the calling code that digits begin with: no code begins another one."""
    import phonenumbers

    if not (number.isascii() and number.isdigit()) or number.startswith("0"):
        return None
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    codes = (int(number[:length]) for length in range(1, 4))
    return next((regions[code][0] for code in codes if code in regions), None)


def format_number(number: str) -> str:
    """How a recipient is written in answers: with `+` where it consists of digits."""
    return f"+{number}" if number.isascii() and number.isdigit() else number


def number_problem(number: str) -> str:
    """What is wrong with digits as one whole E.164 number, as a sentence; empty when nothing is."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse("+" + number)
    except phonenumbers.NumberParseException:
        return "The number begins with no country's calling code: give it as +12025550147."
    if phonenumbers.is_valid_number(parsed):
        return ""
    return (
        f"The number is none that is assigned under +{parsed.country_code}: its country code may "
        "be missing, or it is not whole."
    )


def mask_for_logs(number: str) -> str:
    """A recipient for logs: its first two and up to four last digits, `+91…3443`.

    At least four digits are left out.
    """
    if len(number) <= 7:
        return "+…"
    ending = min(4, len(number) - 2 - MIN_HIDDEN)
    return f"+{number[:2]}…{number[len(number) - ending :]}"


_MASK = re.compile(r"\+?([0-9]{1,3})(?:…|\.{2,3})([0-9]{0,4})~([a-z2-7]{4})", re.ASCII)


def pseudonym(number: str, key: bytes) -> str:
    """A recipient that can be told apart but not called: `+91…3443~k7q2`.

    The same number gets the same pseudonym under the same key, and without the key nothing leads
    back. At least four digits are left out: a short number shows fewer at its end.
    """
    code = b32encode(hmac.digest(key, b"v1|" + number.encode(), hashlib.sha256))[:4]
    start = _calling_code(number)
    ending = max(0, min(4, len(number) - len(start) - MIN_HIDDEN))
    return f"+{start}…{number[len(number) - ending :]}~{code.decode().lower()}"


def parse_pseudonym(text: str) -> tuple[str, str] | None:
    """The first and last digits that a pseudonym shows; None when the text is none."""
    match = _MASK.fullmatch(text.strip().lower())
    return (match[1], match[2]) if match else None


def match_pseudonym(mask: str, numbers: list[str], key: bytes) -> list[str]:
    """Those of some numbers whose pseudonym this is."""
    wanted = mask.strip().lower().replace("...", "…").replace("..", "…").removeprefix("+")
    return [each for each in numbers if pseudonym(each, key).removeprefix("+") == wanted]


def _calling_code(number: str) -> str:
    import phonenumbers

    try:
        return str(phonenumbers.parse("+" + number).country_code)
    except phonenumbers.NumberParseException:
        return number[:1]
