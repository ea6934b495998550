"""Payloads of the API: what can be read is read, the rest is refused in fixed sentences."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify_mcp.domain.api_limits import is_uuid
from verify_mcp.domain.payloads import MAX_ROWS, parse_json, parse_page, parse_session
from verify_mcp.domain.sessions import Session
from verify_mcp.emulator import documented_sessions
from verify_mcp.errors import ApiFailed, VerifyError

DOCUMENTED: dict[str, Any] = json.loads(documented_sessions.documented_get())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def read(**changes: Any) -> Session:
    return parse_session(json.dumps(DOCUMENTED | changes).encode())


def page(*rows: object, **more: Any) -> bytes:
    return json.dumps({"sessions": list(rows), **more}).encode()


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("2023-06-01T08:52:39Z", datetime(2023, 6, 1, 8, 52, 39, tzinfo=UTC)),
        ("2023-06-01T08:52:39.3632Z", datetime(2023, 6, 1, 8, 52, 39, 363_200, tzinfo=UTC)),
        ("2023-06-01T08:52:39.36325Z", datetime(2023, 6, 1, 8, 52, 39, 363_250, tzinfo=UTC)),
        ("2023-06-01T08:52:39.363253Z", datetime(2023, 6, 1, 8, 52, 39, 363_253, tzinfo=UTC)),
        ("2023-06-01T08:52:39.363253123Z", datetime(2023, 6, 1, 8, 52, 39, 363_253, tzinfo=UTC)),
        ("2023-06-01T14:22:39.36+05:30", datetime(2023, 6, 1, 8, 52, 39, 360_000, tzinfo=UTC)),
        ("2023-06-01 08:52:39", datetime(2023, 6, 1, 8, 52, 39, tzinfo=UTC)),
    ],
)
def test_r17_a_timestamp_is_read_in_every_known_form(sent: str, meant: datetime) -> None:
    session = read(created_at=sent, updated_at=sent)
    assert (session.created, session.updated) == (meant, meant)


@pytest.mark.parametrize(
    "sent",
    ["0001-01-01T00:00:00Z", "0001-01-01T05:53:28+05:53", "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "yesterday-ish", "", 1685609559, None,
     "2023-06-01T08:52:39Z" + " " * 100, [], {}],
    ids=str,
)  # fmt: skip
def test_r17_a_time_that_is_none_is_unknown_where_it_may_be(sent: object) -> None:
    assert read(updated_at=sent).updated is None
    assert parse_page(page(DOCUMENTED | {"created_at": sent})).skipped == 1


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("0", "0"), ("0.08", "0.08"), ("0.00000", "0.00000"), (" 0.113 ", "0.113"),
        (0.08, "0.08"), (0.00005, "0.00005"), (3, "3"), (12345678901, "12345678901"),
        (1e16, "10000000000000000.0"), ("", None), (None, None),
    ],
    ids=repr,
)  # fmt: skip
def test_money_is_read_to_its_last_digit(sent: object, meant: str | None) -> None:
    session = read(charges={"total_charge": sent})
    assert session.cost == (None if meant is None else Decimal(meant))


@pytest.mark.parametrize(
    "sent",
    ["NaN", "1e999", "-0.08", "0,08", "$1", "\u0660", "1" * 30, float("nan"),
     float("inf"), -1, True,
     [], {}],
    ids=str,
)  # fmt: skip
def test_r70_what_is_no_money_is_unknown_and_its_row_stands(sent: object) -> None:
    (session,) = parse_page(page(DOCUMENTED | {"charges": {"total_charge": sent}})).sessions
    assert (session.cost, session.partly_unread) == (None, True)
    assert session.inconsistencies() == (
        "a field of the API's answer could not be read and is unknown",
    )


@pytest.mark.parametrize(
    "changes",
    [{"count": "many"}, {"attempt_details": 7}, {"attempt_details": [7]}, {"channel": 5},
     {"attempt_details": [{"status": 5}]}, {"app_uuid": []},
     {"charges": {"attempt_charges": [{"charge": "NaN"}]}}, {"charges": "free"}, {"charges": []},
     {"updated_at": "yesterday-ish"}, {"updated_at": 1685609559}, {"updated_at": []},
     {"attempt_details": [{"time": "soon"}]}],
    ids=str,
)  # fmt: skip
def test_r70_an_optional_field_that_cannot_be_read_is_unknown(changes: dict[str, Any]) -> None:
    session = read(**changes)
    assert (session.uuid, session.partly_unread) == (DOCUMENTED["session_uuid"], True)
    assert parse_page(page(DOCUMENTED | changes)).sessions == (session,)


@pytest.mark.parametrize("never", [None, "", "0001-01-01T00:00:00Z", "0001-01-01T05:53:28+05:53"])
def test_r70_a_time_that_the_api_does_not_tell_is_no_unreadable_one(never: str | None) -> None:
    assert (read(updated_at=never).updated, read(updated_at=never).inconsistencies()) == (None, ())


@pytest.mark.parametrize("recipient", [None, 7, [], {}], ids=str)
def test_r70_a_row_without_a_readable_recipient_is_a_session(recipient: object) -> None:
    session = read(recipient=recipient)
    assert (session.recipient, session.partly_unread) == ("", True)
    nameless = {key: value for key, value in DOCUMENTED.items() if key != "recipient"}
    assert parse_page(page(nameless)).sessions == (session,)


def test_r70_names_of_our_own_are_no_keys_of_a_payload() -> None:
    forged = {"partly_unread": True, "own_brand": "Forged", "own_app_hash": "x", "cost": "9"}
    assert read(**forged) == read()


@pytest.mark.parametrize("end", ["", ".5", "e9"])
@pytest.mark.parametrize("field", ["count", "channel", "unknown_to_us"])
def test_r70_a_number_of_any_length_leaves_the_rest_of_a_reply_readable(
    field: str, end: str
) -> None:
    body = json.dumps(DOCUMENTED | {field: "HUGE"}).replace('"HUGE"', "7" * 5_001 + end).encode()
    session = parse_session(body)
    assert session.cost == read().cost
    assert session.partly_unread == (field != "unknown_to_us")


def test_r70_brand_and_app_hash_are_read_beside_the_attempts_too() -> None:
    session = read(brand_name="Acme", app_hash="h4sh", attempt_details=[])
    assert (session.brand_name, session.app_hash) == ("Acme", "h4sh")


@pytest.mark.parametrize("name", ["session_uuid", "status", "created_at"])
@pytest.mark.parametrize("damage", ["missing", None, "", 7, [], {}], ids=str)
def test_r15_a_row_without_what_it_is_about_is_left_out(name: str, damage: object) -> None:
    if (name, damage) == ("status", 7):
        damage = None
    row = {key: value for key, value in DOCUMENTED.items() if key != name}
    row |= {} if damage == "missing" else {name: damage}
    assert (parse_page(page(row)).skipped, parse_page(page(row)).sessions) == (1, ())


def test_the_one_session_that_cannot_be_read_is_refused_by_field_without_its_value() -> None:
    body = json.dumps(DOCUMENTED | {"created_at": "919380013443", "status": None}).encode()
    with pytest.raises(ApiFailed) as caught:
        parse_session(body)
    assert str(caught.value) == (
        "The Verify API's answer holds no readable session (created_at, status)."
    )


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("Expired", "expired"),
        ("IN_PROGRESS", "in-progress"),
        ("in progress", "in-progress"),
        ("verified", "verified"),
        ("On Hold", "on hold"),
        ("REJECTED", "rejected"),
    ],
)
def test_a_status_is_canonical_or_kept_as_it_is(sent: str, meant: str) -> None:
    session = read(status=sent)
    assert (session.status, session.ended) == (meant, meant in ("expired", "verified"))


@pytest.mark.parametrize(
    ("sent", "meant"),
    [("ANSWER", "answer"), ("EARLY MEDIA", "early media"), ("no-answer", "no answer"),
     ("NO_ANSWER", "no answer"), ("in-progress", "in progress"), ("Teleported", "Teleported"),
     (None, "")],
)  # fmt: skip
def test_an_attempts_status_is_canonical_or_kept_as_it_is(sent: object, meant: str) -> None:
    (attempt,) = read(attempt_details=[{"status": sent, "channel": "VOICE"}]).attempts
    assert (attempt.status, attempt.channel) == (meant, "voice")


@pytest.mark.parametrize("nothing", [None, []])
def test_null_lists_are_empty(nothing: object) -> None:
    session = read(
        attempt_details=nothing, charges={"total_charge": "0", "attempt_charges": nothing}, count=0
    )
    assert (session.attempts, session.attempt_charges, session.inconsistencies()) == ((), (), ())
    assert parse_page(json.dumps({"sessions": nothing, "meta": None}).encode()).sessions == ()


@pytest.mark.parametrize("charges", [None, {}, {"other": 1}], ids=str)
def test_missing_charges_are_unknown_not_nothing(charges: object) -> None:
    session = read(charges=charges)
    assert (session.cost, session.validation_cost, session.inconsistencies()) == (None, None, ())
    assert session.charge(session.attempts[0]) is None


def test_charges_join_their_attempts_by_id() -> None:
    session = read()
    assert [session.charge(attempt) for attempt in session.attempts] == [
        Decimal("0.033"), Decimal("0.08"), Decimal(0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "recipient", "country"),
    [
        ({"destination_country_iso2": "fr"}, "919380013443", "FR"),
        ({"destination_country_iso2": ""}, "919380013443", "IN"),
        ({"destination_country_iso2": "France"}, "919380013443", "IN"),
        ({"destination_country_iso2": 33}, "919380013443", "IN"),
        ({"recipient": "+91 93800-13443"}, "919380013443", "IN"),
        ({"recipient": "8097480999"}, "8097480999", None),
        ({"recipient": "9199988877766"}, "9199988877766", "IN"),
        ({"recipient": "unknown\u202e"}, "unknown", None),
    ],
    ids=str,
)
def test_the_country_is_the_apis_else_the_numbers(
    sent: dict[str, Any], recipient: str, country: str | None
) -> None:
    session = read(**sent)
    assert (session.recipient, session.country) == (recipient, country)


def test_r18_a_row_told_twice_counts_once() -> None:
    read = parse_page(page(DOCUMENTED, DOCUMENTED, {**DOCUMENTED, "new_field": 1}))
    assert (len(read.sessions), read.skipped, read.received) == (1, 0, 3)


@pytest.mark.parametrize(
    ("meta", "more", "cursor"),
    [
        (None, None, None),
        ([], None, None),
        ({}, None, None),
        ({"next": None}, False, None),
        ({"next": ""}, False, None),
        ({"next": 7}, False, None),
        ({"next": "/v1/Account/MA/Verify/Session/?limit=20&offset=20"}, True, None),
        ({"next": "https://attacker.example/?offset=20"}, True, None),
        ({"next": "/?limit=20&cursor=b3BhcXVl"}, True, "b3BhcXVl"),
        ({"next": "http://[broken"}, True, None),
    ],
    ids=str,
)
def test_r19_meta_is_read_for_whether_more_follows(
    meta: object, *, more: bool | None, cursor: str | None
) -> None:
    read = parse_page(page(DOCUMENTED, meta=meta))
    assert (read.more, read.cursor) == (more, cursor)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"text"', b"42", b"<html>", b"{", b"\xff\xfe\x00", b'{"a":"\\ud83d"}',
     b"[" * 100_000, b"1" * 10_000, b'{"error":"x"}', b'{"error":{"message":"x"}}', b"{}",
     b'{"sessions":{}}', b'{"sessions":{"rows":[]}}', b'{"sessions":"x"}', b'{"sessions":7}',
     b'{"sessions":0}', b'{"sessions":""}', b'{"sessions":false}',
     page(*[DOCUMENTED] * (MAX_ROWS + 1))],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_what_is_no_page_is_refused(body: bytes) -> None:
    with pytest.raises(ApiFailed, match=r"^The Verify API.*\.$"):
        parse_page(body)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_r22_every_encoding_json_may_come_in_is_read(encoding: str) -> None:
    body = json.dumps(DOCUMENTED | {"alias": "Zoë 🙂"}, ensure_ascii=False)
    assert parse_session(body.encode(encoding)).alias == "Zoë 🙂"


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_refused(body: bytes) -> None:
    try:
        parse_json(body)
    except ApiFailed:
        return
    assert body.strip()


PLACES = st.sampled_from([*DOCUMENTED, "charges.total_charge", "attempt.status", "attempt.time"])


@given(PLACES, JSON)
def test_a_damaged_row_is_read_or_skipped_and_never_takes_the_page_with_it(
    place: str, damage: object
) -> None:
    row = json.loads(documented_sessions.documented_get())
    outer, _, inner = place.partition(".")
    if not inner:
        row[outer] = damage
    elif outer == "charges":
        row["charges"][inner] = damage
    else:
        row["attempt_details"][0][inner] = damage
    intact = DOCUMENTED | {"session_uuid": "00000000-0000-4000-8000-000000000000"}
    read = parse_page(page(row, intact))
    assert read.sessions[-1].uuid == intact["session_uuid"]
    assert len(read.sessions) + read.skipped == 2


@given(JSON)
def test_any_json_is_a_page_or_an_error_of_ours(value: object) -> None:
    body = json.dumps({"sessions": value, "meta": value}).encode()
    try:
        read = parse_page(body)
    except VerifyError:
        return
    assert len(read.sessions) <= read.received


@given(st.text(max_size=60))
def test_a_uuid_is_canonical_or_none(text: str) -> None:
    assert not is_uuid(text) or (len(text) == 36 and text == text.lower() and text.isascii())
