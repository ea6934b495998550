"""The rows of an export: sessions, attempts or groups, each value with its type."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from verify_mcp.domain.groups import GroupKey, attempts_text
from verify_mcp.domain.sessions import Session
from verify_mcp.domain.tallies import Tally, from_nanos
from verify_mcp.tools.formatting import RecipientFormatter, group_labels

ValueType = Literal["text", "integer", "seconds", "money", "percent", "time"]
Cell = str | int | float | Decimal | datetime | None
Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column's name and the type of its values; every value may be None, for unknown."""

    name: str
    type: ValueType = "text"


SESSION_COLUMNS = (
    ExportColumn("session"),
    ExportColumn("created", "time"),
    ExportColumn("updated", "time"),
    ExportColumn("recipient"),
    ExportColumn("country"),
    ExportColumn("network"),
    ExportColumn("app"),
    ExportColumn("app_name"),
    ExportColumn("brand"),
    ExportColumn("status"),
    ExportColumn("channel"),
    ExportColumn("attempts", "integer"),
    ExportColumn("attempt_statuses"),
    ExportColumn("cost", "money"),
    ExportColumn("validation_cost", "money"),
)
ATTEMPT_COLUMNS = (
    ExportColumn("session"),
    ExportColumn("attempt_uuid"),
    ExportColumn("number", "integer"),
    ExportColumn("channel"),
    ExportColumn("status"),
    ExportColumn("time", "time"),
    ExportColumn("offset_s", "seconds"),
    ExportColumn("charge", "money"),
    ExportColumn("recipient"),
    ExportColumn("country"),
    ExportColumn("network"),
    ExportColumn("app"),
    ExportColumn("app_name"),
    ExportColumn("brand"),
    ExportColumn("session_status"),
    ExportColumn("session_created", "time"),
)
GROUP_FIGURES = (
    ExportColumn("sessions", "integer"),
    ExportColumn("verified", "integer"),
    ExportColumn("expired", "integer"),
    ExportColumn("in_progress", "integer"),
    ExportColumn("conversion_pct", "percent"),
    ExportColumn("attempts", "integer"),
    ExportColumn("cost", "money"),
    ExportColumn("cost_per_verified", "money"),
    ExportColumn("expired_cost", "money"),
    ExportColumn("rescued", "integer"),
    ExportColumn("without_cost", "integer"),
)


def session_rows(session: Session, format_recipient: RecipientFormatter) -> Iterator[Row]:
    """The one row of a session."""
    yield (
        session.uuid,
        session.created,
        session.updated,
        format_recipient(session.recipient),
        session.country,
        session.network or None,
        session.app_uuid or None,
        session.alias or None,
        session.brand_name or None,
        session.status,
        session.channel or None,
        len(session.attempts),
        attempts_text(session),
        session.cost,
        session.validation_cost,
    )


def attempt_rows(session: Session, format_recipient: RecipientFormatter) -> Iterator[Row]:
    """A row for each attempt of a session, in their order."""
    for number, attempt in enumerate(session.attempts, 1):
        offset = attempt.time and (attempt.time - session.created).total_seconds()
        yield (
            session.uuid,
            attempt.uuid or None,
            number,
            attempt.channel or None,
            attempt.status or None,
            attempt.time,
            offset,
            session.charge(attempt),
            format_recipient(session.recipient),
            session.country,
            session.network or None,
            session.app_uuid or None,
            session.alias or None,
            session.brand_name or None,
            session.status,
            session.created,
        )


SessionRows = Callable[[Session, RecipientFormatter], Iterator[Row]]
TABLES: Mapping[str, tuple[tuple[ExportColumn, ...], SessionRows]] = {
    "sessions": (SESSION_COLUMNS, session_rows),
    "attempts": (ATTEMPT_COLUMNS, attempt_rows),
}
"""What can be exported session by session: its columns, and the rows of a session."""


def group_columns(by: Sequence[str]) -> tuple[ExportColumn, ...]:
    """The columns of an export of groups."""
    return (*(ExportColumn(name) for name in by), *GROUP_FIGURES)


def group_row(
    by: Sequence[str], key: GroupKey, tally: Tally, format_recipient: RecipientFormatter
) -> Row:
    """The row of a group. The cost of an attempt status is the charge of those attempts."""
    has_cost = "attempt_status" not in by  # its groups overlap in sessions
    return (
        *group_labels(by, key, format_recipient, {}),
        tally.sessions,
        tally.verified,
        tally.expired,
        tally.in_progress,
        tally.conversion_pct,
        tally.attempts,
        from_nanos(tally.cost),
        tally.cost_per_verified if has_cost else None,
        from_nanos(tally.expired_cost) if has_cost else None,
        tally.rescued if has_cost else None,
        tally.uncosted if has_cost else None,
    )
