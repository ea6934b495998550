"""Over HTTP the same server answers, for several people at once, and says how it fares."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import MCPError
from mcp_types import PromptReference
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tests.support.client import (
    NOW,
    SANDBOX,
    Era,
    FakeClock,
    call_tool,
    emulator_with,
    get_session,
    list_sessions,
    make_record,
    uuid,
)
from tests.support.http_server import (
    bearer,
    create_token,
    http_client,
    modern_call,
    post,
    run_server,
)
from verify_mcp import logs
from verify_mcp import metrics as metrics_module
from verify_mcp.context import AppContext, open_context
from verify_mcp.emulator import SANDBOX_AUTH_TOKEN
from verify_mcp.errors import InvalidSetting
from verify_mcp.http import tokens
from verify_mcp.http.callers import MINUTE, Caller, CallerRateLimits
from verify_mcp.http.listen import ListenAddress, uvicorn_config
from verify_mcp.http.serve import require_auth_if_exposed
from verify_mcp.mirror.lookups import MAX_CALLERS
from verify_mcp.settings import Rate

pytestmark = pytest.mark.anyio

NUMBER = "919380010001"


@pytest.fixture
def audited() -> Iterator[list[dict[str, Any]]]:
    """The audit lines of the test."""
    heard: list[dict[str, Any]] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(json.loads(record.getMessage()))

    logger = logging.getLogger("verify_mcp.audit")
    ear, before = Ear(), logger.level
    logger.addHandler(ear)
    logger.setLevel(logging.INFO)
    yield heard
    logger.removeHandler(ear)
    logger.setLevel(before)


async def test_both_generations_of_the_protocol_get_the_same_answers(era: Era) -> None:
    async with (
        run_server(emulator_with(make_record(1))) as here,
        http_client(here.url, era=era) as client,
    ):
        page = await list_sessions(client, limit=5)
        one = await get_session(client, uuid(1))
        names = [tool.name for tool in (await client.list_tools()).tools]
        document = await client.read_resource("verify://guide")
        prompt = await client.get_prompt("explain_session", {"session_uuid": uuid(1)})
        offered = await client.complete(PromptReference(name="x"), {"name": "status", "value": "e"})
    assert [row[0] for row in page["rows"]] == [uuid(1)[:8]]
    assert (one["session"], one["api_requests"]) == (uuid(1), 1)
    assert len(names) == 6
    assert document.contents
    assert prompt.messages
    assert offered.completion.values == ["expired"]


async def test_r71_over_http_too_the_instructions_name_the_configured_rate(era: Era) -> None:
    fast = Rate(7, 60)
    async with (
        run_server(emulator_with(), rate_limit=fast) as here,
        http_client(here.url, era=era) as client,
    ):
        assert "at most 7 list requests a minute," in (client.instructions or "")


async def test_the_doors_are_opened_once_for_all_requests() -> None:
    opened: list[AppContext] = []

    @asynccontextmanager
    async def count_calls() -> AsyncIterator[AppContext]:
        async with open_context(SANDBOX, clock=FakeClock().clock(), app=emulator_with()) as context:
            opened.append(context)
            yield context

    async with run_server(None, context_factory=count_calls) as here:
        for _ in range(3):
            async with http_client(here.url) as client:
                await list_sessions(client)
    assert len(opened) == 1


async def test_what_one_caller_fetched_the_others_are_told_without_a_request() -> None:
    api = emulator_with(*(make_record(number, minutes=200 + number) for number in range(4)))
    window = {"session_time__gte": "5h", "session_time__lt": "2h"}
    async with run_server(api) as here:
        async with http_client(here.url) as client:
            answer = await call_tool(client, "summarize_verify_sessions", window)
        fetched = len(api.received)
        for _ in range(2):
            async with http_client(here.url) as client:
                page = await list_sessions(client, **window)
                assert (len(page["rows"]), page["api_requests"]) == (4, 0)
    assert (answer["sessions"], len(api.received)) == (4, fetched)


async def test_health_needs_no_token_and_tells_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    create_token(file, "ops")
    async with run_server(emulator_with(), file=file) as here, httpx2.AsyncClient() as http:
        alive = await http.get(here.url + "/healthz", headers={"host": "10.1.2.3"})
        ready = await http.get(here.url + "/readyz", headers={"host": "10.1.2.3"})
    assert (alive.status_code, alive.json()) == (200, {"alive": True})
    assert (ready.status_code, ready.json()) == (
        200,
        {"ready": True, "credentials": "present", "database": "reachable"},
    )


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"credentials": None}, {"credentials": "missing", "database": "reachable"}),
        (
            {"database_url": "sqlite:////proc/none/x.db"},
            {"credentials": "present", "database": "unreachable"},
        ),
    ],
    ids=["credentials", "database"],
)
async def test_a_server_that_lacks_something_is_alive_but_not_ready(
    changes: dict[str, Any], state: dict[str, str]
) -> None:
    async with run_server(emulator_with(), **changes) as here, httpx2.AsyncClient() as http:
        alive = await http.get(here.url + "/healthz")
        ready = await http.get(here.url + "/readyz")
    assert alive.status_code == 200
    assert (ready.status_code, ready.json()) == (503, {"ready": False, **state})


async def test_every_call_leaves_one_line_that_holds_names_and_no_values(
    tmp_path: Path, audited: list[dict[str, Any]]
) -> None:
    file = tmp_path / "tokens.json"
    token = create_token(file, "support")
    async with (
        run_server(emulator_with(make_record(1, recipient=NUMBER)), file=file) as here,
        http_client(here.url, token) as client,
    ):
        await list_sessions(client, recipient=f"+{NUMBER}", limit=3)
        await client.call_tool("list_verify_sessions", {NUMBER: "x", "brand_name": "Secret Ltd"})
        with pytest.raises(MCPError):
            await client.call_tool(NUMBER, {})
    for line in audited:
        assert len(line.pop("request_id")) == 32
    common = {"time": NOW.strftime("%Y-%m-%dT%H:%M:%S.000000Z"), "caller": "support", "ms": 0}
    assert audited == [
        {**common, "tool": "list_verify_sessions", "arguments": ["limit", "recipient"],
         "recipient": "+91…0001", "rows": 1, "api_requests": 1, "outcome": "ok"},
        {**common, "tool": "list_verify_sessions", "arguments": ["?", "brand_name"],
         "outcome": "refused"},
        {**common, "tool": "?", "arguments": [], "outcome": "failed"},
    ]  # fmt: skip


async def test_r74_a_masking_server_audits_a_number_masked_and_a_pseudonym_as_given(
    audited: list[dict[str, Any]],
) -> None:
    async with (
        run_server(emulator_with(make_record(1, recipient=NUMBER)), masked=True) as here,
        http_client(here.url) as client,
    ):
        pseudonym = (await list_sessions(client, recipient=NUMBER))["rows"][0][2]
        await list_sessions(client, recipient=pseudonym)
    assert [line["recipient"] for line in audited] == ["+91…0001", pseudonym]


def modern(method: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A request without parameters of its own, as its body and headers."""
    body, headers = modern_call("get_verify_status")
    parameters = {"_meta": body["params"]["_meta"]}
    del headers["mcp-name"]
    return (
        {**body, "method": method, "params": parameters},
        {**headers, "mcp-method": method},
    )


@pytest.mark.parametrize(
    "method",
    [
        "tools/list", "prompts/list", "resources/list", "resources/templates/list",
        "resources/read", "prompts/get", "completion/complete", "x/+919380013443",
    ],
)  # fmt: skip
async def test_r79_every_request_that_costs_work_counts_as_a_call(
    tmp_path: Path, audited: list[dict[str, Any]], method: str
) -> None:
    file, clock = tmp_path / "tokens.json", FakeClock()
    token = create_token(file, "agent", budget=2)
    body, headers = modern(method)
    async with run_server(emulator_with(), clock=clock, file=file) as here:
        replies = [await post(here.url, body, **headers, **bearer(token)) for _ in range(3)]
        free, more = modern("server/discover")
        free_reply = await post(here.url, free, **more, **bearer(token))
    texts = [reply.text for reply in replies]
    assert ["2 calls a minute" in text for text in texts] == [False, False, True]
    assert "result" in free_reply.json()
    (last,) = [line for line in audited if line["outcome"] == "over budget"]
    assert last["tool"] == (method if method[:2] != "x/" else "?")


async def test_a_budget_is_a_number_of_calls_a_minute(
    tmp_path: Path, audited: list[dict[str, Any]]
) -> None:
    file, clock = tmp_path / "tokens.json", FakeClock()
    token, other = create_token(file, "agent", budget=3), create_token(file, "person", budget=2)
    async with run_server(emulator_with(), clock=clock, file=file) as here:
        async with http_client(here.url, token) as client:
            for _ in range(2):  # and after the first one the client lists the tools
                await call_tool(client, "get_verify_status", {"about": "quota"})
            refusal = await client.call_tool("get_verify_status", {})
            with pytest.raises(MCPError, match="3 calls a minute"):
                await client.read_resource("verify://guide")
            with pytest.raises(MCPError, match="3 calls a minute"):
                await client.list_tools()
            clock.pass_by(MINUTE)
            await call_tool(client, "get_verify_status", {"about": "quota"})
        async with http_client(here.url, other) as client:
            await call_tool(client, "get_verify_status", {"about": "quota"})
    assert refusal.is_error
    (block,) = refusal.content
    assert getattr(block, "text", "") == (
        "Your token's 3 calls a minute are used up. Ask again in 61 s."
    )
    assert [line["outcome"] for line in audited] == [
        "ok", "ok", "over budget", "over budget", "over budget", "ok", "ok",
    ]  # fmt: skip


def test_the_calls_of_the_last_minute_count() -> None:
    now = [0.0]
    limits = CallerRateLimits(lambda: now[0])
    caller = Caller("a", 2)
    assert [limits.acquire(caller) for _ in range(3)] == [0, 0, MINUTE]
    now[0] = 59.0
    assert limits.acquire(caller) == 1.0
    now[0] = 60.0
    assert [limits.acquire(caller), limits.acquire(caller)] == [0, 0]
    assert limits.acquire(Caller("local", 0)) == 0


def test_the_caller_who_called_longest_ago_is_forgotten_when_there_are_too_many() -> None:
    limits = CallerRateLimits(lambda: 0.0)
    first, second = Caller("first", 1), Caller("second", 1)
    assert [limits.acquire(first), limits.acquire(second), limits.acquire(first)] == [0, 0, MINUTE]
    for number in range(MAX_CALLERS - 1):
        limits.acquire(Caller(f"other{number}", 1))
    assert limits.acquire(first) == MINUTE
    assert limits.acquire(second) == 0


async def test_a_response_carries_its_requests_id_and_so_does_the_log(
    audited: list[dict[str, Any]],
) -> None:
    async with run_server(emulator_with()) as here:
        first = await post(here.url, **{"x-request-id": "from-the-proxy.1"})
        others = [await post(here.url, **{"x-request-id": text}) for text in ("x" * 65, "a b", "")]
    assert first.headers["x-request-id"] == "from-the-proxy.1"
    assert [len(reply.headers["x-request-id"]) for reply in others] == [32] * 3
    assert [line["request_id"] for line in audited] == [
        reply.headers["x-request-id"] for reply in (first, *others)
    ]


def test_a_log_line_can_be_an_object() -> None:
    form = logs.JsonFormatter((SANDBOX_AUTH_TOKEN,))
    text = f"no {NUMBER},\n{SANDBOX_AUTH_TOKEN}"
    record = logging.LogRecord("verify_mcp.x", logging.ERROR, "", 1, text, (), None)
    name = logs.request_id.set("from-the-proxy.1")
    line = json.loads(form.format(record))
    logs.request_id.reset(name)
    assert {**line, "time": ""} == {
        "time": "", "level": "ERROR", "logger": "verify_mcp.x",
        "request_id": "from-the-proxy.1", "message": "no +91…0001,\n[hidden]",
    }  # fmt: skip
    assert "request_id" not in json.loads(form.format(record))


@pytest.mark.parametrize(
    ("address", "changes"),
    [
        (ListenAddress(host="0.0.0.0"), {}),  # noqa: S104 - refused, which is the point
        (ListenAddress(host="::"), {}),
        (ListenAddress(host="192.0.2.7"), {}),
        (ListenAddress(), {"allowed_hosts": ("verify.example.com",)}),
        (ListenAddress(), {"public_url": "https://verify.example.com/mcp"}),
    ],
    ids=["every address", "every IPv6 address", "an address", "a name", "a public address"],
)
def test_what_others_can_reach_does_not_start_without_tokens(
    address: ListenAddress, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidSetting, match="Make one with `verify-mcp token add NAME`"):
        require_auth_if_exposed(replace(SANDBOX, **changes), address, requires_token=False)
    require_auth_if_exposed(replace(SANDBOX, **changes), address, requires_token=True)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (ListenAddress(certificate=Path("x")), "--tls-cert and --tls-key belong together"),
        (ListenAddress(host="no.such.host.example"), "can be reached from other machines"),
    ],
)
def test_an_address_that_cannot_be_served_is_refused(address: ListenAddress, message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        require_auth_if_exposed(SANDBOX, address, requires_token=False)


def test_a_certificate_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "x.pem"
    broken.write_text("no certificate")
    with pytest.raises(InvalidSetting, match="cannot be read as a pair"):
        uvicorn_config(lambda *_: None, ListenAddress(certificate=broken, key=broken))  # type: ignore[arg-type] # never called


async def test_what_is_measured_holds_no_number_and_no_token(tmp_path: Path) -> None:
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    metrics_module.instrument.cache_clear()
    file = tmp_path / "tokens.json"
    token = create_token(file, "support")
    api = emulator_with(make_record(1, recipient=NUMBER))
    async with run_server(api, file=file, rate_limit=Rate(2, 60.0), max_wait=0.0) as here:
        async with http_client(here.url, token) as client:
            await list_sessions(client, recipient=NUMBER)
            await list_sessions(client, limit=1)
            assert not (await list_sessions(client, limit=2))["complete"]
            await client.call_tool("get_verify_session", {"session_uuid": "deadbeef"})
        await post(here.url, host="evil.example")
    metrics_data = reader.get_metrics_data()
    assert metrics_data is not None
    text = re.sub(r"time_unix_nano\": \d+", "", metrics_data.to_json())
    for secret in (NUMBER, "0001", token, SANDBOX_AUTH_TOKEN, "support", uuid(1)):
        assert secret not in text
    found = {
        (metric.name, tuple(sorted((point.attributes or {}).items()))): getattr(
            point, "value", None
        )
        for scope in metrics_data.resource_metrics[0].scope_metrics
        if scope.scope.name == "verify_mcp"
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    tool = ("tool", "list_verify_sessions")
    assert found[metrics_module.CALLS, (("outcome", "ok"), tool)] == 2
    assert found[metrics_module.CALLS, (("outcome", "partial"), tool)] == 1
    assert found[metrics_module.PARTIAL, (tool,)] == 1
    assert found[metrics_module.ERRORS, (("kind", "SessionNotFound"),)] == 1
    assert found[metrics_module.REFUSED, (("reason", "host"),)] == 1
    assert found[metrics_module.QUOTA_LEFT, ()] == 0
    assert {metrics_module.DURATION, metrics_module.API_REQUESTS, metrics_module.QUOTA_WAIT} <= {
        name for name, _ in found
    }


@pytest.mark.parametrize(
    ("name", "budget", "subaccount"),
    [("a b", 1, ""), ("", 1, ""), ("x\n", 1, ""), ("a", 0, ""), ("a", 1, "MA123")],
)
def test_a_token_that_makes_no_sense_is_not_made(
    tmp_path: Path, name: str, budget: int, subaccount: str
) -> None:
    with pytest.raises(InvalidSetting):
        create_token(tmp_path / "tokens.json", name, budget, subaccount)
    assert tokens.list_tokens(tmp_path / "tokens.json") == []


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o666])
def test_a_file_of_tokens_that_others_could_read_or_change_is_not_used(
    tmp_path: Path, mode: int
) -> None:
    file = tmp_path / "tokens.json"
    token = create_token(file, "a")
    token_file = tokens.TokenFile(file)
    assert token_file.caller(token) == Caller("a", 1000)
    file.chmod(mode)
    assert token_file.caller(token) is None
    file.chmod(0o600)
    assert token_file.caller(token) == Caller("a", 1000)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tokens": [{}]}', '{"tokens": 5}', "\x00"])
def test_a_damaged_file_of_tokens_lets_nobody_in(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens.json"
    token = create_token(file, "a")
    token_file = tokens.TokenFile(file)
    file.write_text(text)
    assert token_file.caller(token) is None
    with pytest.raises(InvalidSetting, match="is not a file of tokens"):
        tokens.list_tokens(file)
