"""E.164 numbers: digits, country and a masked form."""

import hashlib
import hmac
import re
from base64 import b32encode
from functools import lru_cache

_FORMATTING = re.compile(r"[\s().\-/\u2010-\u2015\u00a0]+")
_DIGITS = re.compile(r"[0-9]{5,15}", re.ASCII)


def digits(text: str) -> str | None:
    """The digits of a number written by a person (`+91 93800-13443`), None if it is no number."""
    bare = _FORMATTING.sub("", text).removeprefix("+").removeprefix("00")
    return bare if _DIGITS.fullmatch(bare) else None


@lru_cache(maxsize=4096)
def country(number: str) -> str | None:
    """The ISO 3166 country of E.164 digits, None when the number belongs to no single one."""
    import phonenumbers  # deferred: its metadata is not needed to start

    try:
        parsed = phonenumbers.parse("+" + number)
    except phonenumbers.NumberParseException:
        return None
    region = phonenumbers.region_code_for_number(parsed)
    if region is None and phonenumbers.is_possible_number(parsed):
        regions = phonenumbers.region_codes_for_country_code(parsed.country_code or 0)
        region = regions[0] if len(regions) == 1 else None
    return region if region and region.isalpha() else None  # 001 is no country


def shown(number: str) -> str:
    """How a recipient is written in answers: with `+` when the digits can be E.164."""
    return f"+{number}" if country(number) else number


def masked(number: str) -> str:
    """A recipient for logs: country code's start and the last four digits, `+91…3443`."""
    return f"+{number[:2]}…{number[-4:]}" if len(number) > 7 else "+…"


_MASK = re.compile(r"\+?([0-9]{1,3})(?:…|\.{2,3})([0-9]{4})~([a-z2-7]{4})", re.ASCII)


def pseudonym(number: str, key: bytes) -> str:
    """A recipient that can be told apart but not called: `+91…3443~k7q2`.

    The same number gets the same pseudonym under the same key, and without the key nothing leads
    back. Digits that are not E.164 show only their last four.
    """
    code = b32encode(hmac.digest(key, b"v1|" + number.encode(), hashlib.sha256))[:4]
    return f"+{_calling_code(number)}…{number[-4:]}~{code.decode().lower()}"


def mask_parts(text: str) -> tuple[str, str] | None:
    """The first and last digits that a pseudonym shows; None when the text is none."""
    match = _MASK.fullmatch(text.strip().lower())
    return (match[1], match[2]) if match else None


def unmasked(mask: str, numbers: list[str], key: bytes) -> list[str]:
    """Those of some numbers whose pseudonym this is."""
    wanted = mask.strip().lower().replace("...", "…").replace("..", "…").removeprefix("+")
    return [each for each in numbers if pseudonym(each, key).removeprefix("+") == wanted]


def _calling_code(number: str) -> str:
    import phonenumbers

    try:
        return str(phonenumbers.parse("+" + number).country_code)
    except phonenumbers.NumberParseException:
        return number[:1]
