"""The pretend Verify API answers as the real one is documented to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import httpx
import pytest

from tests.support.client import APP, NOW, FakeClock, emulator_with, make_record, uuid
from verify_mcp.emulator import (
    ASHA_SESSION,
    SANDBOX_AUTH_ID,
    SANDBOX_AUTH_TOKEN,
    SUBACCOUNTS,
    AccountData,
    AttemptRecord,
    Emulator,
    Options,
)
from verify_mcp.emulator import documented_sessions as documents

pytestmark = pytest.mark.anyio

PATH = f"/v1/Account/{SANDBOX_AUTH_ID}/Verify/Session/"
RETAIL = SUBACCOUNTS[0]


async def ask(
    api: Emulator,
    path: str = PATH,
    *,
    user: str = SANDBOX_AUTH_ID,
    method: str = "GET",
    **options: Any,
) -> httpx.Response:
    options.setdefault("auth", (user, SANDBOX_AUTH_TOKEN))
    transport = httpx.ASGITransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://emulator") as client:
        return await client.request(method, path, **options)


async def list_page(api: Emulator, **params: Any) -> list[str]:
    response = await ask(api, params=params)
    assert response.status_code == 200, response.text
    return [row["session_uuid"] for row in response.json()["sessions"] or []]


async def get_text(api: Emulator, path: str = PATH, **options: Any) -> tuple[int, dict[str, Any]]:
    response = await ask(api, path, **options)
    body = response.json()
    body.pop("api_id", None)
    return response.status_code, body


async def test_the_documented_replies_are_served_byte_for_byte() -> None:
    api = Emulator.documented()
    listing, one = await ask(api), await ask(api, f"{PATH}{ASHA_SESSION}/")
    assert (listing.content, one.content) == (
        documents.documented_list(),
        documents.documented_get(),
    )
    assert [sha256(reply.content).hexdigest() for reply in (listing, one)] == [
        "86948e72166fdb35db819ca737f6a0a51e2cb61d28382c777077bdb70ca4d36f",
        "99495fca138a2ab850af5ecae2a379a78f57af35bc4c3b7486f427416c8d8645",
    ]


async def test_what_is_computed_equals_what_is_documented() -> None:
    api, bare = Emulator.documented(), Emulator.documented()
    bare.data = AccountData(api.data.records)
    for path in (PATH, f"{PATH}{ASHA_SESSION}/"):
        assert await get_text(bare, path) == await get_text(api, path)


async def test_a_filtered_list_of_the_documented_account_has_its_own_rows() -> None:
    assert await list_page(Emulator.documented(), recipient="+919380013443") == [ASHA_SESSION]


async def test_a_rich_golden_session_names_its_country_and_writes_indian_time() -> None:
    api = Emulator.documented(behaviour=Options(shape="rich", casing="sdk"))
    _, body = await get_text(api, f"{PATH}{ASHA_SESSION}/")
    assert {key: body[key] for key in ("alias", "status", "created_at", "charges")} == {
        "alias": "Sandbox Login",
        "status": "expired",
        "created_at": "2023-06-01T14:22:39.363253+05:30",
        "charges": body["charges"] | {"total_charge": "0.11300"},
    }
    assert (body["destination_country_iso2"], body["destination_network"]) == ("IN", "Jio")
    assert body["attempt_details"][0]["status"] == "answer"


@pytest.mark.parametrize(
    ("shape", "time"), [("lean", "0001-01-01T00:00:00Z"), ("rich", "0001-01-01T05:53:28+05:53")]
)
async def test_a_session_without_attempts_has_nulls_and_the_zero_time(
    shape: str, time: str
) -> None:
    _, body = await get_text(
        emulator_with(make_record(1, attempts=()), shape=shape), f"{PATH}{uuid(1)}/"
    )
    assert (body["count"], body["attempt_details"], body["updated_at"]) == (0, None, time)
    assert body["charges"]["attempt_charges"] is None
    assert Decimal(body["charges"]["total_charge"]) == 0


async def test_a_session_lives_through_its_states_as_the_clock_moves() -> None:
    attempt = AttemptRecord(uuid=uuid(9), channel="sms", status="delivered", time=NOW)
    record = make_record(
        1,
        0.5,
        outcome="verified",
        validation_charge=Decimal("0.05"),
        resolved_at=NOW + timedelta(seconds=30),
        attempts=(attempt, replace(attempt, time=NOW + timedelta(seconds=20))),
    )
    clock = FakeClock(NOW - timedelta(minutes=1))
    api = emulator_with(record, clock=clock, casing="sdk")
    seen = []
    for seconds in (0, 40, 25, 40, 30):
        clock.pass_by(seconds=seconds)
        status, body = await get_text(api, f"{PATH}{uuid(1)}/")
        seen.append((status, body.get("status"), body.get("count")))
    assert seen == [
        (404, None, None),
        (200, "in-progress", 0),
        (200, "in-progress", 1),
        (200, "verified", 2),
        (200, "verified", 2),
    ]
    _, body = await get_text(api, f"{PATH}{uuid(1)}/")
    assert (body["charges"]["validation_charge"], body["charges"]["total_charge"]) == (
        "0.05",
        "0.05",
    )


@pytest.mark.parametrize(
    "auth",
    [
        None,
        (SANDBOX_AUTH_ID, "wrong"),
        ("MAOTHERACCOUNT000000", SANDBOX_AUTH_TOKEN),
        (RETAIL, SANDBOX_AUTH_TOKEN),
        ("short", SANDBOX_AUTH_TOKEN),
    ],
)
async def test_wrong_credentials_get_401_without_an_api_id(auth: Any) -> None:
    transport = httpx.ASGITransport(emulator_with())
    async with httpx.AsyncClient(transport=transport, auth=auth) as client:
        response = await client.get(f"http://emulator{PATH}")
    assert (response.status_code, list(response.json())) == (401, ["error"])


@pytest.mark.parametrize("header", ["Bearer abc", "Basic", "Basic ???", "Basic //8="])
async def test_an_authorization_that_is_not_basic_counts_as_none(header: str) -> None:
    response = await ask(emulator_with(), auth=None, headers={"Authorization": header})
    assert (response.status_code, response.json()) == (
        401,
        {"error": "authentication credentials were not provided"},
    )


async def test_other_paths_methods_and_missing_slashes_are_refused() -> None:
    api = emulator_with(make_record(1))
    assert await get_text(api, "/v1/Account/") == (404, {"error": "not found"})
    assert await get_text(api, f"{PATH}/") == (404, {"error": "not found"})
    assert await get_text(api, PATH[:-1]) == (404, {"error": "not found"})
    assert await get_text(api, f"{PATH}{uuid(1)}") == (404, {"error": "not found"})
    assert await get_text(api, method="POST") == (405, {"error": "method not allowed"})
    api.behaviour = Options(missing_slash="redirect")
    moved = await ask(api, PATH[:-1])
    assert (moved.status_code, moved.headers["location"]) == (301, PATH)


async def test_get_knows_only_sessions_of_the_last_ninety_days() -> None:
    api = emulator_with(make_record(1), make_record(2, 91 * 24 * 60))
    statuses = [(await get_text(api, f"{PATH}{name}/"))[0] for name in (uuid(1), uuid(2), "nope")]
    assert statuses == [200, 404, 404]
    api.behaviour = Options(malformed_uuid="refuse")
    assert (await get_text(api, f"{PATH}nope/"))[0] == 400


async def test_every_reply_has_a_fresh_api_id_that_is_also_its_request_id() -> None:
    api = emulator_with(make_record(1))
    replies = [await ask(api), await ask(api), await ask(api, f"{PATH}{uuid(7)}/")]
    ids = [reply.json()["api_id"] for reply in replies]
    assert len(set(ids)) == 3
    assert [reply.headers["x-request-id"] for reply in replies] == ids


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "21"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"offset": "-1"},
        {"offset": "1.5"},
        {"status": "Expired"},
        {"status": "pending"},
        {"session_time": "2026-11-21T09:00:00Z"},
        {"session_time__gt": "1700000000"},
        {"session_time__lt": "2026-02-30 00:00"},
        {"session_time__gte": "yesterday"},
        {"session_time__lte": "2026-11-21 09:00:61"},
        {"recipient": " 919380013443"},
        {"app_uuid": "nope"},
        {"subaccount": "MASANDBOXACCOUNT0000"},
    ],
)
async def test_a_parameter_that_makes_no_sense_gets_400_and_its_name(
    params: dict[str, str],
) -> None:
    response = await ask(emulator_with(), params=params)
    [name] = params
    assert (response.status_code, set(response.json())) == (400, {"api_id", "error"})
    assert response.json()["error"].startswith(name)


async def test_clamping_bends_what_validation_would_refuse() -> None:
    api = emulator_with(*(make_record(number, number) for number in range(1, 4)), clamp=True)
    assert await list_page(api, limit=0) == [uuid(1)]
    assert await list_page(api, limit=99, offset=-4) == [uuid(1), uuid(2), uuid(3)]
    assert await list_page(api, limit="ten", offset="x") == [uuid(1), uuid(2), uuid(3)]


async def test_unknown_parameters_are_ignored_or_refused_as_switched() -> None:
    api = emulator_with(make_record(1))
    assert await list_page(api, session_time_gte="2030-01-01 00:00", cursor="x") == [uuid(1)]
    api.behaviour = Options(unknown_params="refuse")
    assert (await get_text(api, params={"session_time_gte": "2030-01-01 00:00"}))[0] == 400
    api.behaviour = Options(unknown_params="refuse", pagination="hybrid")
    assert (await get_text(api, params={"cursor": "x"}))[1] == {
        "error": "cursor is not one this resource gave out"
    }


async def test_filters_are_joined_by_and() -> None:
    base = make_record(1, 10)
    api = emulator_with(
        base,
        replace(base, uuid=uuid(2), app_uuid=APP, alias="Log in", app_hash="a+b/c="),
        replace(base, uuid=uuid(3), country="FR", brand_name="A & B", subaccount=RETAIL),
        replace(base, uuid=uuid(4), resolved_at=NOW + timedelta(minutes=1)),
        replace(base, uuid=uuid(5), outcome="verified", recipient="14155550142"),
        list_limit=None,
    )
    expected = {
        ("app_uuid", APP.upper()): [2],
        ("alias", "Log in"): [2],
        ("app_hash", "a+b/c="): [2],
        ("country", "FR"): [3],
        ("brand_name", "A & B"): [3],
        ("subaccount", RETAIL): [3],
        ("status", "in-progress"): [4],
        ("status", "verified"): [5],
        ("status", "expired"): [1, 2, 3],
        ("recipient", "+14155550142"): [5],
        ("recipient", "14155550142"): [5],
        ("status", ""): [1, 2, 3, 4, 5],
    }
    for (name, value), numbers in expected.items():
        assert await list_page(api, **{name: value}) == [uuid(number) for number in numbers]
        assert await list_page(api, **{name: value, "country": "XX"}) == []


async def test_smaller_switches_change_one_thing_each() -> None:
    api = emulator_with(make_record(1), make_record(2, subaccount=RETAIL), any_case_status=True)
    assert await list_page(api, status="EXPIRED") == [uuid(1), uuid(2)]
    api.behaviour = Options(malformed_app="empty")
    assert await list_page(api, app_uuid="nope") == []
    api.behaviour = Options(parent_sees="own")
    assert await list_page(api) == [uuid(1)]
    assert await list_page(api, subaccount=RETAIL) == [uuid(2)]
    api.behaviour = Options(beyond_reach="refuse")
    assert (await get_text(api, params={"session_time__gt": "2020-01-01 00:00"}))[0] == 400
    api.behaviour = Options(max_offset=40)
    assert (await get_text(api, params={"offset": 41}))[0] == 400
    assert (await get_text(api))[1]["sessions"]
    api.behaviour = Options(empty_list="empty")
    assert (await get_text(api, params={"offset": 40}))[1]["sessions"] == []


async def test_a_subaccount_sees_only_its_own_rows() -> None:
    api = emulator_with(make_record(1), make_record(2, subaccount=RETAIL))
    path = PATH.replace(SANDBOX_AUTH_ID, RETAIL)
    for params in ({}, {"subaccount": SUBACCOUNTS[1]}):
        _, body = await get_text(api, path, user=RETAIL, params=params)
        assert [row["session_uuid"] for row in body["sessions"]] == [uuid(2)]
    assert (await get_text(api, f"{path}{uuid(1)}/", user=RETAIL))[0] == 404
    assert (await get_text(api, f"{path}{uuid(2)}/", user=RETAIL))[0] == 200
    api.behaviour = Options(subaccount_asks_subaccount="refuse")
    assert (await get_text(api, path, user=RETAIL, params={"subaccount": RETAIL}))[0] == 400
