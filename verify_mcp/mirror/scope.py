"""The rows of an account or of one of its subaccounts: SQL conditions and their values.

Instants are stored as whole microseconds since 1970, days as whole days since 1970.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from verify_mcp.database.base import Value
from verify_mcp.domain.filters import ColumnCondition, SessionFilter
from verify_mcp.domain.times import MICROSECOND
from verify_mcp.domain.windows import Window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
OF_DAY = "account = :account AND scope = :scope AND day = :day"
"""The condition whose values are `AccountScope.day_params`."""


@dataclass(frozen=True, slots=True)
class AccountScope:
    """One account's sessions, or those of one of its subaccounts: the `scope`, else ""."""

    account: str
    scope: str

    def params(self, window: Window) -> dict[str, Value]:
        """The values of `account`, `scope`, `starts` and `ends` in a statement."""
        starts, ends = micros(window.start), micros(window.end)
        return {"account": self.account, "scope": self.scope, "starts": starts, "ends": ends}

    def day_params(self, day: int) -> dict[str, Value]:
        """The values of `account`, `scope` and `day` in a statement."""
        return {"account": self.account, "scope": self.scope, "day": day}

    def where(self, session_filter: SessionFilter, window: Window) -> tuple[str, dict[str, Value]]:
        """The condition on sessions of a window that a filter admits, and its values."""
        condition, values = conditions(session_filter)
        return (
            "account = :account AND scope = :scope AND created >= :starts AND created < :ends"
            + condition,
            {**self.params(window), **values},
        )


def conditions(session_filter: SessionFilter) -> tuple[str, dict[str, Value]]:
    """What a filter says of columns, as the end of a condition, and its values.

    Raises ValueError for a filter that has no column.
    """
    values: dict[str, Value] = {}
    texts = []
    for number, condition in enumerate(session_filter.stored_conditions()):
        names = [f"{condition.column}_{number}_{place}" for place in range(len(condition.values))]
        values |= dict(zip(names, condition.values, strict=True))
        texts.append(_condition_text(condition, names))
    return "".join(f" AND {text}" for text in texts), values


def _condition_text(condition: ColumnCondition, names: list[str]) -> str:
    column = condition.column
    if condition.is_prefix:
        return f"substr({column}, 1, {len(condition.values[0])}) = :{names[0]}"
    if len(names) == 1:
        return f"{column} = :{names[0]}"
    return f"{column} IN ({', '.join(f':{name}' for name in names)})"


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def instant(microseconds: int) -> datetime:
    """The instant so many microseconds after 1970."""
    return EPOCH + microseconds * MICROSECOND
