"""The quota's ledger in the database: one queue and one set of slots for every process.

Slots and tickets of processes that died lapse: a slot after the longest time a request can take,
a ticket when nobody refreshed it. Rows from before a reboot lie in the future of a monotonic clock
and lapse as well.
"""

from dataclasses import replace
from uuid import uuid4

from verify_mcp.database import Access
from verify_mcp.pacing import LONGEST_WISH
from verify_mcp.quota import HOLD, Ledger, Slot, Standing, Ticket, standing, wait
from verify_mcp.settings import Rate
from verify_mcp.sql import Connection

TICKET_LAPSE = 5.0
"""Seconds after which a ticket that nobody refreshed is a dead process's."""


class SharedLedger(Ledger):
    """One endpoint's quota of one account, shared by all who share the database.

    Methods raise DatabaseUnavailable.
    """

    def __init__(self, access: Access, bucket: str, rate: Rate) -> None:
        self._access = access
        self._bucket = bucket
        self._rate = rate
        self._owner = uuid4().hex

    async def enter(self, priority: int) -> Ticket:
        return await self._access.write(lambda connection: self._entered(connection, priority))

    async def take(self, ticket: Ticket) -> Slot | float:
        return await self._access.write(lambda connection: self._taken(connection, ticket))

    async def leave(self, ticket: Ticket) -> None:
        await self._access.write(
            lambda connection: connection.run(
                "DELETE FROM verify_tickets WHERE bucket = :bucket AND ticket = :ticket",
                {"bucket": self._bucket, "ticket": ticket.key},
            )
        )

    async def complete(self, slot: Slot) -> None:
        await self._access.write(lambda connection: self._completed(connection, slot))

    async def close(self, seconds: float) -> None:
        await self._access.write(lambda connection: self._closed(connection, seconds))

    async def standing(self) -> Standing:
        return await self._access.read(self._stands)

    def _entered(self, connection: Connection, priority: int) -> Ticket:
        now = self._now(connection)
        last = connection.rows(
            "SELECT coalesce(max(arrival), 0) FROM verify_tickets WHERE bucket = :bucket",
            {"bucket": self._bucket},
        )[0][0]
        ticket = Ticket(priority, int(last) + 1, uuid4().hex)
        connection.run(
            "INSERT INTO verify_tickets (bucket, ticket, owner, priority, arrival, seen_at) "
            "VALUES (:bucket, :ticket, :owner, :priority, :arrival, :now)",
            {
                "bucket": self._bucket,
                "ticket": ticket.key,
                "owner": self._owner,
                "priority": priority,
                "arrival": ticket.arrival,
                "now": now,
            },
        )
        return ticket

    def _taken(self, connection: Connection, ticket: Ticket) -> Slot | float:
        now = self._now(connection)
        self._refresh(connection, now)
        ahead = self._ahead(connection, ticket)
        free_at, gate = self._slots(connection, now)
        seconds = wait(free_at, ahead, gate, self._rate, now)
        if seconds > 0 or ahead:
            return seconds
        slot = Slot(uuid4().hex)
        connection.run(
            "DELETE FROM verify_tickets WHERE bucket = :bucket AND ticket = :ticket",
            {"bucket": self._bucket, "ticket": ticket.key},
        )
        self._hold(connection, slot, now + HOLD + self._rate.window)
        return slot

    def _completed(self, connection: Connection, slot: Slot) -> None:
        now = self._now(connection)
        connection.run(
            "DELETE FROM verify_slots WHERE bucket = :bucket AND slot = :slot",
            {"bucket": self._bucket, "slot": slot.key},
        )
        if slot.sent:
            self._hold(connection, slot, now + self._rate.window)

    def _hold(self, connection: Connection, slot: Slot, free_at: float) -> None:
        connection.run(
            "INSERT INTO verify_slots (bucket, slot, owner, free_at) "
            "VALUES (:bucket, :slot, :owner, :free_at)",
            {
                "bucket": self._bucket,
                "slot": slot.key,
                "owner": self._owner,
                "free_at": free_at,
            },
        )

    def _closed(self, connection: Connection, seconds: float) -> None:
        now = self._now(connection)
        _, gate = self._slots(connection, now)
        connection.run(
            "INSERT INTO verify_gates (bucket, open_at) VALUES (:bucket, :open_at) "
            "ON CONFLICT (bucket) DO UPDATE SET open_at = excluded.open_at",
            {"bucket": self._bucket, "open_at": max(gate, now + seconds)},
        )

    def _stands(self, connection: Connection) -> Standing:
        now = connection.clock()
        free_at, gate = self._slots(connection, now)
        waiting, processes = connection.rows(
            "SELECT (SELECT count(*) FROM verify_tickets WHERE bucket = :bucket "
            "AND seen_at BETWEEN :lapsed AND :now), "
            "(SELECT count(DISTINCT owner) FROM (SELECT owner FROM verify_slots "
            "WHERE bucket = :bucket UNION SELECT owner FROM verify_tickets "
            "WHERE bucket = :bucket) AS owners)",
            {"bucket": self._bucket, "lapsed": now - TICKET_LAPSE, "now": now + 1},
        )[0]
        stands = standing(free_at, int(waiting), gate, self._rate, now)
        return replace(stands, processes=int(processes))

    def _now(self, connection: Connection) -> float:
        """The ledger's time, once this transaction is alone with the bucket."""
        connection.lock(f"verify_quota {self._bucket}")
        return connection.clock()

    def _refresh(self, connection: Connection, now: float) -> None:
        """Keep this process's tickets alive, and drop what the dead left behind."""
        connection.run(
            "UPDATE verify_tickets SET seen_at = :now WHERE bucket = :bucket AND owner = :owner",
            {"bucket": self._bucket, "owner": self._owner, "now": now},
        )
        connection.run(
            "DELETE FROM verify_tickets WHERE bucket = :bucket "
            "AND (seen_at < :lapsed OR seen_at > :soon)",
            {"bucket": self._bucket, "lapsed": now - TICKET_LAPSE, "soon": now + 1},
        )
        connection.run(
            "DELETE FROM verify_slots WHERE bucket = :bucket "
            "AND (free_at <= :now OR free_at > :latest)",
            {"bucket": self._bucket, "now": now, "latest": now + HOLD + self._rate.window + 1},
        )

    def _ahead(self, connection: Connection, ticket: Ticket) -> int:
        return int(
            connection.rows(
                "SELECT count(*) FROM verify_tickets WHERE bucket = :bucket "
                "AND (priority < :priority OR (priority = :priority AND arrival < :arrival))",
                {
                    "bucket": self._bucket,
                    "priority": ticket.priority,
                    "arrival": ticket.arrival,
                },
            )[0][0]
        )

    def _slots(self, connection: Connection, now: float) -> tuple[list[float], float]:
        """When each taken slot comes back, and when the gate opens."""
        slots = connection.rows(
            "SELECT free_at FROM verify_slots WHERE bucket = :bucket AND free_at > :now "
            "AND free_at <= :latest",
            {"bucket": self._bucket, "now": now, "latest": now + HOLD + self._rate.window + 1},
        )
        gate = connection.rows(
            "SELECT open_at FROM verify_gates WHERE bucket = :bucket AND open_at <= :latest",
            {"bucket": self._bucket, "latest": now + LONGEST_WISH},
        )
        return [float(row[0]) for row in slots], max([now, *(float(row[0]) for row in gate)])
