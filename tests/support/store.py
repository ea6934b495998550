"""Helpers of several tests."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import combinations
from random import Random
from time import monotonic
from typing import Any

import pytest

from tests.support.client import NOW, uuid
from tests.support.databases import Place
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.groups import GROUPS
from verify_mcp.domain.payloads import parse_page
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window
from verify_mcp.mirror import session_rows
from verify_mcp.mirror.scope import AccountScope
from verify_mcp.mirror.store import Store

ACCOUNT, OTHER = "MASTORETESTACCOUNT01", "MASTORETESTACCOUNT02"
SCOPES = ("", "SASTORETESTSUBACCT01", "SASTORETESTSUBACCT02")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALL_GROUPS = [(), *((one,) for one in GROUPS), *combinations(GROUPS, 2)]
EVER = Window(NOW - 200 * DAY, NOW + 200 * DAY)


_opened: list[ResilientDatabase] = []


def store_in(place: Place, account: str = ACCOUNT) -> Store:
    access = ResilientDatabase(place.url, clock=monotonic, on_problem=pytest.fail)
    _opened.append(access)
    return Store(access, account, settle=HOUR)


async def find_sessions(
    store: Store,
    session_filter: SessionFilter,
    scope: str,
    window: Window,
    *,
    limit: int,
    offset: int,
) -> list[Session]:
    """The sessions stored in a window, newest first, whether or not it is covered."""
    account_scope = AccountScope(store.account, scope)
    bodies = await store.database.read(
        lambda connection: session_rows.read_page(
            connection, account_scope, session_filter, window, limit=limit, offset=offset
        )
    )
    return [session_rows.parse_body(body) for body in bodies]


def tallies_of(number: int, created: datetime, **changes: Any) -> Session:
    """A session as the API tells it: expired, one text delivered."""
    row = {
        "session_uuid": uuid(number),
        "app_uuid": uuid(7),
        "recipient": f"91938001{number % 10_000:04d}",
        "channel": "sms",
        "status": "expired",
        "attempt_details": [{"channel": "sms", "status": "delivered"}],
        "charges": {"total_charge": "0.08"},
        "created_at": created.isoformat(),
        "updated_at": created.isoformat(),
        **changes,
    }
    return parse_page(json.dumps({"sessions": [row]}).encode()).sessions[0]


def random_session(random: Random, number: int, span: Window) -> Session:
    """Any session: some without app, brand, country, cost or attempts."""
    length = span.length // MICROSECOND
    created = span.start + random.randrange(length) * MICROSECOND
    attempts = [
        {
            "attempt_uuid": uuid(number * 10 + place),
            "channel": random.choice(["sms", "voice", "whatsapp", "carrier pigeon", ""]),
            "status": random.choice(["delivered", "undelivered", "answer", "lost; found", ""]),
            "brand_name": random.choice(["", "Acme", "Globex; Wallet"]),
            "app_hash": random.choice(["", "x9", "X9"]),
            "time": random.choice([None, *[(created + place * HOUR / 97).isoformat()] * 3]),
        }
        for place in range(random.choice([0, 1, 1, 2, 3, 7]))
    ]
    charged = [
        {"attempt_uuid": attempt["attempt_uuid"], "charge": f"0.0{random.randrange(9)}"}
        for attempt in attempts[random.choice([0, 0, 0, 1]) :]
    ]
    cost = f"{random.randrange(3)}.{random.randrange(10**9):09d}"
    return tallies_of(
        number,
        created,
        app_uuid=random.choice([uuid(1), uuid(2), ""]),
        recipient=random.choice(["14155550100", "919380013443", "447700900123", "00000"]),
        channel=random.choice(["sms", "voice", "whatsapp", ""]),
        status=random.choice(["verified", "expired", "in-progress", "paused"]),
        attempt_details=random.choice([attempts, None]),
        charges={
            "total_charge": random.choice([cost, "0.08", None]),
            "attempt_charges": charged,
        },
        destination_network=random.choice([None, "Airtel"]),
    )
