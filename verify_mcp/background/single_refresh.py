"""The refresh of one stored session by its id, which takes no list request."""

from datetime import datetime

from verify_mcp.background.walks import background_call
from verify_mcp.clock import Clock
from verify_mcp.domain.receipts import CLOCK_TOLERANCE, ReplyTime
from verify_mcp.errors import SessionNotFound
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.mirror.store import Store
from verify_mcp.mirror.unsettled_sessions import read_ids_at


async def refresh_single(
    mirror: Mirror, store: Store, clock: Clock, scope: str, created: datetime
) -> bool:
    """Fetch the only session of an instant, and save it. Raises QuotaExhausted or ApiError.

    Returns whether a list request is needed: the session is final by now, which only a list can
    prove of the whole instant, or it cannot be fetched by its id.
    """
    ids = await read_ids_at(store, scope, created)
    if len(ids) != 1:
        return True
    earliest = mirror.now() - CLOCK_TOLERANCE
    try:
        session = await mirror.gateway.get_session(ids[0], call=background_call(clock))
    except SessionNotFound:
        return True
    receipt = ReplyTime(earliest, mirror.now(), mirror.gateway.api_clock.is_dated)
    await mirror.save([session], scope, None, receipt)
    last_change = session.updated or session.created
    return session.ended and last_change <= receipt.settled_before - mirror.settings.settle
