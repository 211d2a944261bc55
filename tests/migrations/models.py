"""Compares migrated tables with those of models."""

import asyncpg
from sqlalchemy import Connection, MetaData

from service.migrations.defaults import constant_default
from service.migrations.operations import SEARCH
from service.migrations.row_security import FUNCTIONS
from service.models.sql_identifiers import literal, quoted
from service.models.view import is_view
from tests.migrations.catalog import COLUMNS, schema


def create_functions(connection: Connection) -> None:
    """Create the functions that tables need."""
    for source in (SEARCH, *FUNCTIONS.values()):
        connection.exec_driver_sql(source)


async def columns_with_defaults(connection: asyncpg.Connection, metadata: MetaData) -> dict[str, str]:
    """Return the columns of the models' tables, each with the default of its field.

    A column that a migration adds to a table in use has it, for rows that exist; a column of a new table does not.
    """
    for table in metadata.sorted_tables:
        for column in () if is_view(table) else table.columns:
            if column.server_default is None and (default := constant_default(column)) is not None:
                await connection.execute(
                    f"ALTER TABLE {quoted(table.name)} ALTER {quoted(column.name)} "
                    f"SET DEFAULT {literal(default)}"
                )
    return (await schema(connection, {"columns": COLUMNS}))["columns"]


def agree(migrated: dict[str, str], plain: dict[str, str], defaulted: dict[str, str]) -> bool:
    """Whether each column is as its model says, with or without the default of its field."""
    different = {name for name in plain if migrated.get(name) not in {plain[name], defaulted[name]}}
    return migrated.keys() == plain.keys() and not different
