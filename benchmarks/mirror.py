"""How fast a mirror that holds a million sessions answers, and what it takes to hold it.

    python benchmarks/mirror.py [--sessions 1000000] [--database sqlite:////tmp/mirror.sqlite3]
    python benchmarks/mirror.py --copies 10 --database postgresql://…

The sessions are made up and kept through the store's own statements; with `--copies 10` the
database itself then holds each ten times, under other ids and some microseconds apart. The real
server runs over stdio, with nothing to ask, and questions are put to it through an MCP client: the
times are those a client sees. A database that already holds as many sessions is used as it is. The
exit code is 1 when a figure is worse than its target; `--at-most 3` allows three times each target.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import anyio
import anyio.to_thread
from mcp import Client, StdioServerParameters, stdio_client

from verify_mcp.database.base import Connection
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain.payloads import parse_session
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.windows import Window
from verify_mcp.emulator import APPS, SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, generate
from verify_mcp.emulator.payloads import session as payload
from verify_mcp.mirror.group_sql import DAY_SUMS, QUARTER_SUMS
from verify_mcp.mirror.store import Store

DAYS = 90
BATCH = 1_000
PATTERNS = 5_000
DAY = timedelta(days=1)
WHOLE = "a grouped summary of 90 days"
WEEK = "a summary of 7 days of one app"
COMPARISON = "a comparison of 44 days with the 44 before"
PAGE = "a filtered page"
RECIPIENTS = "distinct recipients of 90 days"
MEMORY = "the server's memory"
TARGETS = {COMPARISON: 2.0, WHOLE: 1.0, WEEK: 0.05, PAGE: 0.03, RECIPIENTS: 1.5, MEMORY: 250.0}
"""Seconds, and MB of memory."""
QUESTIONS: dict[str, dict[str, Any]] = {
    "by status and day": {"group_by": ["status", "day"]},
    "by country and channel": {"group_by": ["country", "channel"]},
    "by hour": {"group_by": ["hour"]},
    "by hour in India": {"group_by": ["hour"], "time_zone": "Asia/Kolkata"},
    "by nothing": {},
    "by network and path": {"group_by": ["network", "path"]},
    "by attempt status": {"group_by": ["attempt_status"]},
    "by prefix": {"group_by": ["prefix"]},
    "by recipient": {"group_by": ["recipient"]},
    "by weekday and country": {"group_by": ["weekday", "country"]},
    "of one country by hour of day": {"group_by": ["hour_of_day"], "country": "IN"},
    "by country with recipients and gaps": {
        "group_by": ["country"],
        "show": ["recipients", "gap_s", "gap_p90_s", "first_try_pct"],
    },
}
"""What is asked about 90 days."""


def patterns(now: datetime) -> list[Session]:
    """Sessions of every kind, as the API would tell them."""
    world = generate(now=now, total=PATTERNS, last_day=PATTERNS // DAYS)
    return [
        parse_session(
            json.dumps(payload(each, now, endpoint="list", shape="rich", casing="docs")).encode()
        )
        for each in world.records
        if each.resolved_at < now - DAY
    ]


def moved(pattern: Session, created: datetime, random: Random) -> Session:
    """The same story at another time, under another id, of one of many people.

    The prefixes of numbers stay; some people come far more often than others.
    """
    number = f"{pattern.recipient[:-6]}{int(random.random() ** 2 * 1e6):06d}"
    last = pattern.updated and pattern.updated + (created - pattern.created)
    uuid = str(UUID(int=random.getrandbits(128)))
    return pattern.model_copy(
        update={"uuid": uuid, "recipient": number, "created": created, "updated": last}
    )


async def fill(url: str, sessions: int, copies: int, end: datetime) -> datetime:
    """Keep so many sessions of 90 days, unless they are there; when the last of them ends."""
    access = ResilientDatabase(url, clock=time.monotonic, on_problem=print)
    store = Store(access, SANDBOX_AUTH_ID, settle=timedelta(hours=1))
    held, _ = await store.stats("")
    if held < sessions:
        random, kinds = Random(7), patterns(end)
        batches = max(1, sessions // BATCH)
        step = DAYS * DAY / batches
        for number in range(batches):
            window = Window(
                end - DAYS * DAY + number * step, end - DAYS * DAY + (number + 1) * step
            )
            share = step / BATCH
            batch = [
                moved(random.choice(kinds), window.start + place * share, random)
                for place in range(BATCH)
            ]
            await store.save(batch, "", window, end + DAY)
    count, windows = await store.stats("")
    if copies > 1 and count == sessions:
        await access.write(lambda connection: copy(connection, copies))
    access.close()
    return windows[-1].end


def copy(connection: Connection, copies: int) -> None:
    """Hold each session so many times; a day's roll-up grows with its rows."""
    connection.execute("SET LOCAL statement_timeout = 0")
    for table, columns in _columns(connection).items():
        also = [column for column in columns if column not in _KEY]
        connection.execute(
            f"INSERT INTO {table} ({', '.join((*_KEY, *also))}) "  # noqa: S608 - fixed names
            "SELECT account, scope, created + k, "
            f"overlay(session placing lpad(to_hex(k), 4, '0') from 33), {', '.join(also)} "
            f"FROM {table}, generate_series(1, :more) AS k",
            {"more": copies - 1},
        )
    for table, sums in (
        ("verify_day_totals", DAY_SUMS),
        ("verify_quarter_totals", QUARTER_SUMS),
        ("verify_gap_totals", ("sessions",)),
    ):
        connection.execute(
            f"UPDATE {table} SET {', '.join(f'{name} = {name} * :copies' for name in sums)}",  # noqa: S608 - fixed names
            {"copies": copies},
        )
    connection.execute("UPDATE verify_total_days SET cells = 0")  # the first search adds them up


_KEY = ("account", "scope", "created", "session")


def _columns(connection: Connection) -> dict[str, list[str]]:
    """The columns of the tables that hold sessions."""
    rows = connection.fetch_all(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_name IN ('verify_bodies', 'verify_sessions') ORDER BY 1"
    )
    return {table: [name for of, name in rows if of == table] for table, _ in rows}


async def ask(client: Client, tool: str, arguments: dict[str, Any], times: int = 5) -> float:
    """Seconds of the middle one of some calls, none of which may ask the API."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        result = await client.call_tool(tool, arguments)
        taken.append(time.perf_counter() - begun)
        answer = result.structured_content or {}
        if result.is_error or answer["api_requests"]:
            sys.exit(f"not answered from the mirror: {result.content}")
    return sorted(taken)[times // 2]


def resident(pid: int) -> float:
    """A process's memory, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def processor_time(pid: int) -> float:
    """The seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def children() -> set[int]:
    """The processes that this one started."""
    return {
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text(encoding="ascii").split()
    }


def written(moment: datetime) -> str:
    """A time as a tool takes it."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def server_of(url: str) -> StdioServerParameters:
    """The real server over stdio, with a database and no API to ask."""
    environ = {
        "PATH": os.environ["PATH"],
        "PLIVO_AUTH_ID": SANDBOX_AUTH_ID,
        "PLIVO_AUTH_TOKEN": SANDBOX_AUTH_TOKEN,
        "VERIFY_MCP_API_URL": "http://127.0.0.1:9",
        "VERIFY_MCP_DATABASE_URL": url,
        "VERIFY_MCP_RETENTION": "400d",
    }
    return StdioServerParameters(command=sys.executable, args=["-m", "verify_mcp"], env=environ)


def days_before(end: datetime) -> dict[str, Any]:
    """The arguments that ask about all 90 days."""
    start = end - DAYS * DAY + timedelta(hours=4)
    return {"session_time__gte": written(start), "session_time__lt": written(end)}


async def measure(url: str, end: datetime) -> dict[str, float]:
    """Each figure by its name."""
    whole = days_before(end)
    week = {**whole, "session_time__gte": written(end - 7 * DAY), "app_uuid": APPS[0].uuid}
    page = {**whole, "app_uuid": APPS[1].uuid, "status": "expired", "offset": 400}
    async with Client(stdio_client(server_of(url))) as client:
        (pid,) = children()
        found = {}
        for name, question in QUESTIONS.items():
            found[f"{WHOLE}, {name}"] = await ask(
                client, "summarize_verify_sessions", {**whole, **question}
            )
        found[RECIPIENTS] = await ask(
            client, "summarize_verify_sessions", {**whole, "show": ["recipients"]}
        )
        found[WEEK] = await ask(client, "summarize_verify_sessions", week)
        found[f"{WEEK}, by channel"] = await ask(
            client, "summarize_verify_sessions", {**week, "group_by": ["channel"]}
        )
        halves = {**whole, "session_time__gte": written(end - 44 * DAY)}
        found[COMPARISON] = await ask(client, "compare_verify_sessions", halves)
        found[PAGE] = await ask(client, "list_verify_sessions", page)
        found[MEMORY] = resident(pid)
    return found


def on_disk(folder: Path) -> int:
    """Bytes of the database that was made there; none of one that was named."""
    return sum(each.stat().st_size for each in folder.glob("mirror.sqlite3*"))


def target(name: str) -> float:
    """The target of a figure; that of a variant is its own kind's."""
    return next(most for kind, most in TARGETS.items() if name.startswith(kind))


async def main() -> int:
    """Fill, ask, print; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--database", default="")
    parser.add_argument("--copies", type=int, default=1, help="on PostgreSQL only")
    parser.add_argument("--at-most", type=float, default=1.0)
    options = parser.parse_args()
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite://{folder}/mirror.sqlite3"
        begun = time.perf_counter()
        end = await fill(url, options.sessions, options.copies, end)
        total = options.sessions * options.copies
        print(f"{total} sessions kept in {time.perf_counter() - begun:.0f} s")
        found = await measure(url, end)
        size = await anyio.to_thread.run_sync(on_disk, Path(folder))
    for name, figure in found.items():
        shown = f"{figure:8.0f} MB" if name == MEMORY else f"{figure * 1000:8.1f} ms"
        print(f"{shown}  {name}")
    if size:
        print(f"{size / 2**20:8.0f} MB  on disk, {size / options.sessions:.0f} bytes a session")
    return int(any(figure > options.at_most * target(name) for name, figure in found.items()))


if __name__ == "__main__":
    sys.exit(anyio.run(main))
