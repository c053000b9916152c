"""Storage: SQLAlchemy Core on SQLite and PostgreSQL, with migrations by Alembic."""
