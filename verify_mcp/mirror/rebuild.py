"""Rows that an earlier version wrote: their newer columns are filled from their bodies.

A migration that did so at once would lock the database for minutes. Until a day is rebuilt, no
figure is read from it. Few rows are rebuilt at a time, so that others write meanwhile.
"""

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError, create_model

from verify_mcp.database.base import Connection, Value
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.sessions import Attempt, AttemptCharge, Session
from verify_mcp.domain.windows import Window
from verify_mcp.mirror import apps, coverage, daily_totals, session_rows
from verify_mcp.mirror.daily_totals import day_number, day_window
from verify_mcp.mirror.scope import AccountScope, instant, micros
from verify_mcp.mirror.session_rows import DERIVED_COLUMNS

Model = TypeVar("Model", bound=BaseModel)
MAX_ROWS = 1_000
"""Rows that are read at a time, and written in one transaction."""
_NEWEST = (
    "SELECT max(created) FROM verify_sessions WHERE derived = 0 AND account = :account "
    "AND scope = :scope AND created >= :starts AND created < :ends"
)
_UPDATE = (
    "UPDATE verify_sessions SET "  # noqa: S608 - fixed names
    f"{', '.join(f'{name} = :{name}' for name in DERIVED_COLUMNS)} "
    "WHERE account = :account AND scope = :scope AND created = :created AND session = :session "
    "AND fetched = :fetched"
)


def days_to_rebuild(
    connection: Connection, account_scope: AccountScope, windows: Sequence[Window]
) -> list[int]:
    """The days of some windows that have rows to rebuild, the newest first."""
    days = {day for window in windows for day in _days_of(connection, account_scope, window)}
    return sorted(days, reverse=True)


def _days_of(connection: Connection, account_scope: AccountScope, window: Window) -> list[int]:
    """The days of a window, by one look at the index of such rows for each."""
    days: list[int] = []
    params = account_scope.params(window)
    while True:
        ((newest,),) = connection.fetch_all(_NEWEST, params)
        if newest is None:
            return days
        days.append(day_number(instant(newest)))
        params["ends"] = micros(day_window(days[-1]).start)


def without_days_to_rebuild(
    connection: Connection, account_scope: AccountScope, days: Collection[int]
) -> list[int]:
    """Those of some days that need not be rebuilt, in order."""
    left = days_to_rebuild(connection, account_scope, [day_window(day) for day in days])
    return sorted(set(days) - set(left))


@dataclass(frozen=True, slots=True)
class RebuiltRows:
    """Rows as their keys and the values that they lack, and the apps of their sessions.

    `next_start` is where further rows may begin, None after the last ones.
    """

    rows: Sequence[Mapping[str, Value]]
    apps: Sequence[Mapping[str, Value]]
    next_start: datetime | None


def read_rows(
    connection: Connection, account_scope: AccountScope, window: Window, *, limit: int
) -> RebuiltRows:
    """What the oldest rows of a window lack, from their bodies."""
    where, values = account_scope.where(SessionFilter(), window)
    found = connection.fetch_all(
        "SELECT created, session, fetched, body FROM verify_sessions "  # noqa: S608 - fixed names
        "JOIN verify_bodies USING (account, scope, created, session) "
        f"WHERE {where} AND derived = 0 ORDER BY created, session LIMIT :limit",
        {**values, "limit": limit},
    )
    sessions = [_decode_body(bytes(row[3])) for row in found]
    rows = [
        {
            "account": account_scope.account,
            "scope": account_scope.scope,
            "created": row[0],
            "session": row[1],
            "fetched": row[2],
            **session_rows.derived_params(session),
        }
        for row, session in zip(found, sessions, strict=True)
    ]
    next_start = instant(found[-1][0]) if len(found) == limit else None
    return RebuiltRows(rows, apps.app_params(account_scope.account, sessions), next_start)


def _decode_body(body: bytes) -> Session:
    """The session in a compressed body, whose values were validated before they were stored."""
    try:
        return _stored_session().model_validate_json(zlib.decompress(body))
    except ValidationError:
        return session_rows.decode_body(body)


@cache
def _stored_session() -> type[Session]:
    """The model of a session without its validators, which take most of the time of reading."""
    attempt, charge = _without_validators(Attempt, {}), _without_validators(AttemptCharge, {})
    lists = {"attempts": tuple[attempt, ...], "attempt_charges": tuple[charge, ...]}  # type: ignore[valid-type] # made here
    return _without_validators(Session, lists)


def _without_validators(model: type[Model], types: Mapping[str, Any]) -> type[Model]:
    fields: dict[str, Any] = {
        name: (types.get(name, field.annotation), ... if field.is_required() else field.default)
        for name, field in model.model_fields.items()
    }
    return create_model(model.__name__, __base__=model, **fields)


def write_rows(connection: Connection, rebuilt: RebuiltRows) -> None:
    """Fill the columns of rows, but of those that were replaced since they were read."""
    connection.execute_many(_UPDATE, rebuilt.rows)
    apps.upsert_apps(connection, rebuilt.apps)


def add_totals(connection: Connection, account_scope: AccountScope, days: Collection[int]) -> None:
    """Add up those of some days that are complete and have no totals."""
    hull = Window(day_window(min(days)).start, day_window(max(days)).end)
    covered = coverage.read_covered(connection, account_scope, hull)
    days = without_days_to_rebuild(connection, account_scope, days)
    daily_totals.add_complete_days(connection, account_scope, days, covered)
