"""The apps of stored sessions, each with the alias of its newest session that has one."""

from collections.abc import Iterable, Mapping

from verify_mcp.database.base import Connection, Value
from verify_mcp.domain.sessions import Session
from verify_mcp.mirror.scope import micros

_UPSERT = """INSERT INTO verify_apps (account, app, alias, created)
    VALUES (:account, :app, :alias, :created)
    ON CONFLICT (account, app) DO UPDATE SET alias = excluded.alias, created = excluded.created
    WHERE excluded.alias <> '' AND excluded.created >= verify_apps.created"""


def app_params(account: str, sessions: Iterable[Session]) -> list[dict[str, Value]]:
    """The values of each app among sessions, of its newest one that has an alias."""
    newest: dict[str, Session] = {}
    for session in sorted(sessions, key=lambda session: (bool(session.alias), session.created)):
        if session.app_uuid:
            newest[session.app_uuid] = session
    return [
        {"account": account, "app": app, "alias": session.alias, "created": micros(session.created)}
        for app, session in sorted(newest.items())
    ]


def upsert_apps(connection: Connection, params: Iterable[Mapping[str, Value]]) -> None:
    """Insert apps, and replace the aliases of those that have a newer one."""
    connection.execute_many(_UPSERT, params)


def read_apps(connection: Connection, account: str) -> dict[str, str]:
    """The alias of each app of an account, "" where none is known."""
    rows = connection.fetch_all(
        "SELECT app, alias FROM verify_apps WHERE account = :account", {"account": account}
    )
    return {str(app): str(alias) for app, alias in rows}


def delete_before(connection: Connection, account: str, edge: int) -> None:
    """Delete an account's apps whose newest session was created before an instant."""
    connection.execute(
        "DELETE FROM verify_apps WHERE account = :account AND created < :edge",
        {"account": account, "edge": edge},
    )
