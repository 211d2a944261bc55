"""Alembic's entry point: runs on the runner's connection, or without one prints SQL."""

from typing import Any

from alembic import context

from service.models.table import Table

where: dict[str, Any]
if context.is_offline_mode():
    # A paramstyle that does not double the percent signs of the printed SQL.
    where = {"dialect_name": "postgresql", "dialect_opts": {"paramstyle": "named"}, "literal_binds": True}
else:
    where = {"connection": context.config.attributes["connection"]}
context.configure(
    **where,
    version_table=context.config.attributes["branch"].table,
    target_metadata=Table.metadata,
    transaction_per_migration=True,
    compare_server_default=False,
)
context.run_migrations()
