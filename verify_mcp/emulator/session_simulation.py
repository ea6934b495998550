"""Simulates a session: its attempts, their delivery, and whether the code is entered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import log
from typing import TYPE_CHECKING

from .account import AttemptRecord, Outcome, SessionRecord
from .countries import Recipient, make_recipient

if TYPE_CHECKING:
    from random import Random

EXPIRY = timedelta(seconds=300)
VALIDATION_CHARGE = Decimal("0.05")
MAX_ATTEMPTS = 4

CHARGED = {
    ("sms", "delivered"),
    ("sms", "undelivered"),
    ("voice", "answer"),
    ("whatsapp", "delivered"),
    ("whatsapp", "read"),
}
REACHED = CHARGED - {("sms", "undelivered")}

SUBACCOUNTS = ("SASANDBOXRETAIL00001", "SASANDBOXWALLET00001")
BRANDS = ("Acme", "Globex Wallet", "Initech & Co")


@dataclass(frozen=True)
class App:
    """A Verify application: its display name, and the hash of its Android build."""

    uuid: str
    alias: str
    app_hash: str


APPS = (
    App("ec66515e-86f6-4507-8620-31c039538d7a", "Sandbox Login", "FA+9qCX9/Su"),
    App("59728519-d145-45d6-8d46-60c06f7e8bbb", "Sandbox Checkout", "kL0pQ7+rT2="),
    App("0b7c1d0e-6c3a-4d0f-9a43-5f1f0d2c9e11", "Sandbox Wallet", "zX8mN4bV6cA"),
)


@dataclass(frozen=True)
class Probabilities:
    """The probabilities of a simulated session; `conversion` None means the country's."""

    delivered: float = 0.90
    undelivered: float = 0.055
    answered: float = 0.8
    conversion: float | None = None
    converts_unreached: float = 0.2
    gives_up: float = 0.3
    falls_back: float = 0.5
    never_attempted: float = 0.006
    first_channels: tuple[float, float, float] = (0.92, 0.06, 0.02)


TYPICAL = Probabilities()


def uuid4(random: Random) -> str:
    """A version 4 UUID from seeded bits."""
    # Twice as fast as uuid.UUID; a large account needs a hundred thousand of them.
    digits = f"{random.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _attempt_status(random: Random, odds: Probabilities, channel: str) -> str:
    draw = random.random()
    if channel == "voice":
        return "answer" if draw < odds.answered else "early media"
    if channel == "whatsapp":
        return "read" if draw < odds.answered else "delivered"
    if draw < odds.delivered:
        return "delivered"
    return "undelivered" if draw < odds.delivered + odds.undelivered else "failed"


def _pause(random: Random, median: float) -> timedelta:
    return timedelta(seconds=min(193.0, max(0.96, random.lognormvariate(log(median), 0.8))))


def _attempt(
    random: Random, odds: Probabilities, person: Recipient, channel: str, at: datetime
) -> AttemptRecord:
    status = _attempt_status(random, odds, channel)
    is_charged = (channel, status) in CHARGED
    charge = person.country.prices[channel] if is_charged else Decimal(0)
    return AttemptRecord(uuid=uuid4(random), channel=channel, status=status, time=at, charge=charge)


def _next_channel(random: Random, odds: Probabilities, last: str) -> str:
    return "voice" if last != "voice" and random.random() < odds.falls_back else "sms"


def simulate_attempts(
    random: Random, person: Recipient, odds: Probabilities, created_at: datetime
) -> tuple[tuple[AttemptRecord, ...], Outcome, datetime]:
    """The attempts, the outcome, and the time of the outcome."""
    expires = created_at + EXPIRY
    conversion = person.country.conversion if odds.conversion is None else odds.conversion
    channel = random.choices(("sms", "voice", "whatsapp"), odds.first_channels)[0]
    at = created_at + timedelta(microseconds=random.randint(8_000, 72_000))
    attempts: list[AttemptRecord] = []
    while at < expires and len(attempts) < MAX_ATTEMPTS:
        attempts.append(_attempt(random, odds, person, channel, at))
        is_reached = (channel, attempts[-1].status) in REACHED
        entered_at = at + _pause(random, 14.0)
        if entered_at < expires and random.random() < (
            conversion if is_reached else odds.converts_unreached
        ):
            return tuple(attempts), "verified", entered_at
        if random.random() < odds.gives_up:
            break
        at += _pause(random, 20.0)
        channel = _next_channel(random, odds, channel)
    return tuple(attempts), "expired", expires


def simulate_session(
    random: Random,
    created_at: datetime,
    *,
    person: Recipient | None = None,
    odds: Probabilities = TYPICAL,
) -> SessionRecord:
    """A random session of `person`, or of a random one, created at `created_at`."""
    person = person or make_recipient(random)
    app = random.choice(APPS)
    attempts: tuple[AttemptRecord, ...] = ()
    outcome: Outcome = "expired"
    resolved_at = created_at + EXPIRY
    if random.random() >= odds.never_attempted:
        attempts, outcome, resolved_at = simulate_attempts(random, person, odds, created_at)
    return SessionRecord(
        uuid=uuid4(random),
        recipient=person.recipient,
        created_at=created_at,
        resolved_at=resolved_at,
        outcome=outcome,
        attempts=attempts,
        validation_charge=VALIDATION_CHARGE if outcome == "verified" else Decimal(0),
        channel=attempts[-1].channel if attempts else "sms",
        app_uuid=app.uuid,
        alias=app.alias,
        country=person.country.iso2,
        network=person.network,
        subaccount=random.choices((None, *SUBACCOUNTS), (80, 12, 8))[0],
        brand_name=random.choice(BRANDS),
        app_hash=app.app_hash,
        locale=person.country.locale,
        requestor_ip=f"192.0.2.{10 + random.randrange(4)}",
    )
