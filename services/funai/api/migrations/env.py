"""Runs migrations on the connection that ``funai.deploy.migrate`` opened."""

from __future__ import annotations

from alembic import context

from funai.api.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=context.config.attributes["version_table"],
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
