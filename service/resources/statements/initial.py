"""Values of a new row for fields that the client left out."""

from typing import Any

import sqlalchemy as sa

from service.resources.declaration import RestResource


def initial_value(resource: RestResource, name: str, given: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the `given` value, or the column's default if the value is NULL and the column is NOT NULL."""
    column = resource.table.c[name]
    if column.nullable or not isinstance(column.server_default, sa.DefaultClause):
        return given
    default = column.server_default.arg
    if isinstance(default, str):
        text = default.replace("'", "''")
        default = sa.cast(sa.literal_column(f"'{text}'"), column.type)
    return sa.func.coalesce(given, default)
