"""State: the small mutable things, in SQLite embedded and PostgreSQL at scale."""
