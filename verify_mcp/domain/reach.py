"""How far back the API shows sessions."""

from datetime import datetime, timedelta

from verify_mcp.domain.api_limits import REACH
from verify_mcp.domain.times import SECOND

REACH_TOLERANCE = timedelta(minutes=1)
"""How much of a window's start may slide out of reach while a call goes on; `applied` tells it."""


def reach_edge(now: datetime) -> datetime:
    """The first whole second that the list endpoint still shows after `now`, the API's time."""
    return (now - REACH).replace(microsecond=0) + SECOND
