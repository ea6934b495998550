"""The stored sessions that may have changed since they were fetched. Raises DatabaseUnavailable."""

from datetime import datetime, timedelta

from verify_mcp.database.base import Connection, Value
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.scope import AccountScope, instant, micros
from verify_mcp.mirror.store import Store


async def read_open_instants(
    store: Store, scope: str, window: Window, time_to_end: timedelta, *, limit: int
) -> list[datetime]:
    """When the sessions of a window were created that may have ended since, newest first.

    They were in progress when they were last fetched, before `time_to_end` had passed.
    """
    values = {
        **AccountScope(store.account, scope).params(window),
        "time_to_end": time_to_end // MICROSECOND,
        "limit": limit,
    }

    def work(connection: Connection) -> list[datetime]:
        rows = connection.fetch_all(
            "SELECT created FROM verify_sessions WHERE account = :account AND scope = :scope "
            "AND created >= :starts AND created < :ends AND final = 0 "
            "AND status NOT IN ('verified', 'expired') AND fetched < created + :time_to_end "
            "ORDER BY created DESC LIMIT :limit",
            values,
        )
        return [instant(int(row[0])) for row in rows]

    return await store.database.read(work)


async def read_ids_at(store: Store, scope: str, created: datetime) -> list[str]:
    """The UUIDs of the stored sessions that were created at an instant."""
    values: dict[str, Value] = {
        "account": store.account,
        "scope": scope,
        "created": micros(created),
    }
    return await store.database.read(
        lambda connection: [
            str(row[0])
            for row in connection.fetch_all(
                "SELECT session FROM verify_sessions WHERE account = :account "
                "AND scope = :scope AND created = :created",
                values,
            )
        ]
    )
