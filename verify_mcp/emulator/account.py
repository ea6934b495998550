"""The sessions of the pretend account, in the order of its list."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Outcome = Literal["verified", "expired"]
Status = Literal["in-progress", "verified", "expired"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 as an integer, the unit in which the API compares times."""
    return (moment - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One message or call that carried the code."""

    uuid: str
    channel: str
    status: str
    time: datetime
    charge: Decimal = Decimal(0)
    error_code: str = ""
    """The code of its own record when it did not arrive; chosen by its UUID unless given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One session from its start to its outcome; the clock decides how much of it is visible."""

    uuid: str
    recipient: str
    created_at: datetime
    resolved_at: datetime
    outcome: Outcome = "expired"
    attempts: tuple[AttemptRecord, ...] = ()
    validation_charge: Decimal = Decimal(0)
    channel: str = "sms"
    app_uuid: str = "59728519-d145-45d6-8d46-60c06f7e8bbb"
    alias: str = ""
    country: str | None = None
    network: str | None = None
    subaccount: str | None = None
    brand_name: str = ""
    app_hash: str = ""
    code_length: int = 6
    dtmf: int = 1
    locale: str = "en"
    requestor_ip: str = "192.0.2.10"

    def status_at(self, now: datetime) -> Status:
        """The session's status at `now`: its outcome from `resolved_at` on."""
        return "in-progress" if now < self.resolved_at else self.outcome

    def attempts_at(self, now: datetime) -> tuple[AttemptRecord, ...]:
        """The attempts made until `now`."""
        return tuple(attempt for attempt in self.attempts if attempt.time <= now)

    def shifted(self, to: datetime) -> SessionRecord:
        """The same session, created at `to`."""
        shift = to - self.created_at
        attempts = tuple(replace(item, time=item.time + shift) for item in self.attempts)
        return replace(self, created_at=to, resolved_at=self.resolved_at + shift, attempts=attempts)


def _newest_first(record: SessionRecord) -> tuple[int, str]:
    return -microseconds(record.created_at), record.uuid


class AccountData:
    """The records of an account, newest first.

    `verbatim` has replies that are sent byte for byte: by session UUID, and the list by "".
    """

    def __init__(
        self, records: Iterable[SessionRecord], *, verbatim: Mapping[str, bytes] | None = None
    ) -> None:
        self.records = tuple(sorted(records, key=_newest_first))
        self.verbatim = dict(verbatim or {})
        self._sort_keys = [-microseconds(record.created_at) for record in self.records]
        self._by_uuid = {record.uuid: record for record in self.records}
        self._by_attempt: dict[str, tuple[SessionRecord, AttemptRecord]] | None = None

    def find(self, uuid: str) -> SessionRecord | None:
        """The record with this UUID, in upper or lower case; None if there is none."""
        return self._by_uuid.get(uuid.lower())

    def find_attempt(self, uuid: str) -> tuple[SessionRecord, AttemptRecord] | None:
        """The attempt with this UUID and its session; None if there is none."""
        if self._by_attempt is None:
            self._by_attempt = {
                attempt.uuid: (record, attempt)
                for record in self.records
                for attempt in record.attempts
            }
        return self._by_attempt.get(uuid.lower())

    def between(self, low: int, high: int) -> tuple[SessionRecord, ...]:
        """The records created from `low` to `high` microseconds, both included, newest first."""
        return self.records[
            bisect_left(self._sort_keys, -high) : bisect_right(self._sort_keys, -low)
        ]

    def with_records(self, *records: SessionRecord) -> AccountData:
        """The same account with more records; assign it to `Emulator.data` to add them."""
        return AccountData((*self.records, *records), verbatim=self.verbatim)
