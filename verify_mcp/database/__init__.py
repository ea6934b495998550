"""One SQL dialect over SQLite and PostgreSQL, and a database that may be unavailable."""
