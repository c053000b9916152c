"""Runs the steps on the connection, and in the transaction, that `migrate` opened."""

from __future__ import annotations

from alembic import context

from sortie.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
