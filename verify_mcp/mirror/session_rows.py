"""Sessions as rows of the database: columns to filter and add up by, and a compressed body.

A final session stays as it is. Of one that may still change, the younger reply replaces the older
one, and a final one replaces any: clocks can be set back.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from verify_mcp.database.base import Connection, Value
from verify_mcp.domain import groups, phones, tallies
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.groups import UNKNOWN
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.scope import AccountScope, micros

MAX_PARSED_BODIES = 512
"""Bodies whose parsed sessions are remembered, because a later call may read them again."""
_KEY = ("account", "scope", "created", "session")
DERIVED_COLUMNS = (
    "network", "number_type", "app_hash", "first_channel", "path", "reached", "gap", "charge_1",
    "charge_2", "charge_3", "charge_4", "more_charges", "uncharged", "derived",
)  # fmt: skip
"""The columns that rows written by an earlier version do not have yet."""
CHARGE_COLUMNS = 4
"""Attempt statuses of a session whose charge has a column; those of further ones are one text."""
_COLUMNS = (
    "app", "status", "recipient", "country", "channel", "brand", "outcomes", "attempts", "cost",
    "rescued", "final", "fetched", *DERIVED_COLUMNS,
)  # fmt: skip
_UPSERT = (
    f"INSERT INTO verify_sessions ({', '.join(_KEY + _COLUMNS)}) "  # noqa: S608 - fixed names
    f"VALUES ({', '.join(f':{name}' for name in _KEY + _COLUMNS)}) "
    f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in _COLUMNS)} "
    "WHERE verify_sessions.final = 0 "
    "AND (excluded.final = 1 OR excluded.fetched >= verify_sessions.fetched)"
)
# Bodies are written before rows, by the same rule: the old row decides which reply stays.
_UPSERT_BODY = """INSERT INTO verify_bodies (account, scope, created, session, body)
    VALUES (:account, :scope, :created, :session, :body)
    ON CONFLICT (account, scope, created, session) DO UPDATE SET body = excluded.body
    WHERE NOT EXISTS (SELECT 1 FROM verify_sessions AS s
        WHERE s.account = excluded.account AND s.scope = excluded.scope
        AND s.created = excluded.created AND s.session = excluded.session
        AND (s.final = 1 OR (:final = 0 AND s.fetched > :fetched)))"""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session to be stored, fetched at an instant; a final one will not change any more."""

    session: Session
    is_final: bool
    fetched: datetime

    def params(self, account_scope: AccountScope) -> dict[str, Value]:
        """The values of its columns."""
        session, tally = self.session, tallies.tally(self.session)
        return {
            **self._key_params(account_scope),
            "app": session.app_uuid or UNKNOWN,
            "status": session.status,
            "recipient": session.recipient,
            "country": session.country or UNKNOWN,
            "channel": session.channel or UNKNOWN,
            "brand": session.brand_name or UNKNOWN,
            "outcomes": groups.attempts_text(session),
            "attempts": tally.attempts,
            "cost": None if tally.uncosted else tally.cost,
            "rescued": int(tally.rescued),
            **derived_params(session),
        }

    def body_params(self, account_scope: AccountScope) -> dict[str, Value]:
        """Its key and its compressed body."""
        body = self.session.model_dump_json(exclude_defaults=True).encode()
        return {**self._key_params(account_scope), "body": zlib.compress(body)}

    def _key_params(self, account_scope: AccountScope) -> dict[str, Value]:
        return {
            "account": account_scope.account,
            "scope": account_scope.scope,
            "created": micros(self.session.created),
            "session": self.session.uuid,
            "final": int(self.is_final),
            "fetched": micros(self.fetched),
        }


def derived_params(session: Session) -> dict[str, Value]:
    """The values of `DERIVED_COLUMNS`."""
    charges = tallies.status_charges(session)
    listed = [*(charges or ()), *[0] * CHARGE_COLUMNS]
    return {
        "network": groups.network_of(session),
        "number_type": phones.type_of(session.recipient) or UNKNOWN,
        "app_hash": session.app_hash or UNKNOWN,
        "first_channel": groups.first_channel_of(session),
        "path": groups.path_of(session),
        "reached": int(tallies.is_reached(session)),
        "gap": None if session.retry_gap is None else session.retry_gap // MICROSECOND,
        **{f"charge_{place + 1}": listed[place] for place in range(CHARGE_COLUMNS)},
        "more_charges": ";".join(map(str, (charges or ())[CHARGE_COLUMNS:])),
        "uncharged": int(charges is None),
        "derived": 1,
    }


def is_storable(session: Session) -> bool:
    """Whether a session's recipient is known and its cost fits the database to the last digit.

    Stored without its recipient, it would be missing where a recipient is looked up.
    """
    if not session.recipient:
        return False
    if session.cost is None:
        return True
    scaled = tallies.to_nanos(session.cost)
    return scaled is not None and scaled <= tallies.MAX_COST


def upsert(
    connection: Connection,
    rows: Sequence[Mapping[str, Value]],
    bodies: Sequence[Mapping[str, Value]],
) -> bool:
    """Insert or update sessions by their `params` and `body_params`; whether any row changed."""
    connection.execute_many(_UPSERT_BODY, bodies)
    return bool(connection.execute_many(_UPSERT, rows))


def read_page(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    window: Window,
    *,
    limit: int,
    offset: int,
) -> list[bytes]:
    """The bodies of the stored sessions of a window that a filter admits, newest first.

    Raises ValueError for a filter that has no column.
    """
    where, values = account_scope.where(session_filter, window)
    rows = connection.fetch_all(
        "SELECT b.body FROM (SELECT account, scope, created, session FROM verify_sessions "  # noqa: S608 - fixed names
        f"WHERE {where} ORDER BY created DESC, session LIMIT :limit OFFSET :offset) AS s "
        "JOIN verify_bodies AS b USING (account, scope, created, session) "
        "ORDER BY s.created DESC, s.session",
        {**values, "limit": limit, "offset": offset},
    )
    return [bytes(row[0]) for row in rows]


def read_after(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    window: Window,
    *,
    after: str,
    limit: int,
) -> list[bytes]:
    """The bodies of the stored sessions of a window that a filter admits, oldest first.

    Of the sessions created at the window's start those with an id up to `after` are left out.
    """
    where, values = account_scope.where(session_filter, window)
    rows = connection.fetch_all(
        "SELECT b.body FROM (SELECT account, scope, created, session FROM verify_sessions "  # noqa: S608 - fixed names
        f"WHERE {where} AND (created > :starts OR session > :after) "
        "ORDER BY created, session LIMIT :limit) AS s "
        "JOIN verify_bodies AS b USING (account, scope, created, session) "
        "ORDER BY s.created, s.session",
        {**values, "after": after, "limit": limit},
    )
    return [bytes(row[0]) for row in rows]


def count_where(
    connection: Connection,
    account_scope: AccountScope,
    session_filter: SessionFilter,
    window: Window,
) -> int:
    """How many stored sessions of a window a filter admits.

    Raises ValueError for a filter that has no column.
    """
    where, values = account_scope.where(session_filter, window)
    rows = connection.fetch_all(f"SELECT count(*) FROM verify_sessions WHERE {where}", values)  # noqa: S608 - fixed names
    return int(rows[0][0])


@lru_cache(maxsize=MAX_PARSED_BODIES)
def parse_body(body: bytes) -> Session:
    """The session in a compressed body."""
    return decode_body(body)


def decode_body(body: bytes) -> Session:
    """The same without remembering it."""
    return Session.model_validate_json(zlib.decompress(body))


def get_final_body(connection: Connection, account: str, uuid: str) -> bytes | None:
    """The body of a final session, None if it is not stored or may still change."""
    rows = connection.fetch_all(
        "SELECT b.body FROM verify_sessions AS s "
        "JOIN verify_bodies AS b USING (account, scope, created, session) "
        "WHERE s.account = :account AND s.session = :session AND s.final = 1",
        {"account": account, "session": uuid},
    )
    return bytes(rows[0][0]) if rows else None


def ids_starting_with(
    connection: Connection, account: str, prefix: str, *, limit: int
) -> list[str]:
    """The UUIDs of stored sessions that start so, in order."""
    rows = connection.fetch_all(
        "SELECT DISTINCT session FROM verify_sessions WHERE account = :account "
        "AND session BETWEEN :first AND :last ORDER BY session LIMIT :limit",
        {"account": account, "first": prefix, "last": prefix + "g", "limit": limit},
    )
    return [str(row[0]) for row in rows]


def recipients_like(connection: Connection, account: str, start: str, end: str) -> list[str]:
    """The stored recipients whose digits start and end so."""
    rows = connection.fetch_all(
        "SELECT DISTINCT recipient FROM verify_sessions WHERE account = :account "
        "AND recipient LIKE :pattern",
        {"account": account, "pattern": f"{start}%{end}"},
    )
    return [str(row[0]) for row in rows]


def count(connection: Connection, account: str) -> int:
    """How many sessions of an account are stored, those of its subaccounts included."""
    rows = connection.fetch_all(
        "SELECT count(*) FROM verify_sessions WHERE account = :account", {"account": account}
    )
    return int(rows[0][0])


def count_unsettled(connection: Connection, account: str) -> int:
    """How many stored sessions of an account may still change."""
    rows = connection.fetch_all(
        "SELECT count(*) FROM verify_sessions WHERE account = :account AND final = 0",
        {"account": account},
    )
    return int(rows[0][0])


def delete_before(connection: Connection, account: str, edge: int) -> int:
    """Delete an account's sessions created before an instant in microseconds; how many."""
    values: dict[str, Value] = {"account": account, "edge": edge}
    connection.execute(
        "DELETE FROM verify_bodies WHERE account = :account AND created < :edge", values
    )
    return connection.execute(
        "DELETE FROM verify_sessions WHERE account = :account AND created < :edge", values
    )
