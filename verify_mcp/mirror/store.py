"""Sessions already fetched, and the windows of time in which every session is held.

A session is *final* once it ended and its last attempt lies a settling time back: it will not
change any more. Coverage is claimed only for windows whose every session is held and final, and
is written in the transaction that holds the last of them.
"""

import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from verify_mcp.database.base import Connection, Value
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.domain import tallies
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.tallies import Tallies
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window, covers, gaps, merge, overlap
from verify_mcp.mirror import daily_totals
from verify_mcp.mirror.daily_totals import DAY, EPOCH, AccountScope, day_number, instant, micros

RECENT_FETCHES = timedelta(hours=1)
"""How long a walk is remembered whose window may still change."""
MAX_COST = 10**15
"""Billionths of the dearest session kept: a million, so that sums of thousands stay integers."""

MAX_READ = 2048
"""Bodies whose sessions are remembered: what is asked again need not be read again."""
_KEY = ("account", "scope", "created", "session")
_COLUMNS = (
    "app", "status", "recipient", "country", "channel", "brand", "outcomes", "attempts", "cost",
    "rescued", "final", "fetched",
)  # fmt: skip
# A final session stays as it is. Else a younger reply counts, and a final one whatever its age:
# clocks can be set back.
_UPSERT = (
    f"INSERT INTO verify_sessions ({', '.join(_KEY + _COLUMNS)}) "  # noqa: S608 - fixed names
    f"VALUES ({', '.join(f':{name}' for name in _KEY + _COLUMNS)}) "
    f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in _COLUMNS)} "
    "WHERE verify_sessions.final = 0 "
    "AND (excluded.final = 1 OR excluded.fetched >= verify_sessions.fetched)"
)
# Bodies go first, by the same rule: what the row says decides which reply is the one to keep.
_UPSERT_BODY = """INSERT INTO verify_bodies (account, scope, created, session, body)
    VALUES (:account, :scope, :created, :session, :body)
    ON CONFLICT (account, scope, created, session) DO UPDATE SET body = excluded.body
    WHERE NOT EXISTS (SELECT 1 FROM verify_sessions AS s
        WHERE s.account = excluded.account AND s.scope = excluded.scope
        AND s.created = excluded.created AND s.session = excluded.session
        AND (s.final = 1 OR (:final = 0 AND s.fetched > :fetched)))"""
_UPSERT_WALK = """INSERT INTO verify_walks (account, scope, starts, ends, walked)
    VALUES (:account, :scope, :starts, :ends, :walked)
    ON CONFLICT (account, scope, starts, ends) DO UPDATE SET walked = excluded.walked
    WHERE excluded.walked > verify_walks.walked"""


class Store:
    """One account's sessions; `scope` is a subaccount's id, or "" for the account itself.

    Methods raise DatabaseUnavailable.
    """

    def __init__(self, access: ResilientDatabase, account: str, *, settle: timedelta) -> None:
        self._database = access
        self._account = account
        self._settle = settle

    async def save(
        self,
        sessions: Sequence[Session],
        scope: str,
        window: Window | None,
        fetched: datetime,
        walked: datetime | None = None,
    ) -> None:
        """Keep sessions, and claim the settled part of `window` if they are all it holds.

        `walked` says that the rest of the window, too, was whole at that instant.
        """
        stored = [each for each in sessions if _storable(each)]
        rows = [self._params(each, scope, fetched) for each in stored]
        bodies = [self._body(each, scope, fetched) for each in stored]
        claims = self._save_coverage(sessions, window, fetched)
        walks = self._save_fetch_time(sessions, window, scope, walked)

        def work(connection: Connection) -> None:
            self._lock(connection)
            connection.execute_many(_UPSERT_BODY, bodies)
            if connection.execute_many(_UPSERT, rows):
                days = {day_number(each.created) for each in stored}
                daily_totals.delete(connection, self._account_scope(scope), days)
            if claims:
                self._add_coverage(connection, scope, claims)
            self._update_daily_totals(connection, scope, stored, claims)
            if walks:
                connection.execute(
                    "DELETE FROM verify_walks WHERE account = :account AND walked < :edge",
                    {"account": self._account, "edge": micros(fetched - RECENT_FETCHES)},
                )
                connection.execute_many(_UPSERT_WALK, walks)

        await self._database.write(work)

    async def cached_windows(self, scope: str, session_filter: Window) -> tuple[Window, ...]:
        """The parts of a window in which every session is held and final."""
        covered_parts = await self._database.read_batched(
            lambda connection: self._read_coverage(connection, scope, session_filter)
        )
        return tuple(shared for each in covered_parts if (shared := overlap(each, session_filter)))

    async def windows_of_known_brand(
        self, scope: str, session_filter: SessionFilter, windows: Sequence[Window]
    ) -> tuple[Window, ...]:
        """What of some windows is enough to answer a filter: each session's brand is known there.

        All from the oldest unknown one on is left out: one gap costs the fewest requests.
        """
        if session_filter.brand_name is None:
            return tuple(windows)

        def work(connection: Connection) -> tuple[Window, ...]:
            shelf = self._account_scope(scope)
            undecided = [
                part
                for window in windows
                for part in daily_totals.windows_of_unknown_brand(
                    connection, shelf, session_filter, window
                )
            ]
            hull = [Window(undecided[0].start, windows[-1].end)] if undecided else []
            return tuple(part for window in windows for part in gaps(window, hull))

        return await self._database.read(work)

    async def latest_fetch(self, scope: str) -> datetime | None:
        """The latest instant by the API's clock that any window was fetched at or ends at."""
        rows = await self._database.read(
            lambda connection: connection.fetch_all(
                "SELECT max(ends) FROM verify_coverage WHERE account = :account AND scope = :scope "
                "UNION ALL SELECT max(walked) FROM verify_walks "
                "WHERE account = :account AND scope = :scope",
                {"account": self._account, "scope": scope},
            )
        )
        return max((instant(row[0]) for row in rows if row[0] is not None), default=None)

    async def recently_fetched(
        self, scope: str, session_filter: Window, since: datetime
    ) -> list[tuple[Window, datetime]]:
        """Windows that overlap `wanted` and were walked whole since then, and when."""
        rows = await self._database.read(
            lambda connection: connection.fetch_all(
                "SELECT starts, ends, walked FROM verify_walks WHERE account = :account "
                "AND scope = :scope AND ends > :starts AND starts < :ends AND walked >= :since "
                "ORDER BY starts",
                {**self._account_scope(scope).params(session_filter), "since": micros(since)},
            )
        )
        return [(Window(instant(row[0]), instant(row[1])), instant(row[2])) for row in rows]

    async def list_page(
        self, session_filter: SessionFilter, scope: str, window: Window, *, limit: int, offset: int
    ) -> list[Session] | None:
        """Sessions of a window, newest first; None unless all of it is final, and enough."""

        def work(connection: Connection) -> list[bytes] | None:
            if not covers(window, self._read_coverage(connection, scope, window)):
                return None
            if daily_totals.windows_of_unknown_brand(
                connection, self._account_scope(scope), session_filter, window
            ):
                return None
            return self._read_bodies(connection, session_filter, scope, window, limit, offset)

        # A batch is as slow as its slowest read, so a query without an index is not batched.
        by_index = session_filter.recipient is not None or session_filter.is_unfiltered()
        look = (
            self._database.read_batched if by_index or window.length <= DAY else self._database.read
        )
        bodies = await look(work)
        return None if bodies is None else [_session(body) for body in bodies]

    async def find(
        self, session_filter: SessionFilter, scope: str, window: Window, *, limit: int, offset: int
    ) -> list[Session]:
        """Sessions held in a window, newest first; as complete as the window is covered."""
        bodies = await self._database.read(
            lambda connection: self._read_bodies(
                connection, session_filter, scope, window, limit, offset
            )
        )
        return [_session(body) for body in bodies]

    async def ids_starting_with(self, prefix: str, *, most: int = 5) -> list[str]:
        """UUIDs held that start so."""
        rows = await self._database.read(
            lambda connection: connection.fetch_all(
                "SELECT DISTINCT session FROM verify_sessions WHERE account = :account "
                "AND session BETWEEN :first AND :last ORDER BY session LIMIT :most",
                {
                    "account": self._account,
                    "first": prefix,
                    "last": prefix + "g",
                    "most": most,
                },
            )
        )
        return [str(row[0]) for row in rows]

    async def get_final(self, uuid: str) -> Session | None:
        """The session, if it is held and will not change any more."""
        rows = await self._database.read(
            lambda connection: connection.fetch_all(
                "SELECT b.body FROM verify_sessions AS s "
                "JOIN verify_bodies AS b USING (account, scope, created, session) "
                "WHERE s.account = :account AND s.session = :session AND s.final = 1",
                {"account": self._account, "session": uuid},
            )
        )
        return _session(bytes(rows[0][0])) if rows else None

    async def recipients_like(self, start: str, end: str) -> list[str]:
        """Recipients held whose digits start and end so."""
        rows = await self._database.read(
            lambda connection: connection.fetch_all(
                "SELECT DISTINCT recipient FROM verify_sessions WHERE account = :account "
                "AND recipient LIKE :pattern",
                {"account": self._account, "pattern": f"{start}%{end}"},
            )
        )
        return [str(row[0]) for row in rows]

    async def tally(
        self,
        session_filter: SessionFilter,
        scope: str,
        windows: Iterable[Window],
        by: tuple[str, ...],
        zone: tzinfo = UTC,
    ) -> Tallies:
        """The tallies of the sessions held in some windows, added up by the database."""
        return await self._database.read(
            lambda connection: daily_totals.tally(
                connection, self._account_scope(scope), session_filter, windows, by, zone
            )
        )

    async def stats(self, scope: str) -> tuple[int, tuple[Window, ...]]:
        """How many sessions are held, and every window covered."""

        def work(connection: Connection) -> tuple[int, tuple[Window, ...]]:
            count = connection.fetch_all(
                "SELECT count(*) FROM verify_sessions WHERE account = :account",
                {"account": self._account},
            )[0][0]
            merged_windows = Window(EPOCH, datetime(9999, 1, 1, tzinfo=UTC))
            return int(count), tuple(self._read_coverage(connection, scope, merged_windows))

        return await self._database.read(work)

    def for_account(self, account: str) -> "Store":
        """The sessions of another account in the same database."""
        return Store(self._database, account, settle=self._settle)

    async def for_each_account(self) -> list["Store"]:
        """A store for each account of which this database holds anything."""
        rows = await self._database.read(
            lambda connection: connection.fetch_all(
                "SELECT account FROM verify_sessions UNION SELECT account FROM verify_coverage"
            )
        )
        return [self.for_account(str(row[0])) for row in rows]

    async def purge(self, before: datetime | None) -> int:
        """Forget sessions created before then, or everything; how many there were."""
        edge = micros(before) if before else micros(datetime(9999, 1, 1, tzinfo=UTC))
        values: dict[str, Value] = {"account": self._account, "edge": edge}

        def work(connection: Connection) -> int:
            self._lock(connection)
            connection.execute(
                "DELETE FROM verify_bodies WHERE account = :account AND created < :edge",
                values,
            )
            connection.execute(
                "DELETE FROM verify_coverage WHERE account = :account AND ends <= :edge", values
            )
            connection.execute(
                "UPDATE verify_coverage SET starts = :edge WHERE account = :account "
                "AND starts < :edge",
                values,
            )
            connection.execute(
                "DELETE FROM verify_walks WHERE account = :account AND starts < :edge", values
            )
            daily_totals.delete_before(connection, self._account, edge)
            return connection.execute(
                "DELETE FROM verify_sessions WHERE account = :account AND created < :edge", values
            )

        return await self._database.write(work)

    def _save_coverage(
        self, sessions: Sequence[Session], window: Window | None, fetched: datetime
    ) -> tuple[Window, ...]:
        """The settled part of a window whose sessions these are: holes where one may change."""
        if window is None:
            return ()
        end = min(window.end, fetched - self._settle)
        if end <= window.start:
            return ()
        holes = [
            Window(each.created, each.created + MICROSECOND)
            for each in sessions
            if not (self._is_final(each, fetched) and _storable(each))
        ]
        return gaps(Window(window.start, end), holes)

    def _save_fetch_time(
        self,
        sessions: Sequence[Session],
        window: Window | None,
        scope: str,
        walked: datetime | None,
    ) -> list[dict[str, Value]]:
        """The whole of a walked window but for what cannot be stored, as rows."""
        if window is None or walked is None:
            return []
        holes = [
            Window(each.created, each.created + MICROSECOND)
            for each in sessions
            if not _storable(each)
        ]
        return [
            {**self._account_scope(scope).params(each), "walked": micros(walked)}
            for each in gaps(window, holes)
        ]

    def _is_final(self, session: Session, fetched: datetime) -> bool:
        last = session.updated or session.created
        return session.ended and last <= fetched - self._settle

    def _add_coverage(self, connection: Connection, scope: str, claims: Sequence[Window]) -> None:
        hull = Window(claims[0].start - MICROSECOND, claims[-1].end + MICROSECOND)
        covered_parts = self._read_coverage(connection, scope, hull)
        connection.execute_many(
            "DELETE FROM verify_coverage WHERE account = :account AND scope = :scope "
            "AND starts = :starts",
            [self._account_scope(scope).params(each) for each in covered_parts],
        )
        connection.execute_many(
            "INSERT INTO verify_coverage (account, scope, starts, ends) "
            "VALUES (:account, :scope, :starts, :ends)",
            [self._account_scope(scope).params(each) for each in merge([*covered_parts, *claims])],
        )

    def _update_daily_totals(
        self,
        connection: Connection,
        scope: str,
        stored: Sequence[Session],
        claims: Sequence[Window],
    ) -> None:
        """Roll up the days that are whole now: those of these sessions, or where a claim ends."""
        moments = [each.created for each in stored]
        moments += [edge for each in claims for edge in (each.start, each.end)]
        if not moments:
            return
        hull = Window(min(moments) - DAY, max(moments) + DAY)
        days = {day_number(each) for each in moments}
        covered_parts = self._read_coverage(connection, scope, hull)
        daily_totals.add_complete_days(
            connection, self._account_scope(scope), sorted(days), covered_parts
        )

    def _lock(self, connection: Connection) -> None:
        """Have this account's rows, coverage and roll-ups to oneself."""
        connection.lock(f"verify_coverage {self._account}")

    def _account_scope(self, scope: str) -> AccountScope:
        return AccountScope(self._account, scope)

    def _read_bodies(
        self,
        connection: Connection,
        session_filter: SessionFilter,
        scope: str,
        window: Window,
        limit: int,
        offset: int,
    ) -> list[bytes]:
        where, values = self._account_scope(scope).where(session_filter, window)
        rows = connection.fetch_all(
            "SELECT b.body FROM (SELECT account, scope, created, session FROM verify_sessions "  # noqa: S608 - fixed names
            f"WHERE {where} ORDER BY created DESC, session LIMIT :limit OFFSET :offset) AS s "
            "JOIN verify_bodies AS b USING (account, scope, created, session) "
            "ORDER BY s.created DESC, s.session",
            {**values, "limit": limit, "offset": offset},
        )
        return [bytes(row[0]) for row in rows]

    def _read_coverage(
        self, connection: Connection, scope: str, session_filter: Window
    ) -> list[Window]:
        rows = connection.fetch_all(
            "SELECT starts, ends FROM verify_coverage WHERE account = :account AND scope = :scope "
            "AND ends > :starts AND starts < :ends ORDER BY starts",
            self._account_scope(scope).params(session_filter),
        )
        return [Window(instant(row[0]), instant(row[1])) for row in rows]

    def _params(self, session: Session, scope: str, fetched: datetime) -> dict[str, Value]:
        params = tallies.tally(session)
        return {
            "account": self._account,
            "scope": scope,
            "created": micros(session.created),
            "session": session.uuid,
            "app": session.app_uuid or tallies.UNKNOWN,
            "status": session.status,
            "recipient": session.recipient,
            "country": session.country or tallies.UNKNOWN,
            "channel": session.channel or tallies.UNKNOWN,
            "brand": session.brand_name or tallies.UNKNOWN,
            "outcomes": tallies.attempts_text(session),
            "attempts": params.attempts,
            "cost": None if params.uncosted else params.cost,
            "rescued": int(params.rescued),
            "final": int(self._is_final(session, fetched)),
            "fetched": micros(fetched),
        }

    def _body(self, session: Session, scope: str, fetched: datetime) -> dict[str, Value]:
        body = session.model_dump_json(exclude_defaults=True).encode()
        return {
            "account": self._account,
            "scope": scope,
            "session": session.uuid,
            "created": micros(session.created),
            "final": int(self._is_final(session, fetched)),
            "fetched": micros(fetched),
            "body": zlib.compress(body),
        }


def _storable(session: Session) -> bool:
    """Whether a session's recipient is known and its cost fits the database to the last digit.

    Held without its recipient, it would be missing where one is asked for.
    """
    if not session.recipient:
        return False
    if session.cost is None:
        return True
    scaled = tallies.to_nanos(session.cost)
    return scaled is not None and scaled <= MAX_COST


@lru_cache(maxsize=MAX_READ)
def _session(body: bytes) -> Session:
    return Session.model_validate_json(zlib.decompress(body))
