"""Text from outside becomes harmless: one line, printable, bounded."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify_mcp.domain.text import MAX_LENGTH, clean

ANY_TEXT = st.text(st.characters(), max_size=400)


@pytest.mark.parametrize(
    ("foreign", "cleaned"),
    [
        ("Acme", "Acme"),
        ("  Acme \t\n & Co ", "Acme & Co"),
        ("red\x1b[31m", "red [31m"),
        ("a\u202eb\u2066c", "a b c"),
        ("zero\u200bwidth\ufeff", "zero width"),
        ("tag\U000e0041s", "tag s"),
        ("half \ud83d a smile", "half a smile"),
        ("नमस्ते 🙂 Zoë", "नमस्ते 🙂 Zoë"),
        ("\x00", ""),
        ("x" * 121, "x" * 119 + "…"),
        ("x" * 120, "x" * 120),
    ],
)
def test_hidden_characters_go_and_the_rest_stays(foreign: str, cleaned: str) -> None:
    assert clean(foreign) == cleaned


@given(ANY_TEXT)
def test_what_is_clean_stays_as_it_is(foreign: str) -> None:
    assert clean(clean(foreign)) == clean(foreign)


@given(ANY_TEXT, st.integers(1, 50))
def test_it_is_one_bounded_line_that_any_json_can_carry(foreign: str, max_length: int) -> None:
    cleaned = clean(foreign, max_length)
    assert len(cleaned) <= max_length
    assert json.loads(json.dumps(cleaned, ensure_ascii=False).encode()) == cleaned
    assert {unicodedata.category(character) for character in cleaned}.isdisjoint(
        {"Cc", "Cs", "Zl", "Zp"}
    )


def test_a_megabyte_is_cut_before_it_is_read() -> None:
    assert clean("\u200b" * 1_000_000) == ""
    assert len(clean("ab " * 1_000_000)) <= MAX_LENGTH


def test_r79_no_format_character_and_no_blank_pattern_passes() -> None:
    every = map(chr, range(sys.maxunicode + 1))
    hidden = [one for one in every if unicodedata.category(one) == "Cf" or one == "\u2800"]
    assert [one for one in hidden if clean(f"a{one}b") != "a b"] == []
