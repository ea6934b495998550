"""The database's tables, as migrations from an empty database to the current one.

Migrations are appended and never changed: a database stores how many were applied. Times are
integers, microseconds since 1970 in UTC. Money is an integer of 10⁻⁹, so that SQL adds it exactly.
"""

import re
from itertools import chain

from verify_mcp.database.base import Connection
from verify_mcp.errors import DatabaseUnavailable

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE verify_slots (
            bucket VARCHAR(64) NOT NULL, slot VARCHAR(32) NOT NULL, owner VARCHAR(32) NOT NULL,
            noted_at DOUBLE PRECISION NOT NULL, free_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (bucket, slot))""",
        """CREATE TABLE verify_tickets (
            bucket VARCHAR(64) NOT NULL, ticket VARCHAR(32) NOT NULL, owner VARCHAR(32) NOT NULL,
            priority INTEGER NOT NULL, arrival DOUBLE PRECISION NOT NULL,
            seen_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (bucket, ticket))""",
        """CREATE TABLE verify_gates (
            bucket VARCHAR(64) NOT NULL PRIMARY KEY, noted_at DOUBLE PRECISION NOT NULL,
            open_at DOUBLE PRECISION NOT NULL)""",
    ),
    (
        """CREATE TABLE verify_sessions (
            account VARCHAR(20) NOT NULL, scope VARCHAR(20) NOT NULL, created BIGINT NOT NULL,
            session VARCHAR(36) NOT NULL, app TEXT NOT NULL, status TEXT NOT NULL,
            recipient TEXT NOT NULL, country TEXT NOT NULL, channel TEXT NOT NULL,
            brand TEXT NOT NULL, outcomes TEXT NOT NULL, attempts INTEGER NOT NULL, cost BIGINT,
            rescued INTEGER NOT NULL, final INTEGER NOT NULL, fetched BIGINT NOT NULL,
            PRIMARY KEY (account, scope, created, session)) {table_options}""",
        "CREATE INDEX verify_sessions_by_id ON verify_sessions (account, session)",
        """CREATE INDEX verify_sessions_by_recipient
            ON verify_sessions (account, recipient, scope, created)""",
        """CREATE TABLE verify_bodies (
            account VARCHAR(20) NOT NULL, scope VARCHAR(20) NOT NULL, created BIGINT NOT NULL,
            session VARCHAR(36) NOT NULL, body {blob_type} NOT NULL,
            PRIMARY KEY (account, scope, created, session)) {table_options}""",
        """CREATE TABLE verify_coverage (
            account VARCHAR(20) NOT NULL, scope VARCHAR(20) NOT NULL,
            starts BIGINT NOT NULL, ends BIGINT NOT NULL,
            PRIMARY KEY (account, scope, starts)) {table_options}""",
    ),
    (
        """CREATE TABLE verify_walks (
            account VARCHAR(20) NOT NULL, scope VARCHAR(20) NOT NULL, starts BIGINT NOT NULL,
            ends BIGINT NOT NULL, walked BIGINT NOT NULL,
            PRIMARY KEY (account, scope, starts, ends)) {table_options}""",
    ),
    (
        """CREATE TABLE verify_days (
            account VARCHAR(20) NOT NULL, scope VARCHAR(20) NOT NULL, day INTEGER NOT NULL,
            app TEXT NOT NULL, status TEXT NOT NULL, channel TEXT NOT NULL, country TEXT NOT NULL,
            brand TEXT NOT NULL, outcomes TEXT NOT NULL, sessions BIGINT NOT NULL,
            attempts BIGINT NOT NULL, cost BIGINT NOT NULL, rescued BIGINT NOT NULL,
            uncosted BIGINT NOT NULL)""",
        "CREATE INDEX verify_days_by_day ON verify_days (account, scope, day, app)",
    ),
    (
        """CREATE TABLE verify_leases (
            name VARCHAR(64) NOT NULL PRIMARY KEY, owner VARCHAR(32) NOT NULL,
            noted_at DOUBLE PRECISION NOT NULL, expires_at DOUBLE PRECISION NOT NULL)""",
        """CREATE TABLE verify_unfinished (
            account VARCHAR(20) NOT NULL, scope VARCHAR(20) NOT NULL, starts BIGINT NOT NULL,
            ends BIGINT NOT NULL, asked BIGINT NOT NULL, requests INTEGER NOT NULL,
            max_requests INTEGER NOT NULL, pages INTEGER, filtered INTEGER NOT NULL,
            PRIMARY KEY (account, scope, starts, ends)) {table_options}""",
    ),
    (
        """CREATE TABLE verify_deliveries (
            account VARCHAR(20) NOT NULL, attempt VARCHAR(36) NOT NULL, created BIGINT NOT NULL,
            body {blob_type} NOT NULL, PRIMARY KEY (account, attempt)) {table_options}""",
    ),
    (
        "ALTER TABLE verify_slots ADD COLUMN number BIGINT NOT NULL DEFAULT 0",
        "CREATE INDEX verify_slots_by_time ON verify_slots (bucket, free_at)",
        "CREATE INDEX verify_slots_by_number ON verify_slots (bucket, number)",
    ),
    (
        "ALTER TABLE verify_sessions ADD COLUMN network TEXT NOT NULL DEFAULT '?'",
        "ALTER TABLE verify_sessions ADD COLUMN number_type TEXT NOT NULL DEFAULT '?'",
        "ALTER TABLE verify_sessions ADD COLUMN app_hash TEXT NOT NULL DEFAULT '?'",
        "ALTER TABLE verify_sessions ADD COLUMN first_channel TEXT NOT NULL DEFAULT '?'",
        "ALTER TABLE verify_sessions ADD COLUMN path TEXT NOT NULL DEFAULT '?'",
        "ALTER TABLE verify_sessions ADD COLUMN reached INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE verify_sessions ADD COLUMN gap BIGINT",
        "ALTER TABLE verify_sessions ADD COLUMN charge_1 BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE verify_sessions ADD COLUMN charge_2 BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE verify_sessions ADD COLUMN charge_3 BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE verify_sessions ADD COLUMN charge_4 BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE verify_sessions ADD COLUMN more_charges TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE verify_sessions ADD COLUMN uncharged INTEGER NOT NULL DEFAULT 0",
        # Rows written before lack these columns: their days are rebuilt before they are read.
        "ALTER TABLE verify_sessions ADD COLUMN derived INTEGER NOT NULL DEFAULT 0",
        # With its first column the index is preferred to the primary key.
        """CREATE INDEX verify_sessions_to_rebuild
            ON verify_sessions (derived, account, scope, created) WHERE derived = 0""",
        "DELETE FROM verify_days",
        """CREATE TABLE verify_day_totals (
            account VARCHAR(20) NOT NULL, scope VARCHAR(20) NOT NULL, day INTEGER NOT NULL,
            app TEXT NOT NULL, status TEXT NOT NULL, channel TEXT NOT NULL, country TEXT NOT NULL,
            brand TEXT NOT NULL, app_hash TEXT NOT NULL, outcomes TEXT NOT NULL,
            first_channel TEXT NOT NULL, path TEXT NOT NULL, tries TEXT NOT NULL,
            network TEXT NOT NULL, number_type TEXT NOT NULL, more_charges TEXT NOT NULL,
            sessions BIGINT NOT NULL, attempts BIGINT NOT NULL, cost BIGINT NOT NULL,
            rescued BIGINT NOT NULL, uncosted BIGINT NOT NULL, reached BIGINT NOT NULL,
            uncharged BIGINT NOT NULL, charge_1 BIGINT NOT NULL, charge_2 BIGINT NOT NULL,
            charge_3 BIGINT NOT NULL, charge_4 BIGINT NOT NULL,
            first_created BIGINT NOT NULL, last_created BIGINT NOT NULL)""",
        "CREATE INDEX verify_day_totals_by_day ON verify_day_totals (account, scope, day)",
        """CREATE TABLE verify_quarter_totals (
            account VARCHAR(20) NOT NULL, scope VARCHAR(20) NOT NULL, day INTEGER NOT NULL,
            created BIGINT NOT NULL, status TEXT NOT NULL, tries TEXT NOT NULL,
            sessions BIGINT NOT NULL, attempts BIGINT NOT NULL, cost BIGINT NOT NULL,
            rescued BIGINT NOT NULL, uncosted BIGINT NOT NULL, reached BIGINT NOT NULL,
            first_created BIGINT NOT NULL, last_created BIGINT NOT NULL,
            PRIMARY KEY (account, scope, day, created, status, tries)) {table_options}""",
        """CREATE TABLE verify_gap_totals (
            account VARCHAR(20) NOT NULL, scope VARCHAR(20) NOT NULL, day INTEGER NOT NULL,
            seconds BIGINT NOT NULL, sessions BIGINT NOT NULL,
            PRIMARY KEY (account, scope, day, seconds)) {table_options}""",
        """CREATE TABLE verify_total_days (
            account VARCHAR(20) NOT NULL, scope VARCHAR(20) NOT NULL, day INTEGER NOT NULL,
            PRIMARY KEY (account, scope, day)) {table_options}""",
        """CREATE TABLE verify_apps (
            account VARCHAR(20) NOT NULL, app VARCHAR(64) NOT NULL, alias TEXT NOT NULL,
            created BIGINT NOT NULL, PRIMARY KEY (account, app)) {table_options}""",
    ),
    (
        # Whether a day has the totals of the next two tables, too.
        "ALTER TABLE verify_total_days ADD COLUMN cells INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE verify_place_totals (
            account VARCHAR(20) NOT NULL, scope VARCHAR(20) NOT NULL, day INTEGER NOT NULL,
            created BIGINT NOT NULL, country TEXT NOT NULL, network TEXT NOT NULL,
            app TEXT NOT NULL, brand TEXT NOT NULL, first_channel TEXT NOT NULL,
            verified BIGINT NOT NULL, ended BIGINT NOT NULL,
            sms_failed BIGINT NOT NULL, sms_attempts BIGINT NOT NULL,
            voice_failed BIGINT NOT NULL, voice_attempts BIGINT NOT NULL,
            whatsapp_failed BIGINT NOT NULL, whatsapp_attempts BIGINT NOT NULL,
            rcs_failed BIGINT NOT NULL, rcs_attempts BIGINT NOT NULL)""",
        "CREATE INDEX verify_place_totals_by_day ON verify_place_totals (account, scope, day)",
        """CREATE TABLE verify_prefix_totals (
            account VARCHAR(20) NOT NULL, scope VARCHAR(20) NOT NULL, day INTEGER NOT NULL,
            tail INTEGER NOT NULL, step BIGINT NOT NULL, created BIGINT NOT NULL,
            prefix TEXT NOT NULL, country TEXT NOT NULL, sessions BIGINT NOT NULL,
            verified BIGINT NOT NULL, ended BIGINT NOT NULL,
            PRIMARY KEY (account, scope, day, tail, step, created, prefix)) {table_options}""",
    ),
)


TABLES = re.findall(r"CREATE TABLE (\w+)", " ".join(chain.from_iterable(MIGRATIONS)))


def migrate(connection: Connection, *, blob_type: str, table_options: str) -> None:
    """Apply the migrations that the database lacks, all in the caller's transaction.

    Raises DatabaseUnavailable when a newer version applied more than this one knows.
    """
    connection.lock("verify_schema")
    connection.execute("CREATE TABLE IF NOT EXISTS verify_schema (step INTEGER NOT NULL)")
    applied = int(connection.fetch_all("SELECT count(*) FROM verify_schema")[0][0])
    if applied > len(MIGRATIONS):
        raise DatabaseUnavailable(
            "The database was made by a newer verify-mcp. Upgrade this one, or name another "
            "database in VERIFY_MCP_DATABASE_URL.",
            damaged=True,
            reason="newer",
        )
    for number, statements in enumerate(MIGRATIONS[applied:], start=applied + 1):
        for statement in statements:
            sql = statement.format(blob_type=blob_type, table_options=table_options)
            connection.execute(sql)
        connection.execute("INSERT INTO verify_schema (step) VALUES (:step)", {"step": number})
    for table in TABLES:  # an incomplete database fails here, not in the middle of a call
        connection.fetch_all(f"SELECT 1 FROM {table} WHERE 1 = 0")  # noqa: S608 - names from above
