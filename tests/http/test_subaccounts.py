"""A caller confined to a subaccount: every door shows its own sessions, and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from tests.support.client import (
    SANDBOX,
    Era,
    FakeClock,
    call_tool,
    call_tool_error,
    connect,
    emulator_with,
    get_session,
    list_sessions,
    make_record,
    rows,
    uuid,
)
from tests.support.http_server import RunningServer, create_token, http_client, run_server
from verify_mcp.context import open_context
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.emulator import SANDBOX_AUTH_TOKEN, SUBACCOUNTS, Emulator
from verify_mcp.errors import AccessDenied, InvalidArgument, SessionNotFound
from verify_mcp.http.callers import Caller
from verify_mcp.http.subaccounts import (
    MAX_SUBACCOUNT_CONTEXTS,
    ContextsByCaller,
    SubaccountGateway,
)
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.page_request import PageRequest
from verify_mcp.settings import Credentials

pytestmark = pytest.mark.anyio

MINE, THEIRS = SUBACCOUNTS
OWN, OTHER, PARENTS, NOBODYS = 0x11110001, 0x22220002, 0x33330003, 0x44440004
OTHER_NUMBER = "4917612345678"
DAY = {"session_time__gte": "12h", "session_time__lt": "2h"}
"""A window that settled long ago, so that it is held once it was fetched."""


def world() -> Emulator:
    return emulator_with(
        make_record(OWN, minutes=300, subaccount=MINE, recipient="919380010001"),
        make_record(OWN + 1, minutes=310, subaccount=MINE, recipient="919380010002"),
        make_record(OTHER, minutes=320, subaccount=THEIRS, recipient=OTHER_NUMBER),
        make_record(PARENTS, minutes=330, recipient=OTHER_NUMBER),
    )


@dataclass
class Team:
    """A server that knows everything, and two who ask it."""

    api: Emulator
    here: RunningServer
    all: Client
    records: Client


@asynccontextmanager
async def team(tmp_path: Path, era: Era = "auto", **changes: Any) -> AsyncIterator[Team]:
    """Both callers at a server that holds everybody's sessions already."""
    file = tmp_path / "tokens.json"
    whole, confined = create_token(file, "whole"), create_token(file, "confined", subaccount=MINE)
    api = world()
    async with (
        run_server(api, file=file, **changes) as here,
        http_client(here.url, whole, era) as everything,
        http_client(here.url, confined, era) as own,
    ):
        await call_tool(everything, "summarize_verify_sessions", DAY)
        await list_sessions(everything, **DAY)
        yield Team(api, here, everything, own)


async def test_r55_a_list_holds_their_own_rows(tmp_path: Path, era: Era) -> None:
    async with team(tmp_path, era) as us:
        assert len((await list_sessions(us.all, **DAY))["rows"]) == 4
        answer = await list_sessions(us.records, **DAY)
    assert [row["session"] for row in rows(answer)] == [uuid(OWN)[:8], uuid(OWN + 1)[:8]]
    assert ("subaccount", MINE) in us.api.received[-1].query


async def test_r55_every_filter_keeps_to_their_own(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        for said in (
            {"recipient": OTHER_NUMBER},
            {"recipient": OTHER_NUMBER, "status": "expired"},
            {"brand_name": "Acme"},
            {"offset": 2},
        ):
            assert (await list_sessions(us.records, **DAY, **said))["rows"] == []


@pytest.mark.parametrize("subaccount", [THEIRS, MINE, "SANOBODYS00000000000"])
async def test_r55_no_subaccount_can_be_named(tmp_path: Path, subaccount: str) -> None:
    async with team(tmp_path) as us:
        before = len(us.api.received)
        for tool in ("list_verify_sessions", "summarize_verify_sessions"):
            assert await call_tool_error(us.records, tool, subaccount=subaccount) == (
                "subaccount cannot be asked with a subaccount's own credentials: they see only "
                "that subaccount."
            )
        assert len(us.api.received) == before


async def test_r55_another_ones_session_and_none_are_the_same_by_id(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        assert (await get_session(us.all, uuid(OTHER)))["session"] == uuid(OTHER)
        before = len(us.api.received)
        told = {
            await call_tool_error(us.records, "get_verify_session", session_uuid=uuid(number))
            for number in (OTHER, PARENTS, NOBODYS)
        }
        assert told == {
            "No such session was listed for you here. Find it with list_verify_sessions first."
        }
        assert len(us.api.received) == before


async def test_r55_another_ones_short_id_and_none_are_the_same(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        assert (await get_session(us.all, uuid(OTHER)[:8]))["session"] == uuid(OTHER)
        told = {
            (
                await call_tool_error(
                    us.records, "get_verify_session", session_uuid=uuid(number)[:8]
                )
            ).replace(uuid(number)[:8], "…")
            for number in (OTHER, PARENTS, NOBODYS)
        }
        assert len(told) == 1


async def test_r55_their_own_session_is_told_once_it_was_listed(tmp_path: Path, era: Era) -> None:
    async with team(tmp_path, era) as us:
        first = await call_tool_error(us.records, "get_verify_session", session_uuid=uuid(OWN))
        await list_sessions(us.records, **DAY)
        whole = await get_session(us.records, uuid(OWN))
        short = await get_session(us.records, uuid(OWN)[:8])
    assert "Find it with list_verify_sessions" in first
    assert (whole["session"], short["session"]) == (uuid(OWN), uuid(OWN))


async def test_r55_another_ones_pseudonym_leads_nowhere(tmp_path: Path) -> None:
    async with team(tmp_path, masked=True) as us:
        table = rows(await list_sessions(us.all, **DAY))
        pseudonym = next(row for row in table if row["session"] == uuid(OTHER)[:8])["recipient"]
        assert (await list_sessions(us.all, **DAY, recipient=pseudonym))["rows"]
        before = len(us.api.received)
        mine = rows(await list_sessions(us.records, **DAY))[0]["recipient"]
        asked = len(us.api.received)
        told = {
            await call_tool_error(us.records, recipient=each)
            for each in (pseudonym, pseudonym[:-4] + "aaaa", "+49…5678~zzzz")
        }
        assert len(told) == 1
        assert (len(us.api.received), asked) == (asked, before + 1)
        assert len((await list_sessions(us.records, **DAY, recipient=mine))["rows"]) == 1


async def test_r55_another_ones_resource_and_none_are_the_same(tmp_path: Path, era: Era) -> None:
    async with team(tmp_path, era) as us:
        assert (await us.all.read_resource(f"verify://sessions/{uuid(OTHER)}")).contents
        told = []
        for number in (OTHER, PARENTS, NOBODYS):
            with pytest.raises(MCPError) as caught:
                await us.records.read_resource(f"verify://sessions/{uuid(number)}")
            told.append((caught.value.error.code, caught.value.error.message))
        assert len(set(told)) == 1


async def test_r55_completion_offers_their_own(tmp_path: Path, era: Era) -> None:
    template = ResourceTemplateReference(uri="verify://sessions/{session_uuid}")
    prompt = PromptReference(name="explain_session")

    async def list_offers(client: Client, name: str, value: str) -> list[str]:
        both = [
            (await client.complete(each, {"name": name, "value": value})).completion.values
            for each in (template, prompt)
        ]
        assert both[0] == both[1]
        return both[0]

    async with team(tmp_path, era) as us:
        await list_sessions(us.records, **DAY)
        assert len(await list_offers(us.all, "session_uuid", "")) >= 4
        assert set(await list_offers(us.records, "session_uuid", "")) == {uuid(OWN), uuid(OWN + 1)}
        assert await list_offers(us.records, "session_uuid", uuid(OTHER)[:8]) == []
        assert await list_offers(us.records, "session_uuid", uuid(OTHER)) == []
        assert await list_offers(us.all, "country", "D") == ["DE"]
        assert await list_offers(us.records, "country", "D") == []


async def test_r55_a_summary_adds_up_their_own(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        whole = await call_tool(us.all, "summarize_verify_sessions", DAY)
        own = await call_tool(
            us.records, "summarize_verify_sessions", {**DAY, "group_by": ["country"]}
        )
        again = await call_tool(us.records, "summarize_verify_sessions", DAY)
    assert (whole["sessions"], own["sessions"]) == (4, 2)
    assert [row[0] for row in own["rows"]] == ["IN"]
    assert (again["basis"], again["sessions"]) == ("held", 2)


async def test_r55_the_status_tells_nothing_of_the_others(tmp_path: Path, era: Era) -> None:
    async with team(tmp_path, era, database_url=f"sqlite:///{tmp_path}/m.sqlite3") as us:
        document = await us.records.read_resource("verify://status")
        before = await call_tool(us.records, "get_verify_status", {"about": "all"})
        await list_sessions(us.records, **DAY)
        after = await call_tool(us.records, "get_verify_status", {"about": "all"})
    assert (before["account"], before["mirror"]["sessions"]) == ("SASA…0001", 0)
    assert (after["mirror"]["sessions"], after["mirror"]["place"]) == (2, "shared")
    assert before["mirror"]["covers"] == []
    assert before["mirror"]["bytes"] is None
    text = json.dumps([before, after]) + str(document)
    assert str(tmp_path) not in text
    assert "MASA" not in text


async def test_r55_the_work_for_anothers_session_is_the_work_for_none(tmp_path: Path) -> None:
    """Statements and rows, because a clock in a test would only tell how busy the machine is."""
    file = tmp_path / "m.sqlite3"
    settings = replace(SANDBOX, database_url=f"sqlite:///{file}")
    async with open_context(settings, clock=FakeClock().clock(), app=world()) as whole:
        await whole.mirror.list_page(SessionFilter(), limit=20, offset=0, call=CallContext())
        view = ContextsByCaller(whole).for_caller(Caller("x", 1, MINE))
        store = view.mirror.store
        assert store is not None
        for number in (OTHER, PARENTS, NOBODYS):
            assert await store.get_final(uuid(number)) is None
            assert await store.ids_starting_with(uuid(number)) == []
        assert isinstance(whole.database, ResilientDatabase)
        held = await whole.database.read(
            lambda connection: connection.fetch_all(
                "SELECT DISTINCT account FROM verify_sessions ORDER BY account"
            )
        )
    # All of another's rows lie under another account: the look-up's key never meets them.
    assert held == [("MASANDBOXACCOUNT0000",)]


async def test_what_one_confined_caller_fetched_the_next_one_is_told(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        await call_tool(us.records, "summarize_verify_sessions", DAY)
        again = await list_sessions(us.records, **DAY)
    assert (len(again["rows"]), again["api_requests"]) == (2, 0)


async def test_r55_a_confined_exchange_refuses_what_slipped_through() -> None:
    async def is_known(_: str) -> bool:
        return False

    async with open_context(SANDBOX, clock=FakeClock().clock(), app=world()) as whole:
        confined = SubaccountGateway(whole.gateway, MINE, is_known)
        with pytest.raises(InvalidArgument):
            await confined.list_sessions(
                PageRequest(SessionFilter(subaccount=THEIRS), 1, 0), call=CallContext()
            )


async def test_r85_records_of_anothers_attempts_are_neither_requested_nor_read(
    tmp_path: Path,
) -> None:
    async with team(tmp_path) as us:
        theirs = await get_session(us.all, uuid(OTHER), delivery=True)
        assert theirs["attempts"][0]["record"]["state"] == "delivered"
        before = len(us.api.received)
        assert "No such session was listed for you" in await call_tool_error(
            us.records, "get_verify_session", session_uuid=uuid(OTHER), delivery=True
        )
        assert len(us.api.received) == before
        await list_sessions(us.records, **DAY)
        mine = await get_session(us.records, uuid(OWN), delivery=True)
    assert mine["attempts"][0]["record"]["state"] == "delivered"


async def test_r85_an_attempt_of_another_session_is_refused_beneath_the_tools() -> None:
    async def is_listed(found: str) -> bool:
        return found == uuid(OWN)

    call = CallContext()
    async with open_context(SANDBOX, clock=FakeClock().clock(), app=world()) as whole:
        theirs = await whole.gateway.get_session(uuid(OTHER), call=call)
        mine = await whole.gateway.get_session(uuid(OWN), call=call)
        confined = SubaccountGateway(whole.gateway, MINE, is_listed)
        for session in (theirs, mine):
            with pytest.raises(SessionNotFound):
                await confined.get_record(session, "message", theirs.attempts[0].uuid, call=call)
        assert await confined.get_record(mine, "message", mine.attempts[0].uuid, call=call)


async def test_r55_a_subaccounts_own_server_serves_only_that_subaccount() -> None:
    settings = replace(SANDBOX, credentials=Credentials(MINE, SANDBOX_AUTH_TOKEN))
    async with open_context(settings, clock=FakeClock().clock(), app=world()) as whole:
        views = ContextsByCaller(whole)
        assert views.for_caller(Caller("x", 1, MINE)) is whole
        with pytest.raises(AccessDenied):
            views.for_caller(Caller("x", 1, THEIRS))


async def test_r55_a_token_for_another_subaccount_than_the_servers_is_told_so(
    tmp_path: Path,
) -> None:
    file = tmp_path / "tokens.json"
    token = create_token(file, "lost", subaccount=THEIRS)
    own = Credentials(MINE, SANDBOX_AUTH_TOKEN)
    async with (
        run_server(world(), file=file, credentials=own) as here,
        http_client(here.url, token) as client,
    ):
        assert (await call_tool_error(client)).startswith(
            "Your token is for another subaccount than "
        )
        with pytest.raises(MCPError, match="another subaccount"):
            await client.read_resource("verify://status")


async def test_views_are_kept_by_subaccount_and_bounded() -> None:
    async with open_context(SANDBOX, clock=FakeClock().clock(), app=world()) as whole:
        views = ContextsByCaller(whole)
        first = views.for_caller(Caller("a", 1, MINE))
        assert first is not whole
        assert views.for_caller(Caller("b", 1, MINE)) is first
        for number in range(MAX_SUBACCOUNT_CONTEXTS):
            views.for_caller(Caller("c", 1, f"SA{number:018d}"))
        assert views.for_caller(Caller("a", 1, MINE)) is not first


async def test_stdio_needs_no_caller() -> None:
    async with connect(world()) as client:
        assert len((await list_sessions(client, **DAY))["rows"]) == 4
