"""The memory of a server over stdio after a thousand mixed calls about a million sessions.

    python -m benchmarks.memory sqlite:////tmp/mirror.sqlite3 [--calls 1000]

The database is one that `benchmarks.mirror` filled. Calls of every tool about sessions, with
windows, filters and groups by chance, are answered without a request to the API. Ends
with 1 when the server then has more memory than wanted.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import anyio
from mcp import Client, stdio_client

from benchmarks import mirror
from verify_mcp.emulator import APPS

CALLS, MAX_MB = 1000, 100.0
HOUR = timedelta(hours=1)
LENGTHS = (HOUR, 6 * HOUR, mirror.DAY, 7 * mirror.DAY, 30 * mirror.DAY, 80 * mirror.DAY)
GROUPS = (
    ["status"], ["day"], ["hour"], ["country", "channel"], ["network"], ["app", "status"],
    ["prefix"], ["recipient"], ["weekday", "country"], ["attempt_status"],
)  # fmt: skip
STATUSES = ("verified", "expired")


@dataclass
class Mix:
    """Calls by chance about the 90 days before `end`."""

    client: Client
    end: datetime
    random: Random = field(default_factory=lambda: Random(7))
    ids: list[str] = field(default_factory=list)
    """Sessions that lists have shown."""
    tools: Counter[str] = field(default_factory=Counter)

    async def call(self) -> None:
        """The next call."""
        kinds = (self._list, self._get, self._summary, self._comparison, self._anomalies)
        (kind,) = self.random.choices(kinds, (35, 25, 34, 4, 2))
        await kind()

    async def _list(self) -> None:
        answer = await self._ask(
            "list_verify_sessions",
            **self._window(),
            app_uuid=self.random.choice(APPS).uuid,
            status=self.random.choice(STATUSES),
            offset=self.random.choice((0, 0, 20, 60)),
        )
        shown = [row[0] for row in answer.get("rows", ())]
        self.ids = [*self.ids, *shown][-200:]

    async def _get(self) -> None:
        if self.ids:
            await self._ask("get_verify_session", session_uuid=self.random.choice(self.ids))
        else:
            await self._list()

    async def _summary(self) -> None:
        window = self._window()
        by = self.random.choice((None, *GROUPS))
        await self._ask("summarize_verify_sessions", **window, **({"group_by": by} if by else {}))

    async def _comparison(self) -> None:
        await self._ask("compare_verify_sessions", **self._window(mirror.DAYS * mirror.DAY / 2))

    async def _anomalies(self) -> None:
        start = self.end - self.random.randrange(1, 40) * mirror.DAY
        await self._ask("find_verify_anomalies", **_between(start, start + mirror.DAY))

    def _window(self, longest: timedelta = 80 * mirror.DAY) -> dict[str, str]:
        length = self.random.choice([each for each in LENGTHS if each <= longest])
        room = longest - length
        end = self.end - self.random.random() * room
        return _between(end - length, end)

    async def _ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        self.tools[tool] += 1
        result = await self.client.call_tool(tool, arguments)
        answer = dict(result.structured_content or {})
        if result.is_error or answer["api_requests"]:
            sys.exit(f"not answered from the mirror: {tool} {arguments}: {result.content}")
        return answer


def _between(start: datetime, end: datetime) -> dict[str, str]:
    return {"session_time__gte": mirror.written(start), "session_time__lt": mirror.written(end)}


async def measure(url: str, calls: int = CALLS) -> dict[int, float]:
    """MB of the server's memory after so many calls."""
    end = await mirror.fill(url, 0, 1, datetime.now(UTC))
    async with Client(stdio_client(mirror.server_of(url))) as client:
        (pid,) = mirror.children()
        await client.list_tools()
        mix, found = Mix(client, end), {0: mirror.resident(pid)}
        for number in range(1, calls + 1):
            await mix.call()
            if number % (calls // 10 or 1) == 0:
                found[number] = mirror.resident(pid)
        print(dict(mix.tools), file=sys.stderr)
        return found


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", metavar="URL")
    parser.add_argument("--calls", type=int, default=CALLS)
    options = parser.parse_args()
    found = anyio.run(measure, options.database, options.calls)
    for number, figure in found.items():
        print(f"{figure:8.0f} MB  after {number} calls")
    return int(found[max(found)] > MAX_MB)


if __name__ == "__main__":
    sys.exit(main())
