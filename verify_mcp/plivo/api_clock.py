"""The API's clock, estimated from its replies.

The API decides by its own clock what is in the last 24 hours, what lies within its reach and when
a session ended. This machine's clock may be wrong, so every decision about a window uses this
estimate instead.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from verify_mcp.domain.receipts import CLOCK_TOLERANCE, ReplyTime
from verify_mcp.domain.times import SECOND

CLOCK_JUMP = timedelta(seconds=5)
"""This machine's clock was set when it moved by this much more or less than time passed."""


class ApiClock:
    """The API's clock; `now` is this machine's clock, `monotonic` its uptime in seconds."""

    def __init__(self, *, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self.is_compared = False
        """Whether a reply was compared with this machine's clock."""
        self.is_checked = False
        """Whether a reply came, or was asked for in vain, that would show a wrong clock."""
        self.is_dated = False
        """Whether the last reply told the API's time."""
        self._offset = timedelta()
        self._read_at = (now(), monotonic())

    def now(self) -> datetime:
        """The API's time, aware UTC; this machine's until a reply is compared with it."""
        return self._now() + self.offset

    @property
    def offset(self) -> timedelta:
        """How far the API's clock is ahead of this machine's; zero when about equal or unknown."""
        wall, ticks = self._read_at
        passed = timedelta(seconds=self._monotonic() - ticks)
        if abs(self._now() - wall - passed) > CLOCK_JUMP:
            return timedelta()
        return self._offset if abs(self._offset) > CLOCK_TOLERANCE else timedelta()

    def record_reply(self, date: datetime | None, *, elapsed: timedelta) -> ReplyTime:
        """The times of a reply that arrived now, `elapsed` after its request was sent."""
        self.is_checked = True
        self.is_dated = date is not None
        if date is None:
            now = self.now()
            return ReplyTime(now - elapsed, now, is_dated=False)
        # The reply was made within the second of `date`, and arrived at most `elapsed` later.
        local = self._now()
        self._set_offset(min(max(local, date), date + SECOND + elapsed))
        return ReplyTime(date - elapsed, date + SECOND)

    def record_newest(self, receipt: ReplyTime, newest: datetime | None) -> ReplyTime:
        """The same receipt, corrected by the newest session of its reply, which existed by then."""
        if newest is None or newest <= receipt.latest:
            return receipt
        if not receipt.is_dated:
            self._set_offset(newest)
        return ReplyTime(receipt.earliest, newest, receipt.is_dated)

    def _set_offset(self, api_now: datetime) -> None:
        local = self._now()
        self.is_compared = True
        self._offset, self._read_at = api_now - local, (local, self._monotonic())
