"""One dialect for both databases: statements with `:name` values, in short transactions."""

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
"""How long a statement waits for another process's transaction."""


class Connection(ABC):
    """One transaction: statements in, rows out."""

    @abstractmethod
    def fetch_all(self, sql: str, values: Values | None = None) -> list[Row]:
        """The rows a statement gives."""

    @abstractmethod
    def execute(self, sql: str, values: Values | None = None) -> int:
        """Run a statement; the number of rows it touched."""

    @abstractmethod
    def execute_many(self, sql: str, values: Iterable[Values]) -> int:
        """Run a statement once for each set of values; the number of rows touched."""

    @abstractmethod
    def lock(self, name: str) -> None:
        """Hold off everybody else who locks `name`, until the transaction ends."""

    @abstractmethod
    def read_clock(self) -> float:
        """Seconds on a clock that all who share this database read alike."""


class Database(ABC):
    """Where the quota ledger and the mirror live; every method raises DatabaseUnavailable."""

    location: str
    """Where it is, in words that hold no secret."""
    blob_type: str
    """This engine's type for bytes."""
    table_options: str
    """What makes this engine keep a table's rows in the order of its key."""
    readers, writers = 4, 4
    """Transactions of one process at a time."""
    identity: FileIdentity | None = None
    """What tells its file from another one of the same name."""

    def __init__(self) -> None:
        self._limiters: dict[bool, anyio.CapacityLimiter] = {}
        self._next_batch: _ReadBatch | None = None
        self._batch_lock = anyio.Lock()

    @abstractmethod
    def transaction(self, *, write: bool) -> AbstractContextManager[Connection]:
        """One transaction, committed at the end of the block, undone if it raises.

        One that only reads sees the database as it was at a single instant.
        """

    @abstractmethod
    def size(self) -> int:
        """Bytes it takes."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""

    def run_sync(self, work: Callable[[Connection], Result], *, write: bool) -> Result:
        """Do `work` in a transaction, in this thread."""
        with self.transaction(write=write) as connection:
            return work(connection)

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` in a transaction that may write, in a worker thread."""
        return await self._run_in_thread(work, write=True)

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` in a transaction that only reads, in a worker thread."""
        return await self._run_in_thread(work, write=False)

    async def read_batched(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` that reads a few rows, in one thread and transaction with others that wait.

        A thread each would cost many callers at once more than their reading does.
        """
        glances, leads = self._next_batch, self._next_batch is None
        if glances is None:
            glances = self._next_batch = _ReadBatch()
        outcome = glances.join(work)
        if leads:
            with anyio.CancelScope(shield=True):  # others wait for it
                async with self._batch_lock:
                    self._next_batch = None
                    await anyio.to_thread.run_sync(glances.execute, self)
                glances.over.set()
            await anyio.lowlevel.checkpoint_if_cancelled()
        else:
            await glances.over.wait()
        return outcome.result()

    async def _run_in_thread(self, work: Callable[[Connection], Result], *, write: bool) -> Result:
        if write not in self._limiters:
            most = self.writers if write else self.readers
            self._limiters[write] = anyio.CapacityLimiter(most)
        return await anyio.to_thread.run_sync(
            lambda: self.run_sync(work, write=write), limiter=self._limiters[write]
        )


class _ReadBatch:
    """Short readings that are done together."""

    def __init__(self) -> None:
        self._works: list[tuple[Callable[[Connection], Any], Future[Any]]] = []
        self.over = anyio.Event()

    def join(self, work: Callable[[Connection], Result]) -> Future[Result]:
        """Add one; where its outcome will be."""
        outcome: Future[Result] = Future()
        self._works.append((work, outcome))
        return outcome

    def execute(self, database: Database) -> None:
        """Do all of them; what keeps one from being done is told to its asker."""
        try:
            database.run_sync(self._execute_one, write=False)
        except BaseException as error:  # noqa: BLE001 - raised where it was asked
            for _, outcome in self._works:
                if not outcome.done():
                    outcome.set_exception(error)

    def _execute_one(self, connection: Connection) -> None:
        for work, outcome in self._works:
            if not outcome.done():
                outcome.set_result(work(connection))
