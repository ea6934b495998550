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
    ("foreign", "shown"),
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
def test_hidden_characters_go_and_the_rest_stays(foreign: str, shown: str) -> None:
    assert clean(foreign) == shown


@given(ANY_TEXT)
def test_what_is_clean_stays_as_it_is(foreign: str) -> None:
    assert clean(clean(foreign)) == clean(foreign)


@given(ANY_TEXT, st.integers(1, 50))
def test_it_is_one_bounded_line_that_any_json_can_carry(foreign: str, longest: int) -> None:
    shown = clean(foreign, longest)
    assert len(shown) <= longest
    assert json.loads(json.dumps(shown, ensure_ascii=False).encode()) == shown
    assert {unicodedata.category(each) for each in shown}.isdisjoint({"Cc", "Cs", "Zl", "Zp"})


def test_a_megabyte_is_cut_before_it_is_read() -> None:
    assert clean("\u200b" * 1_000_000) == ""
    assert len(clean("ab " * 1_000_000)) <= MAX_LENGTH


def test_r79_no_format_character_and_no_blank_pattern_passes() -> None:
    every = map(chr, range(sys.maxunicode + 1))
    hidden = [each for each in every if unicodedata.category(each) == "Cf" or each == "\u2800"]
    assert [each for each in hidden if clean(f"a{each}b") != "a b"] == []
