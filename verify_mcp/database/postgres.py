"""The PostgreSQL engine: one server that the processes of several machines share."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from urllib.parse import urlsplit

from verify_mcp.database.base import BUSY_SECONDS, Connection, Database, Result, Row, Values
from verify_mcp.errors import DatabaseUnavailable, InvalidSetting

try:
    import psycopg
    from psycopg import errors
    from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout
except ImportError as error:
    raise InvalidSetting(
        "VERIFY_MCP_DATABASE_URL names PostgreSQL, whose driver is not installed. "
        "Install verify-mcp[postgres]."
    ) from error

# The pool logs every try to connect, with user and host; ResilientDatabase reports a failure once.
logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)

STATEMENT_SECONDS = 30
POOL_SECONDS = 5.0
LOST_SECONDS = 5.0
"""Seconds after which a server that acknowledges nothing counts as unreachable."""
_NAMED_PARAMETER = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)")


@lru_cache(maxsize=512)
def _native_parameters(sql: str) -> str:
    return _NAMED_PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))


class PostgresConnection(Connection):
    """A transaction on one connection of the pool."""

    def __init__(self, raw: "psycopg.Connection[Row]") -> None:
        self._raw = raw

    def fetch_all(self, sql: str, values: Values | None = None) -> list[Row]:
        return self._raw.execute(_native_parameters(sql), values or {}).fetchall()

    def execute(self, sql: str, values: Values | None = None) -> int:
        return self._raw.execute(_native_parameters(sql), values or {}).rowcount

    def execute_many(self, sql: str, values: Iterable[Values]) -> int:
        with self._raw.cursor() as cursor:
            cursor.executemany(_native_parameters(sql), list(values))
            return max(cursor.rowcount, 0)

    def lock(self, name: str) -> None:
        self.fetch_all("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))", {"name": name})

    def read_clock(self) -> float:
        return float(self.fetch_all("SELECT extract(epoch FROM clock_timestamp())")[0][0])


class PostgresDatabase(Database):
    """A pool of connections to one database."""

    blob_type = "BYTEA"
    table_options = (
        ""  # PostgreSQL's tables are heaps; the index of the primary key gives the order
    )

    def __init__(self, url: str) -> None:
        super().__init__()
        parts = urlsplit(url)
        self.location = f"postgresql://{parts.hostname or 'localhost'}{parts.path}"
        self._pool: ConnectionPool[psycopg.Connection[Row]] = ConnectionPool(
            url,
            min_size=0,
            max_size=self.readers + self.writers + 1,  # one for batched reads
            timeout=POOL_SECONDS,
            kwargs={
                "connect_timeout": int(POOL_SECONDS),
                # Without this a thread would wait many minutes for packets that are lost.
                "tcp_user_timeout": int(LOST_SECONDS * 1000),
                "keepalives_idle": int(LOST_SECONDS),
                "keepalives_interval": 1,
                "keepalives_count": 3,
                "application_name": "verify-mcp",
                "options": f"-c lock_timeout={int(BUSY_SECONDS * 1000)} "
                f"-c statement_timeout={STATEMENT_SECONDS * 1000} "
                "-c idle_in_transaction_session_timeout=30000 -c timezone=UTC",
            },
            check=ConnectionPool.check_connection,
            open=True,
        )

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Connection]:
        try:
            with self._pool.connection() as raw:
                raw.read_only = not write
                raw.isolation_level = None if write else psycopg.IsolationLevel.REPEATABLE_READ
                yield PostgresConnection(raw)
        except (psycopg.Error, PoolTimeout, PoolClosed) as error:
            raise DatabaseUnavailable(
                f"The database {self.location} cannot be used: {_describe_error(error)}."
            ) from error

    def run_sync(self, work: Callable[[Connection], Result], *, write: bool) -> Result:
        try:
            return super().run_sync(work, write=write)
        except DatabaseUnavailable as error:
            if not isinstance(error.__cause__, errors.TransactionRollback):
                raise
        # Two transactions conflicted; the other one has ended by now.
        return super().run_sync(work, write=write)

    def size(self) -> int:
        with self.transaction(write=False) as connection:
            return int(connection.fetch_all("SELECT pg_database_size(current_database())")[0][0])

    def close(self) -> None:
        self._pool.close(timeout=1)


def _describe_error(error: Exception) -> str:
    reasons: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
        (PoolTimeout, "no connection in time; check that it runs, its address, user and password"),
        ((errors.LockNotAvailable, errors.QueryCanceled), "it is locked by another program"),
        ((errors.DiskFull, errors.OutOfMemory, errors.TooManyConnections), "it is full"),
        (errors.InsufficientPrivilege, "its user may not do what this needs"),
        (errors.ReadOnlySqlTransaction, "it cannot be written"),
        (psycopg.ProgrammingError, "its tables are not those of this version"),
        (psycopg.OperationalError, "the connection broke"),
    )
    return next((text for kinds, text in reasons if isinstance(error, kinds)), "SQL failed")
