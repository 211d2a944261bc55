"""What a new row has in the fields that the client left out."""

from typing import Any

import sqlalchemy as sa

from service.resources.declaration import RestResource


def initial_value(resource: RestResource, name: str, given: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The `given` value; where it is NULL and the column takes no NULL, the default that the column has."""
    column = resource.table.c[name]
    if column.nullable or not isinstance(column.server_default, sa.DefaultClause):
        return given
    default = column.server_default.arg
    if isinstance(default, str):
        text = default.replace("'", "''")
        default = sa.cast(sa.literal_column(f"'{text}'"), column.type)
    return sa.func.coalesce(given, default)
