"""Alembic's entry: runs on the connection that the runner hands over."""

from alembic import context

from service.models.table import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    transaction_per_migration=True,
    compare_server_default=False,
)
context.run_migrations()
