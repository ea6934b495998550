"""The rate limit's slots and tickets in the database: one queue and one set for every process.

Slots and tickets of processes that died expire: a slot after the longest time that a request can
take, a ticket when no heartbeat refreshed it. SQLite's clock restarts when the machine does; rows
from before a restart lie in the future, and count as if they had been written now.

A completed slot gets the next number of its bucket, by which `bucket_state` counts; a slot in use
has the number 0.
"""

from collections.abc import Mapping, Sequence
from uuid import uuid4

from verify_mcp.database.base import Connection, Value
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.plivo.bucket_state import COMPLETED, LIVE, BucketState, read_state
from verify_mcp.plivo.rate_limit_store import (
    SLOT_LEASE_SECONDS,
    Priority,
    RateLimitStatus,
    RateLimitStore,
    Slot,
    Ticket,
    reserved_slots,
    seconds_until_slot,
    slots_left,
)
from verify_mcp.plivo.retry import MAX_RETRY_AFTER
from verify_mcp.settings import Rate

TICKET_TTL = 1.5
"""Seconds after the last heartbeat at which a ticket counts as a dead process's."""
CLOCK_TOLERANCE = 1.0
"""Seconds that a clock may be set back without counting as restarted."""
MAX_LEASE_SECONDS = 90.0
"""The longest lease of any version: a slot that comes back later is from before a restart."""

_READ_LATEST = f"""SELECT max(noted_at), (SELECT max(free_at) FROM verify_slots
        WHERE bucket = :bucket) FROM (
    SELECT noted_at FROM verify_slots WHERE bucket = :bucket AND number = 0
    UNION ALL SELECT noted_at FROM verify_slots WHERE bucket = :bucket
        AND number = (SELECT max(number) {COMPLETED})) AS latest"""  # noqa: S608 - fixed names
_UPSERT_SLOT = """INSERT INTO verify_slots (bucket, slot, owner, noted_at, free_at, number)
    VALUES (:bucket, :slot, :owner, :now, :free_at, (SELECT coalesce(max(number), 0) + 1
        FROM verify_slots WHERE bucket = CAST(:bucket AS VARCHAR(64))))
    ON CONFLICT (bucket, slot) DO UPDATE SET noted_at = excluded.noted_at,
    free_at = excluded.free_at, number = excluded.number WHERE verify_slots.number = 0"""


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
        self.lease = lease
        self._ticket_ttl = ticket_ttl
        self._owner = uuid4().hex

    async def open(self) -> int:
        return await self._database.open()

    async def acquire_or_enqueue(self, priority: Priority) -> Slot | Ticket:
        queued_at = self._database.clock()
        return await self._database.write_short(
            lambda connection: self._acquire_or_enqueue(connection, priority, queued_at)
        )

    async def try_acquire(self, ticket: Ticket, alive: Sequence[Ticket] = ()) -> Slot | float:
        return await self._database.write_short(
            lambda connection: self._try_acquire(connection, ticket, alive)
        )

    async def dequeue(self, ticket: Ticket) -> None:
        await self._database.write_short(lambda connection: self._drop_ticket(connection, ticket))

    async def release(self, slot: Slot, completed_at: float) -> None:
        await self._database.write_short(
            lambda connection: self._release(connection, slot, completed_at)
        )

    async def block(self, seconds: float) -> None:
        await self._database.write_short(lambda connection: self._block(connection, seconds))

    async def import_recent(self, ages: Mapping[str, float]) -> None:
        await self._database.write(lambda connection: self._import_recent(connection, ages))

    async def count_left(self) -> int:
        return await self._database.read_short(self._count_left)

    async def status(self) -> RateLimitStatus:
        return await self._database.read_short(self._status)

    def _acquire_or_enqueue(
        self, connection: Connection, priority: Priority, queued_at: float
    ) -> Slot | Ticket:
        now = self._now(connection)
        # The wait for the database itself does not make the arrival later.
        ticket = Ticket(priority, now - (self._database.clock() - queued_at), uuid4().hex)
        if self._seconds_to_wait(connection, ticket, now) is None:
            return self._grant(connection, now)
        self._heartbeat(connection, now, ticket)
        return ticket

    def _try_acquire(
        self, connection: Connection, ticket: Ticket, alive: Sequence[Ticket]
    ) -> Slot | float:
        now = self._now(connection)
        self._delete_expired(connection, now)
        seconds = self._seconds_to_wait(connection, ticket, now)
        if seconds is not None:
            self._heartbeat(connection, now, ticket, *alive)
            return seconds
        self._drop_ticket(connection, ticket)
        return self._grant(connection, now)

    def _release(self, connection: Connection, slot: Slot, completed_at: float) -> None:
        self._lock(connection)
        # Before the database's time: a pause between the two must not make the request older.
        age = self._database.clock() - completed_at
        now = connection.read_clock()
        if slot.sent:
            self._complete(connection, slot.key, now, age=age)
        else:
            self._run(
                connection,
                "DELETE FROM verify_slots WHERE bucket = :bucket AND slot = :slot",
                slot=slot.key,
            )
        self._delete_expired(connection, now)

    def _import_recent(self, connection: Connection, ages: Mapping[str, float]) -> None:
        now = self._now(connection)
        for key, age in ages.items():
            self._complete(connection, key, now, age=age)

    def _block(self, connection: Connection, seconds: float) -> None:
        now = self._now(connection)
        self._run(
            connection,
            "INSERT INTO verify_gates (bucket, noted_at, open_at) "
            "VALUES (:bucket, :now, :open_at) "
            "ON CONFLICT (bucket) DO UPDATE SET noted_at = excluded.noted_at, "
            "open_at = excluded.open_at",
            now=now,
            open_at=max(
                self._state(connection, now).blocked_until, now + min(seconds, MAX_RETRY_AFTER)
            ),
        )

    def _count_left(self, connection: Connection) -> int:
        now = connection.read_clock()
        state = self._state(connection, now)
        return slots_left(state.taken, state.tickets, state.blocked_until, self.rate, now)

    def _status(self, connection: Connection) -> RateLimitStatus:
        now = connection.read_clock()
        state = self._state(connection, now)
        owners = connection.fetch_all(
            "SELECT owner FROM verify_slots WHERE bucket = :bucket AND free_at > :now "  # noqa: S608 - fixed names
            f"UNION SELECT owner FROM verify_tickets WHERE {LIVE}",
            self._values(now),
        )
        behind = state.tickets + reserved_slots(Priority.BACKGROUND, self.rate)
        return RateLimitStatus(
            slots_left(state.taken, state.tickets, state.blocked_until, self.rate, now),
            seconds_until_slot(state.taken, state.tickets, state.blocked_until, self.rate, now),
            processes=len({self._owner, *(str(row[0]) for row in owners)}),
            refused_ago=now - state.refused_at,
            background_eta_s=seconds_until_slot(
                state.taken, behind, state.blocked_until, self.rate, now
            ),
        )

    def _seconds_to_wait(self, connection: Connection, ticket: Ticket, now: float) -> float | None:
        """Seconds until a ticket may get a slot, None when it is its turn and a slot is free."""
        self._correct_times(connection, now)
        state = self._state(connection, now, ticket)
        behind = state.tickets + reserved_slots(ticket.priority, self.rate)
        seconds = seconds_until_slot(state.taken, behind, state.blocked_until, self.rate, now)
        return seconds if seconds > 0 or state.tickets else None

    def _state(
        self, connection: Connection, now: float, ticket: Ticket | None = None
    ) -> BucketState:
        """The state of the bucket; with a ticket, `tickets` are those ahead of it only."""
        return read_state(connection, self._values(now), now, self.rate, ticket)

    def _now(self, connection: Connection) -> float:
        """Lock the bucket until the transaction ends; the database's time then, in seconds."""
        self._lock(connection)
        return connection.read_clock()

    def _lock(self, connection: Connection) -> None:
        connection.lock(f"verify_quota {self._bucket}")

    def _heartbeat(self, connection: Connection, now: float, *tickets: Ticket) -> None:
        """Refresh tickets; one that expired while this process was slow is inserted again."""
        connection.execute_many(
            "INSERT INTO verify_tickets (bucket, ticket, owner, priority, arrival, seen_at) "
            "VALUES (:bucket, :ticket, :owner, :priority, :arrival, :now) "
            "ON CONFLICT (bucket, ticket) DO UPDATE SET seen_at = excluded.seen_at",
            [
                {
                    "bucket": self._bucket,
                    "ticket": ticket.key,
                    "owner": self._owner,
                    "priority": int(ticket.priority),
                    "arrival": ticket.arrival,
                    "now": now,
                }
                for ticket in tickets
            ],
        )

    def _drop_ticket(self, connection: Connection, ticket: Ticket) -> None:
        self._run(
            connection,
            "DELETE FROM verify_tickets WHERE bucket = :bucket AND ticket = :ticket",
            ticket=ticket.key,
        )

    def _grant(self, connection: Connection, now: float) -> Slot:
        slot = Slot(uuid4().hex)
        self._run(
            connection,
            "INSERT INTO verify_slots (bucket, slot, owner, noted_at, free_at) "
            "VALUES (:bucket, :slot, :owner, :now, :free_at)",
            slot=slot.key,
            owner=self._owner,
            now=now,
            free_at=now + self.lease + self.rate.window,
        )
        return slot

    def _complete(self, connection: Connection, slot: str, now: float, *, age: float) -> None:
        """Record that a slot's request completed `age` seconds ago, unless it is recorded."""
        self._run(
            connection,
            _UPSERT_SLOT,
            slot=slot,
            owner=self._owner,
            now=now,
            free_at=now - age + self.rate.window,
        )

    def _delete_expired(self, connection: Connection, now: float) -> None:
        """Delete the tickets of dead processes, and the slots that came back."""
        values = self._values(now)
        connection.execute(
            "DELETE FROM verify_tickets WHERE bucket = :bucket "
            "AND (seen_at < :oldest OR seen_at > :newest)",
            values,
        )
        connection.execute(
            "DELETE FROM verify_slots WHERE bucket = :bucket AND free_at <= :now", values
        )

    def _correct_times(self, connection: Connection, now: float) -> None:
        """Bound the times of slots that lie ahead after a restart of the clock."""
        ((noted_at, free_at),) = connection.fetch_all(_READ_LATEST, {"bucket": self._bucket})
        newest = now + CLOCK_TOLERANCE
        latest = newest + max(self.lease, MAX_LEASE_SECONDS) + self.rate.window
        if free_at is None or ((noted_at or now) <= newest and free_at <= latest):
            return
        self._run(
            connection,
            "UPDATE verify_slots SET noted_at = :now, free_at = :free_at "
            "WHERE bucket = :bucket AND (noted_at > :newest OR free_at > :latest)",
            now=now,
            free_at=now + self.rate.window,
            newest=newest,
            latest=latest,
        )

    def _values(self, now: float) -> dict[str, Value]:
        """The bucket, and the times between which a ticket is alive."""
        return {
            "bucket": self._bucket,
            "now": now,
            "oldest": now - self._ticket_ttl,
            "newest": now + CLOCK_TOLERANCE,
        }

    def _run(self, connection: Connection, sql: str, **values: Value) -> None:
        connection.execute(sql, {"bucket": self._bucket, **values})
