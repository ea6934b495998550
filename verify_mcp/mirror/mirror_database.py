"""The database as the mirror uses it: what it reads has every session that it was given."""

from collections.abc import Callable
from typing import TypeVar

from verify_mcp.database.base import Connection
from verify_mcp.database.resilient import ResilientDatabase
from verify_mcp.deferred import DeferredWork

Result = TypeVar("Result")


class MirrorDatabase:
    """A database whose reads wait for the `saves` that were put off. It raises DatabaseUnavailable.

    `source` is the database itself.
    """

    def __init__(self, source: ResilientDatabase, saves: DeferredWork) -> None:
        self.source = source
        self.saves = saves

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction that may write."""
        return await self.source.write(work)

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction that only reads."""
        await self.saves.wait_finished()
        return await self.source.read(work)

    async def read_batched(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work`, which reads a few rows."""
        await self.saves.wait_finished()
        return await self.source.read_batched(work)
