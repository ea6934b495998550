"""The protocol of both databases: statements with `:name` parameters in short transactions."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

Value = str | int | float | bytes | None
Values = Mapping[str, Value]
Row = tuple[Any, ...]
FileIdentity = tuple[int, int]
Result = TypeVar("Result")

BUSY_SECONDS = 2.0
"""Seconds that a statement waits for another process's transaction."""


class Connection(ABC):
    """One transaction, which runs statements and returns rows."""

    @abstractmethod
    def fetch_all(self, sql: str, values: Values | None = None) -> list[Row]:
        """The rows that a statement returns."""

    @abstractmethod
    def execute(self, sql: str, values: Values | None = None) -> int:
        """Run a statement. Returns the number of rows that it changed."""

    @abstractmethod
    def execute_many(self, sql: str, values: Iterable[Values]) -> int:
        """Run a statement once for each set of values. Returns the number of rows changed."""

    @abstractmethod
    def lock(self, name: str) -> None:
        """Make other transactions that lock `name` wait until this one ends."""

    @abstractmethod
    def read_clock(self) -> float:
        """Seconds of a clock that is the same for every process that shares this database."""


class Database(ABC):
    """The database of the rate limit and the mirror. Every method raises DatabaseUnavailable."""

    location: str
    """The file or the address, without user and password."""
    blob_type: str
    """This engine's column type for bytes."""
    table_options: str
    """The clause that makes this engine store a table's rows in the order of its key."""
    readers, writers = 4, 4
    """The number of transactions that one process runs at a time."""
    identity: FileIdentity | None = None
    """The device and inode of its file, which differ after the file was replaced."""

    def __init__(self) -> None:
        self._limiters: dict[bool, anyio.CapacityLimiter] = {}
        self._next_batch: _ReadBatch | None = None
        self._batch_lock = anyio.Lock()

    @abstractmethod
    def transaction(self, *, write: bool) -> AbstractContextManager[Connection]:
        """One transaction, committed at the end of the block and rolled back if the block raises.

        A transaction that only reads sees the database as it was at a single instant.
        """

    @abstractmethod
    def size(self) -> int:
        """The bytes that the database takes."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""

    def run_sync(self, work: Callable[[Connection], Result], *, write: bool) -> Result:
        """Run `work` in a transaction, in this thread."""
        with self.transaction(write=write) as connection:
            return work(connection)

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction that may write, in a worker thread."""
        return await self._run_in_thread(work, write=True)

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction that only reads, in a worker thread."""
        return await self._run_in_thread(work, write=False)

    async def write_short(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work`, which writes a few rows, in a transaction; it may be run a second time."""
        return await self.write(work)

    async def read_batched(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work`, which reads a few rows, in one thread and transaction with other such reads.

        A thread for each read would cost more than the read itself. A batch is as slow as its
        slowest read, so a query without an index is not batched.
        """
        batch, is_first = self._next_batch, self._next_batch is None
        if batch is None:
            batch = self._next_batch = _ReadBatch()
        outcome = batch.add(work)
        if is_first:
            with anyio.CancelScope(shield=True):  # the other reads of the batch wait for this one
                async with self._batch_lock:
                    self._next_batch = None
                    await anyio.to_thread.run_sync(batch.execute, self)
                batch.done.set()
            await anyio.lowlevel.checkpoint_if_cancelled()
        else:
            await batch.done.wait()
        return outcome.result()

    async def _run_in_thread(self, work: Callable[[Connection], Result], *, write: bool) -> Result:
        if write not in self._limiters:
            self._limiters[write] = anyio.CapacityLimiter(self.writers if write else self.readers)
        return await anyio.to_thread.run_sync(
            lambda: self.run_sync(work, write=write), limiter=self._limiters[write]
        )


class _ReadBatch:
    """Short reads that share one thread and one transaction."""

    def __init__(self) -> None:
        self._reads: list[tuple[Callable[[Connection], Any], Future[Any]]] = []
        self.done = anyio.Event()

    def add(self, work: Callable[[Connection], Result]) -> Future[Result]:
        """Add a read. Returns the future of its result."""
        outcome: Future[Result] = Future()
        self._reads.append((work, outcome))
        return outcome

    def execute(self, database: Database) -> None:
        """Run every read. An error becomes the result of each read that has none yet."""
        try:
            database.run_sync(self._execute_all, write=False)
        except BaseException as error:  # noqa: BLE001 - raised where each read was added
            for _, outcome in self._reads:
                if not outcome.done():
                    outcome.set_exception(error)

    def _execute_all(self, connection: Connection) -> None:
        for work, outcome in self._reads:
            if not outcome.done():
                outcome.set_result(work(connection))
