"""When a reply was made, by the API's clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from verify_mcp.domain.api_limits import REACH

CLOCK_TOLERANCE = timedelta(seconds=3)
"""A smaller difference is taken for none: a `Date` header has whole seconds, and replies travel."""
UNDATED_MARGIN = timedelta(days=1)
"""How wrong this machine's clock may be when the API's replies carry no `Date`."""


@dataclass(frozen=True, slots=True)
class ReplyTime:
    """When a reply was made, by the API's clock: not before `earliest` and not after `latest`.

    `is_dated` says that the API sent a `Date`; otherwise this machine's clock is all there is.
    """

    earliest: datetime
    latest: datetime
    is_dated: bool = True

    @property
    def settled_before(self) -> datetime:
        """The instant that had certainly passed at the API when it read its data."""
        return self.earliest if self.is_dated else self.earliest - UNDATED_MARGIN

    @property
    def reach(self) -> datetime:
        """The oldest instant whose sessions the reply could certainly show."""
        return self.latest - REACH


def joined(replies: Sequence[ReplyTime]) -> ReplyTime | None:
    """When several replies were made together; None where there are none."""
    if not replies:
        return None
    return ReplyTime(
        min(reply.earliest for reply in replies),
        max(reply.latest for reply in replies),
        all(reply.is_dated for reply in replies),
    )
