"""The database's tables, and how an older database becomes a current one.

Steps are appended, never changed: a database remembers how many it has taken. Times are integers:
microseconds since 1970, UTC. Money is an integer of 10⁻⁹, so that sums are exact in SQL.
"""

from verify_mcp.errors import DatabaseUnavailable
from verify_mcp.sql import Connection

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE verify_slots (
            bucket VARCHAR(64) NOT NULL, slot VARCHAR(32) NOT NULL, owner VARCHAR(32) NOT NULL,
            free_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (bucket, slot))""",
        """CREATE TABLE verify_tickets (
            bucket VARCHAR(64) NOT NULL, ticket VARCHAR(32) NOT NULL, owner VARCHAR(32) NOT NULL,
            priority INTEGER NOT NULL, arrival BIGINT NOT NULL, seen_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (bucket, ticket))""",
        """CREATE TABLE verify_gates (
            bucket VARCHAR(64) NOT NULL PRIMARY KEY, open_at DOUBLE PRECISION NOT NULL)""",
    ),
)


def migrate(connection: Connection, blob: str) -> None:
    """Take the steps that the database has not taken yet, all in the caller's transaction.

    Raises DatabaseUnavailable when it has taken more than there are.
    """
    connection.lock("verify_schema")
    connection.run("CREATE TABLE IF NOT EXISTS verify_schema (step INTEGER NOT NULL)")
    taken = int(connection.rows("SELECT count(*) FROM verify_schema")[0][0])
    if taken > len(STEPS):
        raise DatabaseUnavailable(
            "The database was made by a newer verify-mcp. Upgrade this one, or name another "
            "database in VERIFY_MCP_DATABASE_URL.",
            damaged=True,
            reason="newer",
        )
    for number, statements in enumerate(STEPS[taken:], start=taken + 1):
        for statement in statements:
            connection.run(statement.replace("{blob}", blob))
        connection.run("INSERT INTO verify_schema (step) VALUES (:step)", {"step": number})
