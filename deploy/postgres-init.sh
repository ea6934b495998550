#!/bin/sh
# Runs once, when the database's container is new: the role and the database of postgres.sql.
set -eu
psql --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
  --set password="$(cat "$VERIFY_MCP_PASSWORD_FILE")" --file /etc/verify-mcp/postgres.sql
