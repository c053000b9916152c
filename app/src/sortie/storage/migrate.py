"""Brings a database to this release's schema, once, however many processes start at the same time."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from .errors import SchemaTooNew

# The steps in their order. Known without loading Alembic, which takes longer than a start should.
STEPS = ("0001",)
# Any number that nothing else in a PostgreSQL database uses for its locks.
LOCK = 7_302_174_511


def migrate(connection: Connection) -> bool:
    """Apply the missing steps inside the open transaction; whether there were any.

    The transaction must hold SQLite's write lock; on PostgreSQL a lock is taken here.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    current = current_step(connection)
    if current == STEPS[-1]:
        return False
    if current is not None and current not in STEPS:
        raise SchemaTooNew(
            f"the database has schema {current}, and this release knows {STEPS[-1]} at most. "
            "Nothing was changed. Next: run the release that made it, or restore an older snapshot"
        )
    _upgrade(connection)
    return True


def current_step(connection: Connection) -> str | None:
    """The step that the database is at; None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - only a database that needs steps pays for loading it
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
