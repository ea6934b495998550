"""A lease in the database: of all processes that want a name, one has it at a time."""

from uuid import uuid4

from verify_mcp.database.base import Connection
from verify_mcp.database.resilient import ResilientDatabase

LEASE_TTL = 30.0
"""Seconds after the last heartbeat at which the holder of a lease counts as dead."""
HEARTBEAT_SECONDS = 10.0
"""Seconds between two heartbeats of a holder."""
_CLOCK_TOLERANCE = 1.0
"""Seconds that the database's clock may be set back without counting as restarted."""


class Lease:
    """One process's claim to `name`; methods raise DatabaseUnavailable.

    A holder that was slow for longer than LEASE_TTL may still be at work when another one takes
    the lease over. So a lease bounds duplicate work, and nothing may depend on it for its truth.
    """

    def __init__(self, database: ResilientDatabase, name: str, *, ttl: float = LEASE_TTL) -> None:
        self._database = database
        self._name = name
        self._ttl = ttl
        self._owner = uuid4().hex
        self._fresh_until = database.clock()

    async def acquire(self) -> bool:
        """Take the lease if it is free, or refresh it; whether this process has it."""
        if self._database.clock() < self._fresh_until:
            return True
        if not await self._database.read_batched(self._is_available):
            return False
        began = self._database.clock()
        has_lease = await self._database.write(self._take)
        self._fresh_until = began + HEARTBEAT_SECONDS if has_lease else began
        return has_lease

    async def release(self) -> None:
        """Give the lease up if this process has it."""
        self._fresh_until = self._database.clock()
        await self._database.write(
            lambda connection: connection.execute(
                "DELETE FROM verify_leases WHERE name = :name AND owner = :owner",
                {"name": self._name, "owner": self._owner},
            )
        )

    async def is_taken(self) -> bool:
        """Whether any process has the lease."""
        return await self._database.read_batched(
            lambda connection: self._holder(connection) is not None
        )

    def _is_available(self, connection: Connection) -> bool:
        return self._holder(connection) in (None, self._owner)

    def _holder(self, connection: Connection) -> str | None:
        """The owner of the lease, None when it expired or its clock was restarted."""
        now = connection.read_clock()
        rows = connection.fetch_all(
            "SELECT owner FROM verify_leases WHERE name = :name AND expires_at > :now "
            "AND noted_at <= :newest",
            {"name": self._name, "now": now, "newest": now + _CLOCK_TOLERANCE},
        )
        return str(rows[0][0]) if rows else None

    def _take(self, connection: Connection) -> bool:
        connection.lock(f"verify_leases {self._name}")
        if not self._is_available(connection):
            return False
        now = connection.read_clock()
        connection.execute(
            "INSERT INTO verify_leases (name, owner, noted_at, expires_at) "
            "VALUES (:name, :owner, :now, :expires_at) ON CONFLICT (name) DO UPDATE SET "
            "owner = excluded.owner, noted_at = excluded.noted_at, "
            "expires_at = excluded.expires_at",
            {
                "name": self._name,
                "owner": self._owner,
                "now": now,
                "expires_at": now + self._ttl,
            },
        )
        return True
