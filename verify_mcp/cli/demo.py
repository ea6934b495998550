"""Four questions a person would ask, answered in front of them by the real server.

The pretend Verify API listens on this machine, the server runs as a child process over stdio, and
an MCP client asks it: the same way a desktop client does, without an account or a network.
"""

import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from time import monotonic
from typing import Any, TextIO

import anyio
from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import TextContent
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.rule import Rule
from rich.text import Text

from verify_mcp.emulator import (
    ASHA,
    BEN_SESSION,
    SANDBOX_AUTH_ID,
    SANDBOX_AUTH_TOKEN,
    Emulator,
    serve,
)

TIMEOUT = 60.0
"""Seconds the whole demo may take, on a machine far slower than any we know."""
_REACHED = ("delivered", "answer", "read")
_WIDEST = 100

Answer = Mapping[str, Any]


class DemoFailed(Exception):
    """The demo could not show what it promises; the text says why."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A tool call as a model makes it."""

    tool: str
    arguments: Mapping[str, object]

    def __str__(self) -> str:
        last_words = ", ".join(
            f"{name}={json.dumps(value)}" for name, value in self.arguments.items()
        )
        return f"{self.tool}({last_words})"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call, the text that came back, and what it took to get it."""

    call: PlannedCall
    text: str
    requests: int
    raw_bytes: int
    """Bytes of the API's own replies to those requests."""
    is_error: bool = False

    @property
    def size(self) -> int:
        """Bytes of the answer."""
        return len(self.text.encode())

    @property
    def answer(self) -> Answer:
        """The answer as values; empty for a refusal, which is a sentence."""
        answer: Answer = {} if self.is_error else json.loads(self.text)
        return answer


Found = Sequence[ToolCall]
NextCall = Callable[[Found], PlannedCall]


@dataclass(frozen=True, slots=True)
class DemoStep:
    """What a person asks, the calls a model makes for it, and how to read the answers."""

    question: str
    calls: Sequence[PlannedCall | NextCall]
    conclude: Callable[[Found], str]
    expects_error: bool = False


def expired_recently(found: Found) -> str:
    """What the list of expired sessions comes to."""
    answer = found[0].answer
    rows = _rows(answer)
    reached = sum(any(map(_reached, row["attempts"].split("; "))) for row in rows)
    cost = sum((Decimal(row["cost"]) for row in rows if row["cost"]), Decimal(0))
    more = " More follow: `next` says how to ask for them." if "next" in answer else ""
    return (
        f"The latest {len(rows)} sessions that expired cost {cost} together. For {reached} of "
        "them a network reported a delivery or an answered call: there the code probably arrived "
        f"and was not entered in time.{more}"
    )


def _rows(answer: Answer) -> list[dict[str, str]]:
    return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]


def _reached(attempt: str) -> bool:
    """Whether an attempt in a table, such as `sms delivered`, was reported to have arrived."""
    return attempt.partition(" ")[2] in _REACHED


def closer_look(found: Found) -> PlannedCall:
    """The call for the latest session that did not end verified."""
    rows = _rows(found[0].answer)
    unverified = (row["session"] for row in rows if row["status"] != "verified")
    session = next(unverified, None)
    if session is None:
        raise DemoFailed("the made-up account holds no such session.")
    return PlannedCall("get_verify_session", {"session_uuid": session})


def no_code(found: Found) -> str:
    """Why this person says that no code came."""
    listed, latest = (each.answer for each in found)
    attempts = latest["attempts"]
    reached = [each for each in attempts if each["status"] in _REACHED]
    problem = ", ".join(f"{each['channel']} {each['status']} at {each['time']}" for each in reached)
    verdict = (
        f"the network does report arrivals ({problem}), but the code was not entered in time"
        if reached
        else "no network confirmed that a code arrived"
    )
    return (
        f"{_counted(len(listed['rows']), 'session')} in 7 days. The latest one is "
        f"{latest['status']}, after {_counted(len(attempts), 'attempt')}: {verdict}. A "
        "report is no proof that a person saw or heard the code."
    )


def rescued(found: Found) -> str:
    """How one session went."""
    answer = found[0].answer
    *before, last = answer["attempts"]
    failed = sum(each["status"] == "failed" for each in before)
    spent = sum((Decimal(each["charge"]) for each in before), Decimal(0))
    return (
        f"{_counted(failed, 'attempt')} failed first (charged: {spent}). Then came one by "
        f"{last['channel']} ({last['status']}, at {last['time']} UTC), and the session ended "
        f"{answer['status']}. It cost {answer['cost']}, {answer['validation_cost']} of it for the "
        "verification."
    )


def refusal(found: Found) -> str:
    """What a misspelt filter comes to."""
    misspelt = next(iter(found[0].call.arguments))
    return (
        f"`{misspelt}` is not a filter. Ignoring it would have shown every session as if it had "
        f"expired. The call was refused instead, at the cost of {found[0].requests} requests, and "
        "the model reads what to write."
    )


def steps() -> tuple[DemoStep, ...]:
    """What the demo asks, in order."""
    number = f"+{ASHA[:2]} {ASHA[2:7]} {ASHA[7:]}"
    listed = "list_verify_sessions"
    return (
        DemoStep(
            "Which codes expired lately without being used?",
            [PlannedCall(listed, {"status": "expired", "limit": 5})],
            expired_recently,
        ),
        DemoStep(
            f"{number} says that no code came. Why?",
            [
                PlannedCall(listed, {"recipient": number, "session_time__gte": "7d"}),
                closer_look,
            ],
            no_code,
        ),
        DemoStep(
            f"What happened in session {BEN_SESSION[:8]}?",
            [PlannedCall("get_verify_session", {"session_uuid": BEN_SESSION})],
            rescued,
        ),
        DemoStep(
            "Show me the expired ones. (Here the model misspells the filter.)",
            [PlannedCall(listed, {"statuss": "expired"})],
            refusal,
            expects_error=True,
        ),
    )


def run() -> int:
    """Show the demo; the exit code (0, or 1 when something failed, after saying what)."""
    console = Console(highlight=False)
    console.width = min(console.width, _WIDEST)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            anyio.run(show, console, log)
        except Exception as error:  # noqa: BLE001 - whatever it was, a newcomer gets a sentence
            sys.stderr.write(f"verify-mcp demo: {failure(error, log)}\n")
            return 1
    return 0


def failure(error: BaseException, log: TextIO) -> str:
    """What went wrong, in one sentence, with the last words of the server's log."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        problem = f"it was not finished after {TIMEOUT:g} s."
    elif isinstance(error, DemoFailed):
        problem = str(error)
    else:
        problem = f"{type(error).__name__}: {error}".rstrip(": .") + "."
    log.seek(0)
    last = [line for line in log.read().splitlines() if line.strip()][-1:]
    last_words = f" The server's last words: {last[0].strip()}" if last else ""
    remedy = "`verify-mcp doctor --offline` checks this machine."
    return f"the demo stopped: {problem}{last_words} {remedy}"


async def show(console: Console, log: TextIO) -> None:
    """Ask every question and print what comes of it. Raises DemoFailed, or what broke."""
    started = monotonic()
    emulator = Emulator()
    questions_asked = steps()
    console.print(_opening())
    exchanges: list[ToolCall] = []
    with anyio.fail_after(TIMEOUT):
        async with serve(emulator) as url, connect_client(url, log) as client:
            for number, question in enumerate(questions_asked, 1):
                found = await answer_step(client, emulator, question)
                _print(console, f"{number} of {len(questions_asked)}", question, found)
                exchanges += found
    console.print(_closing(exchanges, len(questions_asked), monotonic() - started))


async def answer_step(client: Client, emulator: Emulator, question: DemoStep) -> Found:
    """Every exchange that a question takes. Raises DemoFailed when one is not as it should be."""
    found: list[ToolCall] = []
    for each in question.calls:
        call = each if isinstance(each, PlannedCall) else each(found)
        found.append(await call_tool(client, emulator, call))
        if found[-1].is_error != question.expects_error:
            raise DemoFailed(f"{call} was answered with: {found[-1].text}")
    return found


@asynccontextmanager
async def connect_client(url: str, log: TextIO) -> AsyncIterator[Client]:
    """A client of the real server, which runs as a child and asks the API at `url`."""
    # What the person has set for their own account stays out of the demo.
    ours = ("PLIVO_", "VERIFY_MCP_")
    rest = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    server = StdioServerParameters(
        command=sys.executable,
        # -P: the package that is installed, not one that happens to lie in this folder.
        args=["-P", "-m", "verify_mcp", "serve"],
        env={
            **rest,
            "PLIVO_AUTH_ID": SANDBOX_AUTH_ID,
            "PLIVO_AUTH_TOKEN": SANDBOX_AUTH_TOKEN,
            "VERIFY_MCP_API_URL": url,
            "VERIFY_MCP_DATABASE_URL": "sqlite://",
        },
    )
    async with Client(stdio_client(server, errlog=log)) as client:
        yield client


async def call_tool(client: Client, emulator: Emulator, call: PlannedCall) -> ToolCall:
    """Make a call and count what it took at the API."""
    before = len(emulator.received)
    result = await client.call_tool(call.tool, dict(call.arguments))
    text = "".join(part.text for part in result.content if isinstance(part, TextContent))
    spent = emulator.received[before:]
    raw_bytes = sum(each.sent for each in spent)
    return ToolCall(call, text, len(spent), raw_bytes, is_error=bool(result.is_error))


def format_json(value: object, width: int, indent: str = "") -> str:
    """A JSON value over lines of about `width`, broken only between items: it stays JSON."""
    total = _compact(value)
    if len(indent + total) <= width and not (indent == "" and isinstance(value, dict)):
        return total
    deeper = indent + " "
    if isinstance(value, dict):
        items = [
            f"{_compact(name)}:{format_json(each, width - len(name) - 3, deeper)}"
            for name, each in value.items()
        ]
        return "{" + _fill(items, width, deeper, one_a_line=indent == "") + "}"
    if isinstance(value, list):
        items = [format_json(each, width, deeper) for each in value]
        rows = any(isinstance(each, (dict, list)) for each in value)
        return "[" + _fill(items, width, deeper, one_a_line=rows) + "]"
    return total


def _fill(items: Sequence[str], width: int, indent: str, *, one_a_line: bool) -> str:
    lines: list[str] = []
    for item in items:
        if lines and not one_a_line and len(f"{indent}{lines[-1]},{item}") < width:
            lines[-1] += f",{item}"
        else:
            lines.append(item)
    return f",\n{indent}".join(lines)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _opening() -> Text:
    return Text.assemble(
        "\n",
        ("verify-mcp", "bold"),
        " answers questions about Plivo Verify (OTP) sessions. Below, a real MCP client asks the "
        "real server over stdio; the sessions are made up and served by a pretend Verify API on "
        "this machine. No account, no network.\n",
    )


def _print(console: Console, place: str, question: DemoStep, found: Found) -> None:
    console.print(Rule(Text(place, "dim"), align="left", style="dim"))
    console.print(Text(question.question, "bold"), end="\n\n")
    for each in found:
        console.print(Text(str(each.call), "cyan"))
        body = each.text if each.is_error else format_json(each.answer, console.width - 2)
        answer = Text(body, "yellow") if each.is_error else JSONHighlighter()(Text(body))
        for line in answer.wrap(console, console.width - 2):
            console.print(Text("  ") + line)
        console.print(Text(_spent(each), "dim"), end="\n\n")
    console.print(Text.assemble(("In words: ", "bold green"), question.conclude(found)), end="\n\n")


def _spent(each: ToolCall) -> str:
    if not each.requests:
        cached = "" if each.is_error else " (held already)"
        return f"no API request{cached}; {each.size:,} bytes for the model"
    return (
        f"{_counted(each.requests, 'API request')}; {each.size:,} bytes for the model, "
        f"{each.raw_bytes:,} bytes in the API's own reply ({_share(each)})"
    )


def _share(each: ToolCall) -> str:
    return f"{each.size / each.raw_bytes:.0%}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _closing(exchanges: Found, questions_asked: int, seconds: float) -> Text:
    requests = sum(each.requests for each in exchanges)
    size = sum(each.size for each in exchanges)
    raw = sum(each.raw_bytes for each in exchanges)
    return Text.assemble(
        (
            f"{questions_asked} questions, {_counted(requests, 'API request')}, {seconds:.1f} s",
            "bold",
        ),
        f": {size:,} bytes for the model where the API's own replies take {raw:,}.\n\n",
        "Next: ",
        ("verify-mcp doctor", "cyan"),
        " checks your own account's settings, and the README shows how to connect a client. ",
        ("verify-mcp serve --sandbox", "cyan"),
        " lets a client ask these made-up sessions.\n",
    )
