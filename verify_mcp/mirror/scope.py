"""The rows of an account or of one of its subaccounts: SQL conditions and their values.

Instants are stored as whole microseconds since 1970, days as whole days since 1970.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from verify_mcp.database.base import Value
from verify_mcp.domain.filters import SessionFilter
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
        stored = session_filter.stored_values()
        condition = (
            "account = :account AND scope = :scope AND created >= :starts AND created < :ends"
        )
        return condition + _equals(stored), {**self.params(window), **stored}

    def where_day(self, session_filter: SessionFilter, day: int) -> tuple[str, dict[str, Value]]:
        """The condition on the totals of a day that a filter admits, and its values."""
        stored = session_filter.stored_values()
        return OF_DAY + _equals(stored), {**self.day_params(day), **stored}


def _equals(columns: Iterable[str]) -> str:
    return "".join(f" AND {column} = :{column}" for column in columns)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def instant(microseconds: int) -> datetime:
    """The instant so many microseconds after 1970."""
    return EPOCH + microseconds * MICROSECOND
