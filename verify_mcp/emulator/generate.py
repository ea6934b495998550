"""Generates a seeded account: ninety days of sessions and the next hour."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from math import pi, sin
from random import Random
from typing import TYPE_CHECKING

from .account import AccountData, SessionRecord
from .countries import Recipient, make_recipient
from .scenarios import (
    INCIDENT_COUNTRY,
    INCIDENT_NETWORK,
    INCIDENT_ODDS,
    burst,
    hostile_record,
    incident,
    incident_span,
    people,
    within,
)
from .session_simulation import EXPIRY, TYPICAL, simulate_session

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = timedelta(days=1)
REACH = timedelta(days=90)
RETURNING_SHARE = 0.25


def generate(
    *,
    now: datetime,
    seed: int = 7,
    last_day: int = 240,
    total: int = 6000,
    hostile: bool = False,
) -> AccountData:
    """An account with `total` sessions in ninety days, `last_day` of them in the last day.

    The same arguments give the same account. It has more sessions in the hour after `now`, and
    `hostile` adds one with misleading text.
    """
    if not 0 <= last_day <= total:
        raise ValueError(f"last_day must be from 0 to total ({total}), not {last_day}.")
    random = Random(seed)
    recent, older = _scripted(random, now, last_day, total)
    fresh = _in_progress(random, now, (last_day - len(recent)) // 20)
    recent += fresh
    recent += _background(random, now, (now - DAY, now), last_day - len(recent))
    older += _background(random, now, (now - REACH, now - DAY), total - last_day - len(older))
    upcoming = _background(
        random, now, (now, now + DAY / 24), max(12, last_day // 12) * (total > 0)
    )
    return AccountData([*recent, *older, *upcoming, *([hostile_record(now)] if hostile else [])])


def _scripted(
    random: Random, now: datetime, last_day: int, total: int
) -> tuple[list[SessionRecord], list[SessionRecord]]:
    records = [
        *people(now),
        *burst(random, now, min(60, total // 20)),
        *incident(random, now, min(40, last_day // 4)),
    ]
    recent = [record for record in records if record.created_at >= now - DAY]
    older = [record for record in records if record.created_at < now - DAY]
    return recent[:last_day], older[: total - last_day]


def _in_progress(random: Random, now: datetime, size: int) -> list[SessionRecord]:
    moments = [now - timedelta(seconds=random.uniform(15, 200)) for _ in range(min(4, size))]
    records = [simulate_session(random, moment) for moment in moments]
    return [
        record
        if record.resolved_at > now
        else replace(record, resolved_at=record.created_at + EXPIRY)
        for record in records
    ]


def _background(
    random: Random, now: datetime, span: tuple[datetime, datetime], size: int
) -> list[SessionRecord]:
    incident_start, incident_end = incident_span(now)
    known: list[Recipient] = []
    records: list[SessionRecord] = []
    for _, moment in zip(range(size), _moments(random, span), strict=False):
        person = (
            random.choice(known)
            if known and random.random() < RETURNING_SHARE
            else make_recipient(random)
        )
        known.append(person)
        hit = incident_start <= moment < incident_end and _is_hit(person)
        records.append(
            simulate_session(random, moment, person=person, odds=INCIDENT_ODDS if hit else TYPICAL)
        )
    return records


def _is_hit(person: Recipient) -> bool:
    return (person.country.iso2, person.network) == (INCIDENT_COUNTRY, INCIDENT_NETWORK)


def _moments(random: Random, span: tuple[datetime, datetime]) -> Iterator[datetime]:
    while True:
        moment = within(random, span)
        if random.random() < _busyness(moment):
            yield moment


def _busyness(moment: datetime) -> float:
    hour = moment.hour + moment.minute / 60
    return (1 + 0.7 * sin(2 * pi * (hour - 5) / 24)) / 1.7
