"""Walks killed (-9) before a random statement, again and again, and what they leave behind.

    python -m tests.support.kill_backfill FOLDER KILLS

A walker in a forked child goes on from what the last one left and kills itself. After each death
the database is read as another program would, and compared with what the pretend account holds.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import anyio

from tests.support.client import NOW, FakeClock, emulator_with, make_record
from tests.support.mirror import open_mirror_of
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.windows import Window, gaps
from verify_mcp.emulator import AccountData, Emulator
from verify_mcp.mirror.backfill import Backfill
from verify_mcp.plivo.call import CallContext

WINDOW = Window(NOW - timedelta(hours=6), NOW - timedelta(hours=2))
MOST_STATEMENTS = 250
NEVER = 10**9


def emulator(random: Random) -> Emulator:
    minutes = sorted(random.choice(range(100, 380)) for _ in range(170))  # many of one instant
    records = [make_record(number, minutes=at) for number, at in enumerate(minutes)]
    return emulator_with(*records, list_limit=None)


async def walk(app: Emulator, url: str) -> None:
    """Walk what is missing until nothing is."""
    async with open_mirror_of(app, FakeClock(), database_url=url) as mirror:
        assert mirror.store is not None
        missing = gaps(WINDOW, await mirror.store.cached_windows("", WINDOW))
        for window in reversed(missing):
            walker = Backfill(mirror, SessionFilter(), window)
            while not walker.done:
                await walker.step(CallContext(), budget=1)


def mortal(after: int) -> None:
    """Let this process die by its own hand before its next statement but so many."""
    opened, left = sqlite3.connect, [after]

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        raw: sqlite3.Connection = opened(*args, **options)
        raw.set_trace_callback(tick)
        return raw

    def tick(_statement: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sqlite3.connect = connect  # type: ignore[assignment]  # in a child that dies of it


def is_killed(app: Emulator, url: str, after: int) -> bool:
    """Whether a walk died before its end."""
    child = os.fork()
    if not child:
        mortal(after)
        anyio.run(walk, app, url)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def read_cached(path: Path, world: AccountData) -> set[str]:
    """The sessions held, after checking that every claim is true."""
    reader = sqlite3.connect(path)
    try:
        rows = dict(reader.execute("SELECT session, created FROM verify_sessions").fetchall())
        bodies = {row[0] for row in reader.execute("SELECT session FROM verify_bodies")}
        claims = reader.execute("SELECT starts, ends FROM verify_coverage").fetchall()
        claims += reader.execute("SELECT starts, ends FROM verify_walks").fetchall()
    except sqlite3.OperationalError:  # killed before it had made its tables
        return set()
    finally:
        reader.close()
    for start, end in claims:
        here = {uuid for uuid, created in rows.items() if start <= created < end}
        assert here == {each.uuid for each in world.between(start, end - 1)}
    assert bodies == set(rows)
    return set(rows)


def main(folder: Path, kills: int) -> None:
    """Kill so many walks; fail when one leaves a false claim or loses what was held."""
    random = Random(kills)  # noqa: S311 - made-up data
    app, died, runs = emulator(random), 0, 0
    anyio.run(walk, app, "sqlite://")  # what a first walk imports, the children have then
    expected = {each.uuid for each in app.data.records if each.created_at in WINDOW}
    while died < kills:
        path, before, runs = folder / f"{runs}.sqlite3", set[str](), runs + 1
        url = f"sqlite://{path}"
        while died < kills and is_killed(app, url, random.randrange(MOST_STATEMENTS)):
            died += 1
            after = read_cached(path, app.data)
            assert before <= after
            before = after
        assert not is_killed(app, url, NEVER)
        assert read_cached(path, app.data) == expected
    print(f"{died} walks killed, {runs} finished")  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
