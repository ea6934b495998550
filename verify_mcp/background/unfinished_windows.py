"""The windows of questions whose answer was not exact, in the database until they are covered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from verify_mcp.database.base import Connection, Value
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain.windows import Window, overlap
from verify_mcp.mirror.scope import AccountScope, instant, micros

MAX_AGE = timedelta(days=1)
"""How long a window is remembered after it was asked about."""
MAX_WINDOWS = 50
"""Windows of one account that are remembered; further ones are not taken."""
_COLUMNS = "scope, starts, ends, asked, requests, max_requests, pages, filtered"


@dataclass(frozen=True, slots=True)
class UnfinishedWindow:
    """A window to be covered, of the account or of a subaccount (`scope`).

    `requests` of at most `max_requests` were made for it. `pages` is how many more it takes, None
    while that is not known. `is_filtered` says that the question was about a part of its sessions.
    """

    scope: str
    window: Window
    asked_at: datetime
    max_requests: int
    requests: int = 0
    pages: int | None = None
    is_filtered: bool = False

    @property
    def requests_left(self) -> int:
        """Requests that may still be made for it."""
        return max(0, self.max_requests - self.requests)

    @property
    def expected_requests(self) -> int:
        """Requests that will probably be made for it."""
        if self.pages is None:
            return self.requests_left
        return min(self.pages, self.requests_left)

    def is_like(self, other: "UnfinishedWindow") -> bool:
        """Whether both are one question asked twice: a relative window has moved on meanwhile."""
        common = overlap(self.window, other.window)
        longer = max(self.window.length, other.window.length)
        return self.scope == other.scope and common is not None and common.length * 10 > longer * 9

    def joined(self, newer: "UnfinishedWindow") -> "UnfinishedWindow":
        """Both as one, in the place of this one, with all of its requests before it again."""
        start = min(self.window.start, newer.window.start)
        end = max(self.window.end, newer.window.end)
        return replace(
            newer,
            window=Window(start, end),
            asked_at=self.asked_at,
            is_filtered=self.is_filtered and newer.is_filtered,
        )


class UnfinishedWindows:
    """One account's unfinished windows, in the order of asking. Methods raise DatabaseUnavailable.

    `now` is the time by the API's clock, as everywhere in the mirror.
    """

    def __init__(self, database: ResilientDatabase, account: str) -> None:
        self._database = database
        self._account = account

    async def read(self, now: datetime) -> list[UnfinishedWindow]:
        """Those that are at most a day old, the first one asked about first."""
        return await self._database.read_batched(lambda connection: self._read(connection, now))

    async def add(self, new: UnfinishedWindow) -> list[UnfinishedWindow] | None:
        """Add a window, or join it with one like it. Returns those before it; None if too many."""

        def work(connection: Connection) -> list[UnfinishedWindow] | None:
            self._lock(connection)
            self._delete_old(connection, new.asked_at)
            present = self._read(connection, new.asked_at)
            alike = next((window for window in present if window.is_like(new)), None)
            if alike is None and len(present) >= MAX_WINDOWS:
                return None
            if alike is not None:
                self._delete(connection, alike)
            added = alike.joined(new) if alike is not None else new
            self._insert(connection, added)
            others = [window for window in present if window is not alike]
            return [window for window in others if window.asked_at <= added.asked_at]

        return await self._database.write(work)

    async def record(self, window: UnfinishedWindow, requests: int, pages: int | None) -> None:
        """Note the requests that were made for a window, and how many more it takes."""
        await self._database.write(
            lambda connection: connection.execute(
                "UPDATE verify_unfinished SET requests = requests + :more, pages = :pages "  # noqa: S608 - fixed names
                f"WHERE {_OF_WINDOW}",
                {**self._params(window), "more": requests, "pages": pages},
            )
        )

    async def remove(self, window: UnfinishedWindow) -> None:
        """Forget a window."""
        await self._database.write(lambda connection: self._delete(connection, window))

    def _read(self, connection: Connection, now: datetime) -> list[UnfinishedWindow]:
        rows = connection.fetch_all(
            f"SELECT {_COLUMNS} FROM verify_unfinished WHERE account = :account "  # noqa: S608 - fixed names
            "AND asked >= :oldest ORDER BY asked, starts, ends",
            {"account": self._account, "oldest": micros(now - MAX_AGE)},
        )
        return [_parse(row) for row in rows]

    def _insert(self, connection: Connection, window: UnfinishedWindow) -> None:
        connection.execute(
            f"INSERT INTO verify_unfinished (account, {_COLUMNS}) "  # noqa: S608 - fixed names
            "VALUES (:account, :scope, :starts, :ends, :asked, :requests, :max_requests, :pages, "
            ":filtered) ON CONFLICT (account, scope, starts, ends) DO NOTHING",
            {
                **self._params(window),
                "asked": micros(window.asked_at),
                "requests": window.requests,
                "max_requests": window.max_requests,
                "pages": window.pages,
                "filtered": int(window.is_filtered),
            },
        )

    def _delete(self, connection: Connection, window: UnfinishedWindow) -> None:
        connection.execute(
            f"DELETE FROM verify_unfinished WHERE {_OF_WINDOW}",  # noqa: S608 - fixed names
            self._params(window),
        )

    def _delete_old(self, connection: Connection, now: datetime) -> None:
        connection.execute(
            "DELETE FROM verify_unfinished WHERE account = :account AND asked < :oldest",
            {"account": self._account, "oldest": micros(now - MAX_AGE)},
        )

    def _params(self, window: UnfinishedWindow) -> dict[str, Value]:
        return AccountScope(self._account, window.scope).params(window.window)

    def _lock(self, connection: Connection) -> None:
        connection.lock(f"verify_unfinished {self._account}")


_OF_WINDOW = "account = :account AND scope = :scope AND starts = :starts AND ends = :ends"


def expected_requests(windows: Sequence[UnfinishedWindow]) -> int:
    """Requests that will probably be made for some windows."""
    return sum(window.expected_requests for window in windows)


def _parse(row: tuple[object, ...]) -> UnfinishedWindow:
    scope, starts, ends, asked, requests, max_requests, pages, filtered = row
    return UnfinishedWindow(
        str(scope),
        Window(instant(int(str(starts))), instant(int(str(ends)))),
        instant(int(str(asked))),
        int(str(max_requests)),
        int(str(requests)),
        None if pages is None else int(str(pages)),
        bool(filtered),
    )
