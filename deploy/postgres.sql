-- The role and the database of verify-mcp, with no more rights than it needs.
--
--   psql -U postgres -v ON_ERROR_STOP=1 -v password='…' -f deploy/postgres.sql
--
-- The role owns one schema of one database and makes its own tables there at the first start. It
-- can neither make databases or roles nor connect to another database unless that is open to all.
CREATE ROLE verify_mcp LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT 40 PASSWORD :'password';
CREATE DATABASE verify_mcp;
REVOKE ALL ON DATABASE verify_mcp FROM PUBLIC;
GRANT CONNECT ON DATABASE verify_mcp TO verify_mcp;
\connect verify_mcp
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA verify_mcp AUTHORIZATION verify_mcp;
ALTER ROLE verify_mcp IN DATABASE verify_mcp SET search_path = verify_mcp;

-- For people who only look, such as a dashboard: counts and times, but neither recipients nor
-- whole sessions. The tables exist after the first start of verify-mcp; run this part then, as
-- verify_mcp.
--
-- GRANT USAGE ON SCHEMA verify_mcp TO reporting;
-- GRANT SELECT ON verify_coverage TO reporting;
-- GRANT SELECT (account, scope, created, app, status, country, channel, attempts, cost)
--   ON verify_sessions TO reporting;
