#!/bin/sh
# Runs once, when the database's container is new: the role and the database of postgres.sql.
set -eu
psql --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
  --set password="$(cat "$VERIFY_MCP_PASSWORD_FILE")" --file /etc/verify-mcp/postgres.sql
# The role's way into the databases that every cluster has, which is open to all otherwise.
psql --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
  --command 'REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC'
