"""Which sessions a filter admits, decided here: the API does not know every filter."""

from collections.abc import Iterable
from datetime import UTC

from verify_mcp.domain.filters import ColumnCondition, SessionFilter
from verify_mcp.domain.groups import UNKNOWN, group_of
from verify_mcp.domain.sessions import Session


def admit_locally(session_filter: SessionFilter, sessions: Iterable[Session]) -> list[Session]:
    """Those of the sessions that the API listed for a filter which it admits as a whole."""
    conditions = session_filter.local_conditions()
    return [session for session in sessions if fulfils(session, conditions)]


def fulfils(session: Session, conditions: Iterable[ColumnCondition]) -> bool:
    """Whether a session fulfils every condition."""
    return all(condition.admits(column_text(session, condition.column)) for condition in conditions)


def column_text(session: Session, column: str) -> str:
    """A session's text in a column of the mirror that filters apply to."""
    if column == "recipient":
        return session.recipient
    return (session.app_hash or UNKNOWN) if column == "app_hash" else group_of(session, column, UTC)
