"""E.164 numbers: as people write them, whose country they are, and how logs show them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify_mcp.domain import phones
from verify_mcp.mirror import masking

NUMBERS = st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True)


@pytest.mark.parametrize(
    "written",
    [
        "+919380013443",
        "919380013443",
        "0091 93800 13443",
        "+91 (93800) 13-443",
        "+91.93800.13443",
        "+91/93800\u201113443",
        "+91\u00a093800\u00a013443",
    ],
)
def test_a_number_is_understood_as_people_write_it(written: str) -> None:
    assert phones.normalize(written) == "919380013443"


@pytest.mark.parametrize(
    "written",
    [
        "",
        "+",
        "1234",
        "1234567890123456",
        "+91 93800 1344x",
        "\uff19\uff13\uff18\uff10\uff10\uff11\uff13\uff14\uff14\uff13",
        "++9193800",
        "a",
    ],
)
def test_what_is_no_number_is_none(written: str) -> None:
    assert phones.normalize(written) is None


@pytest.mark.parametrize(
    ("number", "country", "written"),
    [
        ("919380013443", "IN", "+919380013443"),
        ("14155550142", "US", "+14155550142"),
        ("16045550142", "CA", "+16045550142"),
        ("33612345678", "FR", "+33612345678"),
        ("12005550142", "US", "+12005550142"),
        ("80012345678", None, "+80012345678"),
        ("8097480999", None, "+8097480999"),
        ("99999999999", None, "+99999999999"),
        ("unknown", None, "unknown"),
    ],
)
def test_the_country_is_the_numbers_or_nobodys(
    number: str, country: str | None, written: str
) -> None:
    assert (phones.country_of(number), phones.format_number(number)) == (country, written)


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("9193800", "IN"),
        ("9193800134431", "IN"),
        ("120255501", "US"),
        ("12025550147000", "US"),
        ("62813555007", "ID"),
        ("4420", "GB"),
        ("911", "IN"),
        ("44" + "2" * 18, "GB"),
        ("0044123", None),
        ("800123", None),
        ("999123", None),
        ("", None),
    ],
)
def test_r69_a_number_of_impossible_length_has_the_main_country_of_its_calling_code(
    number: str, country: str | None
) -> None:
    assert phones.country_of(number) == country


@given(NUMBERS)
def test_a_masked_number_keeps_its_middle_to_itself(number: str) -> None:
    masked = phones.mask_for_logs(number)
    start, ending = masked.removeprefix("+").split("…")
    assert (number.startswith(start), number.endswith(ending)) == (True, True)
    assert len(number) - len(start) - len(ending) >= 4
    assert number not in masked


def test_a_short_number_is_masked_whole() -> None:
    assert phones.mask_for_logs("1234567") == "+…"


@given(st.text(max_size=40))
def test_whatever_is_written_gives_digits_or_nothing(written: str) -> None:
    read = phones.normalize(written)
    assert read is None or (read.isascii() and read.isdigit() and phones.normalize(read) == read)


@pytest.mark.parametrize("number", ["6907290", "2905123", "6907290123", "919380013443"])
def test_r79_a_pseudonym_leaves_at_least_four_digits_out(number: str) -> None:
    mask = masking.pseudonym(number, b"key")
    visible = [character for character in mask.split("~")[0] if character.isdigit()]
    assert len(number) - len(visible) >= 4
    assert masking.parse_pseudonym(mask) is not None
    assert masking.match_pseudonym(mask, [number, "12025550147"], b"key") == [number]


@pytest.mark.parametrize(
    ("number", "network", "kind"),
    [
        ("919380013443", "Reliance Jio", "mobile"),
        ("628135550147", "Telkomsel", "mobile"),
        ("819012345678", "KDDI", "mobile"),
        ("12025553434", "", "fixed line or mobile"),
        ("442079460000", "", "fixed line"),
        ("999", "", ""),
    ],
)
def test_the_holder_of_a_numbers_range_is_its_network(number: str, network: str, kind: str) -> None:
    assert (phones.network_of(number), phones.type_of(number)) == (network, kind)
