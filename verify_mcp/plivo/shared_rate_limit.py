"""The quota's ledger in the database: one queue and one set of slots for every process.

Slots and tickets of processes that died lapse: a slot after the longest time a request can take,
a ticket when nobody refreshed it. SQLite's clock starts anew when the machine does; what was noted
before then lies in the future, and counts as if it had happened now.
"""

from collections.abc import Mapping
from dataclasses import replace
from uuid import uuid4

from verify_mcp.database.base import Connection, Value
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.plivo.rate_limiter import (
    SLOT_LEASE_SECONDS,
    RateLimitStatus,
    RateLimitStore,
    Slot,
    Ticket,
    rate_limit_status,
    reserved_slots,
    seconds_until_slot,
)
from verify_mcp.plivo.retry import MAX_RETRY_AFTER
from verify_mcp.settings import Rate

TICKET_TTL = 5.0
"""Seconds after which a ticket that nobody refreshed is a dead process's."""
CLOCK_TOLERANCE = 1.0
"""Seconds that a clock may be set back without counting as started anew."""


class DatabaseRateLimitStore(RateLimitStore):
    """One endpoint's quota of one account, shared by all who share the database.

    Slots lapse `hold` and a window after their grant, tickets `lapse` after their last refresh.
    Methods raise DatabaseUnavailable.
    """

    def __init__(
        self,
        access: ResilientDatabase,
        bucket: str,
        rate: Rate,
        *,
        hold: float = SLOT_LEASE_SECONDS,
        lapse: float = TICKET_TTL,
    ) -> None:
        self.rate = rate
        self._access = access
        self._bucket = bucket
        self._lease_seconds = hold
        self._ticket_ttl = lapse
        self._owner = uuid4().hex

    async def enqueue(self, priority: int) -> Ticket:
        came = self._access.clock()
        return await self._access.write(
            lambda connection: self._enqueue(connection, priority, came)
        )

    async def try_acquire(self, ticket: Ticket) -> Slot | float:
        return await self._access.write(lambda connection: self._try_acquire(connection, ticket))

    async def dequeue(self, ticket: Ticket) -> None:
        await self._access.write(lambda connection: self._drop_ticket(connection, ticket))

    async def release(self, slot: Slot) -> None:
        await self._access.write(lambda connection: self._release(connection, slot))

    async def block(self, seconds: float) -> None:
        await self._access.write(lambda connection: self._block(connection, seconds))

    async def import_recent(self, ages: Mapping[str, float]) -> None:
        await self._access.write(lambda connection: self._import_recent(connection, ages))

    async def status(self) -> RateLimitStatus:
        return await self._access.read_batched(self._status)

    def _enqueue(self, connection: Connection, priority: int, came: float) -> Ticket:
        now = self._now(connection)
        # Who waited for the database itself came as early as he came.
        ticket = Ticket(priority, now - (self._access.clock() - came), uuid4().hex)
        self._heartbeat(connection, ticket, now)
        return ticket

    def _try_acquire(self, connection: Connection, ticket: Ticket) -> Slot | float:
        now = self._now(connection)
        self._delete_expired(connection, now)
        ahead = self._tickets_ahead(connection, ticket)
        free_at, gate = self._slots(connection, now)
        behind = ahead + reserved_slots(ticket.priority, self.rate)
        seconds = seconds_until_slot(free_at, behind, gate, self.rate, now)
        if seconds > 0 or ahead:
            self._heartbeat(connection, ticket, now)
            return seconds
        slot = Slot(uuid4().hex)
        self._drop_ticket(connection, ticket)
        self._upsert_slot(connection, slot.key, now, now + self._lease_seconds + self.rate.window)
        return slot

    def _release(self, connection: Connection, slot: Slot) -> None:
        now = self._now(connection)
        if slot.sent:
            self._upsert_slot(connection, slot.key, now, now + self.rate.window)
        else:
            self._run(
                connection,
                "DELETE FROM verify_slots WHERE bucket = :bucket AND slot = :slot",
                slot=slot.key,
            )

    def _import_recent(self, connection: Connection, ages: Mapping[str, float]) -> None:
        now = self._now(connection)
        for key, age in ages.items():
            self._upsert_slot(connection, key, now, now - age + self.rate.window)

    def _block(self, connection: Connection, seconds: float) -> None:
        now = self._now(connection)
        _, gate = self._slots(connection, now)
        self._run(
            connection,
            "INSERT INTO verify_gates (bucket, noted_at, open_at) "
            "VALUES (:bucket, :now, :open_at) "
            "ON CONFLICT (bucket) DO UPDATE SET noted_at = excluded.noted_at, "
            "open_at = excluded.open_at",
            now=now,
            open_at=max(gate, now + min(seconds, MAX_RETRY_AFTER)),
        )

    def _status(self, connection: Connection) -> RateLimitStatus:
        now = connection.read_clock()
        free_at, gate = self._slots(connection, now)
        waiting = connection.fetch_all(
            "SELECT owner FROM verify_tickets WHERE bucket = :bucket "
            "AND seen_at BETWEEN :lapsed AND :soon",
            {
                "bucket": self._bucket,
                "lapsed": now - self._ticket_ttl,
                "soon": now + CLOCK_TOLERANCE,
            },
        )
        busy = connection.fetch_all(
            "SELECT DISTINCT owner FROM verify_slots WHERE bucket = :bucket AND free_at > :now",
            {"bucket": self._bucket, "now": now},
        )
        owners = {self._owner, *(str(row[0]) for row in (*waiting, *busy))}
        stands = rate_limit_status(free_at, len(waiting), gate, self.rate, now)
        return replace(stands, processes=len(owners))

    def _now(self, connection: Connection) -> float:
        """The ledger's time, once this transaction is alone with the bucket."""
        connection.lock(f"verify_quota {self._bucket}")
        return connection.read_clock()

    def _heartbeat(self, connection: Connection, ticket: Ticket, now: float) -> None:
        """Keep a ticket alive, or put it back if it lapsed while this process was held up."""
        self._run(
            connection,
            "INSERT INTO verify_tickets (bucket, ticket, owner, priority, arrival, seen_at) "
            "VALUES (:bucket, :ticket, :owner, :priority, :arrival, :now) "
            "ON CONFLICT (bucket, ticket) DO UPDATE SET seen_at = excluded.seen_at",
            ticket=ticket.key,
            owner=self._owner,
            priority=ticket.priority,
            arrival=ticket.arrival,
            now=now,
        )

    def _drop_ticket(self, connection: Connection, ticket: Ticket) -> None:
        self._run(
            connection,
            "DELETE FROM verify_tickets WHERE bucket = :bucket AND ticket = :ticket",
            ticket=ticket.key,
        )

    def _upsert_slot(self, connection: Connection, slot: str, now: float, free_at: float) -> None:
        self._run(
            connection,
            "INSERT INTO verify_slots (bucket, slot, owner, noted_at, free_at) "
            "VALUES (:bucket, :slot, :owner, :now, :free_at) "
            "ON CONFLICT (bucket, slot) DO UPDATE SET noted_at = excluded.noted_at, "
            "free_at = excluded.free_at",
            slot=slot,
            owner=self._owner,
            now=now,
            free_at=free_at,
        )

    def _delete_expired(self, connection: Connection, now: float) -> None:
        """Drop what the dead left behind, and bound what a clock started anew left ahead of it."""
        self._run(
            connection,
            "DELETE FROM verify_tickets WHERE bucket = :bucket "
            "AND (seen_at < :lapsed OR seen_at > :soon)",
            lapsed=now - self._ticket_ttl,
            soon=now + CLOCK_TOLERANCE,
        )
        self._run(
            connection,
            "UPDATE verify_slots SET noted_at = :now, free_at = :later "
            "WHERE bucket = :bucket AND (noted_at > :soon OR free_at > :latest)",
            now=now,
            later=now + self.rate.window,
            soon=now + CLOCK_TOLERANCE,
            latest=now + self._lease_seconds + self.rate.window + CLOCK_TOLERANCE,
        )
        self._run(
            connection,
            "DELETE FROM verify_slots WHERE bucket = :bucket AND free_at <= :now",
            now=now,
        )

    def _tickets_ahead(self, connection: Connection, ticket: Ticket) -> int:
        return int(
            connection.fetch_all(
                "SELECT count(*) FROM verify_tickets WHERE bucket = :bucket "
                "AND (priority < :priority OR (priority = :priority AND (arrival < :arrival "
                "OR (arrival = :arrival AND ticket < :ticket))))",
                {
                    "bucket": self._bucket,
                    "priority": ticket.priority,
                    "arrival": ticket.arrival,
                    "ticket": ticket.key,
                },
            )[0][0]
        )

    def _slots(self, connection: Connection, now: float) -> tuple[list[float], float]:
        """When each taken slot comes back, and when the gate opens."""
        slots = connection.fetch_all(
            "SELECT free_at FROM verify_slots WHERE bucket = :bucket AND free_at > :now",
            {"bucket": self._bucket, "now": now},
        )
        gate = connection.fetch_all(
            "SELECT open_at FROM verify_gates WHERE bucket = :bucket AND noted_at <= :soon",
            {"bucket": self._bucket, "soon": now + CLOCK_TOLERANCE},
        )
        return [float(row[0]) for row in slots], max([now, *(float(row[0]) for row in gate)])

    def _run(self, connection: Connection, sql: str, **values: Value) -> None:
        connection.execute(sql, {"bucket": self._bucket, **values})
