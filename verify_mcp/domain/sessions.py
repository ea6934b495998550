"""Verify sessions and pages of them, as values.

Facts about the fields come from the payloads in Plivo's Verify reference and official SDKs:
statuses differ in case between the two endpoints, money is a decimal string of unstable scale,
fractions of a second have 4 to 6 digits, lists may be null, and `updated_at` is the last attempt's
time (year 1 when there was none), not the time of verification.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import AliasPath, BaseModel, Field

from verify_mcp.domain import phones
from verify_mcp.domain.field_types import (
    MODEL_CONFIG,
    NULL_IS_EMPTY,
    AttemptStatus,
    Channel,
    Country,
    Moment,
    Money,
    OptionalMoment,
    Recipient,
    SessionStatus,
    Text,
    Uuid,
)
from verify_mcp.domain.receipts import ReplyTime

REQUIRED_FIELDS = {"session_uuid", "status", "created_at"}
"""The payload's fields without which a row is no session."""


class Attempt(BaseModel):
    """One try to deliver the code."""

    model_config = MODEL_CONFIG
    uuid: Text = Field("", validation_alias="attempt_uuid")
    channel: Channel = ""
    status: AttemptStatus = ""
    time: OptionalMoment = None
    brand_name: Text = ""
    app_hash: Text = ""


class AttemptCharge(BaseModel):
    """What one attempt cost, as the API lists it beside the attempts."""

    model_config = MODEL_CONFIG
    attempt_uuid: Text = ""
    charge: Money = None


class Session(BaseModel):
    """One OTP session. Times are aware UTC, money is exact, texts are cleaned.

    `recipient` is E.164 digits without `+`, empty where it cannot be read; `updated` is the last
    attempt's time; `cost` is the API's total, None when the payload has none.
    """

    model_config = MODEL_CONFIG
    uuid: Uuid = Field(validation_alias="session_uuid")
    app_uuid: Text = ""
    alias: Text = ""
    recipient: Recipient = Field("", repr=False)
    channel: Channel = ""
    status: SessionStatus
    count: int | None = None
    attempts: Annotated[tuple[Attempt, ...], NULL_IS_EMPTY] = Field(
        (), validation_alias="attempt_details"
    )
    cost: Money = Field(None, validation_alias=AliasPath("charges", "total_charge"))
    validation_cost: Money = Field(None, validation_alias=AliasPath("charges", "validation_charge"))
    attempt_charges: Annotated[tuple[AttemptCharge, ...], NULL_IS_EMPTY] = Field(
        (), validation_alias=AliasPath("charges", "attempt_charges"), repr=False
    )
    network: Text = Field("", validation_alias="destination_network")
    api_country: Country = Field(None, validation_alias="destination_country_iso2")
    created: Moment = Field(validation_alias="created_at")
    updated: OptionalMoment = Field(None, validation_alias="updated_at")
    own_brand: Text = Field("", validation_alias="brand_name")
    own_app_hash: Text = Field("", validation_alias="app_hash")
    partly_unread: bool = False
    """Whether an optional field could not be read and is unknown."""

    @property
    def country(self) -> str | None:
        """ISO 3166 code: the API's, else the number's, None when neither has one."""
        return self.api_country or phones.country_of(self.recipient)

    def charge(self, attempt: Attempt) -> Decimal | None:
        """What one of this session's attempts cost, None when the payload does not list it."""
        listed = (row.charge for row in self.attempt_charges if row.attempt_uuid == attempt.uuid)
        return next(listed, None) if attempt.uuid else None

    @property
    def retry_gap(self) -> timedelta | None:
        """The time between the first and the second attempt, None without two known times."""
        times = sorted(attempt.time for attempt in self.attempts if attempt.time)
        is_known = len(times) == len(self.attempts) > 1
        return times[1] - times[0] if is_known else None

    @property
    def ended(self) -> bool:
        """Whether the session is over: it was verified, or its code expired."""
        return self.status in ("verified", "expired")

    @property
    def brand_name(self) -> str:
        """The session's brand, else that of its attempts: the API gives it in either place."""
        brands = (attempt.brand_name for attempt in self.attempts if attempt.brand_name)
        return self.own_brand or next(brands, "")

    @property
    def app_hash(self) -> str:
        """The session's app hash, else that of its attempts."""
        hashes = (attempt.app_hash for attempt in self.attempts if attempt.app_hash)
        return self.own_app_hash or next(hashes, "")

    def inconsistencies(self) -> tuple[str, ...]:
        """What does not add up in the API's own figures, in fixed words."""
        found: list[str] = []
        if self.partly_unread:
            found.append("a field of the API's answer could not be read and is unknown")
        if self.count is not None and self.count != len(self.attempts):
            found.append("the API's attempt count differs from the attempts it lists")
        parts = [self.validation_cost, *(row.charge for row in self.attempt_charges)]
        listed = [part for part in parts if part is not None]
        if self.cost is not None and len(listed) > 1 and sum(listed) != self.cost:
            found.append("the charges listed do not add up to the API's total, which is shown")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of sessions, newest first; `skipped` rows could not be read.

    `receipt` is the time at which the API made it; a page from the mirror has none, because its
    sessions do not change any more. `times` are the creation times of the sessions received, in
    the API's order, None where an unreadable row has none.
    """

    sessions: tuple[Session, ...]
    skipped: int = 0
    received: int = 0
    more: bool | None = None
    """Whether the API says that more follow; None when it does not say."""
    cursor: str | None = None
    """An opaque continuation, when the API returns one instead of an offset."""
    receipt: ReplyTime | None = None
    times: tuple[datetime | None, ...] = ()
    total: int | None = None
    """How many sessions the filter admits, where the mirror knows it."""

    @property
    def repeats(self) -> bool:
        """Whether rows came twice, so that `received` is not the number of sessions."""
        return self.received > len(self.sessions) + self.skipped

    @property
    def newest(self) -> datetime | None:
        """The latest creation time on the page, unreadable rows included; None when unknown."""
        return max((time for time in self.times if time), default=None)
