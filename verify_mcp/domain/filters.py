"""Which sessions a call is about, by the list endpoint's filters."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from verify_mcp.domain.times import MICROSECOND, format_api_time
from verify_mcp.domain.windows import Window
from verify_mcp.errors import InvalidArgument

TIME_FILTERS = frozenset(
    {
        "session_time",
        "session_time__gt",
        "session_time__gte",
        "session_time__lt",
        "session_time__lte",
    }
)
"""The filters that bound the time of creation."""
STORED_COLUMNS = {
    "app_uuid": "app",
    "status": "status",
    "recipient": "recipient",
    "brand_name": "brand",
    "app_hash": "app_hash",
    "country": "country",
    "channel": "channel",
    "recipients": "recipient",
    "recipient_prefix": "recipient",
}
"""The filters that the mirror applies, each with its column.

A filter that is missing here is never answered from the mirror.
"""
LOCAL_FILTERS = frozenset({"country", "channel", "recipients", "recipient_prefix"})
"""The filters that the API does not document: they are applied here, and never sent."""
TEXT_FILTERS = {"brand_name": "brand", "app_hash": "app_hash"}
"""The filters of texts that payloads need not carry, each with its column."""
SCOPE_FILTER = "subaccount"
"""The filter that chooses the sessions of one subaccount, which the mirror keeps apart."""
IN_PROGRESS = "in-progress"
"""The only status that a session leaves."""
_CLOCK_SKEW = timedelta(minutes=5)


def _next_instant(instant: datetime | None) -> datetime | None:
    """The next instant that the API distinguishes."""
    return instant + MICROSECOND if instant else None


@dataclass(frozen=True, slots=True)
class ColumnCondition:
    """A column that equals one of some values, or begins with the only one."""

    column: str
    values: tuple[str, ...]
    is_prefix: bool = False

    def admits(self, text: str) -> bool:
        """Whether a column's text fulfils the condition."""
        return text.startswith(self.values) if self.is_prefix else text in self.values


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Sessions by the list endpoint's documented filters, and by `LOCAL_FILTERS`.

    None, or an empty tuple, means that a filter is not set. Times are aware UTC and compare with
    the session's `created_at`; recipients are digits only, countries ISO 3166 codes.
    """

    app_uuid: str | None = None
    status: str | None = None
    recipient: str | None = None
    subaccount: str | None = None
    session_time: datetime | None = None
    session_time__gt: datetime | None = None
    session_time__gte: datetime | None = None
    session_time__lt: datetime | None = None
    session_time__lte: datetime | None = None
    brand_name: str | None = None
    app_hash: str | None = None
    country: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    recipient_prefix: str | None = None

    def set_filters(self) -> dict[str, str | datetime | tuple[str, ...]]:
        """The values of the filters that are set, by name, in documented order."""
        names = self.__dataclass_fields__  # `fields` makes a list of them at every call
        return {name: value for name in names if (value := getattr(self, name)) not in (None, ())}

    def local_filters(self) -> tuple[str, ...]:
        """The names of the filters set that the API does not know."""
        return tuple(name for name in self.set_filters() if name in LOCAL_FILTERS)

    def for_api(self) -> "SessionFilter":
        """The same without the filters that the API does not know: it admits more sessions."""
        return replace(self, country=(), channel=(), recipients=(), recipient_prefix=None)

    def for_fetching(self) -> "SessionFilter":
        """The filter to fetch all pages by, before `local_conditions` choose among the sessions.

        Sessions leave a list of those in progress while it is paged through.
        """
        status = None if self.status == IN_PROGRESS else self.status
        return replace(self.for_api(), status=status)

    def for_each_recipient(self) -> "tuple[SessionFilter, ...]":
        """The filter of each of several recipients, none where they are not named one by one."""
        return tuple(replace(self, recipients=(), recipient=each) for each in self.recipients)

    def is_decided_locally(self) -> bool:
        """Whether pages of the API have sessions that the filter does not admit."""
        return self != self.for_fetching()

    def api_params(self) -> dict[str, str | datetime]:
        """The values to send to the API, by name.

        Raises ValueError when a filter is set that the API does not know.
        """
        if self.local_filters():
            raise ValueError(f"the API cannot filter by {', '.join(self.local_filters())}")
        params = self.set_filters().items()
        return {name: value for name, value in params if not isinstance(value, tuple)}

    def has_time(self) -> bool:
        """Whether any of the five forms of time is set."""
        return not TIME_FILTERS.isdisjoint(self.set_filters())

    def start(self) -> datetime | None:
        """The earliest instant that the filter admits, None when it is open."""
        bounds = (self.session_time, self.session_time__gt, self.session_time__gte)
        return max((bound for bound in bounds if bound), default=None)

    def end(self) -> datetime | None:
        """The latest instant that the filter admits, None when it is open."""
        bounds = (self.session_time, self.session_time__lt, self.session_time__lte)
        return min((bound for bound in bounds if bound), default=None)

    def window(self) -> Window | None:
        """The instants that the filter admits, None when it is open at an end or admits none."""
        starts = [self.session_time__gte, _next_instant(self.session_time__gt), self.session_time]
        ends = [
            self.session_time__lt,
            _next_instant(self.session_time__lte),
            _next_instant(self.session_time),
        ]
        start = max((bound for bound in starts if bound), default=None)
        end = min((bound for bound in ends if bound), default=None)
        return Window(start, end) if start and end and start <= end else None

    def admits_time(self, created: datetime) -> bool:
        """Whether the filter's times admit a session created then."""
        at, after, since = self.session_time, self.session_time__gt, self.session_time__gte
        before, until = self.session_time__lt, self.session_time__lte
        return (
            (at is None or at == created)
            and (after is None or after < created)
            and (since is None or since <= created)
            and (before is None or created < before)
            and (until is None or created <= until)
        )

    def restricted_to(self, window: Window) -> "SessionFilter":
        """The same filter for the sessions of one window."""
        return replace(
            self,
            session_time=None,
            session_time__gt=None,
            session_time__gte=window.start,
            session_time__lt=window.end,
            session_time__lte=None,
        )

    def without_times(self) -> "SessionFilter":
        """The same without a bound of the time of creation."""
        unset: dict[str, Any] = dict.fromkeys(TIME_FILTERS)
        return replace(self, **unset)

    def is_unfiltered(self) -> bool:
        """Whether at most times and a subaccount are set: it admits every session of its window."""
        return self.set_filters().keys() <= TIME_FILTERS | {SCOPE_FILTER}

    def answerable_from_mirror(self) -> bool:
        """Whether the mirror has a column for every filter that is set."""
        return self.set_filters().keys() <= STORED_COLUMNS.keys() | TIME_FILTERS | {SCOPE_FILTER}

    def local_conditions(self) -> tuple[ColumnCondition, ...]:
        """The conditions that sessions fetched with `for_fetching` still have to fulfil."""
        local = {name: getattr(self, name) for name in self.local_filters()}
        status = self.status if self.status == IN_PROGRESS else None
        return SessionFilter(status=status, **local).stored_conditions()

    def stored_conditions(self) -> tuple[ColumnCondition, ...]:
        """The conditions on the mirror's columns; without times and scope.

        Raises ValueError for a filter that the mirror cannot apply.
        """
        if not self.answerable_from_mirror():
            raise ValueError("the mirror has no column for a filter that is set")
        return tuple(
            ColumnCondition(
                STORED_COLUMNS[name],
                value if isinstance(value, tuple) else (str(value),),
                is_prefix=name == "recipient_prefix",
            )
            for name, value in self.set_filters().items()
            if name in STORED_COLUMNS
        )

    def validate(self, *, now: datetime) -> None:
        """Raise InvalidArgument for a window that can hold nothing, whatever the data."""
        lower, upper = self.start(), self.end()
        if lower and lower > now + _CLOCK_SKEW:
            raise InvalidArgument(
                f"session_time: the window starts at {format_api_time(lower)} UTC, in the future "
                f"(now {format_api_time(now.replace(microsecond=0))} UTC). Times are UTC; try 24h."
            )
        if lower and upper and (lower > upper or (lower == upper and self._excludes_a_bound())):
            raise InvalidArgument(
                f"session_time: the window starts at {format_api_time(lower)} but ends at "
                f"{format_api_time(upper)} UTC. Give a start before the end, e.g. "
                "session_time__gte=7d and session_time__lt=24h."
            )

    def _excludes_a_bound(self) -> bool:
        lower, upper = self.start(), self.end()
        return lower == self.session_time__gt or upper == self.session_time__lt
