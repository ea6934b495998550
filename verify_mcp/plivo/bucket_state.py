"""The state of a rate limit in the database: its slots, its block and its tickets.

No statement reads all slots, of which a high rate has many. Completed slots come back in the order
of their numbers, so the first number and the last one tell how many there are. Where a number is
missing the count is too high, never too low: slots completed while the database was unavailable get
their numbers later, and come back before others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from verify_mcp.database.base import Connection, Value
from verify_mcp.plivo.rate_limit_store import Priority, TakenSlots, Ticket
from verify_mcp.settings import Rate

LIVE = "bucket = :bucket AND seen_at BETWEEN :oldest AND :newest"
_WAITING = f"{LIVE} AND priority = {int(Priority.INTERACTIVE)}"
_AHEAD = (
    f"{LIVE} AND (priority < :priority OR (priority = :priority AND (arrival < :arrival "
    "OR (arrival = :arrival AND ticket < :ticket))))"
)
COMPLETED = "FROM verify_slots WHERE bucket = :bucket AND number > 0"
_READ_STATE = f"""SELECT
    (SELECT count(*) FROM verify_slots WHERE bucket = :bucket AND number = 0),
    (SELECT min(number) {COMPLETED}), (SELECT max(number) {COMPLETED}),
    (SELECT count(*) FROM verify_slots WHERE bucket = :bucket AND free_at <= :now),
    (SELECT max(open_at) FROM verify_gates WHERE bucket = :bucket AND noted_at <= :newest),
    (SELECT max(noted_at) FROM verify_gates WHERE bucket = :bucket AND noted_at <= :newest),
    (SELECT count(*) FROM verify_tickets WHERE """  # noqa: S608 - fixed names


@dataclass(frozen=True, slots=True)
class BucketState:
    """The slots, the block and the live tickets of a bucket, at an instant.

    `refused_at` is the time of the API's last refusal, -inf when there was none.
    """

    taken: TakenSlots
    blocked_until: float
    refused_at: float
    tickets: int


def read_state(
    connection: Connection,
    values: Mapping[str, Value],
    now: float,
    rate: Rate,
    ticket: Ticket | None = None,
) -> BucketState:
    """The state of a bucket; its `tickets` are the interactive ones, or those ahead of `ticket`.

    `values` has the `bucket`, and the times `oldest` and `newest` between which the last heartbeat
    of a live ticket lies; `now` is seconds of the database's clock.
    """
    values = {**values, "now": now}
    if ticket is not None:
        values["priority"], values["arrival"] = int(ticket.priority), ticket.arrival
        values["ticket"] = ticket.key
    ((in_use, first, last, expired, open_at, refused_at, tickets),) = connection.fetch_all(
        f"{_READ_STATE}{_WAITING if ticket is None else _AHEAD})", values
    )
    completed = 0 if first is None else last - first + 1
    taken = TakenSlots(
        in_use + completed - expired,
        lambda rank: _free_at(connection, values, rank) or now + rate.window,
    )
    return BucketState(
        taken, max(now, open_at or now), -inf if refused_at is None else refused_at, tickets
    )


def _free_at(connection: Connection, values: Mapping[str, Value], rank: int) -> float | None:
    """When a taken slot comes back, by rank; None beyond the last one."""
    rows = connection.fetch_all(
        "SELECT free_at FROM verify_slots WHERE bucket = :bucket AND free_at > :now "
        "ORDER BY free_at LIMIT 1 OFFSET :rank",
        {**values, "rank": rank},
    )
    return float(rows[0][0]) if rows else None
