"""get_verify_session with delivery: the record of each attempt, and what stands for one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.client import (
    NOW,
    App,
    FakeClock,
    call_tool_error,
    connect,
    emulator_with,
    get_session,
    make_record,
    uuid,
)
from tests.support.databases import Place
from tests.support.mirror import open_context_of
from verify_mcp.domain.message_errors import MESSAGE_ERRORS
from verify_mcp.emulator import AttemptRecord, Emulator, Fault, SessionRecord
from verify_mcp.settings import Rate

pytestmark = pytest.mark.anyio

SMS, CALL = 0xB001, 0xB002
HIDDEN = ("192.0.2.10", "12025550100", "requester", "from_number", "to_number", "source_ip")


def make_attempt(
    number: int, channel: str, status: str, minutes: float, **changes: Any
) -> AttemptRecord:
    at = NOW - timedelta(minutes=minutes)
    return replace(
        AttemptRecord(uuid=uuid(number), channel=channel, status=status, time=at), **changes
    )


def make_session(minutes: float = 300.0, **changes: Any) -> SessionRecord:
    """A session whose message did not arrive and whose call was answered."""
    attempts = (
        make_attempt(SMS, "sms", "undelivered", minutes, error_code="80", charge=Decimal("0.31")),
        make_attempt(CALL, "voice", "answer", minutes - 1),
    )
    known = {"attempts": attempts, "country": "ID", "network": "Telkomsel", **changes}
    return make_record(1, minutes, **known)


async def read_records(api: App, **settings: Any) -> dict[str, Any]:
    async with connect(api, **settings) as client:
        return await get_session(client, uuid(1), delivery=True)


async def test_each_attempt_has_its_cause_from_its_own_record() -> None:
    api = emulator_with(make_session())
    answer = await read_records(api)
    assert answer["complete"] is True
    assert [attempt["record"] for attempt in answer["attempts"]] == [
        {
            "state": "undelivered",
            "error_code": "80",
            "error": "destination temporarily unavailable",
            "network": "Telkomsel",
            "mcc": "510",
            "mnc": "10",
            "sent": "11-21 04:30:00",
            "updated": "11-21 04:34:13",
        },
        {
            "state": "answer",
            "started": "11-21 04:31:00",
            "ended": "11-21 04:31:22",
            "answered_after_s": 4.0,
            "hangup_cause": "Normal Hangup",
            "hangup_code": "4000",
            "hangup_source": "Callee",
            "duration_s": 18,
        },
    ]
    assert {request.path for request in api.received} == {
        f"/v1/Account/MASANDBOXACCOUNT0000/{path}/"
        for path in (f"Verify/Session/{uuid(1)}", f"Message/{uuid(SMS)}", f"Call/{uuid(CALL)}")
    }
    assert answer["api_requests"] == 3
    assert not [word for word in HIDDEN if word in json.dumps(answer)]


async def test_a_delivered_message_tells_how_long_it_took() -> None:
    async with connect(emulator_with(make_record(1, 300.0))) as client:
        answer = await get_session(client, uuid(1), delivery="yes")
    (attempt,) = answer["attempts"]
    assert attempt["record"]["state"] == "delivered"
    assert 1 <= attempt["record"]["delay_s"] <= 7
    assert "error_code" not in attempt["record"]


async def test_records_are_not_looked_up_unless_asked_for() -> None:
    api = emulator_with(make_session())
    async with connect(api) as client:
        plain = await get_session(client, uuid(1), delivery=False)
        text = await call_tool_error(
            client, "get_verify_session", session_uuid=uuid(1), delivery="perhaps"
        )
    assert "record" not in json.dumps(plain)
    assert text == "delivery is neither true nor false."
    assert len(api.received) == 1


async def test_final_records_are_requested_once_and_others_again(place: Place) -> None:
    clock = FakeClock()
    # Fewer records than one second allows: the database's clock is no test's.
    old, new = make_record(1, 300.0), make_record(2, 2.0)
    api = emulator_with(old, new, clock=clock)

    async def count_record_requests(number: int) -> int:
        before = len(api.received)
        async with connect(api, clock=clock, database_url=place.url) as client:
            answer = await get_session(client, uuid(number), delivery=True)
        assert [type(attempt["record"]) for attempt in answer["attempts"]] == [dict] * len(
            answer["attempts"]
        )
        return sum(request.endpoint != "get" for request in api.received[before:])

    assert [await count_record_requests(1) for _ in range(2)] == [1, 0]
    assert [await count_record_requests(2) for _ in range(2)] == [1, 1]
    async with open_context_of(api, clock, database_url=place.url) as context:
        assert context.mirror.store is not None
        for store in await context.mirror.store.for_each_account():
            await store.purge(None)
    assert await count_record_requests(1) == 1


async def test_r84_no_record_is_no_error_and_costs_the_answer_nothing() -> None:
    foreign = replace(make_session(), attempts=(make_attempt(SMS, "sms", "failed", 300.0),))
    api = emulator_with(foreign)
    api.fail_next(Fault.NOT_FOUND_HTML, endpoint="message")
    answer = await read_records(api)
    assert (answer["complete"], answer["attempts"][0]["record"]) == (True, "no such record")


async def test_r84_an_attempt_whose_id_is_none_is_not_looked_up() -> None:
    odd = make_session(attempts=(make_attempt(1, "sms", "failed", 300.0, uuid="../../Message"),))
    api = emulator_with(odd)
    answer = await read_records(api)
    assert answer["attempts"][0]["record"] == "no such record"
    assert len(api.received) == 1


FAULTS = {
    Fault.UNAUTHORIZED_TEXT: ("The Verify API refused the credentials (401).", 1),
    Fault.FORBIDDEN: ("The Verify API denied access (403).", 1),
    Fault.SERVER_ERROR: ("The Verify API failed (500).", 2),
    Fault.BAD_GATEWAY: ("The Verify API is unavailable (502).", 3),
    Fault.OK_HTML: ("The Verify API answered with something that is not JSON.", 1),
    Fault.OK_LIST: ("The API's record of an attempt is JSON, but not an object.", 1),
    Fault.OK_ERROR: ("The API answered with another record than asked for.", 1),
    Fault.TRUNCATED_JSON: ("The Verify API answered with something that is not JSON.", 1),
    Fault.REDIRECT_OTHER_HOST: ("The Verify API answered with a redirect (302)", 1),
    Fault.TOO_MANY: ("The Verify API refused the request: too many requests (429).", 3),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_r84_what_is_not_available_is_told_with_its_reason(fault: Fault) -> None:
    why, tries = FAULTS[fault]
    clock = FakeClock()
    api = emulator_with(make_session(), clock=clock)
    api.fail_next(fault, times=tries, endpoint="message")
    async with connect(api, clock=clock) as client:
        answer = await get_session(client, uuid(1), delivery=True)
        again = await get_session(client, uuid(1), delivery=True)
    message, call = answer["attempts"]
    assert (message["record"], call["record"]["state"]) == ("not available", "answer")
    assert answer["complete"] is False
    assert answer["why"].startswith(f"The records of 1 of 2 attempts are not available: {why}")
    assert answer["summary"].startswith("Expired: 2 attempts")
    assert again["attempts"][0]["record"]["state"] == "undelivered"


async def test_r84_an_account_without_access_to_records_tells_all_the_same() -> None:
    api = emulator_with(make_session())
    for endpoint in ("message", "call"):
        api.fail_next(Fault.FORBIDDEN, endpoint=endpoint)
    answer = await read_records(api)
    assert [attempt["record"] for attempt in answer["attempts"]] == ["not available"] * 2
    assert answer["why"].startswith("The records of the attempts are not available: The Verify API")


class OddRecords:
    """The account, whose records of messages have other fields."""

    def __init__(self, api: Emulator, **fields: Any) -> None:
        self.api, self.fields = api, fields

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if "/Message/" not in scope["path"]:
            await self.api(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(self.fields).encode()})


async def read_odd_record(**fields: Any) -> dict[str, Any]:
    api = OddRecords(emulator_with(make_session()), message_uuid=uuid(SMS), **fields)
    answer = await read_records(api)
    record: dict[str, Any] = answer["attempts"][0]["record"]
    return record


async def test_r84_a_field_that_cannot_be_read_is_unknown() -> None:
    assert await read_odd_record(
        message_state="un_delivered\u202e" + "x" * 500,
        error_code={"code": 80},
        mcc="five",
        mnc=-1,
        destination_network=7,
        message_sent_time="yesterday",
        message_updated_time="9999-12-31 23:59:59-12:00",
    ) == {"state": "un_delivered " + "x" * 26 + "…"}


async def test_a_time_without_an_offset_is_only_good_for_a_difference() -> None:
    assert await read_odd_record(
        message_state="delivered",
        error_code="000",
        message_sent_time="2026-11-21 10:00:00.5",
        message_updated_time="2026-11-21 10:00:03.94772",
    ) == {"state": "delivered", "delay_s": 3.4}


async def test_a_code_without_a_documented_meaning_is_shown_without_one() -> None:
    assert await read_odd_record(message_state="failed", error_code=201) == {
        "state": "failed",
        "error_code": "201",
    }
    assert "201" not in MESSAGE_ERRORS


async def test_records_are_requested_at_five_a_second_at_most() -> None:
    clock = FakeClock()
    attempts = tuple(
        make_attempt(0xC000 + n, "sms", "failed", 300.0 - n / 10, error_code="450")
        for n in range(12)
    )
    api = emulator_with(make_session(attempts=attempts), clock=clock)
    async with connect(api, clock=clock) as client:
        answer = await get_session(client, uuid(1), delivery=True)
    assert {attempt["record"]["error_code"] for attempt in answer["attempts"]} == {"450"}
    sent = sorted(request.at for request in api.received if request.endpoint == "message")
    assert len(sent) == 12
    assert all(later - earlier >= 1.0 for earlier, later in zip(sent, sent[5:], strict=False))


async def test_the_records_have_a_rate_limit_of_their_own() -> None:
    api = emulator_with(make_session())
    none_left = {"retrieve_rate_limit": Rate(1, 60.0), "rate_limit": Rate(1, 60.0)}
    answer = await read_records(api, **none_left)
    assert (answer["complete"], answer["quota_left"]) == (True, 0)
