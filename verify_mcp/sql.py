"""One dialect for both databases: statements with `:name` values, in short transactions."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import anyio
import anyio.to_thread

Value = str | int | float | bytes | None
Values = Mapping[str, Value]
Row = tuple[Any, ...]
Identity = tuple[int, int]
Result = TypeVar("Result")

BUSY_SECONDS = 2.0
"""How long a statement waits for another process's transaction."""


class Connection(ABC):
    """One transaction: statements in, rows out."""

    @abstractmethod
    def rows(self, sql: str, values: Values | None = None) -> list[Row]:
        """The rows a statement gives."""

    @abstractmethod
    def run(self, sql: str, values: Values | None = None) -> int:
        """Run a statement; the number of rows it touched."""

    @abstractmethod
    def run_many(self, sql: str, values: Iterable[Values]) -> int:
        """Run a statement once for each set of values; the number of rows touched."""

    @abstractmethod
    def lock(self, name: str) -> None:
        """Hold off everybody else who locks `name`, until the transaction ends."""

    @abstractmethod
    def clock(self) -> float:
        """Seconds on a clock that all who share this database read alike."""


class Database(ABC):
    """Where the quota ledger and the mirror live; every method raises DatabaseUnavailable."""

    place: str
    """Where it is, in words that hold no secret."""
    blob: str
    """This engine's type for bytes."""
    clustered: str
    """What makes this engine keep a table's rows in the order of its key."""
    readers, writers = 4, 4
    """Transactions of one process at a time."""
    identity: Identity | None = None
    """What tells its file from another one of the same name."""

    def __init__(self) -> None:
        self._limiters: dict[bool, anyio.CapacityLimiter] = {}

    @abstractmethod
    def transaction(self, *, write: bool) -> AbstractContextManager[Connection]:
        """One transaction, committed at the end of the block, undone if it raises."""

    @abstractmethod
    def size(self) -> int:
        """Bytes it takes."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""

    def done(self, work: Callable[[Connection], Result], *, write: bool) -> Result:
        """Do `work` in a transaction, in this thread."""
        with self.transaction(write=write) as connection:
            return work(connection)

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` in a transaction that may write, in a worker thread."""
        return await self._threaded(work, write=True)

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` in a transaction that only reads, in a worker thread."""
        return await self._threaded(work, write=False)

    async def _threaded(self, work: Callable[[Connection], Result], *, write: bool) -> Result:
        if write not in self._limiters:
            most = self.writers if write else self.readers
            self._limiters[write] = anyio.CapacityLimiter(most)
        return await anyio.to_thread.run_sync(
            lambda: self.done(work, write=write), limiter=self._limiters[write]
        )
