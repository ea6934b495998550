"""Ten million sessions by hour over 90 days, in several time zones.

    python -m benchmarks.ten_million /tmp/mirror.sqlite3

The file has a million sessions that `benchmarks.mirror` made. A copy of it gets the totals of ten
times as many: each session ten times, a quarter of an hour apart within its day. Whole days are
answered from their totals, so only the parts of days at both ends get ten times the rows. That is
what the writer of the totals would have added up, without the hours of writing ten million rows.
"""

import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import anyio
from mcp import Client, stdio_client

from benchmarks import mirror
from verify_mcp.mirror.group_sql import QUARTER, QUARTER_COLUMNS, QUARTER_SUMS

COPIES = 10
MAX_SECONDS = 1.0
TIMES = 5
ZONES = ("UTC", "Asia/Kolkata", "America/New_York", "Asia/Kathmandu")
_DAY = 86_400_000_000
_STEP = int(QUARTER.total_seconds()) * 1_000_000
_KEYS = "account, scope, day"
_COPIES = "(" + " UNION ALL ".join(f"SELECT {number} AS k" for number in range(COPIES)) + ")"


class Taken(NamedTuple):
    """The seconds of the middle one of some answers, and the processor time of one of them."""

    seconds: float
    processor: float


def _later(column: str) -> str:
    """A column's instant `k` quarters later, within its day."""
    return f"{column} - {column} % {_DAY} + ({column} % {_DAY} + k * {_STEP}) % {_DAY}"


def multiply(raw: sqlite3.Connection) -> None:
    """Give the totals of quarters, and the rows of days without totals, ten times the sessions."""
    sums = ", ".join(f"sum({name})" for name in QUARTER_SUMS)
    names = ", ".join(("created", *QUARTER_COLUMNS, *QUARTER_SUMS, "first_created", "last_created"))
    groups = ", ".join(QUARTER_COLUMNS)
    raw.executescript(f"""
        CREATE TEMP TABLE more AS
        SELECT {_KEYS}, {_later("created")} AS created, {groups}, {sums},
               min({_later("first_created")}), max({_later("last_created")})
        FROM verify_quarter_totals, {_COPIES} GROUP BY {_KEYS}, {_later("created")}, {groups};
        DELETE FROM verify_quarter_totals;
        INSERT INTO verify_quarter_totals ({_KEYS}, {names}) SELECT * FROM more;
    """)  # noqa: S608 - fixed names
    columns = [row[1] for row in raw.execute("PRAGMA table_info(verify_sessions)")]
    copied = {"created": "created + k", "session": "substr(session, 1, 32) || printf('%04x', k)"}
    raw.execute(f"""
        INSERT INTO verify_sessions ({", ".join(columns)})
        SELECT {", ".join(copied.get(name, name) for name in columns)}
        FROM verify_sessions, {_COPIES}
        WHERE k > 0 AND created / {_DAY} NOT IN (SELECT day FROM verify_total_days)
    """)  # noqa: S608 - fixed names
    raw.commit()


@contextmanager
def multiplied(source: Path) -> Iterator[str]:
    """The URL of a copy of a file, with ten times its sessions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ten.sqlite3"
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(path)) as new:
            old.backup(new)
            multiply(new)
        path.chmod(0o600)
        yield f"sqlite://{path}"


async def hours(url: str, end: datetime) -> dict[str, Taken]:
    """What an answer by hour takes, by time zone."""
    whole, found = {**mirror.days_before(end), "group_by": ["hour"]}, {}
    async with Client(stdio_client(mirror.server_of(url))) as client:
        (pid,) = mirror.children()
        for zone in ZONES:
            before, question = mirror.processor_time(pid), {**whole, "time_zone": zone}
            seconds = await mirror.ask(client, "summarize_verify_sessions", question, TIMES)
            found[zone] = Taken(seconds, (mirror.processor_time(pid) - before) / TIMES)
    return found


def measured(source: Path) -> dict[str, Taken]:
    """The seconds by time zone, for a file that `benchmarks.mirror` filled."""

    async def ask(url: str) -> dict[str, Taken]:
        return await hours(url, await mirror.fill(url, 0, 1, datetime.now(UTC)))

    with multiplied(source) as url:
        return anyio.run(ask, url)


def main() -> int:
    """Measure, print, and judge."""
    found = measured(Path(sys.argv[1]))
    for zone, taken in found.items():
        print(
            f"{taken.seconds * 1000:8.1f} ms, {taken.processor * 1000:6.1f} of the processor  "
            f"ten million sessions by hour, {zone}"
        )
    return int(any(taken.seconds > MAX_SECONDS for taken in found.values()))


if __name__ == "__main__":
    sys.exit(main())
