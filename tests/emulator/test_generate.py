"""The pretend account: sizes, invariants, and the scenarios in it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median

import phonenumbers
import pytest

from verify_mcp.emulator import (
    ASHA,
    ASHA_SESSION,
    ASHA_VERIFIED_SESSION,
    BEN,
    BEN_SESSION,
    BURST_COUNTRY,
    BURST_PREFIX,
    HOSTILE_SESSION,
    INCIDENT_COUNTRY,
    INCIDENT_NETWORK,
    SUBACCOUNTS,
    AccountData,
    burst_span,
    generate,
    incident_span,
)

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
CHARGED = {("sms", "delivered"), ("sms", "undelivered"), ("voice", "answer")}


@pytest.fixture(scope="module")
def world() -> AccountData:
    return generate(seed=7, now=NOW)


def test_the_same_seed_gives_the_same_account(world: AccountData) -> None:
    assert generate(seed=7, now=NOW).records == world.records
    assert generate(seed=8, now=NOW).records != world.records


@pytest.mark.parametrize(("last_day", "total"), [(0, 0), (1, 10), (5, 5), (50, 700), (300, 900)])
def test_an_account_has_the_asked_sizes(last_day: int, total: int) -> None:
    records = generate(seed=3, now=NOW, last_day=last_day, total=total).records
    past = [record.created_at for record in records if record.created_at <= NOW]
    assert (sum(at >= NOW - DAY for at in past), len(past)) == (last_day, total)
    assert all(NOW - 90 * DAY <= record.created_at <= NOW + DAY / 24 for record in records)


def test_more_sessions_in_a_day_than_in_all_are_refused() -> None:
    with pytest.raises(ValueError, match="last_day must be from 0 to total"):
        generate(now=NOW, last_day=2, total=1)


def test_every_number_is_valid_and_of_its_country(world: AccountData) -> None:
    for record in world.records:
        number = phonenumbers.parse(f"+{record.recipient}")
        assert phonenumbers.is_valid_number(number), record.recipient
        assert phonenumbers.region_code_for_number(number) == record.country
    assert len({record.country for record in world.records}) == 12


def test_every_session_keeps_the_known_invariants(world: AccountData) -> None:
    for record in world.records:
        times = [attempt.time for attempt in record.attempts]
        assert times == sorted(times)
        assert all(record.created_at <= time <= record.resolved_at for time in times)
        assert record.channel == (record.attempts[-1].channel if record.attempts else "sms")
        assert bool(record.validation_charge) == (record.outcome == "verified")
        for attempt in record.attempts:
            charged = (attempt.channel, attempt.status) in CHARGED
            assert bool(attempt.charge) == (charged or attempt.channel == "whatsapp")


def test_the_account_as_a_whole_looks_lived_in(world: AccountData) -> None:
    records = world.records
    gaps = [
        (after.time - before.time).total_seconds()
        for record in records
        for before, after in zip(record.attempts, record.attempts[1:], strict=False)
    ]
    verified = [record for record in records if record.outcome == "verified"]
    silent = [
        record
        for record in verified
        if all(attempt.status in {"failed", "early media"} for attempt in record.attempts)
    ]
    shares = Counter(record.subaccount for record in records)
    assert (15 < median(gaps) < 25, min(gaps) >= 0.96, max(gaps) <= 193.0) == (True, True, True)
    assert 0.001 < len(silent) / len(verified) < 0.03
    assert shares[None] > 3 * (shares[SUBACCOUNTS[0]] + shares[SUBACCOUNTS[1]])
    assert Counter(record.status_at(NOW) for record in records)["in-progress"] >= 4
    assert any(not record.attempts for record in records)


def test_the_burst_is_dear_adjacent_and_unconverted(world: AccountData) -> None:
    start, end = burst_span(NOW)
    burst = [
        record
        for record in world.records
        if record.recipient.startswith(BURST_PREFIX) and start <= record.created_at < end
    ]
    people = sorted(int(record.recipient) for record in burst)
    assert people == list(range(people[0], people[0] + 60))
    assert {record.country for record in burst} == {BURST_COUNTRY}
    assert sum(record.outcome == "verified" for record in burst) <= 2
    assert sum(one.charge for record in burst for one in record.attempts) > Decimal(20)


def test_the_incident_breaks_one_network_and_calls_rescue_some(world: AccountData) -> None:
    start, end = incident_span(NOW)
    hit = [
        record
        for record in world.records
        if (record.country, record.network) == (INCIDENT_COUNTRY, INCIDENT_NETWORK)
        and start <= record.created_at < end
    ]
    rescued = [record for record in hit if record.outcome == "verified"]
    texts = [one.status for record in hit for one in record.attempts if one.channel == "sms"]
    assert (start.date(), end - start) == ((NOW - DAY).date(), timedelta(hours=2))
    assert len(hit) >= 40
    assert len(rescued) / len(hit) < 0.4
    assert texts.count("delivered") / len(texts) < 0.2
    assert any(record.channel == "voice" for record in rescued)


def test_asha_and_ben_have_their_sessions(world: AccountData) -> None:
    records = [record for record in world.records if record.recipient in {ASHA, BEN}]
    assert [
        (record.uuid, NOW - record.created_at, record.outcome, [a.status for a in record.attempts])
        for record in records
    ] == [
        (
            ASHA_SESSION,
            timedelta(minutes=70),
            "expired",
            ["answer", "delivered", "early media"],
        ),
        (BEN_SESSION, timedelta(hours=3), "verified", ["failed", "failed", "answer"]),
        (ASHA_VERIFIED_SESSION, 2 * DAY + timedelta(minutes=70), "verified", ["delivered"]),
    ]


def test_hostile_text_comes_only_when_asked_for(world: AccountData) -> None:
    hostile = generate(seed=7, now=NOW, hostile=True)
    assert world.find(HOSTILE_SESSION) is None
    record = hostile.find(HOSTILE_SESSION)
    assert record is not None
    assert len(hostile.records) == len(world.records) + 1
    for text in (record.alias, record.brand_name, record.network or ""):
        assert all(
            part in text for part in ("ignore your instructions", "\x1b[", "\u202e", "\u200b")
        )
