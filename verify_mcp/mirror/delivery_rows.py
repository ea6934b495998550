"""Records of single messages and calls as rows of the database, once they are final."""

import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from verify_mcp.database.base import Connection
from verify_mcp.domain.delivery_records import DeliveryRecord
from verify_mcp.mirror.scope import micros

_INSERT = """INSERT INTO verify_deliveries (account, attempt, created, body)
    VALUES (:account, :attempt, :created, :body) ON CONFLICT (account, attempt) DO NOTHING"""


def read(
    connection: Connection, account: str, attempts: Sequence[str]
) -> dict[str, DeliveryRecord]:
    """The stored records of some attempts, by their UUIDs."""
    found: dict[str, DeliveryRecord] = {}
    for attempt in attempts:
        rows = connection.fetch_all(
            "SELECT body FROM verify_deliveries WHERE account = :account AND attempt = :attempt",
            {"account": account, "attempt": attempt},
        )
        for row in rows:
            body = zlib.decompress(bytes(row[0]))
            found[attempt] = DeliveryRecord.model_validate_json(body)
    return found


def insert(
    connection: Connection,
    account: str,
    created: datetime,
    records: Mapping[str, DeliveryRecord],
) -> None:
    """Store final records by their attempts' UUIDs; their session was created then."""
    connection.execute_many(
        _INSERT,
        [
            {
                "account": account,
                "attempt": attempt,
                "created": micros(created),
                "body": zlib.compress(record.model_dump_json(exclude_defaults=True).encode()),
            }
            for attempt, record in records.items()
        ],
    )


def delete_before(connection: Connection, account: str, edge: int) -> None:
    """Delete an account's records of sessions created before an instant in microseconds."""
    connection.execute(
        "DELETE FROM verify_deliveries WHERE account = :account AND created < :edge",
        {"account": account, "edge": edge},
    )
