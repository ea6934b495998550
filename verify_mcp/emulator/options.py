"""Options of the pretend API: behaviour that its documentation leaves open, and faults."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Endpoint = Literal["list", "get", "message", "call", "other"]
Shape = Literal["lean", "rich"]
Casing = Literal["docs", "sdk"]
Pagination = Literal["offset", "cursor", "hybrid"]


class Fault(StrEnum):
    """One fault of a single reply."""

    # Refusals
    BAD_REQUEST = "bad-request"
    UNAUTHORIZED_JSON = "unauthorized-json"
    UNAUTHORIZED_TEXT = "unauthorized-text"
    UNAUTHORIZED_EMPTY = "unauthorized-empty"
    FORBIDDEN = "forbidden"
    NOT_FOUND_EMPTY = "not-found-empty"
    NOT_FOUND_HTML = "not-found-html"
    TOO_MANY = "too-many"
    TOO_MANY_TEXT = "too-many-text"
    TOO_MANY_RETRY_AFTER = "too-many-retry-after"

    # Outages
    SERVER_ERROR = "server-error"
    SERVER_ERROR_EMPTY = "server-error-empty"
    BAD_GATEWAY = "bad-gateway"
    UNAVAILABLE = "unavailable"
    GATEWAY_TIMEOUT = "gateway-timeout"

    # Status 200 without an answer
    NO_CONTENT = "no-content"
    OK_EMPTY = "ok-empty"
    OK_HTML = "ok-html"
    OK_NULL = "ok-null"
    OK_LIST = "ok-list"
    OK_TEXT = "ok-text"
    OK_NUMBER = "ok-number"
    OK_ERROR = "ok-error"
    OK_ERROR_TEXT = "ok-error-text"

    # Cut or delayed in transit
    TRUNCATED_JSON = "truncated-json"
    TRUNCATED_BODY = "truncated-body"
    SLOW_BODY = "slow-body"
    HANG = "hang"
    RESET = "reset"

    # Redirects
    REDIRECT_OTHER_HOST = "redirect-other-host"
    REDIRECT_HTTP = "redirect-http"
    REDIRECT_LOOP = "redirect-loop"

    # Too much
    GZIP_BOMB = "gzip-bomb"
    HUGE_BODY = "huge-body"
    DEEP_JSON = "deep-json"
    MANY_ROWS = "many-rows"
    BIG_HEADER = "big-header"

    # Odd text
    INVALID_UTF8 = "invalid-utf8"
    BOM = "bom"
    UTF16 = "utf16"
    LONE_SURROGATE = "lone-surrogate"

    # An odd page
    SESSIONS_MISSING = "sessions-missing"
    SESSIONS_NOT_A_LIST = "sessions-not-a-list"
    DUPLICATE_ROWS = "duplicate-rows"
    NEXT_OTHER_HOST = "next-other-host"
    NEXT_LOOP = "next-loop"

    # One odd row
    ROW_WITHOUT_UUID = "row-without-uuid"
    ROW_CHARGE_NAN = "row-charge-nan"
    ROW_CHARGE_INFINITE = "row-charge-infinite"
    ROW_CHARGE_NEGATIVE = "row-charge-negative"
    ROW_GARBAGE_TIME = "row-garbage-time"
    ROW_UNKNOWN_STATUS = "row-unknown-status"
    ROW_UNKNOWN_CHANNEL = "row-unknown-channel"
    ROW_WITHOUT_CHARGES = "row-without-charges"
    ROW_WITHOUT_COUNTRY = "row-without-country"
    ROW_LONG_RECIPIENT = "row-long-recipient"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the API behaves; the defaults follow its documentation as far as it goes."""

    # How sessions are written
    shape: Shape = "lean"
    casing: Casing = "docs"
    empty_list: Literal["null", "empty"] = "null"

    # How queries are read
    unknown_params: Literal["ignore", "refuse"] = "ignore"
    clamp: bool = False
    any_case_status: bool = False
    malformed_app: Literal["refuse", "empty"] = "refuse"
    malformed_uuid: Literal["not-found", "refuse"] = "not-found"
    subaccount_asks_subaccount: Literal["ignore", "refuse"] = "ignore"
    parent_sees: Literal["all", "own"] = "all"
    beyond_reach: Literal["clip", "refuse"] = "clip"
    missing_slash: Literal["refuse", "redirect"] = "refuse"
    max_offset: int | None = None

    # How pages are linked
    pagination: Pagination = "offset"
    next_echo_filters: bool = False
    absolute_next: bool = False

    # Requests per window in seconds; None removes a limit
    list_limit: int | None = 20
    list_window: float = 60.0
    get_limit: int | None = 300
    get_window: float = 5.0
    record_limit: int | None = 300
    record_window: float = 5.0
    limit_counts_refused: bool = False
    retry_after: Literal["seconds", "date"] | None = None

    # Seconds that a reply takes, or a range of them
    latency: float | tuple[float, float] = 0.0

    # Whether replies carry a Date, by the account's clock
    date_header: bool = True

    # Random faults: one of `faults` at `fault_rate`, and each of `fault_chances`
    fault_rate: float = 0.0
    faults: tuple[Fault, ...] = ()
    fault_chances: tuple[tuple[Fault, float], ...] = ()

    # The sizes and times of faults
    fault_retry_after: str = "3"
    drip_seconds: float = 1.0
    hang_seconds: float = 3600.0
    huge_bytes: int = 200_000_000
    huge_rows: int = 100_000
    huge_depth: int = 100_000
    huge_header: int = 10_000_000

    def limit_of(self, endpoint: Endpoint) -> tuple[int | None, float]:
        """The requests that an endpoint allows in so many seconds."""
        match endpoint:
            case "list":
                return self.list_limit, self.list_window
            case "get":
                return self.get_limit, self.get_window
            case _:
                return self.record_limit, self.record_window

    def chances(self) -> tuple[tuple[Fault, float], ...]:
        """The random faults with their probabilities."""
        shared = tuple((fault, self.fault_rate / len(self.faults)) for fault in self.faults)
        return (*shared, *self.fault_chances)
