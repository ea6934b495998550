"""The examples that need no framework, run for real; .ci/examples runs the others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import comb, sqrt
from pathlib import Path
from statistics import NormalDist
from threading import Thread
from typing import Any

import conversion_watch as watch
import plain_loop
import pytest
from falls import CHANCE, LEAST, POINTS, Tally, added, chance, fallen, report
from hypothesis import given
from hypothesis import strategies as st
from script import QUESTION

from tests.support.client import NOW, CannedApi, FakeClock, connect, emulator_with, make_record
from verify_mcp.emulator import INCIDENT_COUNTRY, Emulator, generate, incident_span

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = Path(sys.executable).with_name("verify-mcp")
NOON = incident_span(NOW)[1]
"""The end of the incident in the pretend account of NOW."""

TALLIES = st.builds(Tally, st.integers(0, 60), st.integers(0, 60))
FINISHED = TALLIES.filter(lambda tally: tally.finished > 0)
COUNTRIES = st.dictionaries(st.sampled_from(["BR", "DE", "ID", "IN", "US"]), FINISHED)


def readme_output() -> list[str]:
    """The blocks of output in the examples' README."""
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```text\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)


def ran(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """An example, started as its first lines say."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=EXAMPLES.parent,
        env={**os.environ, "VERIFY_MCP": str(COMMAND), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_plain_loop_prints_what_the_readme_shows() -> None:
    done = ran("examples/plain_loop.py", EXAMPLE_MODEL="")
    assert (done.returncode, done.stdout, done.stderr) == (0, readme_output()[0], "")


def test_the_watch_says_in_words_what_its_exit_code_says() -> None:
    # Few enough requests for a minute's quota; what they find depends on the day.
    done = ran("examples/conversion_watch.py", "--sandbox", "--hours", "2", "--days", "6")
    begun = {watch.FINE: "No fall of conversion, ", watch.FELL: "Conversion fell, "}
    assert (done.returncode in begun, done.stderr) == (True, "")
    assert done.stdout.startswith(begun[done.returncode])


def test_a_server_that_does_not_start_is_no_fall_of_conversion(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VERIFY_MCP", "no-such-command")
    assert watch.main(["--sandbox"]) == watch.UNKNOWN
    assert capsys.readouterr().out.startswith("Cannot tell: ")


async def run_watch(app: Any, end: datetime, clock: FakeClock | None = None) -> tuple[int, str]:
    """What the watch makes of the three hours before `end`."""
    clock = clock or FakeClock()
    async with connect(app, clock=clock) as client:
        return await watch.watch(client, end, hours=3, days=12, sleep=clock.sleep)


def pretend(clock: FakeClock) -> Emulator:
    """The sandbox's account, at the clock's time."""
    return Emulator(
        lambda now: generate(now=now),
        clock=lambda: clock.now,
        monotonic=lambda: clock.ticks,
        sleep=clock.sleep,
    )


async def test_the_watch_finds_the_incident_as_the_readme_shows() -> None:
    clock = FakeClock()
    code, output = await run_watch(pretend(clock), NOON, clock)
    assert (code, f"{output}\n") == (watch.FELL, readme_output()[1])
    assert [line.split(":")[0].strip() for line in output.splitlines()[1:-1]] == [INCIDENT_COUNTRY]


async def test_the_watch_finds_nothing_a_day_before_the_incident() -> None:
    clock = FakeClock()
    code, output = await run_watch(pretend(clock), NOON - timedelta(days=1), clock)
    assert (code, output.splitlines()[0]) == (
        watch.FINE,
        "No fall of conversion, 2026-11-19 09:00 to 12:00 UTC, against the same hours of 12 days.",
    )


async def test_an_answer_that_is_not_complete_is_asked_again_when_its_time_has_come() -> None:
    clock = FakeClock()
    end = NOW - timedelta(minutes=30)
    records = [make_record(n, 31 + n / 5, recipient=f"14155550{n:03d}") for n in range(800)]
    code, output = await run_watch(emulator_with(*records, clock=clock), end, clock)
    assert (code, output.splitlines()[1:]) == (
        watch.FINE,
        ["Compared: none; too few sessions in 1 more."],
    )
    # 40 pages at 20 a minute.
    assert 60 <= clock.ticks - FakeClock().ticks <= 300


async def test_a_quota_that_never_comes_free_ends_in_a_sentence() -> None:
    async def no_time(_seconds: float) -> None:
        pass

    clock = FakeClock()
    records = [make_record(n, 31 + n / 5) for n in range(800)]
    async with connect(emulator_with(*records, clock=clock), clock=clock, max_wait=0.0) as client:
        with pytest.raises(watch.CannotTell, match="the same call goes on from here"):
            await watch.ask_until_complete(client, NOW - timedelta(hours=6), NOW, no_time)


@pytest.mark.parametrize(
    ("end", "why"),
    [
        pytest.param(NOW, r"\.$", id="the API is down"),
        pytest.param(NOW - timedelta(days=89), "reaches back 90 days", id="too long ago"),
    ],
)
async def test_what_cannot_be_counted_is_told_and_not_taken_for_zero(
    end: datetime, why: str
) -> None:
    app = CannedApi({"error": "down"}, status=500) if end == NOW else emulator_with(make_record(1))
    with pytest.raises(watch.CannotTell, match=why):
        await run_watch(app, end)


def test_the_smallest_countries_added_up_are_no_country() -> None:
    rows = [["IN", "9", "7", "2"], ["?", "3", "1", "1"], ["other (4)", "6", "0", "6"]]
    answer = {"columns": ["country", "sessions", "verified", "expired"], "rows": rows}
    assert watch.by_country(answer) == {"IN": Tally(7, 2), "?": Tally(1, 1)}


@pytest.mark.parametrize(("minute", "hour"), [(0, 8), (9, 8), (10, 9), (59, 9)])
def test_the_watch_looks_at_full_hours_whose_sessions_had_time_to_expire(
    minute: int, hour: int
) -> None:
    now = datetime(2026, 11, 21, 9, minute, 7, tzinfo=UTC)
    assert watch.until(now, sandbox=False) == datetime(2026, 11, 21, hour, tzinfo=UTC)
    assert watch.until(now, sandbox=True) == NOON


def test_a_report_names_each_fall_deepest_first_and_what_was_too_small() -> None:
    now = {"BR": Tally(30, 70), "ID": Tally(0, 1200), "IN": Tally(80, 20), "DE": Tally(0, 9)}
    before = {"BR": Tally(700, 300), "ID": Tally(650, 350), "IN": Tally(79, 21), "FR": Tally(9, 1)}
    assert report("9 to 12", now, before) == (
        "Conversion fell, 9 to 12.\n"
        "  ID: 0 % of 1,200 sessions, before 65 % of 1,000\n"
        "  BR: 30 % of 100 sessions, before 70 % of 1,000\n"
        "Compared: BR, ID, IN; too few sessions in 2 more."
    )


@pytest.mark.parametrize(
    ("now", "before", "output"),
    [
        pytest.param(Tally(0, 10), Tally(10, 0), True, id="just enough sessions"),
        pytest.param(Tally(0, 9), Tally(1000, 0), False, id="too few now"),
        pytest.param(Tally(0, 1000), Tally(9, 0), False, id="too few before"),
        pytest.param(Tally(6000, 4000), Tally(7000, 3000), True, id="just deep enough"),
        pytest.param(Tally(6010, 3990), Tally(7000, 3000), False, id="not deep enough"),
        pytest.param(Tally(6, 4), Tally(9, 1), False, id="as chance has it"),
    ],
)
def test_a_fall_has_enough_sessions_is_deep_enough_and_no_chance(
    now: Tally, before: Tally, *, output: bool
) -> None:
    assert fallen({"IN": now}, {"IN": before}) == (["IN"] if output else [])


def test_the_more_countries_are_compared_the_less_likely_a_fall_must_be() -> None:
    now, before = {"IN": Tally(3, 8)}, {"IN": Tally(11, 2)}
    steady = {"BR": Tally(70, 30), "US": Tally(80, 20)}
    assert fallen(now, before) == ["IN"]
    assert fallen({**now, **steady}, {**before, **steady}) == []


@given(FINISHED, FINISHED)
def test_chance_is_fishers_exact_test(now: Tally, before: Tally) -> None:
    verified, finished = now.verified + before.verified, now.finished + before.finished
    ways = sum(
        comb(now.finished, few) * comb(before.finished, verified - few)
        for few in range(now.verified + 1)
        if few <= verified
    )
    assert chance(now, before) == pytest.approx(float(Fraction(ways, comb(finished, verified))))


def test_chance_can_be_told_of_very_many_sessions() -> None:
    # Of 5,000 sessions about 3,500 would be verified: the normal distribution is near enough.
    usual = NormalDist(mu=0.7 * 5000, sigma=sqrt(0.7 * 0.3 * 5000))
    output = chance(Tally(3_400, 1_600), Tally(700_000, 300_000))
    assert output == pytest.approx(usual.cdf(3400.5), rel=0.1)


@given(COUNTRIES, COUNTRIES)
def test_a_fall_is_reported_if_and_only_if_it_is_large_deep_and_unlikely(
    now: dict[str, Tally], before: dict[str, Tally]
) -> None:
    judged = [
        each
        for each in now.keys() & before.keys()
        if now[each].finished >= LEAST and before[each].finished >= LEAST
    ]
    assert set(fallen(now, before)) == {
        each
        for each in judged
        if before[each].conversion - now[each].conversion >= POINTS
        and chance(now[each], before[each]) * len(judged) <= CHANCE
    }


@given(COUNTRIES)
def test_conversion_that_stays_as_it_was_never_fell(tallies: dict[str, Tally]) -> None:
    assert fallen(tallies, tallies) == []


@given(FINISHED, FINISHED)
def test_a_fall_stays_one_when_another_session_expires_instead(now: Tally, before: Tally) -> None:
    worse = Tally(max(0, now.verified - 1), now.expired + min(1, now.verified))
    if fallen({"IN": now}, {"IN": before}):
        assert fallen({"IN": worse}, {"IN": before}) == ["IN"]


@given(st.lists(COUNTRIES, max_size=4))
def test_days_are_added_up_without_losing_a_session(days: list[dict[str, Tally]]) -> None:
    every = [each for day in days for each in day.values()]
    assert sum(added(days).values(), Tally()) == sum(every, Tally())


class Provider(BaseHTTPRequestHandler):
    """A chat completions API that asks for one call and then repeats what the tool said."""

    requests: list[tuple[str | None, dict[str, Any]]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.requests.append((self.headers["authorization"], body))
        last = body["messages"][-1]
        function = {"name": "get_verify_session", "arguments": '{"id":"x"}'}
        call = {"id": "1", "type": "function", "function": function}
        message = (
            {"role": "assistant", "content": last["content"]}
            if last["role"] == "tool"
            else {"role": "assistant", "content": None, "tool_calls": [call]}
        )
        reply = json.dumps({"choices": [{"message": message}]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_what: Any) -> None:
        """Nothing: a test's output is its own."""


@contextmanager
def provider() -> Iterator[tuple[str, list[tuple[str | None, dict[str, Any]]]]]:
    """The address of such an API, and what it was asked."""
    requests: list[tuple[str | None, dict[str, Any]]] = []
    handler = type("Handler", (Provider,), {"requests": requests})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", requests
        finally:
            server.shutdown()
            thread.join()


async def test_a_real_model_is_offered_the_tools_and_reads_even_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with provider() as (url, requests):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", "a-key")
        async with connect(emulator_with(make_record(1))) as client:
            names = [each.name for each in (await client.list_tools()).tools]
            answer = await plain_loop.answer(client, partial(plain_loop.real, "a-model"), QUESTION)
    keys, bodies = zip(*requests, strict=True)
    assert (
        answer
        == "There is no argument id. Did you mean session_uuid? Valid: session_uuid, delivery."
    )
    assert set(keys) == {"Bearer a-key"}
    assert [body["model"] for body in bodies] == ["a-model", "a-model"]
    assert [each["function"]["name"] for each in bodies[0]["tools"]] == names
    assert [each["role"] for each in bodies[1]["messages"]] == [
        *("system", "user", "assistant", "tool"),
    ]
