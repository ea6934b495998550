"""What the mirror fetches sessions from: the account's API, or the part of it a caller may see."""

from typing import Protocol

from verify_mcp.domain.delivery_records import DeliveryRecord, RecordKind
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.plivo.api_clock import ApiClock
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.page_request import PageRequest
from verify_mcp.plivo.rate_limiter import RateLimiter


class SessionSource(Protocol):
    """The endpoints of the API, with the rate limit of each."""

    @property
    def list_limiter(self) -> RateLimiter:
        """The rate limit of list requests."""

    @property
    def get_limiter(self) -> RateLimiter:
        """The rate limit of requests for single sessions."""

    @property
    def record_limiter(self) -> RateLimiter:
        """The rate limit of requests for the records of single messages and calls."""

    @property
    def api_clock(self) -> ApiClock:
        """The API's clock."""

    async def list_sessions(self, request: PageRequest, *, call: CallContext) -> Page:
        """One page of the filtered sessions. Raises QuotaExhausted or ApiError."""

    async def get_session(self, uuid: str, *, call: CallContext) -> Session:
        """One session. Raises QuotaExhausted, SessionNotFound or ApiError."""

    async def get_record(
        self, session: Session, kind: RecordKind, uuid: str, *, call: CallContext
    ) -> DeliveryRecord | None:
        """The record of an attempt of this session, None if the API has none.

        Raises QuotaExhausted or ApiError.
        """
