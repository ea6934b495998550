"""E.164 numbers: digits, country and a masked form."""

import re
from functools import lru_cache
from importlib.resources import files

_FORMATTING = re.compile(r"[\s().\-/\u2010-\u2015\u00a0]+")
_DIGITS = re.compile(r"[0-9]{5,15}", re.ASCII)
MIN_HIDDEN = 4
"""The fewest digits that a masked number leaves out."""
BLOCK_DIGITS = 4
"""The last digits of a number, which do not decide whose range it lies in."""
BLOCK_SAMPLE = "2345"
"""The ending of the number that stands for its block, so that a block is looked up once."""
MIN_RANGE_DIGITS = 9
"""The fewest digits of a number whose last four do not decide its range."""
MAX_RANGE_DIGITS = 9
"""The digits of the longest beginning in number_ranges.txt."""
_MOBILE_TYPES = frozenset({"mobile", "fixed line or mobile", "pager"})
_TYPES = {
    0: "fixed line", 1: "mobile", 2: "fixed line or mobile", 3: "toll free", 4: "premium rate",
    5: "shared cost", 6: "voip", 7: "personal", 8: "pager", 9: "uan", 10: "voicemail",
}  # fmt: skip


def normalize(text: str) -> str | None:
    """The digits of a number written by a person (`+91 93800-13443`), None if it is no number."""
    bare = _FORMATTING.sub("", text).removeprefix("+").removeprefix("00")
    return bare if _DIGITS.fullmatch(bare) else None


def is_country(code: str) -> bool:
    """Whether a text is the ISO 3166 code of a country that has phone numbers."""
    import phonenumbers  # deferred: its metadata is not needed to start

    return code in phonenumbers.SUPPORTED_REGIONS


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


def network_of(number: str) -> str:
    """The holder of the range of E.164 digits, "" where it is not known.

    A number that was ported since has another network.
    """
    return _range_of(number)[0]


def type_of(number: str) -> str:
    """What kind of line the range of E.164 digits is for: `mobile`, `voip`, "" when not known."""
    return _range_of(number)[1]


def _range_of(number: str) -> tuple[str, str]:
    """The holder and the type of a number's range: of the block that differs in four digits."""
    if not (number.isascii() and number.isdigit()):
        return "", ""
    if len(number) < MIN_RANGE_DIGITS:
        return _describe_number(number)
    return _describe_number(number[:-BLOCK_DIGITS] + BLOCK_SAMPLE)


@lru_cache(maxsize=65536)
def _describe_number(number: str) -> tuple[str, str]:
    import phonenumbers

    try:
        parsed = phonenumbers.parse("+" + number)
    except phonenumbers.NumberParseException:
        return "", ""
    kind = _TYPES.get(phonenumbers.number_type(parsed), "")
    return (_holder_of(number) if kind in _MOBILE_TYPES else ""), kind


def _holder_of(number: str) -> str:
    """The holder of the longest range that a mobile number begins with, "" when none is known."""
    ranges = _number_ranges()
    beginnings = (number[:length] for length in range(MAX_RANGE_DIGITS, 0, -1))
    return next((ranges[begin] for begin in beginnings if begin in ranges), "")


@lru_cache(maxsize=1)
def _number_ranges() -> dict[str, str]:
    """The holder of each range of mobile numbers, by the digits that its numbers begin with."""
    text = files("verify_mcp.domain").joinpath("number_ranges.txt").read_text(encoding="utf-8")
    lines = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {begin: name for name, begins in lines for begin in begins.split()}


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
    """The sentence about what is wrong with digits as a full E.164 number, empty if nothing is."""
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
