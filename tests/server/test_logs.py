"""Logs tell what happened, and neither a secret nor a whole phone number."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.client import SANDBOX, connect, list_sessions
from tests.support.secrets import BASIC, NUMBER, assert_discreet
from verify_mcp.emulator import SANDBOX_AUTH_TOKEN, Emulator, Fault, serve
from verify_mcp.logs import RedactingFormatter, configure, secret_values

pytestmark = pytest.mark.anyio


def written(message: str, *arguments: object) -> str:
    record = logging.LogRecord("test", logging.INFO, __file__, 1, message, arguments, None)
    return RedactingFormatter(secret_values(SANDBOX)).format(record).partition("test: ")[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"to {NUMBER}", "to +91…3443"),
        (f"to +{NUMBER}.", "to +91…3443."),
        ("to +91 (93800) 13-443", "to +91…3443"),
        (f"?recipient=%2B{NUMBER}&limit=20", "?recipient=%2B+91…3443&limit=20"),
        (f"?recipient=%2b{NUMBER}", "?recipient=%2b+91…3443"),
        ("?recipient=%2B91%2093800%2D13443", "?recipient=%2B+91…3443"),
        (f"one\nERROR two {NUMBER}", "one ERROR two +91…3443"),
        (f"{{'recipient': '{NUMBER}'}}", "{'recipient': '+91…3443'}"),
        (f"token {SANDBOX_AUTH_TOKEN}!", "token [hidden]!"),
        (f"Authorization: Basic {BASIC}", "Authorization: Basic [hidden]"),
        (
            "session 60ea68db-b123-46d9-9eb2-1201d516dbbd",
            "session 60ea68db-b123-46d9-9eb2-1201d516dbbd",
        ),
        ("at 2026-11-21 09:30:00", "at 2026-11-21 09:30:00"),
        ("took 123456 s", "took 123456 s"),
    ],
)
def test_secrets_and_numbers_are_hidden_and_the_rest_stays(text: str, expected: str) -> None:
    assert written(text) == expected
    assert written("%s", text) == expected


PLACES = [
    "%s", " %s ", "+%s", "'%s'", "(%s)", "recipient=%s&", "%%2B%s", "%s, %s", '"%s"', "to:%s\n",
    "%%2b%s", "a%s", "%sf", "no-%s-x", "00000%s", "%s%s", "60ea68db-b123-46d9-9eb2-%s",
]  # fmt: skip


@given(st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True), st.sampled_from(PLACES))
def test_no_whole_number_passes_wherever_it_stands(number: str, place: str) -> None:
    assert number not in written(place.replace("%%", "%").replace("%s", number).replace("%", "%%"))


GAPS = [
    " ", "\u00a0", "\u202f", "\u2009", "-", "\u2011", ".", ") ", "/", "  ", "\t", "+", "%20",
    "%C2%A0", "%E2%80%AF", r"\xa0", r"\u00a0", r"\\u202f", "\u200b",
]  # fmt: skip
SPELLED = [
    "to %s", "{'recipient': '%s'}", '{\\"phone\\": \\"%s\\"}', "?recipient=%s&limit=20", "('%s',)",
    "no session of %s", "recipient=%%2B%s", "arguments={'number': '+%s'}",
]  # fmt: skip


@given(
    st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True),
    st.sets(st.integers(1, 7), min_size=1),
    st.sampled_from(GAPS),
    st.sampled_from(SPELLED),
)
def test_r79_no_number_passes_however_it_is_spelled_out(
    number: str, cuts: set[int], gap: str, place: str
) -> None:
    spelled = "".join(gap * (at in cuts) + digit for at, digit in enumerate(number))
    text = written("%s", place.replace("%%", "%").replace("%s", spelled))
    assert spelled not in text
    assert "…" in text
    assert number[2:6] not in "".join(each for each in text if each.isdigit())[:-4]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'recipient': '690 7290'", "'recipient': '+…'"),
        ("to (202) 555-0147.", "to (+20…0147."),
        ("\u0669\u0661 \u0669\u0663\u0668\u0660\u0660 \u0661\u0663\u0664\u0664\u0663", None),
    ],
)
def test_r79_short_spelled_and_foreign_digits_are_hidden(text: str, expected: str | None) -> None:
    assert written(text) != text
    assert expected in (None, written(text))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21 09:30:00,123 DEBUG",
        "20 2026-11-21T09:30:00.123456+00:00 20",
        "session_time__gte=2026-11-21%2009:30:00&limit=20&offset=1980",
        "session_time__gte=2026-11-21+09%3A30%3A00",
        "listening on 127.0.0.1:54321",
        "('192.168.100.200', 54321)",
        "session 60EA68DB-1234-4609-9002-120105160000",
        "recipient 60ea68db-1234-4609-9002-120105160000",
        "recipient=2026",
        "HTTP/1.1 200 OK, 1234 bytes in 0.25 s",
    ],
)
def test_r79_times_addresses_ports_and_ids_stay(text: str) -> None:
    assert written("%s", text) == text


def test_r79_redacting_a_long_line_takes_work_in_proportion_to_its_length() -> None:
    for text in ("1 " * 200_000, "1" * 400_000, "recipient=" * 40_000, "1%20x" * 80_000):
        assert len(written("%s", text)) <= len(text)


def test_without_credentials_there_is_nothing_to_hide() -> None:
    assert secret_values(replace(SANDBOX, credentials=None)) == ()


def test_the_databases_password_is_hidden_as_it_is_and_as_its_address_has_it() -> None:
    settings = replace(
        SANDBOX, credentials=None, database_url="postgresql://team:p%40ss-word@db.example/verify"
    )
    record = logging.LogRecord(
        "test", logging.INFO, __file__, 1, "team:p%40ss-word failed, p@ss-word too", (), None
    )
    line = RedactingFormatter(secret_values(settings)).format(record)
    assert line.endswith("team:[hidden] failed, [hidden] too")


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What this process's logs say at DEBUG, configured as the server does."""
    root, stderr = logging.getLogger(), io.StringIO()
    before, level = root.handlers, root.level
    monkeypatch.setattr(sys, "stderr", stderr)
    configure(replace(SANDBOX, log_level="DEBUG"))
    yield stderr
    root.handlers = before
    root.setLevel(level)


class Exploding:
    """An API in process that fails in a way nobody foresaw, its message full of secrets."""

    async def __call__(self, _scope: object, _receive: object, _send: object) -> None:
        raise RuntimeError(f"no row for +{NUMBER} ({NUMBER}) under {SANDBOX_AUTH_TOKEN} {BASIC}")


async def test_r49_a_bug_is_told_with_its_traceback_but_without_secrets(
    stderr: io.StringIO,
) -> None:
    async with connect(Exploding()) as client:
        result = await client.call_tool("list_verify_sessions", {"recipient": f"+{NUMBER}"})
        again = await client.call_tool("list_verify_sessions", {"limit": 0})
    log = stderr.getvalue()
    assert getattr(result.content[0], "text", "") == (
        "Internal error in verify-mcp; its log on stderr has the details."
    )
    assert again.is_error
    assert "RuntimeError: no row for +91…3443" in log
    assert "Traceback (most recent call last):" in log
    assert_discreet(log)


async def test_r49_at_debug_no_request_betrays_whom_it_is_about(stderr: io.StringIO) -> None:
    api = Emulator()
    for fault in (Fault.BAD_GATEWAY, Fault.BAD_REQUEST, Fault.RESET):
        api.fail_next(fault)
    async with serve(api) as url, connect(None, api_url=url) as client:
        for _ in range(3):
            await client.call_tool("list_verify_sessions", {"recipient": f"+{NUMBER}"})
        await list_sessions(client)
    assert_discreet(stderr.getvalue())
