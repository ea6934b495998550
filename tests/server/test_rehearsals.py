"""Each prompt rehearsed: exactly the calls its text names, and what they must bring to light."""

import json
import re
from typing import Any

import pytest
from mcp import Client
from mcp_types import TextContent

from tests.support.client import NOW, FakeClock, call_tool, connect, rows
from tests.support.summaries import read_onset
from verify_mcp.emulator import (
    ASHA,
    ASHA_SESSION,
    BURST_COUNTRY,
    BURST_PREFIX,
    INCIDENT_COUNTRY,
    Emulator,
    Options,
    burst_span,
    generate,
    incident_span,
)
from verify_mcp.settings import Rate

pytestmark = pytest.mark.anyio

Step = tuple[str, dict[str, Any]]
STEP = re.compile(r"^\d\. (.*?)(?=^\d\. |^$)", re.MULTILINE | re.DOTALL)
PLENTY = Rate(5_000, 1.0)


@pytest.fixture(scope="module")
def api() -> Emulator:
    """The sandbox's account, with enough quota to answer everything exactly."""
    clock = FakeClock()
    return Emulator(
        generate(seed=7, now=NOW),
        behaviour=Options(list_limit=None),
        clock=lambda: clock.now,
        monotonic=lambda: clock.ticks,
    )


async def steps(client: Client, name: str, **blanks: str) -> list[Step]:
    """The calls a prompt names, in order: tool and the arguments written out."""
    prompt = await client.get_prompt(name, blanks)
    (message,) = prompt.messages
    assert isinstance(message.content, TextContent)
    found: list[Step] = []
    for step in re.findall(
        r"^\d\. (.*?)(?=^\d\. |^$)", message.content.text, re.MULTILINE | re.DOTALL
    ):
        (tool,) = re.findall(r"`(\w+_verify_\w+)`", step)[:1] or [found[-1][0]]
        pairs = re.findall(r'(\w+)\s+("[^"]*"|\[[^\]]*\])', step)
        found.append((tool, {argument: json.loads(value) for argument, value in pairs}))
    return found


async def exact(client: Client, step: Step) -> dict[str, Any]:
    """The whole answer to one step, however many calls it takes."""
    tool, arguments = step
    if tool.startswith(("summarize", "compare")):
        arguments = {**arguments, "max_requests": 200}
    answer = await call_tool(client, tool, arguments)
    while not answer["complete"]:
        answer = await call_tool(client, tool, arguments)
    return answer


async def test_investigate_recipient_finds_the_session_that_went_wrong(api: Emulator) -> None:
    async with connect(api, rate_limit=PLENTY) as client:
        listing, story = await steps(client, "investigate_recipient", recipient=f"+{ASHA}")
        found = rows(await exact(client, listing))
        (lost,) = [row for row in found if row["status"] != "verified"]
        answer = await call_tool(client, story[0], {"session_uuid": lost["session"]})

    assert (listing[0], story) == ("list_verify_sessions", ("get_verify_session", {}))
    assert (answer["session"], answer["cost"], len(answer["attempts"])) == (
        ASHA_SESSION,
        "0.113",
        3,
    )


async def test_explain_session_asks_for_that_session(api: Emulator) -> None:
    async with connect(api, rate_limit=PLENTY) as client:
        (step,) = await steps(client, "explain_session", session_uuid=ASHA_SESSION)
        answer = await exact(client, step)

    assert step == ("get_verify_session", {"session_uuid": ASHA_SESSION})
    assert answer["summary"].startswith("Expired: 3 attempts in 46 s, voice answered")


async def test_otp_health_brings_the_delivery_incident_to_light(api: Emulator) -> None:
    day = incident_span(NOW)[0].date().isoformat()
    async with connect(api, rate_limit=PLENTY) as client:
        by_day, compared, by_attempt = [
            await exact(client, step) for step in await steps(client, "otp_health", since="7d")
        ]

    conversion = {row["day"]: float(row["conversion_pct"]) for row in rows(by_day)}
    drivers = {row["group"]: row for row in rows(compared["drivers"])}
    reported = {row["attempt_status"]: int(row["attempts"]) for row in rows(by_attempt)}
    assert conversion[day] < float(by_day["conversion_pct"])
    assert {INCIDENT_COUNTRY, BURST_COUNTRY} <= drivers.keys()
    assert float(drivers[INCIDENT_COUNTRY]["pct_after"]) < 70
    assert reported["sms undelivered"] > reported["sms failed"] > 0


async def test_what_changed_names_the_burst_and_when_it_began(api: Emulator) -> None:
    async with connect(api, rate_limit=PLENTY) as client:
        compare, attempts = await steps(client, "what_changed", since="7d")
        answer = await exact(client, compare)

    assert attempts == ("summarize_verify_sessions", {"group_by": ["attempt_status"]})
    assert answer["summary"].startswith("Conversion fell by ")
    driver = rows(answer["drivers"])[0]
    assert (driver["by"], driver["group"]) == ("country", BURST_COUNTRY)
    _, earliest, latest = read_onset(driver["since"])
    assert earliest <= f"{burst_span(NOW)[0]:%m-%d %H:%M}" <= latest


@pytest.mark.parametrize("since", ["24h", "31d"])
@pytest.mark.parametrize("masked", [False, True])
async def test_every_step_of_a_review_is_answered_for_any_period_and_with_masked_recipients(
    api: Emulator, since: str, *, masked: bool
) -> None:
    async with connect(api, rate_limit=PLENTY, masked=masked) as client:
        for name in ("what_changed", "otp_health", "fraud_review", "cost_review"):
            for step in await steps(client, name, since=since):
                if step[0] == "find_verify_anomalies":
                    assert "findings" in await call_tool(client, *step)
                elif step[0] != "list_verify_sessions":
                    assert (await exact(client, step))["complete"]


async def test_fraud_review_with_masked_recipients_shows_whether_each_number_asked_once(
    api: Emulator,
) -> None:
    async with connect(api, rate_limit=PLENTY, masked=True) as client:
        anomalies, (tool, _), _ = await steps(client, "fraud_review", since="7d")
        findings = rows(await exact(client, anomalies))
        (burst,) = [row for row in findings if row["kind"] == "pumping"]
        times = {"session_time__gte": burst["from"], "session_time__lt": burst["to"]}
        arguments = {name: f"{NOW.year}-{time}" for name, time in times.items()}
        listing = rows(await exact(client, (tool, {**arguments, "country": burst["where"][:2]})))
    assert BURST_PREFIX[:6] not in burst["where"]
    assert {row["country"] for row in listing} == {BURST_COUNTRY}
    assert all("~" in row["recipient"] for row in listing)


async def test_fraud_review_brings_the_burst_to_light(api: Emulator) -> None:
    async with connect(api, rate_limit=PLENTY) as client:
        anomalies, listing, by_country = await steps(client, "fraud_review", since="7d")
        findings = rows(await exact(client, anomalies))
        countries = rows(await exact(client, by_country))
    assert listing == ("list_verify_sessions", {})
    (burst,) = [row for row in findings if row["kind"] == "pumping"]
    assert burst["where"].startswith(BURST_COUNTRY)
    assert BURST_PREFIX[:6] in burst["where"]
    assert int(burst["sessions"]) > 30
    assert burst["from"][:5] == f"{burst_span(NOW)[0]:%m-%d}"
    dearest = max(countries, key=lambda row: float(row["cost_per_verified"] or 0))
    assert dearest["country"] == BURST_COUNTRY


async def test_cost_review_names_the_total_the_waste_and_the_dearest_country(
    api: Emulator,
) -> None:
    async with connect(api, rate_limit=PLENTY) as client:
        by_country, by_app, anomalies = [
            await exact(client, step) for step in await steps(client, "cost_review", since="7d")
        ]

    dearest = max(rows(by_country), key=lambda row: float(row["cost_per_verified"] or 0))
    assert dearest["country"] == BURST_COUNTRY
    assert by_country["cost"] == by_app["cost"]
    assert float(by_country["expired_cost"]) > 0
    assert by_country["rescued"] > 0
    assert {"spend", "pumping"} == {row["kind"] for row in rows(anomalies)}


@pytest.mark.parametrize("name", ["otp_health", "fraud_review", "cost_review"])
async def test_a_prompt_names_at_most_three_calls_and_honours_what_is_missing(
    api: Emulator, name: str
) -> None:
    async with connect(api) as client:
        named = await steps(client, name)
        (message,) = (await client.get_prompt(name)).messages

    assert isinstance(message.content, TextContent)
    assert (len(named), "complete: false" in message.content.text) == (3, True)


async def test_the_days_of_otp_health_are_the_operators_unless_named(api: Emulator) -> None:
    async with connect(api, time_zone="Asia/Kolkata") as client:
        ours = (await steps(client, "otp_health"))[0][1]["time_zone"]
        named = (await steps(client, "otp_health", time_zone="UTC"))[0][1]["time_zone"]

    assert (ours, named) == ("Asia/Kolkata", "UTC")
