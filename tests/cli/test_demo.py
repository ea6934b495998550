"""`verify-mcp demo`: what it concludes from answers, and how it lays them out."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from verify_mcp.cli import demo, demo_output, demo_steps

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner),
)


@given(JSON.filter(lambda value: isinstance(value, dict)), st.integers(20, 100))
def test_an_answer_laid_out_is_still_the_same_json(value: object, width: int) -> None:
    assert json.loads(demo_output.format_json(value, width)) == value


def found(*answers: dict[str, Any]) -> list[demo_steps.ToolCall]:
    call = demo_steps.PlannedCall("tool", {})
    return [demo_steps.ToolCall(call, json.dumps(each), 1, 9) for each in answers]


def attempt(channel: str, status: str, charge: str = "0") -> dict[str, str]:
    return {"channel": channel, "status": status, "time": "11-21 09:30:00", "charge": charge}


def test_no_code_is_explained_by_what_the_networks_reported() -> None:
    listed = {"rows": [["60ea68db"]]}
    unreached = {"status": "expired", "attempts": [attempt("sms", "failed")]}
    assert demo_steps.no_code(found(listed, unreached)) == (
        "1 session in 7 days. The latest one is expired, after 1 attempt: no network confirmed "
        "that a code arrived. A report is no proof that a person saw or heard the code."
    )


def test_a_list_of_expired_sessions_is_summed_up_from_its_rows() -> None:
    columns = ["attempts", "cost"]
    rows = [["voice answer +0s; sms failed +9s", "0.1"], ["sms undelivered", "0.25"], ["", ""]]
    assert demo_steps.expired_recently(found({"columns": columns, "rows": rows, "next": {}})) == (
        "The latest 3 sessions that expired cost 0.35 together. For 1 of them a network reported a "
        "delivery or an answered call: there the code probably arrived and was not entered in "
        "time. More follow: `next` says how to ask for them."
    )


def test_a_failure_is_told_from_its_cause_and_the_servers_last_words() -> None:
    broken = ExceptionGroup("outer", [ExceptionGroup("inner", [TimeoutError()])])
    assert demo.failure(broken, StringIO("first\nlast words\n")) == (
        "the demo stopped: it was not finished after 60 s. The server's last words: last words "
        "`verify-mcp doctor --offline` checks this machine."
    )
