"""The rate limit's slots and tickets in the database: one queue and one set for every process.

Slots and tickets of processes that died expire: a slot after the longest time that a request can
take, a ticket when no heartbeat refreshed it. SQLite's clock restarts when the machine does; rows
from before a restart lie in the future, and count as if they had been written now.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from uuid import uuid4

from verify_mcp.database.base import Connection, Value
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.plivo.rate_limit_store import (
    SLOT_LEASE_SECONDS,
    Priority,
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
"""Seconds after the last heartbeat at which a ticket counts as a dead process's."""
CLOCK_TOLERANCE = 1.0
"""Seconds that a clock may be set back without counting as restarted."""


class DatabaseRateLimitStore(RateLimitStore):
    """The slots and tickets of one endpoint of one account (`bucket`), shared through a database.

    A slot that nobody released expires `lease` seconds and a window after its grant, a ticket
    `ticket_ttl` seconds after its last heartbeat. Methods raise DatabaseUnavailable.
    """

    def __init__(
        self,
        database: ResilientDatabase,
        bucket: str,
        rate: Rate,
        *,
        lease: float = SLOT_LEASE_SECONDS,
        ticket_ttl: float = TICKET_TTL,
    ) -> None:
        self.rate = rate
        self._database = database
        self._bucket = bucket
        self._lease = lease
        self._ticket_ttl = ticket_ttl
        self._owner = uuid4().hex

    async def enqueue(self, priority: Priority) -> Ticket:
        queued_at = self._database.clock()
        return await self._database.write(
            lambda connection: self._enqueue(connection, priority, queued_at)
        )

    async def try_acquire(self, ticket: Ticket) -> Slot | float:
        return await self._database.write(lambda connection: self._try_acquire(connection, ticket))

    async def dequeue(self, ticket: Ticket) -> None:
        await self._database.write(lambda connection: self._drop_ticket(connection, ticket))

    async def release(self, slot: Slot) -> None:
        await self._database.write(lambda connection: self._release(connection, slot))

    async def block(self, seconds: float) -> None:
        await self._database.write(lambda connection: self._block(connection, seconds))

    async def import_recent(self, ages: Mapping[str, float]) -> None:
        await self._database.write(lambda connection: self._import_recent(connection, ages))

    async def status(self) -> RateLimitStatus:
        return await self._database.read_batched(self._status)

    def _enqueue(self, connection: Connection, priority: Priority, queued_at: float) -> Ticket:
        now = self._now(connection)
        # The wait for the database itself does not make the arrival later.
        ticket = Ticket(priority, now - (self._database.clock() - queued_at), uuid4().hex)
        self._heartbeat(connection, ticket, now)
        return ticket

    def _try_acquire(self, connection: Connection, ticket: Ticket) -> Slot | float:
        now = self._now(connection)
        self._delete_expired(connection, now)
        ahead = self._tickets_ahead(connection, ticket)
        free_at, blocked_until = self._slots(connection, now)
        behind = ahead + reserved_slots(ticket.priority, self.rate)
        seconds = seconds_until_slot(free_at, behind, blocked_until, self.rate, now)
        if seconds > 0 or ahead:
            self._heartbeat(connection, ticket, now)
            return seconds
        slot = Slot(uuid4().hex)
        self._drop_ticket(connection, ticket)
        self._upsert_slot(connection, slot.key, now, now + self._lease + self.rate.window)
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
        _, blocked_until = self._slots(connection, now)
        self._run(
            connection,
            "INSERT INTO verify_gates (bucket, noted_at, open_at) "
            "VALUES (:bucket, :now, :open_at) "
            "ON CONFLICT (bucket) DO UPDATE SET noted_at = excluded.noted_at, "
            "open_at = excluded.open_at",
            now=now,
            open_at=max(blocked_until, now + min(seconds, MAX_RETRY_AFTER)),
        )

    def _status(self, connection: Connection) -> RateLimitStatus:
        now = connection.read_clock()
        free_at, blocked_until = self._slots(connection, now)
        tickets = connection.fetch_all(
            "SELECT owner, priority FROM verify_tickets WHERE bucket = :bucket "
            "AND seen_at BETWEEN :oldest AND :newest",
            {
                "bucket": self._bucket,
                "oldest": now - self._ticket_ttl,
                "newest": now + CLOCK_TOLERANCE,
            },
        )
        busy = connection.fetch_all(
            "SELECT DISTINCT owner FROM verify_slots WHERE bucket = :bucket AND free_at > :now",
            {"bucket": self._bucket, "now": now},
        )
        owners = {self._owner, *(str(row[0]) for row in (*tickets, *busy))}
        waiting = sum(int(row[1]) == Priority.INTERACTIVE for row in tickets)
        status = rate_limit_status(free_at, waiting, blocked_until, self.rate, now)
        refused_ago = self._seconds_since_refusal(connection, now)
        return replace(status, processes=len(owners), refused_ago=refused_ago)

    def _seconds_since_refusal(self, connection: Connection, now: float) -> float:
        noted = connection.fetch_all(
            "SELECT noted_at FROM verify_gates WHERE bucket = :bucket AND noted_at <= :newest",
            {"bucket": self._bucket, "newest": now + CLOCK_TOLERANCE},
        )
        return min((now - float(row[0]) for row in noted), default=inf)

    def _now(self, connection: Connection) -> float:
        """Lock the bucket until the transaction ends; the database's time then, in seconds."""
        connection.lock(f"verify_quota {self._bucket}")
        return connection.read_clock()

    def _heartbeat(self, connection: Connection, ticket: Ticket, now: float) -> None:
        """Refresh a ticket, or insert it again if it expired while this process was slow."""
        self._run(
            connection,
            "INSERT INTO verify_tickets (bucket, ticket, owner, priority, arrival, seen_at) "
            "VALUES (:bucket, :ticket, :owner, :priority, :arrival, :now) "
            "ON CONFLICT (bucket, ticket) DO UPDATE SET seen_at = excluded.seen_at",
            ticket=ticket.key,
            owner=self._owner,
            priority=int(ticket.priority),
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
        """Delete the rows of dead processes, and bound times that lie ahead after a restart."""
        self._run(
            connection,
            "DELETE FROM verify_tickets WHERE bucket = :bucket "
            "AND (seen_at < :oldest OR seen_at > :newest)",
            oldest=now - self._ticket_ttl,
            newest=now + CLOCK_TOLERANCE,
        )
        self._run(
            connection,
            "UPDATE verify_slots SET noted_at = :now, free_at = :free_at "
            "WHERE bucket = :bucket AND (noted_at > :newest OR free_at > :latest)",
            now=now,
            free_at=now + self.rate.window,
            newest=now + CLOCK_TOLERANCE,
            latest=now + self._lease + self.rate.window + CLOCK_TOLERANCE,
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
                    "priority": int(ticket.priority),
                    "arrival": ticket.arrival,
                    "ticket": ticket.key,
                },
            )[0][0]
        )

    def _slots(self, connection: Connection, now: float) -> tuple[list[float], float]:
        """When each taken slot comes back, and the time before which none is granted."""
        slots = connection.fetch_all(
            "SELECT free_at FROM verify_slots WHERE bucket = :bucket AND free_at > :now",
            {"bucket": self._bucket, "now": now},
        )
        block = connection.fetch_all(
            "SELECT open_at FROM verify_gates WHERE bucket = :bucket AND noted_at <= :newest",
            {"bucket": self._bucket, "newest": now + CLOCK_TOLERANCE},
        )
        return [float(row[0]) for row in slots], max([now, *(float(row[0]) for row in block)])

    def _run(self, connection: Connection, sql: str, **values: Value) -> None:
        connection.execute(sql, {"bucket": self._bucket, **values})
