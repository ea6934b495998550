"""Whether a text in any language names the facts of a question."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation

from evals.question import Facts, Question, Value

SYNONYMS = {
    "answer": ("answer", "picked up"),
    "early media": ("early media", "rang", "ringing", "not picked up", "not answered"),
    "delivered": ("deliver",),
    "undelivered": ("undelivered", "not delivered"),
    "in-progress": ("in-progress", "in progress", "pending"),
    "voice": ("voice", "call"),
    "sms": ("sms", "text message"),
}
COUNTRIES = {
    "AE": "United Arab Emirates", "AZ": "Azerbaijan", "BR": "Brazil", "DE": "Germany",
    "FR": "France", "GB": "United Kingdom", "ID": "Indonesia", "IN": "India", "MX": "Mexico",
    "NG": "Nigeria", "PH": "Philippines", "US": "United States",
}  # fmt: skip
_NUMBER = re.compile(r"\d(?:[\d.,'\u2019\u00a0\u2009\u202f]*\d)?", re.ASCII)
_SPACES = re.compile(r"['\u2019\u00a0\u2009\u202f]")
_THOUSANDS = re.compile(r"\d{1,3}([.,]\d{3})+", re.ASCII)
_DENIAL = re.compile(
    r"\b(not|no|none|never|cannot|can't|isn't|aren't|don't|doesn't|unable|unknown)\b", re.IGNORECASE
)
_OF_DATA = re.compile(
    r"\b(record|data|availab|tool|know|tell|contain|expos|provid|stor|visib|includ|answer)",
    re.IGNORECASE,
)


_MAX_OTHER_NUMBERS = 40
"""Numbers in an answer beside those of its facts; one with more lists instead of answering."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer lacks, and what it must not have; right when there is neither."""

    missing: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        """Whether the answer has every fact and nothing forbidden."""
        return not (self.missing or self.forbidden)


def judge(question: Question, facts: Facts, text: str) -> Verdict:
    """Judge an answer; one to a question that cannot be answered has to say so."""
    forbidden = tuple(each for each in question.forbidden if each.lower() in text.lower())
    if not question.is_answerable:
        is_refusal = _DENIAL.search(text) and _OF_DATA.search(text)
        return Verdict(() if is_refusal else ("that it is not known",), forbidden)
    plain = _plain_digits(text)
    if len(_NUMBER.findall(plain)) > len(_NUMBER.findall(str(facts))) + _MAX_OTHER_NUMBERS:
        return Verdict(("an answer instead of a list of numbers",), forbidden)
    return Verdict(tuple(_missing(facts, plain)), forbidden)


def _missing(facts: Facts, text: str) -> Iterator[str]:
    for name, value in facts.items():
        values = value if isinstance(value, tuple) else (value,)
        yield from (f"{name}: {each}" for each in values if not _is_named(each, text))


def _is_named(value: Value, text: str) -> bool:
    if isinstance(value, int | Decimal):
        return any(_is_rounding(shown, Decimal(value)) for shown in numbers(text))
    words = str(value)
    if words in COUNTRIES:
        return re.search(rf"\b{words}\b", text) is not None or COUNTRIES[words] in text
    return any(form.lower() in text.lower() for form in _forms(words))


def _forms(words: str) -> tuple[str, ...]:
    """The ways to write a text: times without a leading zero, dates in words."""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", words):
        day = date.fromisoformat(words)
        month = f"{day:%B}"
        return (
            words,
            *(f"{name} {day.day}" for name in (month, month[:3])),
            *(f"{day.day} {name}" for name in (month, month[:3])),
        )
    if re.fullmatch(r"0\d:\d{2}", words):
        return words, words[1:]
    return SYNONYMS.get(words, (words,))


def _is_rounding(shown: Decimal, true: Decimal) -> bool:
    """Whether a number is the true one, rounded no coarser than to units of a larger one."""
    places = -int(shown.as_tuple().exponent)
    if places <= 0 and true < 10 and true != true.to_integral_value():
        return False
    unit = Decimal(1).scaleb(-max(0, places))
    return shown in {true.quantize(unit, mode) for mode in (ROUND_HALF_EVEN, ROUND_HALF_UP)}


def numbers(text: str) -> set[Decimal]:
    """Every number in a text, in each reading that its points and commas allow."""
    found: set[Decimal] = set()
    for match in _NUMBER.finditer(text):
        for reading in _readings(_SPACES.sub("", match[0])):
            try:
                found.add(Decimal(reading))
            except InvalidOperation:
                continue
    return found


def _readings(written: str) -> Iterator[str]:
    last = max(written.rfind("."), written.rfind(","))
    if last < 0:
        yield written
        return
    whole = re.sub(r"[.,]", "", written[:last])
    yield f"{whole}.{written[last + 1 :]}"
    if _THOUSANDS.fullmatch(written):
        yield re.sub(r"[.,]", "", written)


def _plain_digits(text: str) -> str:
    """The text with the digits of every script as 0 to 9."""
    return "".join(char if char.isascii() else _plain_digit(char) for char in text)


def _plain_digit(char: str) -> str:
    digit = unicodedata.decimal(char, None)
    return char if digit is None else str(digit)
