"""What the pretend API does wrong on purpose."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from verify_mcp.emulator import (
    SANDBOX_AUTH_ID,
    SANDBOX_AUTH_TOKEN,
    AccountData,
    AttemptRecord,
    Emulator,
    Fault,
    Options,
    SessionRecord,
)

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
PATH = f"/v1/Account/{SANDBOX_AUTH_ID}/Verify/Session/"
ONE = "00000001-0000-4000-8000-000000000000"
AUTH = (SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN)
SMALL = Options(
    list_limit=None, huge_bytes=300_000, huge_rows=1200, huge_depth=1000, huge_header=1000
)


def session(number: int) -> SessionRecord:
    at = NOW - timedelta(minutes=number)
    sent = AttemptRecord(
        uuid=ONE, channel="sms", status="delivered", time=at, charge=Decimal("0.08")
    )
    return SessionRecord(
        uuid=f"{number:08x}-0000-4000-8000-000000000000",
        recipient="919380013443",
        created_at=at,
        resolved_at=at,
        attempts=(sent,),
    )


class Emulation(Emulator):
    """Two sessions, a still clock, and sleep that only takes notes."""

    def __init__(self, *, behaviour: Options = SMALL, count: int = 2) -> None:
        self.slept: list[float] = []
        super().__init__(
            AccountData(session(number) for number in range(1, count + 1)),
            behaviour=behaviour,
            clock=lambda: NOW,
            monotonic=lambda: 5.0,
            sleep=self.note,
        )

    async def note(self, seconds: float) -> None:
        self.slept.append(seconds)


async def ask(api: Emulator, path: str = PATH, **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(api)
    async with httpx.AsyncClient(transport=transport, auth=AUTH) as client:
        return await client.get(f"http://emulator{path}", **options)


async def get_fault(fault: Fault, path: str = PATH, api: Emulator | None = None) -> httpx.Response:
    api = api or Emulation()
    api.fail_next(fault)
    return await ask(api, path)


async def test_requests_are_remembered_as_they_came() -> None:
    api = Emulation()
    reply = await ask(api, f"{PATH}?status=expired&a=%2B1&a=b+c", headers={"X-A": "1"})
    await ask(api, "/v1/")
    seen, other = api.received
    assert seen.sent == len(reply.content)
    assert (seen.at, seen.method, seen.path, seen.endpoint, seen.status, seen.headers["x-a"]) == (
        5.0,
        "GET",
        PATH,
        "list",
        200,
        "1",
    )
    assert seen.query == [("status", "expired"), ("a", "+1"), ("a", "b c")]
    assert (other.path, other.query, other.endpoint, other.status) == ("/v1/", [], "other", 404)


@pytest.mark.parametrize(
    ("fault", "status", "kind", "body"),
    [
        (Fault.BAD_REQUEST, 400, "json", None),
        (Fault.UNAUTHORIZED_JSON, 401, "json", None),
        (Fault.UNAUTHORIZED_TEXT, 401, "plain", b"Unauthorized"),
        (Fault.UNAUTHORIZED_EMPTY, 401, "json", b"{}"),
        (Fault.FORBIDDEN, 403, "json", None),
        (Fault.NOT_FOUND_EMPTY, 404, "json", b"{}"),
        (Fault.NOT_FOUND_HTML, 404, "html", None),
        (Fault.TOO_MANY, 429, "json", None),
        (Fault.TOO_MANY_TEXT, 429, "plain", b"too many requests"),
        (Fault.SERVER_ERROR, 500, "json", None),
        (Fault.SERVER_ERROR_EMPTY, 500, "json", b""),
        (Fault.BAD_GATEWAY, 502, "html", None),
        (Fault.UNAVAILABLE, 503, "html", None),
        (Fault.GATEWAY_TIMEOUT, 504, "html", None),
        (Fault.NO_CONTENT, 204, "", b""),
        (Fault.OK_EMPTY, 200, "json", b""),
        (Fault.OK_HTML, 200, "html", None),
        (Fault.OK_NULL, 200, "json", b"null"),
        (Fault.OK_LIST, 200, "json", b"[]"),
        (Fault.OK_TEXT, 200, "json", b'"text"'),
        (Fault.OK_NUMBER, 200, "json", b"42"),
        (Fault.OK_ERROR, 200, "json", b'{"error":{"message":"something went wrong"}}'),
        (Fault.OK_ERROR_TEXT, 200, "json", b'{"error":"something went wrong"}'),
    ],
)
async def test_a_queued_fault_is_the_next_reply(
    fault: Fault, status: int, kind: str, body: bytes | None
) -> None:
    response = await get_fault(fault)
    assert response.status_code == status
    assert kind in response.headers.get("content-type", "")
    assert body is None or response.content == body


async def test_faults_wait_for_their_endpoint_and_their_turn() -> None:
    api = Emulation()
    api.fail_next(Fault.FORBIDDEN, endpoint="get")
    api.fail_next(Fault.BAD_GATEWAY, times=2, endpoint="list")
    paths = [PATH, PATH, PATH, f"{PATH}{ONE}/", f"{PATH}{ONE}/"]
    assert [(await ask(api, path)).status_code for path in paths] == [502, 502, 200, 403, 200]


async def test_a_429_says_retry_after_in_any_words() -> None:
    api = Emulation()
    assert (await get_fault(Fault.TOO_MANY_RETRY_AFTER, api=api)).headers["retry-after"] == "3"
    for fault in (Fault.TOO_MANY_RETRY_AFTER, Fault.UNAVAILABLE):
        api.fail_next(fault, retry_after="soon")
        assert (await ask(api)).headers.get_list("retry-after") == ["soon"]


async def test_faults_by_chance_are_the_same_for_a_seed() -> None:
    behaviour = replace(
        SMALL,
        fault_rate=0.4,
        faults=(Fault.BAD_GATEWAY, Fault.FORBIDDEN),
        fault_chances=((Fault.UNAVAILABLE, 0.2),),
    )
    first, second = Emulation(behaviour=behaviour), Emulation(behaviour=behaviour)
    statuses = [(await ask(first)).status_code for _ in range(60)]
    assert statuses == [(await ask(second)).status_code for _ in range(60)]
    assert set(statuses) == {200, 403, 502, 503}


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        (Fault.ROW_CHARGE_NAN, {"charges.total_charge": "NaN"}),
        (Fault.ROW_CHARGE_INFINITE, {"charges.total_charge": "1e999"}),
        (Fault.ROW_CHARGE_NEGATIVE, {"charges.total_charge": "-0.08"}),
        (Fault.ROW_GARBAGE_TIME, {"created_at": "yesterday-ish"}),
        (Fault.ROW_UNKNOWN_STATUS, {"attempt_details.status": "teleported"}),
        (
            Fault.ROW_UNKNOWN_CHANNEL,
            {"channel": "pigeon", "attempt_details.channel": "pigeon"},
        ),
        (Fault.ROW_LONG_RECIPIENT, {"recipient": "9199988877766"}),
        (Fault.LONE_SURROGATE, {"alias": "half a smile: \ud83d"}),
        (Fault.ROW_WITHOUT_UUID, {"session_uuid": None}),
        (Fault.ROW_WITHOUT_CHARGES, {"charges": None}),
        (
            Fault.ROW_WITHOUT_COUNTRY,
            {"recipient": "8097480999", "destination_country_iso2": ""},
        ),
    ],
)
async def test_a_row_fault_changes_one_row_and_nothing_else(
    fault: Fault, changed: dict[str, Any]
) -> None:
    api = Emulation(behaviour=replace(SMALL, shape="rich"))
    good = (await ask(api)).json()["sessions"]
    bad = (await get_fault(fault, api=api)).json()["sessions"]
    one = (await get_fault(fault, f"{PATH}{ONE}/", api=api)).json()
    assert bad[1:] == good[1:]
    for key, value in changed.items():
        for row in (bad[0], one):
            place, _, name = key.rpartition(".")
            inner = (row[place][0] if place == "attempt_details" else row[place]) if place else row
            assert inner.get(name) == value
    assert json.dumps(bad[0]) != json.dumps(good[0])


async def test_row_faults_leave_an_empty_page_as_it_is() -> None:
    api = Emulation(count=0, behaviour=replace(SMALL, empty_list="empty"))
    for fault in (Fault.ROW_WITHOUT_UUID, Fault.DUPLICATE_ROWS):
        assert (await get_fault(fault, api=api)).json()["sessions"] == []
    bare = Emulation(count=0, behaviour=SMALL)
    assert len((await get_fault(Fault.MANY_ROWS, api=bare)).json()["sessions"]) == 1200


async def test_row_faults_reach_a_lean_session_without_a_country() -> None:
    row = (await get_fault(Fault.ROW_WITHOUT_COUNTRY)).json()["sessions"][0]
    assert (row["recipient"], "destination_country_iso2" in row) == ("8097480999", False)


async def test_page_faults_bend_the_envelope() -> None:
    good = (await ask(Emulation())).json()
    assert "sessions" not in (await get_fault(Fault.SESSIONS_MISSING)).json()
    assert (await get_fault(Fault.SESSIONS_NOT_A_LIST)).json()["sessions"] == {
        "rows": good["sessions"]
    }
    first, second = good["sessions"]
    doubled = (await get_fault(Fault.DUPLICATE_ROWS)).json()["sessions"]
    assert doubled == [first, first, second, second]
    elsewhere = (await get_fault(Fault.NEXT_OTHER_HOST)).json()["meta"]["next"]
    assert elsewhere == f"https://attacker.example{PATH}?limit=20&offset=20"
    assert (await get_fault(Fault.NEXT_LOOP)).json()["meta"]["next"] == f"{PATH}?limit=20&offset=0"
    one = (await get_fault(Fault.NEXT_LOOP, f"{PATH}{ONE}/")).json()
    assert (one["session_uuid"], "meta" in one) == (ONE, False)


async def test_redirects_point_elsewhere() -> None:
    places = [
        (await get_fault(fault)).headers["location"]
        for fault in (Fault.REDIRECT_OTHER_HOST, Fault.REDIRECT_HTTP, Fault.REDIRECT_LOOP)
    ]
    assert places == [f"https://attacker.example{PATH}", f"http://emulator{PATH}", PATH]


async def test_odd_text_is_odd_in_the_promised_way() -> None:
    good = (await ask(Emulation())).json()["sessions"]
    bom, utf16 = await get_fault(Fault.BOM), await get_fault(Fault.UTF16)
    invalid = await get_fault(Fault.INVALID_UTF8)
    assert json.loads(bom.content.decode("utf-8-sig"))["sessions"] == good
    assert json.loads(utf16.content.decode("utf-16"))["sessions"] == good
    assert json.loads(invalid.content.decode(errors="replace"))["sessions"] == good
    with pytest.raises(UnicodeDecodeError):
        invalid.content.decode()


async def test_cut_replies_are_cut() -> None:
    good = await ask(Emulation())
    for fault, length in (
        (Fault.TRUNCATED_JSON, len(good.content) // 2),
        (Fault.TRUNCATED_BODY, len(good.content)),
    ):
        cut = await get_fault(fault)
        assert len(cut.content) == len(good.content) // 2
        assert int(cut.headers["content-length"]) == length


async def test_too_much_is_as_much_as_asked_for() -> None:
    huge, bomb = await get_fault(Fault.HUGE_BODY), await get_fault(Fault.GZIP_BOMB)
    deep, many = await get_fault(Fault.DEEP_JSON), await get_fault(Fault.MANY_ROWS)
    good = (await ask(Emulation())).json()
    assert len(huge.content) > 250_000
    assert int(bomb.headers["content-length"]) < 10_000
    assert [page.json()["sessions"] for page in (huge, bomb)] == [good["sessions"]] * 2
    assert deep.content == b'{"sessions":' + b"[" * 1000 + b"]" * 1000 + b"}"
    assert len({row["session_uuid"] for row in many.json()["sessions"]}) == 1200
    assert many.json()["meta"] == good["meta"]
    assert len((await get_fault(Fault.BIG_HEADER)).headers["x-padding"]) == 1000


async def test_slow_replies_sleep_as_told() -> None:
    api = Emulation(behaviour=replace(SMALL, latency=0.5, drip_seconds=2.0, hang_seconds=99.0))
    slow = await get_fault(Fault.SLOW_BODY, api=api)
    assert api.slept == [0.5, *[2.0] * len(slow.content)]
    api.slept.clear()
    late = await get_fault(Fault.HANG, api=api)
    assert (late.status_code, api.slept) == (200, [0.5, 99.0])
    api.slept.clear()
    api.behaviour = replace(SMALL, latency=(0.1, 0.4))
    for _ in range(20):
        await ask(api)
    assert all(0.1 <= delay <= 0.4 for delay in api.slept)
    assert len(set(api.slept)) == 20


async def test_a_reset_breaks_the_reply_in_the_middle() -> None:
    with pytest.raises(ConnectionResetError):
        await get_fault(Fault.RESET)


async def test_the_lifespan_of_a_server_is_agreed_to() -> None:
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await Emulation()({"type": "lifespan"}, receive, send)
    await Emulation()({"type": "websocket"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
